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

from typing import Any

import numpy as np

from thalweg.errors import OutOfRangeError, ShapeError
from thalweg.primitives.core import (
    Abstract,
    AnyOperand,
    Shape,
    broadcast_shapes,
    check_kind,
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
        if index.size and index.min() < 0:
            error = _outside(shape, indices, axes, wrap=False)
            assert error is not None
            raise error


def _gather(x: Any, *indices: Any, axes: Shape, wrap: bool) -> Any:
    if not wrap:
        _check_unsigned(x.shape, indices, axes)
    try:
        return _in_front(x, axes)[indices]
    except IndexError as error:
        raise _outside(x.shape, indices, axes, wrap) or error from None


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
        np.add.at(_in_front(out, axes), indices, updates)
    except IndexError as error:
        raise _outside(shape, indices, axes, wrap) or error from None
    return out


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


# fmt: off
gather      = primitive("gather", _gather_infer, _gather, AnyOperand(_gather_vjp))
scatter_add = primitive("scatter_add", _scatter_infer, _scatter_add, AnyOperand(_scatter_vjp))
argsort     = primitive("argsort", _argsort_infer, _argsort, None)
# fmt: on
