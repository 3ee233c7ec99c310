"""Positional encodings: the values, what they mean, and what does not fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError

KINDS = {
    "sinusoidal": lambda: nn.SinusoidalEncoding(6, max_len=9),
    "learned": lambda: nn.LearnedEncoding(6, 9),
    "rotary": lambda: nn.RotaryEncoding(6, max_len=9),
    "rotary in halves": lambda: nn.RotaryEncoding(6, max_len=9, interleaved=False),
}


@pytest.mark.parametrize("width", [1, 4, 5])
def test_waves(width: int) -> None:
    table = nn.SinusoidalEncoding(width, max_len=7, base=100.0)(tw.zeros(2, 7, width))[1]
    for place in range(7):
        for i in range(width):
            angle = place / 100.0 ** (2 * (i // 2) / width)
            wave = math.cos(angle) if i % 2 else math.sin(angle)
            assert table[place, i].item() == pytest.approx(wave, abs=1e-6)


@pytest.mark.parametrize("interleaved", [True, False])
def test_turned_products_depend_on_the_distance_alone(interleaved: bool) -> None:
    turn = nn.RotaryEncoding(8, max_len=50, interleaved=interleaved, dtype=tw.float64)
    q, k = (tw.randn(8, dtype=tw.float64).expand(50, 8) for _ in range(2))
    products = (turn(q) @ turn(k).t()).numpy()
    for distance in range(-49, 50):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], atol=1e-6)
    assert np.ptp(products[0]) > 0.1


def test_the_two_orders_of_pairs_are_one_permutation() -> None:
    x = tw.randn(3, 5, 8)
    order = [0, 4, 1, 5, 2, 6, 3, 7]
    halves = nn.RotaryEncoding(8, interleaved=False)(x)
    assert tw.allclose(nn.RotaryEncoding(8)(x[..., order]), halves[..., order], atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_an_offset_is_the_rest_of_a_sequence(name: str) -> None:
    layer = KINDS[name]()
    x = tw.randn(2, 9, 6)
    assert tw.equal(layer(x)[:, 4:], layer(x[:, 4:], offset=4))


@pytest.mark.parametrize("name", KINDS)
def test_compiled(name: str) -> None:
    layer = KINDS[name]()
    x = tw.randn(2, 7, 6, requires_grad=True)

    def step() -> tuple[Any, ...]:
        x.grad = None
        layer.zero_grad()
        out = layer(x)
        out.square().sum().backward()
        return out.detach(), x.grad, *(p.grad for p in layer.parameters())

    for a, b in zip(tw.compile(step)(), step(), strict=True):
        assert tw.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_only_what_is_learned_is_saved() -> None:
    assert {name: list(make().state_dict()) for name, make in KINDS.items()} == {
        "sinusoidal": [], "learned": ["weight"], "rotary": [], "rotary in halves": [],
    }  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_what_does_not_fit(name: str) -> None:
    layer = KINDS[name]()
    with pytest.raises(ShapeError, match=r"\(\.\.\., L, 6\) expected, got \(2, 5\)"):
        layer(tw.ones(2, 5))
    with pytest.raises(OutOfRangeError, match=r"places 0 to 9 .*there are 9"):
        layer(tw.ones(10, 6))
    with pytest.raises(OutOfRangeError, match="places 8 to 9"):
        layer(tw.ones(2, 6), offset=8)


def test_settings() -> None:
    with pytest.raises(ConfigError, match="dim is 5"):
        nn.RotaryEncoding(5)
    with pytest.raises(ConfigError, match="max_len=0; expected a whole number of 1 or more"):
        nn.LearnedEncoding(4, 0)
    assert repr(nn.RotaryEncoding(4)) == "RotaryEncoding(dim=4, max_len=4096, interleaved=True)"
    assert repr(nn.SinusoidalEncoding(4)) == "SinusoidalEncoding(d_model=4, max_len=5000)"
    assert repr(nn.LearnedEncoding(4, 8)) == "LearnedEncoding(d_model=4, max_len=8)"
    assert nn.LearnedEncoding(64, 64).weight.std().item() == pytest.approx(0.02, rel=0.1)
