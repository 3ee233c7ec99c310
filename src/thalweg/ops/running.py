"""What is known so far, along a dimension: sums of exponentials, extremes, areas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.lift import floating
from thalweg.ops.reductions import ValuesAndIndices
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Running", "cumulative_trapezoid", "trapezoid", "trapz"]


class Running:
    """Tensor's cumulative operations beside sums and products."""

    __slots__ = ()

    def logcumsumexp(self: Tensor, dim: int) -> Tensor:
        """y[i] = log(e^x[0] + ... + e^x[i]) along `dim`, in log2(n) steps; nothing overflows.

        >>> import thalweg as tw
        >>> tw.tensor([1000.0, 1000.0]).logcumsumexp(0)
        tensor([1000.0000, 1000.6932])
        """
        axis = normalize_axis("logcumsumexp", dim, self.ndim)
        y = floating(self).movedim(axis, -1)
        reach = 1
        while reach < y._value.shape[-1]:
            count = y._value.shape[-1] - reach
            first, rest = y.narrow(-1, 0, reach), y.narrow(-1, reach, count)
            y = _joined(first, rest.logaddexp(y.narrow(-1, 0, count)))
            reach *= 2
        return y.movedim(-1, axis)

    def cummax(self: Tensor, dim: int) -> ValuesAndIndices:
        """The largest element so far along `dim`, and where the last such stands; NaN if one is.

        >>> import thalweg as tw
        >>> tw.tensor([2, 1, 3]).cummax(0).values
        tensor([2, 2, 3])
        """
        return _extremes("cummax", self, dim, lambda later, before: later >= before)

    def cummin(self: Tensor, dim: int) -> ValuesAndIndices:
        """The smallest element so far along `dim`, and where the last such stands; NaN if one is.

        >>> import thalweg as tw
        >>> tw.tensor([2, 1, 3]).cummin(0).values
        tensor([2, 1, 1])
        """
        return _extremes("cummin", self, dim, lambda later, before: later <= before)


def _joined(first: Tensor, rest: Tensor) -> Tensor:
    from thalweg.ops.joining import cat

    return cat([first, rest], -1)


def _extremes(
    name: str, x: Tensor, dim: int, wins: Callable[[Tensor, Tensor], Tensor]
) -> ValuesAndIndices:
    """By doubling how far back each place looks."""
    axis = normalize_axis(name, dim, x.ndim)
    values = x.detach().movedim(axis, -1)
    indices = values._positions(values.ndim - 1)
    size, reach = values._value.shape[-1], 1
    while reach < size:
        ends = [(y.narrow(-1, reach, size - reach), y.narrow(-1, 0, size - reach))
                for y in (values, indices)]  # fmt: skip
        later, before = ends[0]
        stays = wins(later, before) | later.isnan()
        values, indices = (
            _joined(y.narrow(-1, 0, reach), end[0].where(stays, end[1]))
            for y, end in zip((values, indices), ends, strict=True)
        )
        reach *= 2
    indices = indices.movedim(-1, axis)
    return ValuesAndIndices(x.take_along_dim(indices, axis), indices)


def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral of `y` over `x` along `dim`, by straight lines between the points.

        sum_i (x[i+1] - x[i]) (y[i] + y[i+1]) / 2

    Points `x`, a vector or of a shape that broadcasts to that of y, or their distance `dx`, 1
    unless given. Raises `ConfigError` where both are given.

    >>> import thalweg as tw
    >>> tw.trapezoid(tw.tensor([0.0, 1.0, 4.0]))
    tensor(3.)
    """
    return _areas("trapezoid", y, x, dx, dim).sum(dim)


def trapz(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """`trapezoid` under its first name."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """`trapezoid` up to each point but the first: one element less along `dim`.

    >>> import thalweg as tw
    >>> tw.cumulative_trapezoid(tw.tensor([0.0, 1.0, 4.0]))
    tensor([0.5000, 3.0000])
    """
    return _areas("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)


def _areas(name: str, y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> Tensor:
    if not isinstance(y, TensorBase):
        raise not_a_tensor(name, y)
    y = floating(y)
    axis = normalize_axis(name, dim, y.ndim)
    size = y._value.shape[axis]
    if x is None:
        width: Tensor | float = 1.0 if dx is None else dx
    elif dx is not None:
        raise ConfigError(f"{name}: x and dx are both given; give one")
    else:
        width = _widths(name, floating(x), y, axis)
    if size < 2:
        return y.narrow(axis, 0, 0)
    pairs = y.narrow(axis, 1, size - 1) + y.narrow(axis, 0, size - 1)
    return pairs * width * 0.5


def _widths(name: str, x: Tensor, y: Tensor, axis: int) -> Tensor:
    size = y._value.shape[axis]
    if x.ndim == 1:
        x = x.reshape((-1,) + (1,) * (y.ndim - 1 - axis))
    along = x.ndim - (y.ndim - axis)
    if along < 0 or x._value.shape[along] != size:
        raise ShapeError(
            f"{name}: x has shape {x._value.shape}, y {y._value.shape}: {size} points along "
            f"dimension {axis} expected"
        )
    return x.diff(dim=along) if size > 1 else x * math.nan
