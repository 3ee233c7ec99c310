"""Smooth activations: closed forms, first and second derivatives, extremes, errors."""

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


def phi(x: float) -> float:
    """The share of a standard normal below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

# The function, its closed form, and its limits far below and far above 0 ("x": x itself).
CASES: dict[str, tuple[Activation, Callable[[float], float], object, object]] = {
    "elu": (F.elu, lambda x: x if x > 0 else math.expm1(x), -1, "x"),
    "elu 0.5": (
        partial(F.elu, alpha=0.5),
        lambda x: x if x > 0 else 0.5 * math.expm1(x),
        -0.5,
        "x",
    ),
    "celu 2": (
        partial(F.celu, alpha=2.0),
        lambda x: x if x > 0 else 2 * math.expm1(x / 2),
        -2,
        "x",
    ),
    "selu": (
        F.selu,
        lambda x: SCALE * (x if x > 0 else ALPHA * math.expm1(x)),
        -SCALE * ALPHA,
        SCALE * 1e4,
    ),
    "gelu": (F.gelu, lambda x: x * phi(x), 0, "x"),
    "gelu tanh": (
        partial(F.gelu, approximate="tanh"),
        lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        0,
        "x",
    ),
    "silu": (F.silu, lambda x: x * logistic(x), 0, "x"),
    "mish": (F.mish, lambda x: x * math.tanh(math.log1p(math.exp(x))), 0, "x"),
    "softplus": (F.softplus, lambda x: math.log1p(math.exp(x)), 0, "x"),
    "softplus 3": (
        partial(F.softplus, beta=3.0),
        lambda x: math.log1p(math.exp(3 * x)) / 3,
        0,
        "x",
    ),
    "logsigmoid": (F.logsigmoid, lambda x: -math.log1p(math.exp(-x)), "x", 0),
    "softsign": (F.softsign, lambda x: x / (1 + abs(x)), -1e4 / 10001, 1e4 / 10001),
    "tanhshrink": (F.tanhshrink, lambda x: x - math.tanh(x), -9999, 9999),
    "sigmoid": (F.sigmoid, logistic, 0, 1),
    "tanh": (F.tanh, math.tanh, -1, 1),
}
POINTS = [-6.0, -2.5, -1.0, -0.3, 0.2, 1.0, 3.0, 5.5]

each = pytest.mark.parametrize("name", CASES)


@each
def test_closed_form(name: str) -> None:
    function, closed, *_ = CASES[name]
    y = function(tw.tensor([*POINTS, 0.0], dtype=tw.float64)).tolist()
    assert y == pytest.approx([closed(x) for x in (*POINTS, 0.0)], rel=1e-12, abs=1e-15)


@each
def test_derivatives(name: str) -> None:
    x = tw.tensor([POINTS[:4], POINTS[4:]], dtype=tw.float64, requires_grad=True)
    assert gradcheck(CASES[name][0], x)
    assert gradgradcheck(CASES[name][0], x)


@each
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64])
def test_far_from_zero(name: str, dtype: tw.DType) -> None:
    function, _, low, high = CASES[name]
    x = tw.tensor([-1e4, 1e4], dtype=dtype, requires_grad=True)
    y = function(x)
    limits = [-1e4 if low == "x" else low, 1e4 if high == "x" else high]
    assert y.tolist() == pytest.approx(limits, rel=1e-6, abs=0)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@each
def test_second_derivatives_are_finite_far_from_zero(name: str) -> None:
    x = tw.tensor([-200.0, 200.0], requires_grad=True)
    (first,) = tw.autograd.grad(CASES[name][0](x).sum(), x, create_graph=True)
    assert first is not None
    (second,) = tw.autograd.grad(first.sum(), x, allow_unused=True)
    assert second is None or second.isfinite().all()


@each
def test_nan_stays_nan(name: str) -> None:
    assert CASES[name][0](tw.tensor(math.nan)).isnan()


@each
def test_shape_and_dtype_stay(name: str) -> None:
    function = CASES[name][0]
    for shape in ((), (0,), (2, 0), (2, 3)):
        for dtype in (tw.float32, tw.float64):
            y = function(tw.ones(shape, dtype=dtype))
            assert y.shape == shape
            assert y.dtype is dtype
    assert function(tw.ones(2, dtype=tw.int64)).dtype is tw.float32


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (F.elu, [math.exp(-30), 1.0, 1.0]),
        (partial(F.elu, alpha=0.5), [0.5 * math.exp(-30), 0.5, 1.0]),
        (partial(F.celu, alpha=0.5), [math.exp(-60), 1.0, 1.0]),
        (F.softplus, [logistic(-30), 0.5, 1.0]),
        (F.logsigmoid, [1.0, 0.5, logistic(-30)]),
        (F.softsign, [1 / 31**2, 1.0, 1 / 31**2]),
        (F.tanhshrink, [1.0, 0.0, 1.0]),
    ],
)
def test_derivative_at_0_and_where_digits_could_be_lost(
    function: Activation, expected: list[float]
) -> None:
    x = tw.tensor([-30.0, 0.0, 30.0], requires_grad=True)
    function(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-5, abs=0)


def test_softplus_is_linear_above_its_threshold() -> None:
    x = tw.tensor([1.0, 3.0], dtype=tw.float64, requires_grad=True)
    y = F.softplus(x, beta=2.0, threshold=4.0)
    assert y.tolist() == pytest.approx([math.log1p(math.exp(2)) / 2, 3.0])
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([logistic(2), 1.0])


def test_softplus_of_very_negative_numbers_keeps_its_digits() -> None:
    assert F.softplus(tw.tensor(-80.0)).item() == pytest.approx(math.exp(-80), rel=1e-6, abs=0)


def test_glu() -> None:
    x = tw.tensor([[1.0, 2.0, 0.0, -1e4], [3.0, 4.0, 1e4, 0.0]])
    assert F.glu(x).tolist() == [[0.5, 0], [3, 2]]
    assert F.glu(x, dim=0).shape == (1, 4)
    with pytest.raises(ShapeError, match="odd size 3"):
        F.glu(tw.ones(2, 3))


def test_glu_derivatives() -> None:
    x = tw.tensor([POINTS[:4], POINTS[4:]], dtype=tw.float64, requires_grad=True)
    assert gradcheck(F.glu, x)
    assert gradgradcheck(lambda x: F.glu(x, 0), x)


def test_softmin() -> None:
    x = tw.tensor([[0.5, -1.0, 2.0]])
    assert F.softmin(x, 1).tolist() == tw.softmax(-x, 1).tolist()
    with pytest.raises(ConfigError, match="dim=-1"):
        F.softmin(x)


def test_options_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match="no approximate 'erf': Known: none, tanh"):
        F.gelu(tw.ones(1), approximate="erf")
    with pytest.raises(ConfigError, match="alpha=0.0; expected a number other than 0"):
        F.celu(tw.ones(1), alpha=0.0)
