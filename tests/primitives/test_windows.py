"""Windows: a view of what they slide over, and the transpose that adds them up."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ShapeError
from thalweg.primitives.windows import window_counts

# fmt: off
GRIDS = [  # shape, sizes, strides, dilations
    ((7,),      (3,),   (1,),   (1,)),
    ((7,),      (3,),   (2,),   (2,)),
    ((2, 7, 6), (3, 2), (2, 1), (1, 3)),
    ((2, 7, 6), (2, 2), (3, 3), (1, 1)),
    ((3, 4),    (1, 1), (1, 1), (1, 1)),
    ((0, 5),    (2,),   (1,),   (1,)),
]
# fmt: on
Grid = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def test_windows_are_a_view_that_nobody_can_write_to() -> None:
    x = tw.arange(20.0).reshape(4, 5)
    slid = x.windows((2, 2), (1, 2), (2, 1))
    assert np.shares_memory(slid._value, x._value)
    assert not slid._value.flags.writeable
    assert slid[1, 1].tolist() == [[7.0, 8.0], [17.0, 18.0]]


@pytest.mark.parametrize("grid", GRIDS)
def test_each_is_the_transpose_of_the_other(grid: Grid) -> None:
    """<A x, y> = <x, A^T y>."""
    shape, sizes, strides, dilations = grid
    x = tw.randn(*shape, dtype=tw.float64)
    slid = x.windows(sizes, strides, dilations)
    y = tw.randn(*slid.shape, dtype=tw.float64)
    added = y.overlap_add(shape[len(shape) - len(sizes) :], strides, dilations)
    assert added.shape == x.shape
    assert (slid * y).sum().item() == pytest.approx((x * added).sum().item(), rel=1e-12)


@pytest.mark.parametrize("grid", GRIDS)
def test_ones_count_the_windows_an_element_stands_in(grid: Grid) -> None:
    shape, sizes, strides, dilations = grid
    slid = tw.arange(tw.ones(shape).numel()).reshape(shape).windows(sizes, strides, dilations)
    counted = np.bincount(slid.numpy().ravel(), minlength=int(np.prod(shape))).reshape(shape)
    back = tw.ones_like(slid).overlap_add(shape[len(shape) - len(sizes) :], strides, dilations)
    assert back.tolist() == counted.tolist()


def test_what_no_window_reaches_stays_zero() -> None:
    x = tw.ones(8, requires_grad=True)
    x.windows((2,), (3,), (1,)).sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 1, 1, 0, 1, 1]
    x = tw.ones(7, requires_grad=True)
    x.windows((2,), (3,), (1,)).sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 1, 1, 0, 0]


def test_any_layout_in_memory() -> None:
    x = tw.randn(5, 6, 2, dtype=tw.float64)
    moved = x.movedim(-1, 0).flip(-1)
    slid = moved.windows((2, 3), (2, 1), (1, 2))
    copied = tw.tensor(np.ascontiguousarray(moved.numpy())).windows((2, 3), (2, 1), (1, 2))
    assert slid.tolist() == copied.tolist()
    added = slid.overlap_add((5, 6), (2, 1), (1, 2))
    assert tw.allclose(added, copied.overlap_add((5, 6), (2, 1), (1, 2)))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (((4,), (5,), (1,), (1,)), r"spans \(5,\) elements .* does not fit .* \(4,\); pad first"),
        (((4,), (3,), (1,), (2,)), r"spans \(5,\)"),
        (((4,), (0,), (1,), (1,)), "1 or more everywhere"),
        (((4,), (1,), (1,), (-1,)), "1 or more everywhere"),
        (((4,), (1, 1), (1, 1), (1, 1)), "at most 1"),
        (((4, 4), (1, 1), (1,), (1, 1)), "as many of each"),
    ],
)
def test_windows_that_do_not_fit(grid: Grid, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        window_counts(*grid)
    with pytest.raises(ShapeError, match=message):
        tw.ones(grid[0]).windows(*grid[1:])


def test_another_number_of_windows_than_there_would_be() -> None:
    with pytest.raises(ShapeError, match=r"expected \(4,\) of them over \(5,\) .* got \(3,\)"):
        tw.ones(3, 2).overlap_add((5,), (1,), (1,))
    with pytest.raises(ShapeError, match="4 dimensions or more"):
        tw.ones(3, 2, 2).overlap_add((3, 2), (1, 1), (1, 1))
