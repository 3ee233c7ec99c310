"""Wrong sizes of the known networks: an error names them, before a weight is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg import models, nn
from thalweg.errors import ConfigError, DTypeError, ThalwegError

SIZE, NUMBER = (0, -1, 1.5, "3", None, True), (-0.1, 1.5, float("nan"), "x")
GPT = ("vocab_size", "block_size", "n_layer", "n_head", "n_embd")
SEQ = ("source_vocab", "target_vocab", "max_len", "d_model", "nhead", "num_layers")
VOCABULARIES = {"source_vocab": 9, "target_vocab": 9}
VGG = {"plan": (8, "M"), "hidden": 4}

# A network, and for each of its settings what is wrong for it.
WRONG: dict[str, tuple[Callable[..., Any], dict[str, tuple[Any, ...]]]] = {
    "LeNet": (models.LeNet, {"num_classes": SIZE, "in_channels": (-1, "1"),
                             "activation": ("rely", 3), "dtype": ("no", tw.int64)}),
    "ResNet": (lambda **o: models.ResNet(**{"layers": (1, 1, 1, 1), **o}),
               {"num_classes": SIZE, "layers": ((1, 1), (1, 1, 1, 0), 3, ("a", 1, 1, 1)),
                "zero_init_residual": (1, "no"), "in_channels": (-1, 1.5)}),
    "BasicBlock": (lambda **o: models.BasicBlock(**{"inplanes": 4, "planes": 4, **o}),
                   {"inplanes": SIZE, "planes": SIZE, "stride": (0, 1.5), "downsample": (3,)}),
    "VGG": (lambda **o: models.VGG(**{**VGG, **o}),
            {"num_classes": SIZE, "hidden": SIZE, "batch_norm": (1, None), "dropout": NUMBER}),
    "CharGPTConfig": (models.CharGPTConfig, {**dict.fromkeys(GPT, SIZE), "dropout": NUMBER,
                                             "bias": (1,), "tied": ("no",), "n_embd": (130,)}),
    "Seq2SeqConfig": (lambda **o: models.Seq2SeqConfig(**{**VOCABULARIES, **o}),
                      {**dict.fromkeys(SEQ, SIZE), "dropout": NUMBER, "d_model": (130,),
                       "pad": (-1, 9, 1), "start": (1.5, 2), "end": (0,)}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_settings(name: str) -> None:
    make, settings = WRONG[name]
    before = tw.default_generator.get_state().tolist()
    for setting, values in settings.items():
        for value in values:
            with pytest.raises((ConfigError, DTypeError)) as caught:
                make(**{setting: value})
            assert str(caught.value).startswith(name), (setting, value, str(caught.value))
            assert setting in str(caught.value)
    assert tw.default_generator.get_state().tolist() == before


@pytest.mark.parametrize("make", [models.lenet, lambda: models.ResNet((1, 1, 1, 1), 10)])
def test_inputs(make: Callable[[], nn.Module]) -> None:
    model = make()
    before = {name: x.tolist() for name, x in model.state_dict().items() if "running" in name}
    for wrong in (tw.ones(3), tw.ones(2, 28, 28), [1.0], None, tw.ones(2, 7, 28, 28)):
        with pytest.raises(ThalwegError):
            model(wrong)
    after = {name: x.tolist() for name, x in model.state_dict().items() if "running" in name}
    assert after == before
