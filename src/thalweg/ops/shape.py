"""Movement: reshaping, transposing, joining, splitting, repeating. Nothing is ever aliased."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.dtypes import DType
from thalweg.errors import DTypeError, ShapeError
from thalweg.ops.joining import cat
from thalweg.primitives import movement as m
from thalweg.primitives.core import normalize_axis
from thalweg.primitives.sources import iota
from thalweg.tape import bind

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Shape"]


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes or dimensions given one by one or as one sequence."""
    try:
        if len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
            sizes = tuple(sizes[0])
        return tuple(map(operator.index, sizes))
    except TypeError:
        raise ShapeError(f"sizes and dimensions are integers, got {sizes}") from None


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
        """`reshape`. The result is a value of its own, not a window."""
        if len(shape) == 1 and isinstance(shape[0], DType):
            raise DTypeError(
                f"view({shape[0]!r}) would read the same bits as another type; x.to(...) casts"
            )
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
        known = math.prod(size for size in sizes if size != -1)
        if list(sizes).count(-1) == 1 and known and not shape[axis] % known:
            sizes = [shape[axis] // known if size == -1 else size for size in sizes]
        return self.reshape(*shape[:axis], *sizes, *shape[axis + 1 :])

    def squeeze(self: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
        """Without the dimensions of size 1: all of them, or those in `dim` that are.

        >>> import thalweg as tw
        >>> tw.zeros(1, 3, 1).squeeze().shape, tw.zeros(1, 3, 1).squeeze(0).shape
        (Size([3]), Size([3, 1]))
        """
        shape = self._value.shape
        given = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
        chosen = {normalize_axis("squeeze", i, len(shape)) for i in given}
        return self.reshape(tuple(n for i, n in enumerate(shape) if i not in chosen or n != 1))

    def unsqueeze(self: Tensor, dim: int) -> Tensor:
        """With a dimension of size 1 put in at `dim`.

        >>> import thalweg as tw
        >>> tw.zeros(3).unsqueeze(0).shape, tw.zeros(3).unsqueeze(-1).shape
        (Size([1, 3]), Size([3, 1]))
        """
        shape = self._value.shape
        axis = normalize_axis("unsqueeze", dim, len(shape) + 1)
        return self.reshape((*shape[:axis], 1, *shape[axis:]))

    def atleast_1d(self: Tensor) -> Tensor:
        """With a dimension, if there was none."""
        return self if self._value.shape else self.reshape(1)

    def permute(self: Tensor, *dims: Any) -> Tensor:
        """The dimensions in another order.

        >>> import thalweg as tw
        >>> tw.zeros(2, 3, 5).permute(2, 0, 1).shape
        Size([5, 2, 3])
        """
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

    swapaxes = swapdims = transpose

    def movedim(
        self: Tensor, source: int | Sequence[int], destination: int | Sequence[int]
    ) -> Tensor:
        """One dimension, or several, moved to other places; the rest keep their order."""
        rank = len(self._value.shape)
        origins, targets = _sizes((source,)), _sizes((destination,))
        origins = tuple(normalize_axis("movedim", i, rank) for i in origins)
        targets = tuple(normalize_axis("movedim", i, rank) for i in targets)
        if len({*origins}) != len({*targets}) or len(origins) != len(targets):
            raise ShapeError(f"movedim: from {source} to {destination}")
        axes = [axis for axis in range(rank) if axis not in origins]
        for target, origin in sorted(zip(targets, origins, strict=True)):
            axes.insert(target, origin)
        return self.permute(axes)

    moveaxis = movedim

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
        """Dimensions of size 1 repeated to `sizes`, new ones added in front; -1 keeps a size.

        >>> import thalweg as tw
        >>> tw.tensor([[1], [2]]).expand(2, 3)
        tensor([[1, 1, 1],
                [2, 2, 2]])
        """
        shape, wanted = self._value.shape, _sizes(sizes)
        if -1 in wanted and len(wanted) >= len(shape):
            padded = (-1,) * (len(wanted) - len(shape)) + shape
            wanted = tuple(o if w == -1 else w for o, w in zip(padded, wanted, strict=True))
        return self if wanted == shape else bind(m.broadcast, self, shape=wanted)

    def expand_as(self: Tensor, other: Tensor) -> Tensor:
        """`expand` to the shape of `other`."""
        return self.expand(other._value.shape)

    def broadcast_to(self: Tensor, shape: Sequence[int]) -> Tensor:
        """`expand` under NumPy's name."""
        return self.expand(shape)

    def repeat(self: Tensor, *repeats: Any) -> Tensor:
        """The whole tensor repeated along each dimension, new dimensions in front.

        >>> import thalweg as tw
        >>> tw.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
        """
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

    def fliplr(self: Tensor) -> Tensor:
        """The columns, dimension 1, in reverse order."""
        return self.flip(1)

    def flipud(self: Tensor) -> Tensor:
        """The rows, dimension 0, in reverse order."""
        return self.flip(0)

    def flip(self: Tensor, *dims: Any) -> Tensor:
        """The order along `dims` reversed."""
        rank = len(self._value.shape)
        axes = tuple(sorted({normalize_axis("flip", i, rank) for i in _sizes(dims)}))
        return bind(m.flip, self, axes=axes) if axes else self

    def roll(
        self: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
    ) -> Tensor:
        """Moved along by `shifts`; what leaves at one end comes in at the other.

        >>> import thalweg as tw
        >>> tw.arange(4).roll(1)
        tensor([3, 0, 1, 2])
        """
        if dims is None:
            return self.flatten().roll(shifts, 0).reshape(self._value.shape)
        by, along = _sizes((shifts,)), _sizes((dims,))
        if len(by) != len(along):
            raise ShapeError(f"roll: {len(by)} shifts for {len(along)} dimensions")
        x = self
        for shift, dim in zip(by, along, strict=True):
            size = x.size(dim)
            cut = (-shift) % size if size else 0
            if cut:
                x = cat([x.narrow(dim, cut, size - cut), x.narrow(dim, 0, cut)], dim)
        return x

    def narrow(self: Tensor, dim: int, start: int, length: int) -> Tensor:
        """`length` elements along `dim`, from `start`, which counts from the end if negative."""
        shape = self._value.shape
        axis = normalize_axis("narrow", dim, len(shape))
        start = start + shape[axis] if start < 0 else start
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
        """Pieces along `dim`: of `split_size` (the last may be smaller), or of the given sizes.

        >>> import thalweg as tw
        >>> tw.arange(5).split(2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
        """
        size = self._value.shape[normalize_axis("split", dim, len(self._value.shape))]
        if isinstance(split_size, int):
            if split_size < 1:
                raise ShapeError(f"split: a size of 1 or more expected, got {split_size}")
            sizes = [min(split_size, size - at) for at in range(0, size, split_size)] or [0]
        else:
            sizes = list(split_size)
        if sum(sizes) != size:
            raise ShapeError(
                f"split: sizes {sizes} add up to {sum(sizes)}, dimension {dim} is {size}"
            )
        starts = itertools.accumulate(sizes[:-1], initial=0)
        return tuple(self.narrow(dim, a, n) for a, n in zip(starts, sizes, strict=True))

    def tensor_split(
        self: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0
    ) -> tuple[Tensor, ...]:
        """So many pieces along `dim`, the first ones one longer; or pieces cut at the indices."""
        size = self._value.shape[normalize_axis("tensor_split", dim, len(self._value.shape))]
        if isinstance(indices_or_sections, int):
            if indices_or_sections < 1:
                raise ShapeError(f"tensor_split: {indices_or_sections} pieces; 1 or more expected")
            least, longer = divmod(size, indices_or_sections)
            return self.split([least + (i < longer) for i in range(indices_or_sections)], dim)
        cuts = [0, *(slice(at).indices(size)[1] for at in indices_or_sections), size]
        pieces = [(a, max(b - a, 0)) for a, b in itertools.pairwise(cuts)]
        return tuple(self.narrow(dim, a, n) for a, n in pieces)

    def chunk(self: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """At most `chunks` pieces of equal size along `dim`; the last may be smaller."""
        if chunks < 1:
            raise ShapeError(f"chunk: 1 piece or more expected, got {chunks}")
        size = self._value.shape[normalize_axis("chunk", dim, len(self._value.shape))]
        return self.split(max(-(-size // chunks), 1), dim)

    def unbind(self: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
        """The slices along `dim`, without it."""
        size = self._value.shape[normalize_axis("unbind", dim, len(self._value.shape))]
        return tuple(self.select(dim, i) for i in range(size))

    def diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """The elements [.., i, i + offset, ..] of two dimensions, as a last dimension."""
        rank = len(self._value.shape)
        i, j = normalize_axis("diagonal", dim1, rank), normalize_axis("diagonal", dim2, rank)
        if i == j:
            raise ShapeError(f"diagonal: two dimensions expected, got {dim1} and {dim2}")
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
        return self.masked_fill(_column_minus_row(self) < diagonal, 0)

    def tril(self: Tensor, diagonal: int = 0) -> Tensor:
        """The lower triangle of the last two dimensions, 0 above it.

        >>> import thalweg as tw
        >>> tw.ones(2, 3).tril()
        tensor([[1., 0., 0.],
                [1., 1., 0.]])
        """
        return self.masked_fill(_column_minus_row(self) > diagonal, 0)

    def trace(self: Tensor) -> Tensor:
        """The sum of the diagonal of a matrix."""
        if len(self._value.shape) != 2:
            raise ShapeError(f"trace: a matrix expected, got shape {self._value.shape}")
        return self.diagonal().sum()

    def diag(self: Tensor, diagonal: int = 0) -> Tensor:
        """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector."""
        shape = self._value.shape
        if len(shape) == 2:
            return self.diagonal(diagonal)
        if len(shape) != 1:
            raise ShapeError(f"diag: a vector or a matrix expected, got shape {shape}")
        return self.diag_embed(diagonal)

    def diag_embed(self: Tensor, offset: int = 0) -> Tensor:
        """The last dimension as the diagonal of matrices that are 0 elsewhere."""
        *lead, count = self._value.shape
        size = count + abs(offset)
        line = _line(count)
        places = (line + max(-offset, 0), line + max(offset, 0))
        rank = len(lead)
        shape = (*lead, size, size)
        return self.movedim(-1, 0).scatter_places(places, shape, (rank, rank + 1), wrap=False)


def _line(count: int) -> Tensor:
    from thalweg import dtypes

    return bind(iota, shape=(count,), axis=0, dtype=dtypes.int64.numpy)


def _column_minus_row(x: Tensor) -> Tensor:
    if len(x._value.shape) < 2:
        raise ShapeError(f"triu, tril: at least two dimensions needed, got {x._value.shape}")
    rows, columns = x._value.shape[-2:]
    return _line(columns) - _line(rows).reshape(-1, 1)
