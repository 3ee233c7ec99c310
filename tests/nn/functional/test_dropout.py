"""Dropout: how much, what it keeps of the mean, the same mask backward, the generator."""

from __future__ import annotations

import math

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck
from thalweg.errors import ConfigError


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_and_scale(p: float) -> None:
    count = 40_000
    out = F.dropout(tw.ones(count), p, generator=tw.Generator(1))
    kept = out[out != 0]
    assert kept.tolist() == pytest.approx([1 / (1 - p)] * len(kept), rel=1e-6)
    spread = math.sqrt(p * (1 - p) / count)
    assert len(kept) / count == pytest.approx(1 - p, abs=5 * spread)


def test_nothing_to_do_is_the_input_itself() -> None:
    x = tw.ones(4)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x


def test_everything_turned_off() -> None:
    x = tw.ones(4, requires_grad=True)
    out = F.dropout(x, 1.0)
    out.sum().backward()
    assert x.grad is not None
    assert (out.tolist(), x.grad.tolist()) == ([0] * 4, [0] * 4)


def test_the_gradient_passes_through_the_same_mask() -> None:
    x = tw.ones(1000, requires_grad=True)
    out = F.dropout(x, 0.3)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == out.tolist()
    fixed = tw.randn(6, dtype=tw.float64).requires_grad_()
    assert gradcheck(lambda x: F.dropout(x, 0.4, generator=tw.Generator(3)), fixed)


def test_the_seed_decides() -> None:
    def draw() -> list[float]:
        return F.dropout(tw.ones(64)).tolist()

    tw.manual_seed(5)
    first, second = draw(), draw()
    tw.manual_seed(5)
    assert draw() == first
    assert first != second


def test_a_generator_of_its_own_leaves_the_default_alone() -> None:
    tw.manual_seed(5)
    expected = tw.rand(3).tolist()
    tw.manual_seed(5)
    F.dropout(tw.ones(8), generator=tw.Generator(1))
    assert tw.rand(3).tolist() == expected


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64])
def test_shape_and_dtype_stay(shape: tuple[int, ...], dtype: tw.DType) -> None:
    for p in (0.5, 1.0):
        out = F.dropout(tw.ones(shape, dtype=dtype), p)
        assert (out.shape, out.dtype) == (shape, dtype)


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_what_is_no_probability(p: float) -> None:
    with pytest.raises(ConfigError, match="p=.*; expected a number from 0 to 1"):
        F.dropout(tw.ones(3), p)
    with pytest.raises(ConfigError, match="from 0 to 1"):
        F.dropout(tw.ones(3), p, training=False)
