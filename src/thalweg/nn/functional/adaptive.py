"""Pooling to a given size, whatever the input's; and pooling by a p-norm.

Of n places along an axis, the i-th of o outputs takes those from floor(i n / o) up to, without,
ceil((i + 1) n / o). Where o divides n, these are the windows of ordinary pooling. Else they are of
two lengths, k and k + 1, and are gathered an axis at a time, rows before columns: whole rows move
then, and few columns are left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from thalweg._tensor import Tensor
from thalweg.dtypes import int32, uint8
from thalweg.errors import ConfigError
from thalweg.nn.functional.arguments import FINITE_NORM, checked, is_listed, is_whole
from thalweg.nn.functional.pooling import (
    avg_pool1d,
    avg_pool2d,
    flat_places,
    laid,
    max_pool1d,
    max_pool2d,
)
from thalweg.nn.functional.sliding import Shape, Sizes, enclosed, require_images
from thalweg.ops.creation import arange, tensor
from thalweg.ops.lift import floating
from thalweg.primitives.core import check_kind
from thalweg.tape import composite

__all__ = [
    "Wanted",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "lp_pool1d",
    "lp_pool2d",
    "wanted_sizes",
]

Wanted: TypeAlias = int | Sequence[int | None] | None


def wanted_sizes(name: str, output_size: Wanted, rank: int) -> tuple[int | None, ...]:
    """A size, or None for that of the input, for each of `rank` axes; else a `ConfigError`.

    >>> wanted_sizes("adaptive_avg_pool2d", (7, None), 2)
    (7, None)
    """
    given: Any = tuple(output_size) if is_listed(output_size) else (output_size,) * rank
    if len(given) != rank or not all(n is None or (is_whole(n) and n > 0) for n in given):
        each = f" or {rank} of them" if rank > 1 else ""
        raise ConfigError(
            f"{name}: output_size is an integer of 1 or more{each}, or None for the input's, got "
            f"{output_size!r}"
        )
    return tuple(given)


def _sizes(name: str, input: Tensor, output_size: Wanted, rank: int) -> tuple[Shape, Shape]:
    """The sizes of the input and of the result along the axes that are pooled."""
    require_images(name, input, rank)
    check_kind(name, input._value.dtype, "fiu")
    shape: Shape = input._value.shape[-rank:]
    wanted = wanted_sizes(name, output_size, rank)
    return shape, tuple(n if o is None else o for n, o in zip(shape, wanted, strict=True))


def _ends(n: int, o: int) -> tuple[list[int], list[int]]:
    """Where each of o windows over n places begins, and how long it is."""
    starts = [i * n // o for i in range(o)]
    return starts, [-(-(i + 1) * n // o) - start for i, start in enumerate(starts)]


def _table(n: int, o: int, longest: int | None = None) -> Tensor:
    """The places in each of o windows over n places, (o, longest), the last once more in those
    that are shorter; or as many as `longest` says.
    """
    starts, lengths = _ends(n, o)
    count = range(longest or max(lengths))
    pairs = zip(starts, lengths, strict=True)
    return tensor([[start + min(i, length - 1) for i in count] for start, length in pairs])


def _windows(x: Tensor, axis: int, table: Tensor) -> Tensor:
    """The windows of an axis, a negative number, as two: their number, and the places in them."""
    found = x.gather_places((table,), (axis + len(x._value.shape),), wrap=False)
    return found.movedim((0, 1), (axis - 1, axis))


# --- the mean ------------------------------------------------------------------------------------


@checked()
def adaptive_avg_pool1d(input: Tensor, output_size: Wanted) -> Tensor:
    """The means of `output_size` windows along the last dimension. As `adaptive_avg_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.functional.adaptive_avg_pool1d(tw.tensor([[1.0, 3.0, 2.0, 0.0, 4.0]]), 2)
    tensor([[2., 2.]])
    """
    return _adaptive_mean("adaptive_avg_pool1d", 1, input, output_size)


@checked()
def adaptive_avg_pool2d(input: Tensor, output_size: Wanted) -> Tensor:
    """The means of windows that tile the image: (N, C, H, W) to (N, C, *output_size).

    Input (N, C, H, W) or (C, H, W); `output_size` is a number for both axes or one each, None
    for the input's. Of n places, output i of o takes floor(i n / o) to ceil((i + 1) n / o) - 1:
    windows overlap where o does not divide n. Integers are computed in the default dtype.

    >>> import thalweg as tw
    >>> tw.nn.functional.adaptive_avg_pool2d(tw.arange(16.0).reshape(1, 4, 4), (1, None))
    tensor([[[6., 7., 8., 9.]]])
    """
    return _adaptive_mean("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive_mean(name: str, rank: int, input: Tensor, output_size: Wanted) -> Tensor:
    shape, sizes = _sizes(name, input, output_size, rank)
    x = floating(input)
    if all(n % o == 0 for n, o in zip(shape, sizes, strict=True)):
        kernel = tuple(n // o for n, o in zip(shape, sizes, strict=True))
        return avg_pool1d(x, kernel) if rank == 1 else avg_pool2d(x, kernel)
    for axis, (n, size) in enumerate(zip(shape, sizes, strict=True), start=-rank):
        shares = tensor([1 / length for length in _ends(n, size)[1]], dtype=x.dtype)
        x = _sums(x, axis=axis, size=size) * laid(shares, axis)
    return x


def _sums_vjp(g: Tensor, out: Tensor, x: Tensor, *, axis: int, size: int) -> Tensor:
    """Place p is in window i where floor(i n / o) <= p < ceil((i + 1) n / o), which says as much as
    floor(p o / n) <= i < ceil((p + 1) o / n): the transpose are the windows of o places into n.
    """
    return _sums(g, axis=axis, size=x._value.shape[axis])


@composite("adaptive_sum", _sums_vjp)
def _sums(x: Tensor, *, axis: int, size: int) -> Tensor:
    """The sums of the windows of one axis."""
    n = x._value.shape[axis]
    starts, lengths = _ends(n, size)
    least, longest = min(lengths), max(lengths)
    ends = [start + length - 1 for start, length in zip(starts, lengths, strict=True)]
    if least == 1:
        sums = x.index_select(axis, tensor(starts))
    else:
        sums = _windows(x, axis, _table(n, size, least)).sum(axis)
    if longest == least:
        return sums
    if size > n:  # a place of zero costs less than a choice at every place
        wider = enclosed(x, (0,) * -axis, (1, *(0,) * (-1 - axis)))
        places = [end if length > least else n for end, length in zip(ends, lengths, strict=True)]
        return sums + wider.index_select(axis, tensor(places))
    is_longer = laid(tensor([length > least for length in lengths]), axis)
    return sums + x.index_select(axis, tensor(ends)).where(is_longer, 0)


# --- the maximum ---------------------------------------------------------------------------------


@checked()
def adaptive_max_pool1d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows along the last dimension. As `adaptive_max_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.functional.adaptive_max_pool1d(tw.tensor([[1.0, 3.0, 2.0, 0.0, 4.0]]), 2)
    tensor([[3., 4.]])
    """
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


@checked()
def adaptive_max_pool2d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """The maxima of windows that tile the image: (N, C, H, W) to (N, C, *output_size).

    Windows as for `adaptive_avg_pool2d`. With `return_indices` also where each maximum stands in
    the H W places of its image, the first of equals, which the gradient goes to; a window that
    holds NaN gives NaN, from its first element.

    >>> import thalweg as tw
    >>> tw.nn.functional.adaptive_max_pool2d(tw.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def _adaptive_max(
    name: str, rank: int, input: Tensor, output_size: Wanted, return_indices: bool
) -> Any:
    shape, sizes = _sizes(name, input, output_size, rank)
    if all(n % o == 0 for n, o in zip(shape, sizes, strict=True)):
        kernel = tuple(n // o for n, o in zip(shape, sizes, strict=True))
        pool = max_pool1d if rank == 1 else max_pool2d
        return pool(input, kernel, return_indices=return_indices)
    tables = [_table(n, o) for n, o in zip(shape, sizes, strict=True)]
    out = _maxima(input, *tables)
    return (out, _places(input, out, tables)) if return_indices else out


def _places(x: Tensor, out: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Where the first maximum of each window stands, as a place in the flattened image.

    Elements of a window count down in row-major order, and the highest number that a maximum has
    is looked for as maxima are: of the rows for each column, then of the columns. Where the maximum
    is NaN, it is the first element of the window.
    """
    rank = len(tables)
    longest = tuple(table._value.shape[1] for table in tables)
    count = math.prod(longest)
    dtype = uint8 if count < 256 else int32
    shape, x, best = x._value.shape[-rank:], x.detach(), None
    for axis, table in enumerate(tables, start=-rank):
        windows, many = _windows(x, axis, table), longest[axis]
        x = out.detach() if axis == -1 else windows.amax(axis)
        hits = windows.eq(x.unsqueeze(axis))
        numbers = laid((many - arange(many)).to(dtype), axis)
        if best is not None:
            numbers = (_windows(best, axis, table) - 1) * many + numbers
        best = (hits.to(dtype) * numbers).amax(axis)
    assert best is not None
    best = best.where(out.detach().isnan().logical_not(), count)
    starts = [laid(t.select(1, 0), axis) for axis, t in enumerate(tables, start=-rank)]
    return flat_places(count - best.to(int32), longest, starts, shape)


def _maxima_vjp(g: Tensor, out: Tensor, x: Tensor, *tables: Tensor) -> Tensor:
    """The gradient goes to the first maximum of each window, as in PyTorch."""
    shape, rank = x._value.shape, len(tables)
    lead, places = shape[:-rank], _places(x, out, tables).flatten(-rank)
    lines = [laid(arange(n), axis) for axis, n in enumerate(lead, start=-len(lead) - 1)]
    room = (*lead, math.prod(shape[-rank:]))
    axes = tuple(range(len(room)))
    found = g.flatten(-rank).scatter_places((*lines, places), room, axes, wrap=False)
    return found.reshape(shape)


@composite("adaptive_max", _maxima_vjp, None, None)
def _maxima(x: Tensor, *tables: Tensor) -> Tensor:
    for axis, table in enumerate(tables, start=-len(tables)):
        x = _windows(x, axis, table).amax(axis)
    return x


# --- the p-norm ----------------------------------------------------------------------------------


@checked(norm_type=FINITE_NORM)
def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) of each window along the last dimension. As `lp_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.functional.lp_pool1d(tw.tensor([[3.0, 4.0, 1.0, 0.0]]), 2, 2)
    tensor([[5., 1.]])
    """
    count = kernel_size if isinstance(kernel_size, int) else math.prod(kernel_size)
    means = avg_pool1d(floating(input) ** norm_type, kernel_size, stride, 0, ceil_mode)
    return _root_of_sums(means, count, norm_type)


@checked(norm_type=FINITE_NORM)
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) of each window, p = `norm_type`: for p = 1 the sum.

    Windows as for `avg_pool2d`. A negative sum, which an odd p may give, counts as 0; the
    subgradient there is 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.lp_pool2d(tw.tensor([[[3.0, 0.0], [0.0, 4.0]]]), 2, 2)
    tensor([[[5.]]])
    """
    count = kernel_size**2 if isinstance(kernel_size, int) else math.prod(kernel_size)
    means = avg_pool2d(floating(input) ** norm_type, kernel_size, stride, 0, ceil_mode)
    return _root_of_sums(means, count, norm_type)


def _root_of_sums(means: Tensor, count: int, p: float) -> Tensor:
    return (means.relu() * count) ** (1 / p)
