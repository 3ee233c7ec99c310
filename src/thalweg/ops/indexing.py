"""Indexing: x[...] as NumPy has it, x[...] = v as a new value, and gather with its relatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg import dtypes
from thalweg.errors import ShapeError
from thalweg.ops.keys import Key, indexed, key_of, window_of, with_new
from thalweg.ops.lift import Operand, lift, truth
from thalweg.primitives import indexing as i
from thalweg.primitives.core import broadcast_shapes, normalize_axis, outside
from thalweg.primitives.sources import full, iota
from thalweg.tape import TensorBase, bind, not_a_tensor, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Indexing"]


class Indexing:
    """Tensor's indexing."""

    __slots__ = ()

    def __getitem__(self: Tensor, key: Any) -> Tensor:
        is_index = isinstance(key, TensorBase) and key._value.dtype.kind in "iu"
        if is_index and self._value.shape:  # the usual x[index]
            return bind(i.gather, self, key, axes=(0,), wrap=True)
        if key.__class__ is int and self._value.shape:
            return self.select(0, key)
        return indexed(self, key)

    def __setitem__(self: Tensor, key: Any, value: Any) -> None:
        self._assign(self.with_item(key, value))

    def with_item(self: Tensor, key: Any, value: Any) -> Tensor:
        """A copy of self in which x[key] is `value`: what `x[key] = value` gives the name x.

        Where `key` names a place twice, the later value stays.

        >>> import thalweg as tw
        >>> tw.zeros(3).with_item(1, 5.0)
        tensor([0., 5., 0.])
        """
        values = lift(value, self).to(self.dtype)
        if _is_mask(self, key) and not values._value.shape:
            trailing = (1,) * (len(self._value.shape) - len(key._value.shape))
            return values.where(key.reshape(key._value.shape + trailing), self)
        key = key_of(self._value.shape, key)
        write = _with_places if key.gathers else _with_window
        return write(self, key, values)

    def select(self: Tensor, dim: int, index: int) -> Tensor:
        """The slice of `dim` at `index`, without that dimension."""
        shape = self._value.shape
        axis = normalize_axis("select", dim, len(shape))
        size = shape[axis]
        if not -size <= index < size:
            raise outside(index, axis, shape)
        rest = shape[axis + 1 :]
        starts = (0,) * axis + (index % size,) + (0,) * len(rest)
        row = self.window(starts, (*shape[:axis], 1, *rest), (1,) * len(shape))
        return row.reshape(shape[:axis] + rest)

    def gather_places(
        self: Tensor, indices: tuple[Tensor, ...], axes: tuple[int, ...], wrap: bool
    ) -> Tensor:
        """The primitive gather: self at `indices`, one for each of `axes`."""
        return bind(i.gather, self, *indices, axes=axes, wrap=wrap)

    def scatter_places(
        self: Tensor,
        indices: tuple[Tensor, ...],
        shape: tuple[int, ...],
        axes: tuple[int, ...],
        wrap: bool,
    ) -> Tensor:
        """The primitive scatter-add: self added into zeros of `shape` at `indices`."""
        return bind(i.scatter_add, self, *indices, shape=shape, axes=axes, wrap=wrap)

    def _positions(self: Tensor, axis: int) -> Tensor:
        """Where each element stands along `axis`, int64, in the shape of self."""
        return bind(iota, shape=self._value.shape, axis=axis, dtype=dtypes.int64.numpy)

    def index_select(self: Tensor, dim: int, index: Tensor) -> Tensor:
        """The slices of `dim` that the vector `index` names, in its order.

        >>> import thalweg as tw
        >>> tw.tensor([[1, 2], [3, 4], [5, 6]]).index_select(0, tw.tensor([2, 0]))
        tensor([[5, 6],
                [1, 2]])
        """
        axis = normalize_axis("index_select", dim, len(self._value.shape))
        _check_index("index_select", index)
        if len(index._value.shape) != 1:
            raise ShapeError(
                f"index_select: the index is a vector, got shape {index._value.shape}; "
                "use x[index] or x.gather(dim, index)"
            )
        return self.gather_places((index,), (axis,), wrap=False).movedim(0, axis)

    def index_add(
        self: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
    ) -> Tensor:
        """self with `alpha` times the slices of `source` added at `index`; repeats add up."""
        axis = normalize_axis("index_add", dim, len(self._value.shape))
        shape = self._value.shape
        moved = source.movedim(axis, 0)
        return self.add(moved.scatter_places((index,), shape, (axis,), wrap=False), alpha=alpha)

    def index_copy(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """self with the slices of `source` in place of the slices that `index` names."""
        axis = normalize_axis("index_copy", dim, len(self._value.shape))
        return self.with_item((slice(None),) * axis + (index,), source)

    def index_fill(self: Tensor, dim: int, index: Tensor, value: Operand) -> Tensor:
        """self with `value` in the slices that `index` names."""
        axis = normalize_axis("index_fill", dim, len(self._value.shape))
        return self.with_item((slice(None),) * axis + (index,), value)

    def take(self: Tensor, index: Tensor) -> Tensor:
        """The elements at `index` of x.flatten(), in the shape of `index`."""
        return self.flatten()[index]

    def gather(self: Tensor, dim: int, index: Tensor) -> Tensor:
        """out[.., k, ..] = self[.., index[.., k, ..], ..] along `dim`; out has index's shape.

        >>> import thalweg as tw
        >>> scores = tw.tensor([[0.1, 0.9], [0.8, 0.2]])
        >>> scores.gather(1, tw.tensor([[1], [0]]))
        tensor([[0.9000],
                [0.8000]])
        """
        places, axes = _along("gather", self, dim, index)
        return self.gather_places(places, axes, wrap=False)

    def scatter(self: Tensor, dim: int, index: Tensor, src: Operand) -> Tensor:
        """self with `src` (a number or a tensor) at the places `gather` would read.

        Of values for one place the last stays.

        >>> import thalweg as tw
        >>> tw.zeros(2, 3).scatter(1, tw.tensor([[2], [0]]), 1)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
        """
        _check_index("scatter", index)
        shape, size = self._value.shape, math.prod(self._value.shape)
        places = _line(size).reshape(shape).gather(dim, index)
        values = lift(src, self).to(self.dtype)
        if values._value.shape:
            values = _part(values, index._value.shape)
        return _written(self, places, values.expand(index._value.shape))

    def scatter_add(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """self with source added at the places `gather` would read; repeats add up.

        >>> import thalweg as tw
        >>> tw.zeros(3).scatter_add(0, tw.tensor([0, 2, 0]), tw.tensor([1.0, 2.0, 3.0]))
        tensor([4., 0., 2.])
        """
        places, axes = _along("scatter_add", self, dim, index)
        part = _part(source, index._value.shape)
        return self + part.scatter_places(places, self._value.shape, axes, wrap=False)

    def take_along_dim(self: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
        """`gather` whose other dimensions broadcast; of x.flatten() if no dim."""
        if dim is None:
            return self.flatten().gather_places((indices.flatten(),), (0,), wrap=False)
        own, wanted = self._value.shape, indices._value.shape
        axis = normalize_axis("take_along_dim", dim, len(own))
        if len(wanted) != len(own):
            raise ShapeError(
                f"take_along_dim: indices of shape {wanted} for a tensor of shape {own}; "
                "expected the same rank"
            )
        shape = (*own[:axis], wanted[axis], *own[axis + 1 :])
        return self.gather(axis, indices.expand(shape))

    def masked_select(self: Tensor, mask: Tensor) -> Tensor:
        """The elements where `mask` (bool) holds, as a vector."""
        shape = broadcast_shapes("masked_select", self._value.shape, mask._value.shape)
        return self.expand(shape)[mask.expand(shape)]

    def nonzero(self: Tensor, *, as_tuple: bool = False) -> Any:
        """The positions (n, rank), int64, of the elements that are not zero.

        With `as_tuple` as one vector a dimension, to index with: x[x.nonzero(as_tuple=True)].

        >>> import thalweg as tw
        >>> tw.tensor([[0, 3], [5, 0]]).nonzero()
        tensor([[0, 1],
                [1, 0]])
        """
        found = np.argwhere(truth(self)._concrete("nonzero")).astype(np.int64)
        return tuple(wrap(found[:, axis]) for axis in range(self.ndim)) if as_tuple else wrap(found)

    def argwhere(self: Tensor) -> Tensor:
        """`nonzero` under NumPy's name."""
        return self.nonzero()  # type: ignore[no-any-return]  # a tuple only if asked for


def _line(count: int) -> Tensor:
    return bind(iota, shape=(count,), axis=0, dtype=dtypes.int64.numpy)


def _check_index(name: str, index: Any) -> None:
    if not isinstance(index, TensorBase):
        raise not_a_tensor(f"{name}, the index", index)


def _part(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The first `shape` of `source`, which is what an index of that shape distributes."""
    rank = len(shape)
    if len(source._value.shape) != rank:
        raise ShapeError(
            f"scatter: a source of shape {source._value.shape} for an index of shape {shape}; "
            "expected the same rank"
        )
    return source.window((0,) * rank, shape, (1,) * rank)


def _along(
    name: str, x: Tensor, dim: int, index: Tensor
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """`index` along `dim` beside each other dimension's own positions."""
    _check_index(name, index)
    shape, rank = index._value.shape, len(x._value.shape)
    axis = normalize_axis(name, dim, rank)
    if len(shape) != rank or any(
        n > m for k, (n, m) in enumerate(zip(shape, x._value.shape, strict=True)) if k != axis
    ):
        raise ShapeError(
            f"{name} along dimension {dim}: the index, of shape {shape}, must have the rank of "
            f"the tensor, of shape {x._value.shape}, and be no larger in the other dimensions"
        )
    dtype = dtypes.int64.numpy
    places = tuple(
        index if k == axis else bind(iota, shape=shape, axis=k, dtype=dtype) for k in range(rank)
    )
    return places, tuple(range(rank))


def _is_mask(x: Tensor, key: Any) -> bool:
    if not isinstance(key, TensorBase) or key._value.dtype.kind != "b":
        return False
    shape = key._value.shape
    return bool(shape) and shape == x._value.shape[: len(shape)]


def _fitting(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`values` broadcast to the `shape` that is assigned to."""
    own = values._value.shape
    while len(own) > len(shape) and own[0] == 1:
        own = own[1:]
    try:
        return values.reshape(own).expand(shape)
    except ShapeError:
        raise ShapeError(
            f"x[key] = value: a value of shape {values._value.shape} does not broadcast to "
            f"x[key], of shape {shape}"
        ) from None


def _with_window(x: Tensor, key: Key, values: Tensor) -> Tensor:
    """`x` with `values` in the window that slices and ints choose."""
    starts, sizes, steps, flips = window_of(x._value.shape, key.entries)
    if 0 in sizes:
        return x
    shown = [n for e, n in with_new(key.entries, sizes) if not isinstance(e, int)]
    values = _fitting(values, tuple(shown)).reshape(sizes)
    if flips:
        values = values.flip(flips)
    if sizes == x._value.shape:
        return values
    reach = [
        start + (n - 1) * step + 1 for start, n, step in zip(starts, sizes, steps, strict=True)
    ]
    high = tuple(n - last for n, last in zip(x._value.shape, reach, strict=True))
    inner = tuple(step - 1 for step in steps)
    chosen = bind(full, shape=sizes, value=True, dtype=dtypes.bool.numpy)
    return values.padded(starts, high, inner).where(chosen.padded(starts, high, inner), x)


def _with_places(x: Tensor, key: Key, values: Tensor) -> Tensor:
    """`x` with `values` at the places that tensors choose."""
    size = math.prod(x._value.shape)
    places = indexed(_line(size).reshape(x._value.shape), key)
    return _written(x, places, _fitting(values, places._value.shape))


def _written(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """`x` with `values` at `places`, positions in x.flatten(); of several the last stays."""
    size, values = math.prod(x._value.shape), values.flatten()
    if not values._value.shape[0]:
        return x
    writer = _last_writers(places.flatten(), size)
    written = values.gather_places((writer.clamp(0),), (0,), wrap=False)
    return written.where(writer >= 0, x.flatten()).reshape(x._value.shape)


def _last_writers(places: Tensor, size: int) -> Tensor:
    """For each of `size` places, the last position in `places` that names it, or -1."""
    order = places.argsort()
    ordered = places[order]
    count = ordered._value.shape[0]
    is_last = (ordered != ordered.roll(-1)) | (_line(count) == count - 1)
    rank = (order + 1).where(is_last, 0)
    return rank.scatter_places((ordered,), (size,), (0,), wrap=False) - 1
