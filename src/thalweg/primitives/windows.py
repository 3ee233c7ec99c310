"""Windows that slide over the last axes, and their transpose, which adds windows up.

`windows(x, sizes, strides, dilations)` lays a window of `sizes` at every `strides`-th place of
the last axes of x, and takes every `dilations`-th element in it:

    y[.., h, w, i, j] = x[.., s h + d i, s w + d j]

`overlap_add(y, shape, strides, dilations)` adds windows to zeros of the trailing `shape`, each
where it was taken from. Each is the other's VJP. Windows are a strided view: an element stands in
several of them, and nothing is copied. Convolution is a contraction over windows, pooling a
reduction over them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from thalweg.errors import ShapeError
from thalweg.primitives.core import Abstract, Shape, check_kind, leading, linear, primitive

__all__ = [
    "overlap_add",
    "window_counts",
    "windows",
]

Result = tuple[Shape, np.dtype[Any]]


def window_counts(shape: Shape, sizes: Shape, strides: Shape, dilations: Shape) -> Shape:
    """How many windows fit along each of the last axes of `shape`, or a `ShapeError`.

    >>> window_counts((28, 28), sizes=(3, 3), strides=(1, 2), dilations=(1, 1))
    (26, 13)
    """
    rank = len(sizes)
    if not len(strides) == len(dilations) == rank <= len(shape):
        raise ShapeError(
            f"windows: sizes {sizes}, strides {strides} and dilations {dilations} over the last "
            f"dimensions of shape {shape}: expected as many of each, at most {len(shape)}"
        )
    if min((*sizes, *strides, *dilations), default=1) < 1:
        raise ShapeError(
            f"windows: sizes {sizes}, strides {strides} and dilations {dilations}: "
            "expected 1 or more everywhere"
        )
    axes = zip(shape[len(shape) - rank :], sizes, strides, dilations, strict=True)
    counts = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes)
    if min(counts, default=1) < 1:
        reach = tuple(d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True))
        raise ShapeError(
            f"windows: a window that spans {reach} elements (sizes {sizes}, dilations "
            f"{dilations}) does not fit into the last dimensions of shape {shape}; pad first"
        )
    return counts


def _windows_infer(x: Abstract, *, sizes: Shape, strides: Shape, dilations: Shape) -> Result:
    counts = window_counts(x.shape, sizes, strides, dilations)
    return (*x.shape[: len(x.shape) - len(sizes)], *counts, *sizes), x.dtype


def _windows(x: Any, *, sizes: Shape, strides: Shape, dilations: Shape) -> Any:
    counts = window_counts(x.shape, sizes, strides, dilations)
    rank = x.ndim - len(sizes)
    lead, own = x.strides[:rank], x.strides[rank:]
    over = (step * s for step, s in zip(own, strides, strict=True))
    inside = (step * d for step, d in zip(own, dilations, strict=True))
    shape = (*x.shape[:rank], *counts, *sizes)
    return as_strided(x, shape, (*lead, *over, *inside), writeable=False)


def _windows_vjp(
    g: Any, out: Any, x: Any, *, sizes: Shape, strides: Shape, dilations: Shape
) -> Any:
    shape = x._value.shape
    return g.overlap_add(shape[len(shape) - len(sizes) :], strides, dilations)


def _overlap_infer(y: Abstract, *, shape: Shape, strides: Shape, dilations: Shape) -> Result:
    check_kind("overlap_add", y.dtype, "fiu")
    rank = len(shape)
    lead = len(y.shape) - 2 * rank
    if lead < 0:
        raise ShapeError(
            f"overlap_add: {2 * rank} dimensions or more expected for windows over {rank}, "
            f"got shape {y.shape}"
        )
    counts = window_counts(shape, y.shape[lead + rank :], strides, dilations)
    if counts != y.shape[lead : lead + rank]:
        raise ShapeError(
            f"overlap_add: windows of shape {y.shape}: expected {counts} of them over {shape} by "
            f"strides {strides}, got {y.shape[lead : lead + rank]}"
        )
    return (*y.shape[:lead], *shape), y.dtype


def _overlap_add(y: Any, *, shape: Shape, strides: Shape, dilations: Shape) -> Any:
    """One addition for each place in a window, over all windows at once."""
    full, dtype = _overlap_infer(y, shape=shape, strides=strides, dilations=dilations)
    rank = len(shape)
    counts, sizes = y.shape[y.ndim - 2 * rank : y.ndim - rank], y.shape[y.ndim - rank :]
    first = y[(..., *(0,) * rank)]
    out = np.zeros_like(first, dtype, shape=full)  # in the order in memory that y has
    if not math.prod(full):
        return out
    for place in np.ndindex(*sizes):
        axes = zip(place, counts, strides, dilations, strict=True)
        within: Any = [slice(i * d, i * d + (n - 1) * s + 1, s) for i, n, s, d in axes]
        target = out[(..., *within)]
        np.add(target, y[(..., *place)], out=target)
    return out


def _overlap_vjp(
    g: Any, out: Any, y: Any, *, shape: Shape, strides: Shape, dilations: Shape
) -> Any:
    own = y._value.shape
    return g.windows(own[len(own) - len(shape) :], strides, dilations)


windows = primitive("windows", _windows_infer, _windows, (_windows_vjp,), linear, leading)
overlap_add = primitive(
    "overlap_add", _overlap_infer, _overlap_add, (_overlap_vjp,), linear, leading
)
