"""Pooling: the maximum or the mean of each window.

The last one or two dimensions are pooled; in front of them stand channels and, if there is one,
the batch. Windows may reach into padding, and with `ceil_mode` a last one that would be cut off at
the end is kept, unless it lies in padding altogether.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg._tensor import Tensor
from thalweg.dtypes import int32, uint8
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked, nonzero
from thalweg.nn.functional.sliding import (
    Shape,
    Sizes,
    enclosed,
    per_axis,
    require_images,
    spans,
    spell_windows,
)
from thalweg.ops.creation import arange, tensor
from thalweg.ops.lift import floating
from thalweg.primitives.core import check_kind
from thalweg.tape import composite

__all__ = ["avg_pool1d", "avg_pool2d", "flat_places", "laid", "max_pool1d", "max_pool2d"]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Where windows stand, an entry an axis: `counts` of them over `shape`, padded."""

    shape: Shape
    counts: Shape
    sizes: Shape
    strides: Shape
    dilations: Shape
    low: Shape
    high: Shape

    def __repr__(self) -> str:
        more = {"size": self.sizes, "dilation": self.dilations}
        return spell_windows(self.strides, self.low, self.high, **more)

    @property
    def blocks(self) -> Shape:
        """How many blocks of `strides` places the input has, padded before, if not after."""
        axes = zip(self.shape, self.low, self.strides, strict=True)
        return tuple(-(-(n + low) // s) for n, low, s in axes)

    @property
    def taps(self) -> tuple[int, ...]:
        """The dimensions inside a window."""
        return tuple(range(-len(self.sizes), 0))

    def windows(self, x: Tensor, value: float) -> Tensor:
        """The windows of `x` padded by `value`."""
        room = enclosed(x, self.low, self.high, value=value)
        return room.windows(self.sizes, self.strides, self.dilations)


def _pool(
    name: str, shape: Shape, size: Sizes, stride: Any, padding: Sizes, dilation: Sizes, ceil: bool
) -> _Pool:
    """The options as numbers for each of the last axes of `shape`, checked."""
    rank = len(shape)
    sizes = per_axis(name, "kernel_size", size, rank, 1)
    strides = sizes if stride is None else per_axis(name, "stride", stride, rank, 1)
    dilations = per_axis(name, "dilation", dilation, rank, 1)
    low, reach = per_axis(name, "padding", padding, rank, 0), spans(sizes, dilations)
    if any(2 * p > k for p, k in zip(low, reach, strict=True)):
        raise ConfigError(
            f"{name}: padding {low} is more than half of the kernel, which spans {reach}: "
            "windows would lie in padding altogether"
        )
    axes = list(zip(shape, low, reach, strides, strict=True))
    if any(n + 2 * p < k for n, p, k, _ in axes):
        raise ShapeError(
            f"{name}: a kernel that spans {reach} does not fit into an input of size {shape} with "
            f"padding {low}. Use a smaller kernel, or pool less before it"
        )
    counts = tuple(_count(*axis, ceil) for axis in axes)
    ends = [
        max((count - 1) * s + k - n - p, 0)
        for count, (n, p, k, s) in zip(counts, axes, strict=True)
    ]
    return _Pool(shape, counts, sizes, strides, dilations, low, tuple(ends))


def _count(size: int, padding: int, span: int, stride: int, ceil: bool) -> int:
    room = size + 2 * padding - span
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - ((count - 1) * stride >= size + padding)  # one that begins in padding is none


# --- the maximum ---------------------------------------------------------------------------------


def _lowest(x: Tensor) -> float:
    """What padding holds: less than any element, or equal to it."""
    dtype = x._value.dtype
    return -math.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


def laid(x: Tensor, axis: int) -> Tensor:
    """A vector along an axis, a negative number; those before it come by broadcasting."""
    return x.reshape((-1,) + (1,) * (-1 - axis))


def _starts(pool: _Pool, axis: int) -> Tensor:
    """Where the windows along one axis begin, in places of the input."""
    return arange(pool.counts[axis]) * pool.strides[axis] - pool.low[axis]


def _precedence(pool: _Pool, rank: int) -> Tensor:
    """n, n - 1, .., 1 for the n elements of a window, in row-major order; 0 for padding.

    Of `rank` dimensions, of which the first are those inside a window, the last the windows.
    """
    count, slid = math.prod(pool.sizes), len(pool.shape)
    passed = [
        laid(arange(size) * math.prod(pool.sizes[axis + 1 :]), axis - rank)
        for axis, size in enumerate(pool.sizes)
    ]
    order = (count - sum(passed[1:], passed[0])).to(uint8 if count < 256 else int32)
    for axis, (size, n) in enumerate(zip(pool.sizes, pool.shape, strict=True)):
        if pool.low[axis] or pool.high[axis]:
            inside = laid(arange(size) * pool.dilations[axis], axis - rank)
            place = laid(_starts(pool, axis), axis - slid) + inside
            order = order.where((place >= 0) & (place < n), 0)
    return order


def _scores(x: Tensor, out: Tensor, pool: _Pool) -> tuple[Tensor, Tensor]:
    """A number for each element (first dimensions) of each window, largest at its first maximum;
    and that largest number. Where the maximum is NaN, at the first element of the window.
    """
    windows = pool.windows(x.detach(), _lowest(x))
    rank, slid = len(windows._value.shape), len(pool.sizes)
    windows = windows.permute(*range(rank - slid, rank), *range(rank - slid))
    order = _precedence(pool, rank)
    scores = windows.lt(out.detach()).logical_not().to(order.dtype) * order
    return scores, scores.amax(tuple(range(slid)))


def _max_pool_vjp(g: Tensor, out: Tensor, x: Tensor, *, pool: _Pool) -> Tensor:
    """The gradient goes to the first maximum of each window, as in PyTorch.

    Along an axis, place s q + r of the padded input can be in windows q, q - 1, .. alone, and in
    window q - a it is the element (s a + r) / d. So each place asks those windows whether their
    maximum is that element. Windows that do not exist have none.
    """
    best = _scores(x, out, pool)[1]
    reach = spans(pool.sizes, pool.dilations)
    many = tuple(-(-k // s) for k, s in zip(reach, pool.strides, strict=True))
    before = tuple(m - 1 for m in many)
    after = tuple(q - count for q, count in zip(pool.blocks, pool.counts, strict=True))
    g, best = enclosed(g, before, after), enclosed(best, before, after)
    parts = []
    for back in np.ndindex(*many):
        starts = tuple(m - a for m, a in zip(before, back, strict=True))
        hits = _part(best, starts, pool.blocks).eq(_elements(pool, back, best))
        parts.append(_part(g, starts, pool.blocks).where(hits, 0))
    return _laid_out(sum(parts[1:], parts[0]), pool)


def _laid_out(x: Tensor, pool: _Pool) -> Tensor:
    """Blocks of places, (*strides, .., *blocks), as the input: (.., *shape)."""
    rank = len(pool.strides)
    lead = x._value.shape[rank:-rank]
    first = rank + len(lead)
    order = (*range(rank, first), *(i for axis in range(rank) for i in (first + axis, axis)))
    room = tuple(q * s for q, s in zip(pool.blocks, pool.strides, strict=True))
    whole = x.permute(order).reshape(*lead, *room)
    axes = zip(room, pool.low, pool.shape, strict=True)
    return enclosed(whole, tuple(-n for n in pool.low), tuple(low + n - q for q, low, n in axes))


def _part(x: Tensor, starts: Shape, sizes: Shape) -> Tensor:
    """A part of the last axes."""
    shape = x._value.shape
    lead = shape[: len(shape) - len(sizes)]
    return x.window(((0,) * len(lead)) + starts, lead + sizes, (1,) * len(shape))


def _elements(pool: _Pool, back: tuple[int, ...], like: Tensor) -> Tensor:
    """For each place r of a block, the score that the window `back` before it has if its maximum
    is there; 0 where the place is not in it: (*strides, 1, 1, ..) over the axes of `like`.
    """
    score = np.full(pool.strides, math.prod(pool.sizes), np.int64)
    for axis, a in enumerate(back):
        inner = math.prod(pool.sizes[axis + 1 :])
        far = a * pool.strides[axis] + np.arange(pool.strides[axis])
        tap, rest = np.divmod(far, pool.dilations[axis])
        is_in = (rest == 0) & (tap < pool.sizes[axis])
        shape = tuple(-1 if axis == i else 1 for i in range(len(back)))
        score = np.where(
            is_in.reshape(shape) & (score > 0), score - (tap * inner).reshape(shape), 0
        )
    ones = (1,) * len(like._value.shape)
    return tensor(score.reshape(*pool.strides, *ones), dtype=like.dtype)


@composite("max_pool", _max_pool_vjp)
def _max_pool(x: Tensor, *, pool: _Pool) -> Tensor:
    return pool.windows(x, _lowest(x)).amax(pool.taps)


def _indices(x: Tensor, out: Tensor, pool: _Pool) -> Tensor:
    """Where each maximum stands, as a place in the flattened input."""
    taps = math.prod(pool.sizes) - _scores(x, out, pool)[1].to(int32)
    axes = range(len(pool.shape))
    starts = [laid(_starts(pool, axis), axis - len(pool.shape)) for axis in axes]
    return flat_places(taps, pool.sizes, starts, pool.shape, pool.dilations)


def flat_places(
    taps: Tensor, sizes: Shape, starts: Sequence[Tensor], shape: Shape, dilations: Shape = (1, 1)
) -> Tensor:
    """The places in the flattened input of elements of windows, which `taps` says by number.

    Windows are of `sizes` and begin, along each axis, at `starts`.
    """
    index: Tensor | int = 0
    for axis, (n, start) in enumerate(zip(shape, starts, strict=True)):
        rest = math.prod(sizes[axis + 1 :])
        inside = taps if rest == 1 else taps.div(rest, rounding_mode="floor")
        taps = taps - inside * rest
        index = index * n + (start + inside * dilations[axis])
    assert isinstance(index, Tensor)
    return index


@checked()
def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window along the last dimension: (N, C, L) -> (N, C, L').

    As `max_pool2d`, for input (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.functional.max_pool1d(tw.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pooled("max_pool1d", 1, input, options, return_indices)


@checked()
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window: y[n, c, h, w] = max over i, j of x[n, c, s h + d i, s w + d j].

    Input (N, C, H, W) or (C, H, W); result with H' = floor((H + 2 padding - d (K - 1) - 1) / s) + 1
    rows, ceil instead of floor with `ceil_mode`. `stride` s is `kernel_size` unless given. Padding
    is less than any element. With `return_indices` also where each maximum stands in the H W
    places of its image. The gradient goes to the first maximum of a window. A window that holds NaN
    gives NaN, from its first element.

    Raises `ShapeError` where a window does not fit, `ConfigError` for padding of more than half a
    kernel and for options that are no sizes.

    >>> import thalweg as tw
    >>> x = tw.arange(16.0).reshape(1, 4, 4)
    >>> tw.nn.functional.max_pool2d(x, 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pooled("max_pool2d", 2, input, options, return_indices)


def _max_pooled(
    name: str, rank: int, input: Tensor, options: tuple[Any, ...], return_indices: bool
) -> Any:
    require_images(name, input, rank)
    check_kind(name, input._value.dtype, "fiu")
    pool = _pool(name, input._value.shape[-rank:], *options)
    out = _max_pool(input, pool=pool)
    return (out, _indices(input, out, pool)) if return_indices else out


# --- the mean ------------------------------------------------------------------------------------


@checked()
def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window along the last dimension: (N, C, L) -> (N, C, L').

    As `avg_pool2d`, for input (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.functional.avg_pool1d(tw.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    options = (kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pooled("avg_pool1d", 1, input, options, count_include_pad, None)


@checked(divisor_override=nonzero())
def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: y[n, c, h, w] = 1/m sum over i, j of x[n, c, s h + i, s w + j].

    Input (N, C, H, W) or (C, H, W), sizes as for `max_pool2d`. m is the number of elements in the
    window; those in padding, which are 0, count unless `count_include_pad` is False, those that a
    last window of `ceil_mode` has beyond the padding never do. `divisor_override` is used for m
    instead. Integers are computed in the default dtype. Errors as for `max_pool2d`.

    >>> import thalweg as tw
    >>> x = tw.arange(16.0).reshape(1, 4, 4)
    >>> tw.nn.functional.avg_pool2d(x, 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    options = (kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pooled("avg_pool2d", 2, input, options, count_include_pad, divisor_override)


def _avg_pooled(
    name: str,
    rank: int,
    input: Tensor,
    options: tuple[Any, ...],
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    require_images(name, input, rank)
    pool = _pool(name, input._value.shape[-rank:], *options)
    x = floating(input)
    return pool.windows(x, 0).sum(pool.taps) / (divisor or _members(x, pool, count_include_pad))


def _members(x: Tensor, pool: _Pool, count_include_pad: bool) -> Tensor | int:
    """How many elements each window has: a number where all have as many."""
    margins = pool.low if count_include_pad else (0,) * len(pool.low)
    product: Tensor | int = 1
    for axis, (size, n, margin) in enumerate(zip(pool.sizes, pool.shape, margins, strict=True)):
        last = (pool.counts[axis] - 1) * pool.strides[axis] - pool.low[axis] + size
        if pool.low[axis] == margin and last <= n + margin:
            product = product * size
        else:
            starts = _starts(pool, axis)
            count = (starts + size).minimum(n + margin) - starts.maximum(-margin)
            product = product * laid(count, axis - len(pool.shape)).to(x.dtype)
    return product
