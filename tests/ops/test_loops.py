"""scan and cond: values, derivatives, structures, directions, errors."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.autograd import gradcheck
from thalweg.errors import ConfigError, DTypeError, ShapeError

F64 = tw.float64


def total(c: Any, x: Any) -> Any:
    return c + x, c * x


def test_carry_and_outputs() -> None:
    carry, ys = tw.scan(total, tw.tensor(1.0), tw.tensor([2.0, 3.0, 4.0]))
    assert carry.tolist() == 10
    assert ys.tolist() == [2, 9, 24]


def test_from_the_end_each_output_is_where_its_slice_was() -> None:
    carry, ys = tw.scan(total, tw.tensor(1.0), tw.tensor([2.0, 3.0, 4.0]), reverse=True)
    assert carry.tolist() == 10
    assert ys.tolist() == [16, 15, 4]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_along_a_dimension_outputs_are_stacked_there(dim: int) -> None:
    x = tw.randn(3, 4, 5)
    axis = dim % 3
    like = x.select(axis, 0)
    carry, (ys, sums) = tw.scan(
        lambda c, x: (c + x, (c + x, x.sum())), tw.zeros_like(like), x, dim=dim
    )
    assert tw.allclose(ys, x.cumsum(axis))
    assert tw.allclose(carry, x.sum(axis), atol=1e-6)
    assert sums.shape == (x.shape[axis],)  # of too few dimensions to be stacked along 1


def test_structures_come_back_as_they_were_given() -> None:
    init = {"h": tw.zeros(2), "more": (tw.zeros(()), [tw.ones(3)])}
    xs = (tw.ones(4, 2), {"t": tw.arange(4)})

    def step(carry: Any, x: Any) -> Any:
        h, (count, [row]) = carry["h"] + x[0], carry["more"]
        return {"h": h, "more": (count + 1, [row * 2])}, [x[1]["t"] * 10, ()]

    carry, ys = tw.scan(step, init, xs)
    assert carry["h"].tolist() == [4, 4]
    assert carry["more"][0].tolist() == 4
    assert carry["more"][1][0].tolist() == [16, 16, 16]
    assert ys[0].tolist() == [0, 10, 20, 30]
    assert ys[1] == ()


@pytest.mark.parametrize("reverse", [False, True])
def test_derivatives(reverse: bool) -> None:
    w = tw.randn(3, 3, dtype=F64, requires_grad=True)
    xs = tw.randn(4, 2, 3, dtype=F64, requires_grad=True)
    h = tw.randn(2, 3, dtype=F64, requires_grad=True)

    def run(w: Any, xs: Any, h: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = tw.tanh(h @ w + x)
            return h, h * h

        h, ys = tw.scan(step, h, xs, reverse=reverse)
        return h.sum() + (ys * ys).sum()

    assert gradcheck(run, (w, xs, h))


def test_no_step() -> None:
    init, made = tw.ones(2), tw.zeros(())

    def step(c: Any, x: Any) -> Any:
        made.add_(1)
        return c + x, ((c * x).sum(), x > 0)

    carry, (sums, signs) = tw.scan(step, init, tw.zeros(0, 2))
    assert carry.tolist() == [1, 1]
    assert sums.shape == (0,)
    assert signs.shape == (0, 2)
    assert signs.dtype is tw.bool
    assert made.item() == 0


def test_no_slices() -> None:
    init = tw.ones(2)
    assert tw.scan(total, init, ()) == (init, [])


@pytest.mark.parametrize(
    ("step", "init", "xs", "error", "message"),
    [
        (lambda c, x: c, tw.zeros(()), tw.ones(3), ConfigError, r"a pair \(carry, y\)"),
        (
            lambda c, x: (c + x, x),
            tw.zeros(1),
            tw.ones(3, 2),
            ShapeError,
            "a carry keeps its shape",
        ),
        (lambda c, x: ((c, c), x), tw.zeros(1), tw.ones(3), ShapeError, "the structure of init"),
        (lambda c, x: (c > 0, x), tw.zeros(1), tw.ones(3), DTypeError, "a carry keeps its dtype"),
        (lambda c, x: (c, 1.0), tw.zeros(1), tw.ones(3), DTypeError, "a tensor is expected"),
        (total, 1.0, tw.ones(3), DTypeError, "init: a tensor is expected"),
        (
            total,
            tw.zeros(()),
            (tw.ones(3), tw.ones(4)),
            ShapeError,
            "of one size along dimension 0",
        ),
        (total, tw.zeros(()), tw.zeros(()), ShapeError, "dimension 0 of a tensor of rank 0"),
    ],
)
def test_errors(step: Any, init: Any, xs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tw.scan(step, init, xs)


# --- cond -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pred", [True, tw.tensor(True), tw.tensor([[True]])])
def test_cond_calls_one_of_two(pred: Any) -> None:
    def never(x: Any) -> Any:
        raise AssertionError

    assert tw.cond(pred, lambda x: x * 2, never, (tw.tensor(3.0),)).item() == 6
    refused = not pred if isinstance(pred, bool) else tw.logical_not(pred)
    assert tw.cond(refused, never, lambda x: -x, (tw.tensor(3.0),)).item() == -3


def test_cond_differentiates_the_branch_that_was_taken() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    tw.cond(x > 1, lambda x: x * x, lambda x: -x, (x,)).backward()
    assert x.grad is not None
    assert x.grad.item() == 6


@pytest.mark.parametrize(
    ("pred", "error", "message"),
    [
        (tw.tensor(1.0), DTypeError, "pred is a bool"),
        (tw.tensor([True, False]), ShapeError, "pred is one bool"),
    ],
)
def test_cond_errors(pred: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tw.cond(pred, lambda: tw.ones(1), lambda: tw.zeros(1))
