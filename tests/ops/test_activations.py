"""relu, softmax and log_softmax: values, derivatives, kinks, extremes, errors."""

from __future__ import annotations

import math

import pytest

import thalweg as tw
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, ShapeError

GRID = [[0.3, -1.2, 2.0], [0.1, 0.4, -0.7]]


def slope(function, points: list[float]) -> list[float]:
    x = tw.tensor(points, dtype=tw.float64, requires_grad=True)
    function(x).sum().backward()
    assert x.grad is not None
    return x.grad.tolist()


def test_relu_is_one_function_under_three_names() -> None:
    assert tw.relu is tw.nn.functional.relu
    assert tw.Tensor.relu is tw.relu
    assert tw.nn.functional.softmax is tw.softmax
    assert tw.nn.functional.log_softmax is tw.log_softmax


def test_relu() -> None:
    x = tw.tensor([-2.0, -0.0, 0.0, 3.0, math.inf, -math.inf])
    assert tw.relu(x).tolist() == [0, 0, 0, 3, math.inf, 0]
    assert tw.tensor([-2, 3]).relu().dtype is tw.int64
    assert math.isnan(tw.relu(tw.tensor(math.nan)).item())


def test_relu_has_slope_0_at_0() -> None:
    assert slope(tw.relu, [-1.0, -0.0, 0.0, 1e-300, 2.0]) == [0, 0, 0, 1, 1]


def test_relu_keeps_shape_and_dtype() -> None:
    for shape in ((), (0,), (2, 0, 3), (2, 3)):
        assert tw.relu(tw.ones(shape)).shape == shape
    assert tw.relu(tw.ones(2, dtype=tw.float64)).dtype is tw.float64


def test_softmax_adds_up_to_one() -> None:
    x = tw.tensor(GRID, dtype=tw.float64)
    for dim in (0, 1, -1):
        assert tw.softmax(x, dim).sum(dim).tolist() == pytest.approx([1.0] * x.shape[dim - 1])


def test_softmax_closed_form() -> None:
    shares = tw.softmax(tw.tensor([0.0, math.log(3.0)], dtype=tw.float64), 0)
    assert shares.tolist() == pytest.approx([0.25, 0.75], rel=1e-15)


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64])
def test_softmax_and_its_logarithm_at_extremes(dtype: tw.DType) -> None:
    x = tw.tensor([1e4, -1e4, 0.0], dtype=dtype, requires_grad=True)
    shares, logs = tw.softmax(x, 0), tw.log_softmax(x, 0)
    assert shares.tolist() == [1, 0, 0]
    assert logs.tolist() == [0, -2e4, -1e4]
    (shares.sum() + logs.sum()).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-2, 1, 1]


def test_a_masked_class_gets_nothing() -> None:
    x = tw.tensor([0.0, -math.inf, 0.0])
    assert tw.softmax(x, 0).tolist() == [0.5, 0, 0.5]
    assert tw.log_softmax(x, 0).tolist()[1] == -math.inf
    assert tw.softmax(tw.tensor([-math.inf, -math.inf]), 0).isnan().all()


def test_log_softmax_is_accurate_where_softmax_rounds_to_zero() -> None:
    x = tw.tensor([0.0, 800.0, 799.0], dtype=tw.float64)
    expected = -800 - math.log1p(math.exp(-1))
    assert tw.softmax(x, 0)[0].item() == 0
    assert tw.log_softmax(x, 0)[0].item() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("function", [tw.softmax, tw.log_softmax])
@pytest.mark.parametrize("dim", [0, 1])
def test_derivatives(function, dim: int) -> None:
    x = tw.tensor(GRID, dtype=tw.float64, requires_grad=True)
    assert gradcheck(lambda x: function(x, dim), x)
    assert gradgradcheck(lambda x: function(x, dim), x)


def test_relu_derivatives() -> None:
    x = tw.tensor(GRID, dtype=tw.float64, requires_grad=True)
    assert gradcheck(tw.relu, x)
    assert gradgradcheck(tw.relu, x)


def test_integers_and_dtype() -> None:
    assert tw.softmax(tw.tensor([1, 1]), 0).tolist() == [0.5, 0.5]
    assert tw.softmax(tw.ones(2), 0, dtype=tw.float64).dtype is tw.float64
    assert tw.ones(2).log_softmax(0, dtype=tw.float64).dtype is tw.float64


@pytest.mark.parametrize("function", [tw.softmax, tw.log_softmax])
def test_the_dimension_has_to_be_said(function) -> None:
    with pytest.raises(ConfigError, match=rf"{function.__name__}: along which .*dim=-1"):
        function(tw.ones(2, 3))
    with pytest.raises(ShapeError, match="dimension 2 of a tensor of rank 2"):
        function(tw.ones(2, 3), dim=2)


def test_no_classes() -> None:
    assert tw.softmax(tw.ones(0, 3), 1).shape == (0, 3)
    with pytest.raises(ShapeError, match="nothing to reduce"):
        tw.softmax(tw.ones(3, 0), 1)
