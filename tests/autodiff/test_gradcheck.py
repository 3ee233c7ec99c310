"""The numerical check: what it passes, and what it says about a rule that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import DTypeError, GradientError
from thalweg.tape import composite


def doubles(*values: float) -> tw.Tensor:
    return tw.tensor(values, dtype=tw.float64, requires_grad=True)


@composite("square, wrongly", lambda g, out, x: g * x * 2.001)
def wrong_everywhere(x: tw.Tensor) -> tw.Tensor:
    return x * x


@composite("square, wrong above 1", lambda g, out, x: g * x.where(x <= 1, x + 0.5) * 2)
def wrong_above_1(x: tw.Tensor) -> tw.Tensor:
    return x * x


@composite("scale", lambda g, out, a, b: g * b, lambda g, out, a, b: g)
def wrong_in_the_second(a: tw.Tensor, b: tw.Tensor) -> tw.Tensor:
    return a * b


def detached_slope(g: Any, out: Any, x: Any) -> Any:
    """Right, but not differentiable with respect to x."""
    return g * x.detach() * 2


@composite("square, once", detached_slope)
def right_once(x: tw.Tensor) -> tw.Tensor:
    return x * x


def test_right_rules_pass() -> None:
    assert gradcheck(lambda x, y: (x * y).exp(), (doubles(0.5, -1), doubles(2, 3)))
    assert gradgradcheck(lambda x, y: (x * y).exp(), (doubles(0.5, -1), doubles(2, 3)))


def test_an_error_of_a_thousandth_is_found() -> None:
    with pytest.raises(GradientError, match="the tape gives .*, central differences"):
        gradcheck(wrong_everywhere, doubles(1.5), rtol=1e-4)


def test_the_index_that_is_off_is_named() -> None:
    with pytest.raises(GradientError, match=r"input 0 at index \(2,\).* gives 5, .* 4 \(1 of 16"):
        gradcheck(wrong_above_1, doubles(0.5, 1, 2, -3))


def test_the_index_in_a_matrix_is_named() -> None:
    x = tw.tensor([[0.0, 0.5], [3.0, 0.25]], dtype=tw.float64, requires_grad=True)
    with pytest.raises(GradientError, match=r"input 0 at index \(1, 0\)"):
        gradcheck(wrong_above_1, x)


def test_the_input_that_is_off_is_named() -> None:
    with pytest.raises(GradientError, match=r"input 1 at index \(0,\): .* gives 1, .* 3"):
        gradcheck(wrong_in_the_second, (doubles(3), doubles(2)))


def test_a_second_derivative_that_is_off() -> None:
    assert gradcheck(right_once, doubles(1.5))
    with pytest.raises(GradientError, match=r"input 0 at index \(0,\)"):
        gradgradcheck(right_once, doubles(1.5))


def test_false_instead_of_an_error() -> None:
    assert gradcheck(wrong_everywhere, doubles(1.5), rtol=1e-4, raise_exception=False) is False
    assert gradgradcheck(right_once, doubles(1.5), raise_exception=False) is False


def test_a_nan_is_off() -> None:
    with pytest.raises(GradientError, match="nan"):
        gradcheck(lambda x: x.log(), doubles(-1.0))


def test_several_outputs_and_no_dependence() -> None:
    x, y = doubles(1, 2), doubles(3)
    assert gradcheck(lambda x, y: (x * 2, (x * x).sum()), (x, y))


def test_nothing_of_nothing() -> None:
    assert gradcheck(lambda x: x * 2, tw.zeros(0, dtype=tw.float64, requires_grad=True))


def test_other_arguments_pass_through() -> None:
    index = tw.tensor([1, 0, 1])
    assert gradcheck(lambda x, i: x[i], (doubles(1, 2), index))


def test_float32_is_too_coarse() -> None:
    with pytest.raises(DTypeError, match=r"input 0 is thalweg.float32.*x.double\(\)"):
        gradcheck(lambda x: x, tw.ones(2, requires_grad=True))


def test_nothing_to_check() -> None:
    with pytest.raises(GradientError, match="no input requires a gradient"):
        gradcheck(lambda x: x, tw.ones(2, dtype=tw.float64))
