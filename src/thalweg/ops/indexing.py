"""Indexing: x[...] as NumPy has it, x[...] = v as a new value, and gather with its relatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg import dtypes
from thalweg.errors import DTypeError, ShapeError
from thalweg.ops.lift import lift
from thalweg.ops.reductions import ValuesAndIndices
from thalweg.primitives import indexing as i
from thalweg.primitives.core import normalize_axis
from thalweg.primitives.sources import iota
from thalweg.tape import TensorBase, bind, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Indexing"]


class Indexing:
    """Tensor's indexing."""

    __slots__ = ()

    def __getitem__(self: Tensor, key: Any) -> Tensor:
        if isinstance(key, TensorBase) and key._value.dtype.kind in "iu":  # the usual x[index]
            if self._value.shape:
                return bind(i.gather, self, key, axes=(0,), wrap=True)
        return _indexed(self, _entries(self._value.shape, key))

    def __setitem__(self: Tensor, key: Any, value: Any) -> None:
        self._assign(self.with_item(key, value))

    def with_item(self: Tensor, key: Any, value: Any) -> Tensor:
        """A copy of self in which x[key] is `value`: what `x[key] = value` gives the name x.

        Where `key` names a place twice, the later value stays.

        >>> import thalweg as tw
        >>> tw.zeros(3).with_item(1, 5.0)
        tensor([0., 5., 0.])
        """
        size = math.prod(self._value.shape)
        places = _line(size).reshape(self._value.shape)[key]
        values = lift(value, self).to(self.dtype).expand(places._value.shape).flatten()
        if not values._value.shape[0]:
            return self
        writer = _last_writers(places.flatten(), size)
        written = values.gather_places((writer.clamp(0),), (0,), wrap=False)
        return written.where(writer >= 0, self.flatten()).reshape(self._value.shape)

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

    def index_select(self: Tensor, dim: int, index: Tensor) -> Tensor:
        """The slices of `dim` that the vector `index` names, in its order."""
        axis = normalize_axis("index_select", dim, len(self._value.shape))
        return self.gather_places((index,), (axis,), wrap=False).movedim(0, axis)

    def index_add(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """self with the slices of `source` added at the slices `index` names; repeats add up."""
        axis = normalize_axis("index_add", dim, len(self._value.shape))
        shape = self._value.shape
        moved = source.movedim(axis, 0)
        return self + moved.scatter_places((index,), shape, (axis,), wrap=False)

    def gather(self: Tensor, dim: int, index: Tensor) -> Tensor:
        """out[.., k, ..] = self[.., index[.., k, ..], ..] along `dim`; out has index's shape."""
        places, axes = _along(self, dim, index)
        return self.gather_places(places, axes, wrap=False)

    def scatter_add(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """self with source added at the places `gather` would read; repeats add up."""
        places, axes = _along(self, dim, index)
        window = (0,) * len(axes), index._value.shape, (1,) * len(axes)
        added = source.window(*window).scatter_places(places, self._value.shape, axes, wrap=False)
        return self + added

    def take_along_dim(self: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
        """`gather` whose other dimensions broadcast; of x.flatten() if no dim."""
        if dim is None:
            return self.flatten().gather_places((indices.flatten(),), (0,), wrap=False)
        axis = normalize_axis("take_along_dim", dim, len(self._value.shape))
        shape = tuple(
            indices._value.shape[k] if k == axis else n for k, n in enumerate(self._value.shape)
        )
        return self.gather(axis, indices.expand(shape))

    def masked_select(self: Tensor, mask: Tensor) -> Tensor:
        """The elements where `mask` (bool) holds, as a vector."""
        shape = np.broadcast_shapes(self._value.shape, mask._value.shape)
        return self.expand(shape)[mask.expand(shape)]

    def nonzero(self: Tensor) -> Tensor:
        """The positions (n, rank), int64, of the elements that are not zero."""
        return wrap(np.stack(np.nonzero(self._concrete("nonzero")), axis=-1).astype(np.int64))

    def argsort(
        self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
    ) -> Tensor:
        """The indices (int64) that sort along `dim`; equal elements keep their order, always."""
        axis = normalize_axis("argsort", dim, len(self._value.shape))
        return bind(i.argsort, self, axis=axis, descending=descending)

    def sort(
        self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
    ) -> ValuesAndIndices:
        """(values, indices) sorted along `dim`; equal elements keep their order, always."""
        order = self.argsort(dim, descending)
        return ValuesAndIndices(self.take_along_dim(order, dim), order)

    def topk(self: Tensor, k: int, dim: int = -1, largest: bool = True) -> ValuesAndIndices:
        """The k largest (or smallest) along `dim`, in order, and their indices."""
        axis = normalize_axis("topk", dim, len(self._value.shape))
        if not 0 <= k <= self._value.shape[axis]:
            raise ShapeError(f"topk: k = {k} of a dimension of size {self._value.shape[axis]}")
        indices = self.argsort(axis, largest).narrow(axis, 0, k)
        return ValuesAndIndices(self.take_along_dim(indices, axis), indices)


def _line(count: int) -> Tensor:
    return bind(iota, shape=(count,), axis=0, dtype=dtypes.int64.numpy)


def _along(x: Tensor, dim: int, index: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """`index` along `dim` beside each other dimension's own positions."""
    shape, rank = index._value.shape, len(x._value.shape)
    axis = normalize_axis("gather", dim, rank)
    if len(shape) != rank or any(
        n > m for k, (n, m) in enumerate(zip(shape, x._value.shape, strict=True)) if k != axis
    ):
        raise ShapeError(
            f"gather along dimension {dim}: the index, of shape {shape}, must have the rank of "
            f"the tensor, of shape {x._value.shape}, and be no larger in the other dimensions"
        )
    dtype = dtypes.int64.numpy
    places = tuple(
        index if k == axis else bind(iota, shape=shape, axis=k, dtype=dtype) for k in range(rank)
    )
    return places, tuple(range(rank))


def _last_writers(places: Tensor, size: int) -> Tensor:
    """For each of `size` places, the last position in `places` that names it, or -1."""
    order = places.argsort()
    ordered = places[order]
    is_last = (ordered != ordered.roll(-1)) | (
        _line(ordered._value.shape[0]) == ordered._value.shape[0] - 1
    )
    rank = (order + 1).where(is_last, 0)
    return rank.scatter_places((ordered,), (size,), (0,), wrap=False) - 1


# --- x[key] ------------------------------------------------------------------------------------


def _entries(shape: tuple[int, ...], key: Any) -> list[Any]:
    """`key` as one entry a dimension (slice, int or index tensor), and None for new ones."""
    entries: list[Any] = []
    for entry in key if isinstance(key, tuple) else (key,):
        if entry is None or entry is Ellipsis or isinstance(entry, slice):
            entries.append(entry)
        elif isinstance(entry, bool | np.bool_):
            raise DTypeError("x[True]: a bool is no index; use a mask of the shape of x")
        elif isinstance(entry, int | np.integer):
            entries.append(int(entry))
        else:
            entries.extend(_index_tensors(entry, shape, entries))
    return _padded(shape, entries)


def _index_tensors(entry: Any, shape: tuple[int, ...], before: list[Any]) -> list[Tensor]:
    """An array-like index as an int64 tensor; a mask as the positions where it holds."""
    index = entry if isinstance(entry, TensorBase) else _as_index(entry)
    if index._value.dtype.kind == "b":
        at = sum(e is not None for e in before)
        rank = len(index._value.shape)
        if Ellipsis not in before and index._value.shape != shape[at : at + rank]:
            raise ShapeError(
                f"a mask of shape {index._value.shape} does not fit {shape[at : at + rank]}, "
                "the dimensions it selects from"
            )
        mask = index._concrete("indexing with a mask")  # type: ignore[attr-defined]
        return [wrap(positions.astype(np.int64)) for positions in np.nonzero(mask)]
    if index._value.dtype.kind not in "iu":
        raise DTypeError(f"an index is an integer or a mask, got {index._value.dtype}")
    return [index]  # type: ignore[list-item]


def _as_index(entry: Any) -> Tensor:
    array = np.asarray(entry)
    if not array.size:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise DTypeError(
            f"an index is an integer, a slice, a mask or an integer tensor, got {entry!r}"
        )
    return wrap(array if array.dtype.kind == "b" else array.astype(np.int64))


def _padded(shape: tuple[int, ...], entries: list[Any]) -> list[Any]:
    used = sum(e is not None and e is not Ellipsis for e in entries)
    if used > len(shape):
        raise IndexError(f"{used} indices for a tensor of shape {shape}")
    fill = [slice(None)] * (len(shape) - used)
    for at, entry in enumerate(entries):
        if entry is Ellipsis:
            return entries[:at] + fill + [e for e in entries[at + 1 :] if e is not Ellipsis]
    return entries + fill


def _indexed(x: Tensor, entries: list[Any]) -> Tensor:
    advanced = any(isinstance(e, TensorBase) for e in entries)
    starts, sizes, steps, flips, indices, axes = [], [], [], [], [], []
    axis = 0
    for entry in entries:
        if entry is None:
            continue
        start, size, step, flipped = _range(entry, x._value.shape[axis], axis)
        if isinstance(entry, TensorBase):
            indices.append(entry)
        elif isinstance(entry, int) and advanced:
            indices.append(wrap(np.asarray(start)))
            start, size = 0, x._value.shape[axis]
        if advanced and not isinstance(entry, slice):
            axes.append(axis)
        if flipped:
            flips.append(axis)
        starts.append(start), sizes.append(size), steps.append(step)
        axis += 1
    if tuple(sizes) != x._value.shape or any(s != 1 for s in steps):
        x = x.window(tuple(starts), tuple(sizes), tuple(steps))
    if flips:
        x = x.flip(flips)
    return _gathered(x, entries, indices, axes) if indices else _shaped(x, entries, sizes)


def _range(entry: Any, size: int, axis: int) -> tuple[int, int, int, bool]:
    """An entry as (start, size, positive step, whether to flip)."""
    if isinstance(entry, slice):
        start, stop, step = entry.indices(size)
        count = len(range(start, stop, step))
        if step < 0:
            return (start + (count - 1) * step if count else 0), count, -step, count > 1
        return (start if count else 0), count, step, False
    if isinstance(entry, int):
        if not -size <= entry < size:
            raise IndexError(f"index {entry} is out of range for dimension {axis} of size {size}")
        return entry % size, 1, 1, False
    return 0, size, 1, False


def _shaped(x: Tensor, entries: list[Any], sizes: list[int]) -> Tensor:
    """Without the dimensions that integers chose, with those that None adds."""
    remaining = iter(sizes)
    shape = []
    for entry in entries:
        size = 1 if entry is None else next(remaining)
        if not isinstance(entry, int):
            shape.append(size)
    return x.reshape(tuple(shape))


def _gathered(x: Tensor, entries: list[Any], indices: list[Tensor], axes: list[int]) -> Tensor:
    """The gather, its batch of places put where the indices stood (in front if they stood apart)."""
    rest = [n for axis, n in enumerate(x._value.shape) if axis not in axes]
    out = x.gather_places(tuple(indices), tuple(axes), wrap=True)
    batch = len(out._value.shape) - len(rest)
    where = [at for at, e in enumerate(entries) if e is not None and not isinstance(e, slice)]
    together = where[-1] - where[0] + 1 == len(where)
    before = sum(isinstance(e, slice) for e in entries[: where[0]]) if together else 0
    order = [
        *range(batch, batch + before),
        *range(batch),
        *range(batch + before, len(out._value.shape)),
    ]
    shape: list[int] = [] if together else list(out._value.shape[:batch])
    remaining = iter(rest)
    for at, entry in enumerate(entries):
        if entry is None:
            shape.append(1)
        elif isinstance(entry, slice):
            shape.append(next(remaining))
        elif together and at == where[0]:
            shape.extend(out._value.shape[:batch])
    return out.permute(order).reshape(tuple(shape))
