"""Movement: reshaping, transposing, joining, splitting, repeating. Nothing is ever aliased."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.errors import ShapeError
from thalweg.ops.lift import promote
from thalweg.primitives import movement as m
from thalweg.primitives.core import broadcast_shapes, normalize_axis
from thalweg.primitives.sources import iota
from thalweg.tape import bind

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Shape", "broadcast_tensors", "cat", "stack"]


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    if len(sizes) == 1 and not isinstance(sizes[0], int):
        sizes = tuple(sizes[0])
    return tuple(int(size) for size in sizes)


def _resolved(shape: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """`sizes` with the one -1 in it worked out."""
    if -1 not in sizes:
        return sizes
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or known == 0 or math.prod(shape) % known:
        raise ShapeError(f"reshape: {shape} cannot be given the shape {sizes}")
    return tuple(math.prod(shape) // known if size == -1 else size for size in sizes)


class Shape:
    """Tensor's movement operations."""

    __slots__ = ()

    def reshape(self: Tensor, *shape: Any) -> Tensor:
        """The same elements, in row-major order, in another shape; one size may be -1.

        >>> import thalweg as tw
        >>> tw.arange(6).reshape(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
        """
        own = self._value.shape
        sizes = _resolved(own, _sizes(shape))
        return self if sizes == own else bind(m.reshape, self, shape=sizes)

    def view(self: Tensor, *shape: Any) -> Tensor:
        """`reshape`; or, given a dtype, `to`. The result is a value of its own, not a window."""
        if len(shape) == 1 and hasattr(shape[0], "numpy"):
            return self.to(shape[0])
        return self.reshape(*shape)

    def view_as(self: Tensor, other: Tensor) -> Tensor:
        """`reshape` to the shape of `other`."""
        return self.reshape(other._value.shape)

    reshape_as = view_as

    def flatten(self: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Dimensions start_dim to end_dim as one."""
        shape = self._value.shape
        if not shape:
            return self.reshape(1)
        start = normalize_axis("flatten", start_dim, len(shape))
        end = normalize_axis("flatten", end_dim, len(shape)) + 1
        return self.reshape(*shape[:start], math.prod(shape[start:end]), *shape[end:])

    ravel = flatten

    def unflatten(self: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
        """One dimension as several of the given sizes."""
        shape = self._value.shape
        axis = normalize_axis("unflatten", dim, len(shape))
        return self.reshape(*shape[:axis], *sizes, *shape[axis + 1 :])

    def squeeze(self: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
        """Without the dimensions of size 1: all of them, or those in `dim` that are."""
        shape = self._value.shape
        given = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
        chosen = {normalize_axis("squeeze", i, len(shape)) for i in given}
        return self.reshape(tuple(n for i, n in enumerate(shape) if i not in chosen or n != 1))

    def unsqueeze(self: Tensor, dim: int) -> Tensor:
        """With a dimension of size 1 put in at `dim`."""
        shape = self._value.shape
        axis = normalize_axis("unsqueeze", dim, len(shape) + 1)
        return self.reshape((*shape[:axis], 1, *shape[axis:]))

    def permute(self: Tensor, *dims: Any) -> Tensor:
        """The dimensions in another order."""
        rank = len(self._value.shape)
        axes = tuple(normalize_axis("permute", i, rank) for i in _sizes(dims))
        return self if axes == tuple(range(rank)) else bind(m.transpose, self, axes=axes)

    def transpose(self: Tensor, dim0: int, dim1: int) -> Tensor:
        """Two dimensions exchanged."""
        rank = len(self._value.shape)
        axes = list(range(rank))
        i, j = normalize_axis("transpose", dim0, rank), normalize_axis("transpose", dim1, rank)
        axes[i], axes[j] = j, i
        return self.permute(axes)

    swapaxes = transpose

    def movedim(self: Tensor, source: int, destination: int) -> Tensor:
        """One dimension moved to another place."""
        rank = len(self._value.shape)
        axes = list(range(rank))
        axis = axes.pop(normalize_axis("movedim", source, rank))
        axes.insert(normalize_axis("movedim", destination, rank), axis)
        return self.permute(axes)

    def t(self: Tensor) -> Tensor:
        """The transpose of a matrix."""
        if len(self._value.shape) > 2:
            raise ShapeError(f"t: a matrix expected, got shape {self._value.shape}; use permute")
        return self.transpose(0, 1) if len(self._value.shape) == 2 else self

    @property
    def T(self: Tensor) -> Tensor:
        """All dimensions in reverse order."""
        return self.permute(tuple(reversed(range(len(self._value.shape)))))

    @property
    def mT(self: Tensor) -> Tensor:
        """The last two dimensions exchanged."""
        return self.transpose(-2, -1)

    def expand(self: Tensor, *sizes: Any) -> Tensor:
        """Dimensions of size 1 repeated to `sizes`, new ones added in front; -1 keeps a size."""
        shape, wanted = self._value.shape, _sizes(sizes)
        padded = (-1,) * (len(wanted) - len(shape)) + shape
        if len(wanted) >= len(shape):
            wanted = tuple(o if w == -1 else w for o, w in zip(padded, wanted, strict=True))
        return self if wanted == shape else bind(m.broadcast, self, shape=wanted)

    def expand_as(self: Tensor, other: Tensor) -> Tensor:
        """`expand` to the shape of `other`."""
        return self.expand(other._value.shape)

    def broadcast_to(self: Tensor, shape: Sequence[int]) -> Tensor:
        """`expand` under NumPy's name."""
        return self.expand(shape)

    def repeat(self: Tensor, *repeats: Any) -> Tensor:
        """The whole tensor repeated along each dimension, new dimensions in front."""
        counts = _sizes(repeats)
        shape = (1,) * (len(counts) - len(self._value.shape)) + self._value.shape
        if len(counts) < len(shape):
            raise ShapeError(f"repeat: {len(counts)} counts for a tensor of shape {shape}")
        spread = self.reshape([k for n in shape for k in (1, n)])
        wide = spread.expand([k for n, r in zip(shape, counts, strict=True) for k in (r, n)])
        return wide.reshape([n * r for n, r in zip(shape, counts, strict=True)])

    def tile(self: Tensor, *repeats: Any) -> Tensor:
        """`repeat` with missing counts, in front, taken as 1."""
        counts = _sizes(repeats)
        return self.repeat((1,) * (len(self._value.shape) - len(counts)) + counts)

    def repeat_interleave(self: Tensor, repeats: int, dim: int | None = None) -> Tensor:
        """Each element repeated in place along `dim` (of x.flatten() if no dim)."""
        if dim is None:
            return self.flatten().repeat_interleave(repeats, 0)
        axis = normalize_axis("repeat_interleave", dim, len(self._value.shape))
        shape = self._value.shape
        wide = self.unsqueeze(axis + 1).expand(*shape[: axis + 1], repeats, *shape[axis + 1 :])
        return wide.reshape(*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :])

    def flip(self: Tensor, *dims: Any) -> Tensor:
        """The order along `dims` reversed."""
        rank = len(self._value.shape)
        axes = tuple(sorted({normalize_axis("flip", i, rank) for i in _sizes(dims)}))
        return bind(m.flip, self, axes=axes) if axes else self

    def roll(self: Tensor, shifts: int, dims: int | None = None) -> Tensor:
        """Moved along by `shifts`; what leaves at one end comes in at the other."""
        if dims is None:
            return self.flatten().roll(shifts, 0).reshape(self._value.shape)
        size = self._value.shape[dims]
        cut = (-shifts) % size if size else 0
        if not cut:
            return self
        return cat([self.narrow(dims, cut, size - cut), self.narrow(dims, 0, cut)], dims)

    def narrow(self: Tensor, dim: int, start: int, length: int) -> Tensor:
        """`length` elements along `dim`, from `start`."""
        shape = self._value.shape
        axis = normalize_axis("narrow", dim, len(shape))
        starts, sizes = [0] * len(shape), list(shape)
        starts[axis], sizes[axis] = start, length
        return self.window(tuple(starts), tuple(sizes), (1,) * len(shape))

    def window(
        self: Tensor, starts: tuple[int, ...], sizes: tuple[int, ...], steps: tuple[int, ...]
    ) -> Tensor:
        """The sub-block that begins at `starts` and takes every `steps`-th element."""
        return bind(m.slice_, self, starts=starts, sizes=sizes, steps=steps)

    def padded(
        self: Tensor,
        low: tuple[int, ...],
        high: tuple[int, ...],
        inner: tuple[int, ...] | None = None,
        value: float = 0,
    ) -> Tensor:
        """With `value` put in before, after and, `inner` times, between the elements."""
        inner = inner or (0,) * len(low)
        return bind(m.pad, self, low=low, high=high, inner=inner, value=value)

    def shifted(self: Tensor, by: int, fill: float) -> Tensor:
        """Moved up by `by` along the last dimension; what comes in is `fill`."""
        size = self._value.shape[-1]
        by = min(by, size)
        zeros = (0,) * (len(self._value.shape) - 1)
        return self.narrow(-1, 0, size - by).padded((*zeros, by), (*zeros, 0), value=fill)

    def split(self: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Pieces along `dim`: of `split_size` (the last may be smaller), or of the given sizes."""
        size = self._value.shape[normalize_axis("split", dim, len(self._value.shape))]
        if isinstance(split_size, int):
            sizes = [min(split_size, size - at) for at in range(0, size, split_size)] or [0]
        else:
            sizes = list(split_size)
        if sum(sizes) != size:
            raise ShapeError(
                f"split: sizes {sizes} add up to {sum(sizes)}, dimension {dim} is {size}"
            )
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return tuple(self.narrow(dim, a, n) for a, n in zip(starts, sizes, strict=True))

    def chunk(self: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """At most `chunks` pieces of equal size along `dim`; the last may be smaller."""
        size = self._value.shape[normalize_axis("chunk", dim, len(self._value.shape))]
        return self.split(max(-(-size // chunks), 1), dim)

    def unbind(self: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
        """The slices along `dim`, without it."""
        size = self._value.shape[normalize_axis("unbind", dim, len(self._value.shape))]
        return tuple(self.narrow(dim, i, 1).squeeze(dim) for i in range(size))

    def diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """The elements [.., i, i + offset, ..] of two dimensions, as a last dimension."""
        rank = len(self._value.shape)
        i, j = normalize_axis("diagonal", dim1, rank), normalize_axis("diagonal", dim2, rank)
        rest = [axis for axis in range(rank) if axis not in (i, j)]
        x = self.permute(i, j, *rest)
        rows, columns = x._value.shape[:2]
        start_row, start_column = max(-offset, 0), max(offset, 0)
        count = max(min(rows - start_row, columns - start_column), 0)
        line = _line(count)
        picked = x.gather_places((line + start_row, line + start_column), (0, 1), wrap=True)
        return picked.movedim(0, -1)

    def triu(self: Tensor, diagonal: int = 0) -> Tensor:
        """The upper triangle of the last two dimensions, 0 below it."""
        return self.where(_column_minus_row(self) >= diagonal, 0)

    def tril(self: Tensor, diagonal: int = 0) -> Tensor:
        """The lower triangle of the last two dimensions, 0 above it."""
        return self.where(_column_minus_row(self) <= diagonal, 0)


def _line(count: int) -> Tensor:
    from thalweg import dtypes

    return bind(iota, shape=(count,), axis=0, dtype=dtypes.int64.numpy)


def _column_minus_row(x: Tensor) -> Tensor:
    if len(x._value.shape) < 2:
        raise ShapeError(f"triu, tril: at least two dimensions needed, got {x._value.shape}")
    rows, columns = x._value.shape[-2:]
    return _line(columns) - _line(rows).reshape(-1, 1)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along an existing dimension; dtypes promote.

    >>> import thalweg as tw
    >>> tw.cat([tw.tensor([1.0]), tw.tensor([2.0, 3.0])])
    tensor([1., 2., 3.])
    """
    tensors = tuple(tensors)
    if not tensors:
        raise ShapeError("cat: at least one tensor expected, got none")
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
    tensors = list(tensors)
    shapes = {x._value.shape for x in tensors}
    if len(shapes) != 1:
        raise ShapeError(f"stack: tensors of one shape expected, got {sorted(shapes)}")
    return cat([x.unsqueeze(dim) for x in tensors], dim)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, each expanded to the shape they all broadcast to."""
    shape = broadcast_shapes("broadcast_tensors", *(x._value.shape for x in tensors))
    return tuple(x.expand(shape) for x in tensors)
