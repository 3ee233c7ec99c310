"""Pooling: which elements a window takes, where gradients go, padding, the last window."""

from __future__ import annotations

import math
from typing import Any

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DTypeError, ShapeError

# fmt: off
OPTIONS: dict[str, tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]]] = {
    "plain":            ((2, 3, 4, 6), (2,), {}),
    "a remainder":      ((1, 2, 5, 7), (2,), {}),
    "overlapping":      ((1, 2, 6, 5), (3, 1), {}),
    "far apart":        ((1, 2, 7, 8), (2, 3), {}),
    "padded":           ((1, 2, 5, 5), (3, 2, 1), {}),
    "oblong":           ((1, 2, 5, 6), ((2, 3), (2, 1), (1, 0)), {}),
    "the last one too": ((1, 2, 6, 7), (3, 2), {"ceil_mode": True}),
    "the last one too, padded": ((1, 1, 6, 8), (2, 2, 1), {"ceil_mode": True}),
    "one image":        ((2, 4, 4), (2,), {}),
    "no images":        ((0, 2, 4, 4), (2,), {}),
    "1-D":              ((2, 2, 7), (3, 2, 1), {"ceil_mode": True}),
    "1-D, one sequence": ((2, 7), (2,), {}),
}
# fmt: on


def distinct(shape: tuple[int, ...]) -> tw.Tensor:
    """No two elements near each other."""
    tw.manual_seed(1)
    return tw.randperm(math.prod(shape)).reshape(shape).double().requires_grad_()


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("name", OPTIONS)
def test_derivatives(name: str, kind: str) -> None:
    shape, args, options = OPTIONS[name]
    pool = getattr(F, f"{kind}{1 if '1-D' in name else 2}d")
    assert gradcheck(lambda x: pool(x, *args, **options), distinct(shape))
    assert gradgradcheck(lambda x: pool(x, *args, **options).square(), distinct(shape))


def test_dilated_windows() -> None:
    x = tw.arange(7.0).reshape(1, 7).requires_grad_()
    y = F.max_pool1d(x, 3, 1, dilation=2)
    assert y.tolist() == [[4, 5, 6]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0, 0, 1, 1, 1]]


# --- the maximum ---------------------------------------------------------------------------------


def test_the_gradient_goes_to_the_first_maximum_of_each_window() -> None:
    x = tw.tensor([[[5.0, 5, 1, 0], [5, 5, 0, 1], [2, 2, 3, 3], [2, 2, 3, 3]]], requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]]


def test_an_element_of_several_windows_collects_from_all_of_them() -> None:
    x = tw.tensor([[0.0, 9, 0, 0]], requires_grad=True)
    (F.max_pool1d(x, 2, 1) * tw.tensor([[1.0, 10, 100]])).sum().backward()
    assert x.grad.tolist() == [[0, 11, 100, 0]]


@pytest.mark.parametrize("value", [-math.inf, -1.0, 0.0])
def test_padding_is_never_a_maximum(value: float) -> None:
    x = tw.full((1, 3, 3), value).requires_grad_()
    y, index = F.max_pool2d(x, 2, 2, 1, return_indices=True)
    assert y.tolist() == [[[value] * 2] * 2]
    assert index.tolist() == [[[0, 1], [3, 4]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]


def test_indices_read_the_maxima() -> None:
    x = tw.randn(2, 3, 7, 6)
    options: dict[str, Any] = {"padding": 1, "dilation": 2, "ceil_mode": True}
    y, index = F.max_pool2d(x, (3, 2), 2, **options, return_indices=True)
    assert index.dtype is tw.int64
    assert tw.equal(x.flatten(2).gather(2, index.flatten(2)), y.flatten(2))


def test_nan_passes_and_takes_the_gradient_of_one_element() -> None:
    x = tw.tensor([[1.0, math.nan, 3.0, 4.0]], requires_grad=True)
    y = F.max_pool1d(x, 2)
    assert y.isnan().tolist() == [[True, False]]
    y.sum().backward()
    assert x.grad.tolist() == [[1, 0, 0, 1]]


def test_windows_of_more_elements_than_a_byte_counts() -> None:
    x = tw.zeros(1, 1, 20, 20, requires_grad=True)
    y, index = F.max_pool2d(x, 17, 3, return_indices=True)
    y.sum().backward()
    assert index.tolist() == [[[[0, 3], [60, 63]]]]
    assert x.grad.nonzero()[:, 2:].tolist() == [[0, 0], [0, 3], [3, 0], [3, 3]]


def test_integers() -> None:
    x = tw.tensor([[-3, -5, -7]])
    y, index = F.max_pool1d(x, 2, 2, 1, return_indices=True)
    assert (y.tolist(), index.tolist(), y.dtype) == ([[-3, -5]], [[0, 1]], tw.int64)
    assert F.max_pool1d(tw.tensor([[1, 2]], dtype=tw.uint8), 2, 1, 1).tolist() == [[1, 2, 2]]
    with pytest.raises(DTypeError, match="max_pool1d: bool"):
        F.max_pool1d(tw.tensor([[True, False]]), 2)


# --- the mean ------------------------------------------------------------------------------------


def test_what_the_mean_counts() -> None:
    x = tw.tensor([[6.0, 6, 6, 6]])
    assert F.avg_pool1d(x, 2, 2, 1).tolist() == [[3, 6, 3]]
    assert F.avg_pool1d(x, 2, 2, 1, count_include_pad=False).tolist() == [[6, 6, 6]]
    assert F.avg_pool1d(x, 3, 2, ceil_mode=True).tolist() == [[6, 6]]
    assert F.avg_pool1d(x, 4, 3, 1, ceil_mode=True).tolist() == [[4.5, 4]]
    square = tw.full((1, 3, 3), 6.0)
    assert F.avg_pool2d(square, 2, 2, 1).tolist() == [[[1.5, 3], [3, 6]]]
    assert F.avg_pool2d(square, 2, divisor_override=8).tolist() == [[[3]]]


def test_the_mean_of_integers() -> None:
    y = F.avg_pool1d(tw.tensor([[1, 2, 4]]), 2, 1)
    assert (y.tolist(), y.dtype) == ([[1.5, 3]], tw.float32)


# --- what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_refusals(pool: Any) -> None:
    x = tw.ones(1, 4, 5)
    name = pool.__name__
    for args, error, message in (
        ((6,), ShapeError, r"spans \(6, 6\) does not fit into an input of size \(4, 5\)"),
        ((0,), ConfigError, "kernel_size=0; expected a whole number of 1 or more"),
        ((2, 0), ConfigError, "stride=0; expected a whole number of 1 or more"),
        ((2, 2, -1), ConfigError, "padding=-1; expected a whole number of 0 or more"),
        ((2, 2, 2), ConfigError, r"padding \(2, 2\) is more than half of the kernel"),
        (((2, 2, 2),), ConfigError, r"kernel_size=\(2, 2, 2\)"),
        ((None,), ConfigError, "kernel_size=None"),
    ):
        with pytest.raises(error, match=f"^{name}: .*{message}"):
            pool(x, *args)
    with pytest.raises(ShapeError, match=r"\(N, C, H, W\) or \(C, H, W\) expected, got \(4, 5\)"):
        pool(x[0], 2)


def test_dividing_by_zero() -> None:
    with pytest.raises(ConfigError, match="divisor_override=0; expected .* other than 0"):
        F.avg_pool2d(tw.ones(1, 2, 2), 2, divisor_override=0)
