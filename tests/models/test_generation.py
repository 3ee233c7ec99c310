"""Texts written with keys and values kept: the same tokens as without, by programs made once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import thalweg as tw
from thalweg import models
from thalweg.errors import ConfigError
from thalweg.models.generation import Choice, KeyValues, drawn

SIZES = {"block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 16}
START = tw.tensor([[1, 2, 3], [4, 4, 0]])
CHOICES: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0},
    "drawn": {"temperature": 1.3},
    "of a few": {"temperature": 0.9, "top_k": 4},
}


def gpt(**options: Any) -> models.CharGPT:
    """A model whose logits differ enough for greedy choices to be no ties."""
    tw.manual_seed(0)
    model = models.char_gpt(11, **{**SIZES, **options}).eval()
    with tw.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8.0 if parameter.ndim == 2 else 1.0)
    return model


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", CHOICES)
def test_the_same_tokens_with_and_without(name: str, compiled: bool) -> None:
    """To the end of the window, to one token more, and far beyond; from a text longer than it."""
    model = gpt()
    for start, count in ((START, 5), (START, 6), (START, 20), (START.repeat(1, 4), 5), (START, 1)):
        texts = []
        for cached in (False, True):
            options = {"generator": tw.Generator(7), "use_cache": cached, **CHOICES[name]}
            texts.append(model.generate(start, count, compiled=compiled, **options).tolist())
        assert texts[0] == texts[1]
        assert len(texts[0][0]) == start.shape[1] + count
        if name != "greedy" and count > 5:
            assert texts[0][0][-5:] != texts[0][1][-5:]  # rows are drawn on their own


def test_compiled_is_eager() -> None:
    model = gpt()
    for options in CHOICES.values():
        texts = [
            model.generate(START, 20, generator=tw.Generator(3), compiled=c, **options).tolist()
            for c in (False, True)
        ]
        assert texts[0] == texts[1]


def test_it_is_what_the_whole_text_says() -> None:
    """Greedy, token by token, from the network's own logits of everything before."""
    model = gpt()
    text = START
    for _ in range(5):
        text = tw.cat([text, model(text)[:, -1].argmax(-1, keepdim=True)], 1)
    assert model.generate(START, 5, 0).tolist() == text.tolist()


def test_programs_are_made_once() -> None:
    model = gpt()
    for length in (1, 3, 5, 12):
        for count in (2, 9):
            model.generate(tw.ones(2, length).long(), count, 0, compiled=True)
    (writer,) = model._writers.values()
    programs: Any = writer._programs
    assert [sum(map(len, p.programs.values())) for p in programs] == [1, 1, 1]


def test_weights_that_are_trained_further_are_seen() -> None:
    model = gpt()
    before = model.generate(START, 6, 0, compiled=True)
    with tw.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.flip(0))
    after = model.generate(START, 6, 0, compiled=True)
    assert before.tolist() != after.tolist()
    assert after.tolist() == model.generate(START, 6, 0, use_cache=False).tolist()


def test_what_is_kept_is_no_part_of_the_model() -> None:
    model = gpt()
    names = list(model.state_dict())
    model.generate(START, 3, compiled=True)
    assert list(model.state_dict()) == names
    assert list(copy.deepcopy(model)._writers) == []
    for seed in range(20):
        model._writers.add(seed, model._writer(1, Choice(), False, True))
    assert len(model._writers) == 8


def test_in_float64() -> None:
    model = gpt().double()
    texts = [model.generate(START, 12, 0, use_cache=cached).tolist() for cached in (False, True)]
    assert texts[0] == texts[1]
    assert model.kept(3)[0].keys.dtype is tw.float64


def test_keys_and_values_by_place() -> None:
    kept = KeyValues((2, 3, 4, 5))
    for place in (2, 0, 2):
        kept.add(
            tw.full((2, 3, 1, 5), place + 1.0), tw.full((2, 3, 1, 5), -1.0), tw.tensor([place])
        )
    assert kept.keys[1, 2, :, 3].tolist() == [1.0, 0.0, 3.0, 0.0]
    assert kept.values[0, 0, :, 0].tolist() == [-1.0, 0.0, -1.0, 0.0]
    assert kept.seen(tw.tensor([2])).tolist() == [True, True, True, False]


def test_a_draw_is_multinomials() -> None:
    logits = tw.randn(50, 11, generator=tw.Generator(1))
    token = drawn(logits, Choice(1.0, None, tw.Generator(2)))
    wanted = tw.multinomial(logits.softmax(-1), 1, generator=tw.Generator(2))
    assert tw.equal(token, wanted)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": "hot"}, "temperature='hot'"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_k": 1.5}, "top_k=1.5"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1"),
        ({"max_new_tokens": 2.0}, "max_new_tokens=2.0"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"generate: {words}"):
        gpt().generate(START, **{"max_new_tokens": 2, **options})
