"""Reading and adding at computed places: gather, its transpose scatter-add, and sorting.

`gather(x, *indices, axes, wrap)` reads x at integer `indices`, one an axis in `axes`; the
indices broadcast to one shape, which stands in front of the axes that were not indexed:

    gather(x, i, axes=(0,))[k, :]   = x[i[k], :]
    gather(x, i, j, axes=(0, 1))[k] = x[i[k], j[k]]

`scatter_add(updates, *indices, shape, axes, wrap)` puts `updates` into zeros of `shape` at
those places; where places repeat, updates add up in order. With `wrap`, negative indices count
from the end; without, as for labels, they are an error. What is outside is always an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import OutOfRangeError, ShapeError
from thalweg.primitives.core import (
    Abstract,
    AnyOperand,
    Shape,
    broadcast_shapes,
    check_kind,
    linear,
    lined_up,
    outside,
    primitive,
)

__all__ = [
    "argsort",
    "gather",
    "scatter_add",
]

Result = tuple[Shape, np.dtype[Any]]
_INT64 = np.dtype(np.int64)
_least = np.minimum.reduce


def _gathered(name: str, shape: Shape, indices: tuple[Abstract, ...], axes: Shape) -> Shape:
    for index in indices:
        check_kind(f"{name}, an index", index.dtype, "iu")
    places = broadcast_shapes(name, *(index.shape for index in indices))
    return (*places, *(size for axis, size in enumerate(shape) if axis not in axes))


def _gather_infer(x: Abstract, *indices: Abstract, axes: Shape, wrap: bool) -> Result:
    return _gathered("gather", x.shape, indices, axes), x.dtype


def _in_front(x: Any, axes: Shape) -> Any:
    """`x` with the indexed axes first."""
    if axes == tuple(range(len(axes))):
        return x
    return np.moveaxis(x, axes, range(len(axes)))


def _outside(
    shape: Shape, indices: tuple[Any, ...], axes: Shape, wrap: bool
) -> OutOfRangeError | None:
    """The error for the first index outside its dimension, if there is one."""
    for axis, index in zip(axes, indices, strict=True):
        size = shape[axis]
        wrong = index[(index < (-size if wrap else 0)) | (index >= size)]
        if wrong.size:
            return outside(wrong.flat[0], axis, shape, wrap)
    return None


def _check_unsigned(shape: Shape, indices: tuple[Any, ...], axes: Shape) -> None:
    """Neither masks nor negative indices, which NumPy would take."""
    for index in indices:
        if index.dtype.kind not in "iu":
            raise TypeError  # the shape rule says why
        if index.size and _least(index, None) < 0:
            error = _outside(shape, indices, axes, wrap=False)
            assert error is not None
            raise error


def _gather(x: Any, *indices: Any, axes: Shape, wrap: bool) -> Any:
    if not wrap:
        _check_unsigned(x.shape, indices, axes)
    try:
        if len(indices) == 1 and indices[0].dtype.kind == "i" and x.flags.c_contiguous:
            return _taken(x, indices[0], axes[0])
        return _in_front(x, axes)[indices]
    except IndexError as error:
        raise _outside(x.shape, indices, axes, wrap) or error from None


def _taken(x: Any, index: Any, axis: int) -> Any:
    """`x[index]` along one axis of a contiguous x: by whole rows, where indexing goes by element."""
    out = x.take(index, axis)
    if not axis:
        return out
    return np.moveaxis(out, range(axis, axis + index.ndim), range(index.ndim))


def _gather_vjp(
    position: int, g: Any, out: Any, x: Any, *indices: Any, axes: Shape, wrap: bool
) -> Any:
    return g.scatter_places(indices, x._value.shape, axes, wrap)


def _scatter_infer(
    updates: Abstract, *indices: Abstract, shape: Shape, axes: Shape, wrap: bool
) -> Result:
    check_kind("scatter_add", updates.dtype, "fiu")
    expected = _gathered("scatter_add", shape, indices, axes)
    if updates.shape != expected:
        raise ShapeError(
            f"scatter_add: updates of shape {expected} expected for these indices into {shape}, "
            f"got {updates.shape}"
        )
    return shape, updates.dtype


def _scatter_add(updates: Any, *indices: Any, shape: Shape, axes: Shape, wrap: bool) -> Any:
    _scatter_infer(updates, *indices, shape=shape, axes=axes, wrap=wrap)
    if not wrap:
        _check_unsigned(shape, indices, axes)
    out = np.zeros(shape, updates.dtype)
    try:
        if len(axes) == len(shape) > 1 and axes == tuple(range(len(shape))):
            _added_to_flat(out, indices, updates, wrap)
        else:
            np.add.at(_in_front(out, axes), indices, updates)
    except IndexError as error:
        raise _outside(shape, indices, axes, wrap) or error from None
    return out


def _added_to_flat(out: Any, indices: tuple[Any, ...], updates: Any, wrap: bool) -> None:
    """Add at places of all axes: by one index NumPy does that four times as fast as by several."""
    for index, size in zip(indices, out.shape, strict=True):
        if index.size and (index.max() >= size or (wrap and index.min() < -size)):
            raise IndexError
    steps = [math.prod(out.shape[axis + 1 :]) for axis in range(out.ndim)]
    places = [
        (np.where(index < 0, index + size, index) if wrap else index.astype(np.int64)) * step
        for index, size, step in zip(indices, out.shape, steps, strict=True)
    ]
    flat = np.broadcast_to(sum(places[1:], places[0]), updates.shape)
    np.add.at(out.reshape(-1), flat.reshape(-1), updates.reshape(-1))


def _scatter_vjp(
    position: int,
    g: Any,
    out: Any,
    updates: Any,
    *indices: Any,
    shape: Shape,
    axes: Shape,
    wrap: bool,
) -> Any:
    return g.gather_places(indices, axes, wrap)


def _argsort_infer(x: Abstract, *, axis: int, descending: bool) -> Result:
    check_kind("argsort", x.dtype, "fiub")
    return x.shape, _INT64


def _argsort(x: Any, *, axis: int, descending: bool) -> Any:
    """Stable: equal elements keep their order, in either direction. NaN counts as largest."""
    if x.dtype.names:
        raise TypeError  # NumPy would sort records; the shape rule says why not
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    order = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(order, axis)


# --- many cases at once --------------------------------------------------------------------------


def _with_case(
    size: int, x_batched: bool, batched: Any, indices: Any, axes: Shape
) -> tuple[Sequence[Any], Shape]:
    """Indices and axes for many cases of both: each place also says which case it is of.

    Where either has cases alone, the indices stay as they are.
    """
    axes = tuple(axis + x_batched for axis in axes)
    if not any(batched):
        return indices, axes
    indices = lined_up(batched, indices)
    if not x_batched:
        return indices, axes
    rank = max(len(index._value.shape) for index in indices)
    line = indices[0].new_zeros((size, *(1,) * (rank - 1)))._positions(0)
    return [line, *indices], (0, *axes)


def _gather_batch(
    apply: Any, size: int, batched: Any, x: Any, *indices: Any, axes: Shape, wrap: bool
) -> Any:
    x_batched, *index_batched = batched
    places, axes = _with_case(size, x_batched, index_batched, indices, axes)
    out = apply(x, *places, axes=axes, wrap=wrap)
    if any(index_batched):
        return out
    return out.movedim(max(len(index._value.shape) for index in indices), 0)


def _scatter_batch(
    apply: Any,
    size: int,
    batched: Any,
    updates: Any,
    *indices: Any,
    shape: Shape,
    axes: Shape,
    wrap: bool,
) -> Any:
    own, *index_batched = batched
    places, axes = _with_case(size, True, index_batched, indices, axes)
    if not any(index_batched):  # the axis of cases is one that was not indexed, the first of them
        rank = max(len(index._value.shape) for index in indices)
        updates = updates.movedim(0, rank)
    elif not own:
        updates = updates.expand((size, *updates._value.shape))
    return apply(updates, *places, shape=(size, *shape), axes=axes, wrap=wrap)


def _argsort_batch(
    apply: Any, size: int, batched: Any, x: Any, *, axis: int, descending: bool
) -> Any:
    return apply(x, axis=axis + 1, descending=descending)


# fmt: off
gather      = primitive("gather", _gather_infer, _gather, AnyOperand(_gather_vjp), linear, _gather_batch)
scatter_add = primitive("scatter_add", _scatter_infer, _scatter_add, AnyOperand(_scatter_vjp), linear, _scatter_batch)
argsort     = primitive("argsort", _argsort_infer, _argsort, None, None, _argsort_batch)
# fmt: on
