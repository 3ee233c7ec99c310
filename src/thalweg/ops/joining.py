"""Joining tensors: end to end, side by side, and broadcast against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thalweg.errors import ShapeError
from thalweg.ops.lift import promote
from thalweg.primitives import core
from thalweg.primitives import movement as m
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, bind, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "broadcast_shapes",
    "broadcast_tensors",
    "cat",
    "column_stack",
    "concat",
    "concatenate",
    "hstack",
    "stack",
    "vstack",
]


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along an existing dimension; dtypes promote.

    >>> import thalweg as tw
    >>> tw.cat([tw.tensor([1.0]), tw.tensor([2.0, 3.0])])
    tensor([1., 2., 3.])
    """
    tensors = _several("cat", tensors)
    rank = len(tensors[0]._value.shape)
    if rank == 0:
        raise ShapeError("cat: tensors of rank 0 have no dimension to join along; use stack")
    axis = normalize_axis("cat", dim, rank)
    return bind(m.concatenate, *promote(*tensors), axis=axis)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, joined along a new dimension.

    >>> import thalweg as tw
    >>> tw.stack([tw.tensor(1.0), tw.tensor(2.0)])
    tensor([1., 2.])
    """
    tensors = _several("stack", tensors)
    shapes = {x._value.shape for x in tensors}
    if len(shapes) != 1:
        raise ShapeError(f"stack: tensors of one shape expected, got {sorted(shapes)}")
    return cat([x.unsqueeze(dim) for x in tensors], dim)


concat = concatenate = cat


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined side by side: along dimension 1, vectors along their own.

    >>> import thalweg as tw
    >>> tw.hstack([tw.tensor([1, 2]), tw.tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = [x.atleast_1d() for x in _several("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined one below the other: along dimension 0, vectors as rows.

    >>> import thalweg as tw
    >>> tw.vstack([tw.tensor([1, 2]), tw.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    rows = [x.atleast_1d() for x in _several("vstack", tensors)]
    return cat([x if x.ndim > 1 else x.unsqueeze(0) for x in rows])


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along dimension 1, vectors as columns."""
    columns = _several("column_stack", tensors)
    return cat([x if x.ndim > 1 else x.reshape(-1, 1) for x in columns], 1)


def _several(name: str, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    tensors = tuple(tensors)
    if not tensors:
        raise ShapeError(f"{name}: at least one tensor expected, got none")
    if not all(isinstance(x, TensorBase) for x in tensors):
        raise not_a_tensor(name, *tensors)
    return tensors


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, each expanded to the shape they all broadcast to.

    >>> import thalweg as tw
    >>> [x.shape for x in tw.broadcast_tensors(tw.zeros(3, 1), tw.zeros(4))]
    [Size([3, 4]), Size([3, 4])]
    """
    tensors = _several("broadcast_tensors", tensors)
    shape = core.broadcast_shapes("broadcast_tensors", *(x._value.shape for x in tensors))
    return tuple(x.expand(shape) for x in tensors)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that tensors of the given `shapes` broadcast to.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return core.broadcast_shapes("broadcast_shapes", *map(tuple, shapes))
