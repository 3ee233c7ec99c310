"""Pooling to a given size, whatever the input's; and pooling by a p-norm.

Of n places along an axis, the i-th of o outputs takes those from floor(i n / o) up to, without,
ceil((i + 1) n / o). Where o divides n, these are the windows of ordinary pooling; else the windows
are gathered, as long as the longest of them, with what is beyond the end of the others left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn.functional.arguments import FINITE_NORM, checked, is_listed, is_whole
from thalweg.nn.functional.pooling import avg_pool1d, avg_pool2d, lowest, max_pool1d, max_pool2d
from thalweg.nn.functional.sliding import Shape, Sizes, require_images
from thalweg.ops.creation import arange, tensor
from thalweg.ops.lift import floating
from thalweg.primitives.core import check_kind

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


def _gathered(x: Tensor, axis: int, size: int, fill: float) -> Tensor:
    """The windows of one axis as two: their number, and the places in them, `fill` if too many."""
    n = x._value.shape[axis]
    starts, lengths = _ends(n, size)
    longest = max(lengths)
    places = [min(start + i, n - 1) for start in starts for i in range(longest)]
    there = [[i < length for i in range(longest)] for length in lengths]
    windows = x.index_select(axis, tensor(places)).unflatten(axis, (size, longest))
    if all(map(all, there)):
        return windows
    trailing = (1,) * (len(x._value.shape) - 1 - axis % len(x._value.shape))
    return windows.where(tensor(there).reshape(size, longest, *trailing), fill)


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
        lengths = tensor([1 / length for length in _ends(n, size)[1]], dtype=x.dtype)
        sums = _gathered(x, axis, size, 0.0).sum(axis)
        x = sums * lengths.reshape(-1, *(1,) * (-1 - axis))
    return x


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
    the H W places of its image, the first of equals, which the gradient goes to.

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
    x, place = input, arange(math.prod(shape)).reshape(shape).expand(input._value.shape)
    # The last axis first: of equals that leaves the first in row-major order.
    for axis, size in zip(range(-1, -rank - 1, -1), reversed(sizes), strict=True):
        windows = _gathered(x, axis, size, lowest(input))
        index = windows.argmax(axis, keepdim=True)
        x = windows.take_along_dim(index, axis).squeeze(axis)
        if return_indices:
            place = _gathered(place, axis, size, 0).take_along_dim(index, axis).squeeze(axis)
    return (x, place) if return_indices else x


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
    powers = floating(input) ** norm_type
    means = avg_pool1d(powers, kernel_size, stride, 0, ceil_mode)
    count = kernel_size if isinstance(kernel_size, int) else math.prod(kernel_size)
    return (means.relu() * count) ** (1 / norm_type)


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
    powers = floating(input) ** norm_type
    means = avg_pool2d(powers, kernel_size, stride, 0, ceil_mode)
    count = kernel_size**2 if isinstance(kernel_size, int) else math.prod(kernel_size)
    return (means.relu() * count) ** (1 / norm_type)
