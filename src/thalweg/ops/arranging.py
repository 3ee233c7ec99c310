"""Rotations, stacks and splits by dimension, and vectors of all pairs, powers and products."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg import dtypes
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError
from thalweg.ops.creation import meshgrid, ones_like, tensor
from thalweg.ops.joining import cat, stack
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Arranging",
    "atleast_2d",
    "atleast_3d",
    "cartesian_prod",
    "combinations",
    "dstack",
    "unravel_index",
    "vander",
]

_Cuts = int | Sequence[int]


class Arranging:
    """Tensor's rotations and splits by name."""

    __slots__ = ()

    def rot90(self: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
        """Turned by 90 degrees `k` times, from the first of two `dims` towards the second.

        >>> import thalweg as tw
        >>> tw.tensor([[1, 2], [3, 4]]).rot90()
        tensor([[2, 4],
                [1, 3]])
        """
        axes = [normalize_axis("rot90", dim, self.ndim) for dim in dims]
        if len(axes) != 2 or axes[0] == axes[1]:
            raise ShapeError(f"rot90: two different dimensions expected, got {tuple(dims)}")
        turns: list[Any] = [
            lambda x: x,
            lambda x: x.flip((axes[1],)).transpose(*axes),
            lambda x: x.flip(tuple(axes)),
            lambda x: x.flip((axes[0],)).transpose(*axes),
        ]
        return turns[k % 4](self)  # type: ignore[no-any-return]  # each gives a tensor

    def diagflat(self: Tensor, offset: int = 0) -> Tensor:
        """The matrix with x.flatten() on its diagonal `offset`."""
        return self.flatten().diag(offset)

    def hsplit(self: Tensor, indices_or_sections: _Cuts) -> tuple[Tensor, ...]:
        """`tensor_split` along dimension 1, of vectors along their own."""
        return self.tensor_split(indices_or_sections, 1 if self.ndim > 1 else 0)

    def vsplit(self: Tensor, indices_or_sections: _Cuts) -> tuple[Tensor, ...]:
        """`tensor_split` along dimension 0 of a matrix, or of what has more dimensions."""
        _check_rank("vsplit", self, 2)
        return self.tensor_split(indices_or_sections, 0)

    def dsplit(self: Tensor, indices_or_sections: _Cuts) -> tuple[Tensor, ...]:
        """`tensor_split` along dimension 2."""
        _check_rank("dsplit", self, 3)
        return self.tensor_split(indices_or_sections, 2)


def _check_rank(name: str, x: Tensor, least: int) -> None:
    if x.ndim < least:
        raise ShapeError(f"{name}: rank {least} or more expected, got shape {x._value.shape}")


def _tensors(name: str, tensors: Sequence[Any]) -> list[Tensor]:
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tensors[0]
    if not tensors or not all(isinstance(x, TensorBase) for x in tensors):
        raise not_a_tensor(name, *(tensors or (None,)))
    return list(tensors)


def atleast_2d(*tensors: Tensor) -> Any:
    """The tensor with ones in front of its shape, until it has two sizes; or several, a tuple.

    >>> import thalweg as tw
    >>> tw.atleast_2d(tw.tensor([1, 2])).shape
    Size([1, 2])
    """
    given = _tensors("atleast_2d", tensors)
    found = tuple(x.reshape((1,) * (2 - x.ndim) + tuple(x._value.shape)) for x in given)
    return found if len(found) > 1 or given[0] is not tensors[0] else found[0]


def atleast_3d(*tensors: Tensor) -> Any:
    """The tensor in three dimensions: (), (n,) and (n, m) become (1, 1, 1), (1, n, 1), (n, m, 1).

    Or several, as a tuple.

    >>> import thalweg as tw
    >>> tw.atleast_3d(tw.tensor([1, 2])).shape
    Size([1, 2, 1])
    """
    given = _tensors("atleast_3d", tensors)
    found = tuple(x if x.ndim > 2 else atleast_2d(x).unsqueeze(-1) for x in given)
    return found if len(found) > 1 or given[0] is not tensors[0] else found[0]


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along dimension 2, as `atleast_3d` makes them.

    >>> import thalweg as tw
    >>> tw.dstack([tw.tensor([1, 2]), tw.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([atleast_3d(x) for x in _tensors("dstack", [tensors])], 2)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """The ways to choose `r` elements of a vector (n,), in order: a row for each, (count, r).

    >>> import thalweg as tw
    >>> tw.combinations(tw.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    (x,) = _tensors("combinations", [input])
    if x.ndim != 1 or r < 0:
        raise ShapeError(
            f"combinations: r of 0 or more elements of a vector expected, got r={r} of shape "
            f"{x._value.shape}"
        )
    chooser = (
        itertools.combinations_with_replacement if with_replacement else itertools.combinations
    )
    places = list(chooser(range(x._value.shape[0]), r))
    if not places or not r:
        return x.new_empty((0,)) if not r else x.new_empty((0, r))
    return x[tensor(places)]


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every choice of one element of each vector: (count, number of vectors), the last fastest.

    Of one vector, that vector.

    >>> import thalweg as tw
    >>> tw.cartesian_prod(tw.tensor([1, 2]), tw.tensor([8, 9]))
    tensor([[1, 8],
            [1, 9],
            [2, 8],
            [2, 9]])
    """
    vectors = _tensors("cartesian_prod", tensors)
    for x in vectors:
        if x.ndim != 1:
            raise ShapeError(f"cartesian_prod: vectors expected, got shape {x._value.shape}")
    if len(vectors) == 1:
        return vectors[0]
    return stack([x.flatten() for x in meshgrid(*vectors, indexing="ij")], 1)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector (n,) as columns, n of them or `N`, the highest first: (n, N).

    With `increasing` 1, x, x^2, ... from the left.

    >>> import thalweg as tw
    >>> tw.vander(tw.tensor([1, 2, 3]), increasing=True)
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    (x,) = _tensors("vander", [x])
    if x.ndim != 1:
        raise ShapeError(f"vander: a vector expected, got shape {x._value.shape}")
    count = x._value.shape[0] if N is None else N
    if count < 0:
        raise ConfigError(f"vander: N={N}; expected a whole number of 0 or more")
    if x._value.dtype.kind == "b":
        x = x.long()
    ones = ones_like(x).unsqueeze(1)
    powers = cat([ones, x.unsqueeze(1).expand(-1, max(count - 1, 0))], 1).cumprod(1)
    powers = powers.to(x.dtype)[:, :count]
    return powers if increasing else powers.flip((1,))


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The position in each dimension of `shape` of elements counted through in order.

    Raises `OutOfRangeError` for an index outside of the shape, eagerly.

    >>> import thalweg as tw
    >>> tw.unravel_index(tw.tensor([0, 5]), (2, 3))
    (tensor([0, 1]), tensor([0, 2]))
    """
    (indices,) = _tensors("unravel_index", [indices])
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    count = math.prod(sizes)
    line = tensor(list(range(count)) or [0], dtype=dtypes.int64)[:count]
    try:
        rest = line.gather_places((indices,), (0,), wrap=False)
    except OutOfRangeError as error:
        raise OutOfRangeError(f"unravel_index in shape {sizes}: {error.message}") from None
    found = []
    for size in reversed(sizes):
        found.append(rest % size)
        rest = rest // size
    return tuple(reversed(found))
