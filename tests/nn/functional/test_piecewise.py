"""Piecewise linear activations: closed forms, the rule at every kink, derivatives, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, ShapeError

Activation = Callable[[tw.Tensor], tw.Tensor]

# The function, its closed form, and at its kinks: the place, the value, the derivative.
CASES: dict[str, tuple[Activation, Callable[[float], float], list[tuple[float, float, float]]]] = {
    "leaky_relu": (F.leaky_relu, lambda x: max(0.01 * x, x), [(0.0, 0.0, 0.01)]),
    "leaky_relu 3": (
        partial(F.leaky_relu, negative_slope=3.0),
        lambda x: x if x > 0 else 3 * x,
        [(0.0, 0.0, 3.0)],
    ),
    "threshold": (
        partial(F.threshold, threshold=0.5, value=-7.0),
        lambda x: x if x > 0.5 else -7.0,
        [(0.5, -7.0, 0.0)],
    ),
    "hardtanh": (F.hardtanh, lambda x: min(max(x, -1), 1), [(-1.0, -1.0, 0.0), (1.0, 1.0, 0.0)]),
    "hardtanh 0 2": (
        partial(F.hardtanh, min_val=0.0, max_val=2.0),
        lambda x: min(max(x, 0), 2),
        [(0.0, 0.0, 0.0), (2.0, 2.0, 0.0)],
    ),
    "relu6": (F.relu6, lambda x: min(max(x, 0), 6), [(0.0, 0.0, 0.0), (6.0, 6.0, 0.0)]),
    "hardsigmoid": (
        F.hardsigmoid,
        lambda x: min(max(x + 3, 0), 6) / 6,
        [(-3.0, 0.0, 0.0), (3.0, 1.0, 0.0)],
    ),
    "hardswish": (
        F.hardswish,
        lambda x: x * min(max(x + 3, 0), 6) / 6,
        [(-3.0, 0.0, 0.0), (3.0, 3.0, 1.0)],
    ),
    "hardshrink": (
        F.hardshrink,
        lambda x: x if abs(x) > 0.5 else 0.0,
        [(-0.5, 0.0, 0.0), (0.5, 0.0, 0.0)],
    ),
    "softshrink": (
        F.softshrink,
        lambda x: math.copysign(max(abs(x) - 0.5, 0), x),
        [(-0.5, 0.0, 0.0), (0.5, 0.0, 0.0)],
    ),
}
POINTS = [-7.0, -2.5, -0.8, -0.3, 0.2, 0.9, 2.6, 7.5]

each = pytest.mark.parametrize("name", CASES)


def slopes(function: Activation, points: list[float]) -> list[float]:
    x = tw.tensor(points, dtype=tw.float64, requires_grad=True)
    function(x).sum().backward()
    assert x.grad is not None
    return x.grad.tolist()


@each
def test_closed_form(name: str) -> None:
    function, closed, _ = CASES[name]
    y = function(tw.tensor(POINTS, dtype=tw.float64)).tolist()
    assert y == pytest.approx([closed(x) for x in POINTS], rel=1e-14)


@each
def test_kinks(name: str) -> None:
    function, _, kinks = CASES[name]
    places = [place for place, _, _ in kinks]
    values = function(tw.tensor(places, dtype=tw.float64)).tolist()
    assert values == pytest.approx([value for _, value, _ in kinks])
    assert slopes(function, places) == pytest.approx([slope for _, _, slope in kinks])


@each
def test_derivatives(name: str) -> None:
    x = tw.tensor([POINTS[:4], POINTS[4:]], dtype=tw.float64, requires_grad=True)
    assert gradcheck(CASES[name][0], x)
    assert gradgradcheck(CASES[name][0], x)


@each
def test_far_from_zero(name: str) -> None:
    function, closed, _ = CASES[name]
    y = function(tw.tensor([-1e30, 1e30]))
    assert y.tolist() == pytest.approx([closed(-1e30), closed(1e30)], rel=1e-6)
    assert all(math.isfinite(slope) for slope in slopes(function, [-1e30, 1e30]))


@each
def test_nan_stays_nan(name: str) -> None:
    assert CASES[name][0](tw.tensor(math.nan)).isnan()


@each
def test_shape_and_dtype_stay(name: str) -> None:
    for shape in ((), (0,), (2, 3)):
        for dtype in (tw.float32, tw.float64):
            y = CASES[name][0](tw.ones(shape, dtype=dtype))
            assert (y.shape, y.dtype) == (shape, dtype)


def test_infinities() -> None:
    x = tw.tensor([-math.inf, math.inf])
    assert F.leaky_relu(x).tolist() == [-math.inf, math.inf]
    assert F.relu6(x).tolist() == [0, 6]
    assert F.softshrink(x).tolist() == [-math.inf, math.inf]


def test_prelu_has_one_slope_or_one_a_channel() -> None:
    x = tw.tensor([[-1.0, -1.0], [2.0, -4.0]])
    assert F.prelu(x, tw.tensor([0.5])).tolist() == [[-0.5, -0.5], [2, -2]]
    assert F.prelu(x, tw.tensor([0.5, 0.25])).tolist() == [[-0.5, -0.25], [2, -1]]
    image = F.prelu(-tw.ones(1, 2, 1, 2), tw.tensor([0.5, 0.25]))
    assert image.tolist() == [[[[-0.5, -0.5]], [[-0.25, -0.25]]]]
    assert F.prelu(-tw.ones(3), tw.tensor([0.5])).tolist() == [-0.5] * 3


def test_prelu_derivatives() -> None:
    x = tw.tensor([POINTS[:4], POINTS[4:]], dtype=tw.float64, requires_grad=True)
    for slope in ([0.25], [0.1, -0.2, 0.3, 0.4]):
        w = tw.tensor(slope, dtype=tw.float64, requires_grad=True)
        assert gradcheck(F.prelu, [x, w])
        assert gradgradcheck(F.prelu, [x, w])


def test_prelu_at_its_kink() -> None:
    x, w = tw.zeros(1, requires_grad=True), tw.tensor([0.25], requires_grad=True)
    F.prelu(x, w).sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert (x.grad.tolist(), w.grad.tolist()) == ([0.25], [0])


@pytest.mark.parametrize("weight", [tw.ones(3), tw.ones(1, 1), tw.ones(0)])
def test_prelu_of_another_number_of_channels(weight: tw.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"one for each of the 2 channels, \(2,\)"):
        F.prelu(tw.ones(5, 2), weight)


def test_limits_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"min_val=1.0 is above max_val=-1.0"):
        F.hardtanh(tw.ones(1), 1.0, -1.0)
    with pytest.raises(ConfigError, match="lambd=-1.0; expected a number of 0 or more"):
        F.softshrink(tw.ones(1), -1.0)
