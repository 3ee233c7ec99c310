"""Known networks: a file that PyTorch wrote loads, and logits, gradients and statistics agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import thalweg
from benchmarks.training import known
from tests.reference.both import BOTH, TOLERANCES, assert_close, copied, numbers, plain
from tests.reference.vgg import VGG
from thalweg import models
from thalweg.interop import torch_files
from thalweg.interop.safetensors import load_file
from thalweg.models import CharGPTConfig

_GPT = CharGPTConfig(vocab_size=11, block_size=7, n_layer=2, n_head=2, n_embd=8)
_UNTIED = CharGPTConfig(5, block_size=9, n_layer=1, n_head=1, n_embd=6, bias=False, tied=False)
_TOKENS = np.arange(14).reshape(2, 7) ** 2 % 5

# Ours, PyTorch's, an input.
PAIRS: dict[str, tuple[Any, Any, Any]] = {
    "resnet18": (
        lambda: models.resnet18(5),
        lambda: known.ResNet(classes=5).module(torch),
        numbers(4 * 3 * 40 * 33).reshape(4, 3, 40, 33),
    ),
    "resnet34": (
        lambda: models.resnet34(3),
        lambda: known.ResNet(counts=(3, 4, 6, 3), classes=3).module(torch),
        numbers(2 * 3 * 33 * 33).reshape(2, 3, 33, 33),
    ),
    "vgg11": (
        lambda: models.vgg11(5, hidden=8, dropout=0.0),
        lambda: VGG(5, False, 8),
        numbers(2 * 3 * 33 * 32).reshape(2, 3, 33, 32),
    ),
    "vgg11_bn": (
        lambda: models.vgg11_bn(5, hidden=8, dropout=0.0),
        lambda: VGG(5, True, 8),
        numbers(2 * 3 * 64 * 32).reshape(2, 3, 64, 32),
    ),
    "gpt": (lambda: models.CharGPT(_GPT), lambda: known.GPT(11, 7, 2, 2, 8).module(torch), _TOKENS),
    "gpt, untied": (
        lambda: models.CharGPT(_UNTIED),
        lambda: known.GPT(5, 9, 1, 1, 6, bias=False, tied=False).module(torch),
        _TOKENS,
    ),
}


def moved(module: Any) -> Any:
    """The module, with statistics and scales that are not those it begins with."""
    with torch.no_grad():
        for name, x in module.state_dict().items():
            if name.endswith(("bias", "running_mean")):
                x.copy_(torch.randn(x.shape) * 0.1)
            elif name.endswith("running_var") or x.dim() == 1:
                x.copy_(1 + torch.rand(x.shape))
    return module


@pytest.mark.parametrize("name", PAIRS)
def test_files_of_pytorch(name: str, tmp_path: Path) -> None:
    ours, theirs, _ = PAIRS[name]
    model, state = ours(), moved(theirs()).state_dict()
    torch.save(state, tmp_path / "model.pth")
    safetensors.torch.save_file({k: x.clone() for k, x in state.items()}, tmp_path / "model.st")
    for loaded in (torch_files.load_file(tmp_path / "model.pth"), load_file(tmp_path / "model.st")):
        assert list(model.state_dict()) == list(state)
        model.load_state_dict(loaded)
        for key, x in model.state_dict().items():
            np.testing.assert_array_equal(plain(x), plain(state[key]), err_msg=key)
        model.requires_grad_(False)


@pytest.mark.parametrize("name", PAIRS)
def test_logits_gradients_and_statistics(name: str) -> None:
    ours, theirs, x = PAIRS[name]
    mine, other = ours().double(), moved(theirs()).double()
    mine.load_state_dict(copied(thalweg, other.state_dict()))
    results = []
    for tw, model in zip(BOTH, (mine, other), strict=True):
        given = tw.tensor(x)
        model.eval()
        logits = model(given)
        model.train()
        out = model(given)
        weights = numbers(out.numel()).reshape(tuple(out.shape))
        (out * tw.tensor(weights)).sum().backward()
        gradients = [p.grad for p in model.parameters()]
        results.append([logits, out, *gradients, *model.buffers()])
    for position, (a, b) in enumerate(zip(*results, strict=True)):
        assert_close(a, b, TOLERANCES["second", "float64"], f"{name} {position}")


def test_a_compiled_resnet_is_pytorchs() -> None:
    ours, theirs, x = PAIRS["resnet18"]
    mine, other = ours(), theirs()
    mine.load_state_dict(copied(thalweg, other.state_dict()))
    run = thalweg.compile(mine.eval())
    with torch.no_grad():
        wanted = other.eval()(torch.tensor(x, dtype=torch.float32))
    found = run(thalweg.tensor(x, dtype=thalweg.float32))
    np.testing.assert_allclose(plain(found), plain(wanted), rtol=1e-4, atol=1e-4)
