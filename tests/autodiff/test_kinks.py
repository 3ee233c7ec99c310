"""Where a derivative jumps or does not exist: the rule each operation follows there."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F

INF = math.inf
Function = Callable[[tw.Tensor], tw.Tensor]

# What is taken, where, and the gradient there.
KINKS: dict[str, tuple[Function, list[float], list[float]]] = {
    "relu is flat at 0": (tw.relu, [-1, 0, -0.0, 2], [0, 0, 0, 1]),
    "leaky relu has its slope at 0": (F.leaky_relu, [-1, 0, 2], [0.01, 0.01, 1]),
    "abs is flat at 0": (tw.abs, [-2, 0, -0.0, 3], [-1, 0, 0, 1]),
    "sign is flat everywhere": (tw.sign, [-2, 0, 3], [0, 0, 0]),
    "rounding is flat everywhere": (lambda x: x.floor() + x.round(), [0.5, 1, -2], [0, 0, 0]),
    "amax shares ties evenly": (tw.amax, [1, 3, 3, 3], [0, 1 / 3, 1 / 3, 1 / 3]),
    "amin shares ties evenly": (tw.amin, [1, 1, 3], [0.5, 0.5, 0]),
    "max of all shares ties evenly": (tw.max, [2, 2, 1, 2], [1 / 3, 1 / 3, 0, 1 / 3]),
    "max along a dimension takes the first": (lambda x: x.max(0).values, [2, 5, 5], [0, 1, 0]),
    "min along a dimension takes the first": (lambda x: x.min(0).values, [2, 1, 1], [0, 1, 0]),
    "maximum halves a tie": (lambda x: x.maximum(1), [0, 1, 2], [0, 0.5, 1]),
    "minimum halves a tie": (lambda x: x.minimum(1), [0, 1, 2], [1, 0.5, 0]),
    "clamp passes at its limits": (lambda x: x.clamp(-1, 1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]),
    "sort keeps the order of equals": (lambda x: x.sort().values[0], [1, 1], [1, 0]),
    "sqrt is flat at 0": (tw.sqrt, [0, 4], [0, 0.25]),
    "rsqrt is steep at 0": (tw.rsqrt, [0, 4], [-INF, -0.0625]),
    "sqrt of a square is flat at 0": (lambda x: (x * x).sqrt(), [0, 2, -2], [0, 1, -1]),
    "norm of zeros": (lambda x: x.norm(), [0, 0], [0, 0]),
    "norm": (lambda x: x.norm(), [3, 4], [0.6, 0.8]),
    "1-norm at 0": (lambda x: x.norm(1), [0, -2, 3], [0, -1, 1]),
    "3-norm of zeros": (lambda x: x.norm(3), [0, 0], [0, 0]),
    "half-norm with a zero": (lambda x: x.norm(0.5), [0, 4], [0, 1]),
    "largest of zeros": (lambda x: x.norm(INF), [0, 0], [0, 0]),
    "standard deviation of equals": (lambda x: x.std(), [2, 2, 2], [0, 0, 0]),
    "hypot at the origin": (lambda x: x.hypot(tw.zeros(2)), [0, 3], [0, 1]),
    "x ** 0": (lambda x: x**0, [0, 2], [0, 0]),
    "x ** 1": (lambda x: x**1, [0, 2], [1, 1]),
    "x ** 2": (lambda x: x**2, [0, -3], [0, -6]),
    "x ** 0.5": (lambda x: x**0.5, [0, 4], [0, 0.25]),
    "x ** 0.5, a tensor": (lambda x: x ** tw.tensor([0.5, 0.5]), [0, 4], [0, 0.25]),
    "x ** -1": (lambda x: x**-1, [0, 2], [-INF, -0.25]),
    "x ** -1 where nothing flows": (lambda x: tw.where(x > 0, x**-1, 0), [0, 2], [0, -0.25]),
    "x ** 2, a tensor": (lambda x: x ** tw.tensor([2.0, 2.0]), [0, -3], [0, -6]),
    "x ** 0, a tensor": (lambda x: x ** tw.tensor([0.0, 0.0]), [0, 2], [0, 0]),
    "x ** 1, a tensor": (lambda x: x ** tw.tensor([1.0, 1.0]), [0, 2], [1, 1]),
    "0 ** x": (lambda x: tw.tensor(0.0) ** x, [0, 2, 0.5], [0, 0, 0]),
    "2 ** x": (lambda x: 2**x, [0, 1], [math.log(2), 2 * math.log(2)]),
    "a product with one zero": (tw.prod, [0, 2, 3], [6, 0, 0]),
    "a product with two zeros": (tw.prod, [0, 0, 3], [0, 0, 0]),
    "cumprod with a zero": (lambda x: x.cumprod(0).sum(), [2, 0, 3], [1, 8, 0]),
    "xlogy at 0": (lambda x: tw.tensor([0.0, 2.0]).xlogy(x), [0, 4], [0, 0.5]),
    "logsumexp of -inf": (lambda x: x.logsumexp(0), [-INF, -INF], [0, 0]),
    "logaddexp of equal infinities": (lambda x: x.logaddexp(tw.tensor(-INF)), [1], [1]),
    "a selection's other branch may be infinite": (
        lambda x: tw.where(x > 0, x, x.where(x < 0, -1).log().abs()),
        [1, 2],
        [1, 1],
    ),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
def test_rule(name: str, dtype: tw.DType) -> None:
    function, at, expected = KINKS[name]
    x = tw.tensor(at, dtype=dtype, requires_grad=True)
    function(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [(tw.maximum, [1, 0.5, 0], [0, 0.5, 1]), (tw.minimum, [0, 0.5, 1], [1, 0.5, 0])],
)
def test_both_sides_of_a_tie(function: Function, first: list[float], second: list[float]) -> None:
    a = tw.tensor([2.0, 1.0, 0.0], requires_grad=True)
    b = tw.tensor([1.0, 1.0, 1.0], requires_grad=True)
    function(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == (first, second)


def test_a_limit_that_is_a_tensor_takes_the_gradient_where_it_took_effect() -> None:
    x = tw.tensor([-2.0, -1.0, 0.0], requires_grad=True)
    low = tw.tensor([-1.0, -1.0, -1.0], requires_grad=True)
    x.clamp(min=low).sum().backward()
    assert x.grad.tolist() == [0, 1, 1]
    assert low.grad.tolist() == [1, 0, 0]


@pytest.mark.parametrize("function", [tw.sqrt, lambda x: x.norm(), tw.relu, tw.abs, tw.amax])
def test_second_derivatives_at_0_are_no_nan(function: Function) -> None:
    x = tw.zeros(3, dtype=tw.float64, requires_grad=True)
    (slope,) = tw.autograd.grad(function(x * x).sum(), x, create_graph=True)
    if slope.requires_grad:
        slope.sum().backward()
        assert bool(x.grad.isfinite().all())


def test_a_derivative_with_respect_to_a_cotangent_of_0() -> None:
    """d/dc d/dx (c sqrt x) is 1 / (2 sqrt x), also where c is 0."""
    c = tw.zeros(1, requires_grad=True)
    x = tw.tensor([4.0], requires_grad=True)
    (slope,) = tw.autograd.grad(c * x.sqrt(), x, tw.ones(1), create_graph=True)
    (mixed,) = tw.autograd.grad(slope, c, tw.ones(1))
    assert mixed.tolist() == [0.25]
