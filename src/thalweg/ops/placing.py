"""New values at chosen places: of several for one place the sum, the mean or an extreme."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from thalweg.dtypes import int64
from thalweg.errors import ConfigError, DTypeError, ShapeError, nearest
from thalweg.ops.creation import full_like
from thalweg.ops.keys import indexed, key_of
from thalweg.ops.lift import floating, lift, to_dtype
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, composite, not_a_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg._tensor import Tensor

__all__ = ["Placing"]

_REDUCTIONS = ("sum", "mean", "amax", "amin")


class Placing:
    """Tensor's rarer ways to write."""

    __slots__ = ()

    def scatter_reduce(
        self: Tensor,
        dim: int,
        index: Tensor,
        src: Tensor,
        reduce: str,
        *,
        include_self: bool = True,
    ) -> Tensor:
        """self with `src` brought to the places `gather` would read, several for one reduced.

        `reduce` is "sum", "mean", "amax" or "amin"; unless `include_self`, what was at a place that
        is written to counts for nothing. Equal extremes share the gradient evenly. Shapes and
        dtype as in `scatter`.

        Raises `ConfigError` for another reduction ("prod" is not there), `ShapeError` for shapes
        that do not fit.

        >>> import thalweg as tw
        >>> x, at = tw.zeros(3), tw.tensor([0, 0, 2])
        >>> x.scatter_reduce(0, at, tw.tensor([1.0, 3.0, 5.0]), "mean", include_self=False)
        tensor([2., 0., 5.])
        """
        if reduce not in _REDUCTIONS:
            hint = nearest(str(reduce), _REDUCTIONS)
            raise ConfigError(f"scatter_reduce: no reduction {reduce!r}: {hint}")
        if not isinstance(src, TensorBase):
            raise not_a_tensor("scatter_reduce", src)
        src = to_dtype(src, self.dtype)
        if reduce in ("amax", "amin"):
            extreme = _extreme if self._value.dtype.kind == "f" else _extreme_values
            largest = reduce == "amax"
            return extreme(self, index, src, dim=dim, largest=largest, include_self=include_self)
        ones = full_like(src, 1, dtype=int64)
        hits = full_like(self, 0, dtype=int64).scatter_add(dim, index, ones)
        base = self if include_self else self.masked_fill(hits > 0, 0)
        total = base.scatter_add(dim, index, src)
        if reduce == "sum":
            return total
        count = (hits + 1 if include_self else hits).clamp(1)
        if self._value.dtype.kind == "f":
            return total / count
        return total // to_dtype(count, self.dtype)

    def masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
        """self with the elements of `source`, one after the other, where `mask` (bool) holds.

        The mask broadcasts. Raises `OutOfRangeError` where the source has too few.

        >>> import thalweg as tw
        >>> tw.zeros(3).masked_scatter(tw.tensor([True, False, True]), tw.tensor([1.0, 2.0]))
        tensor([1., 0., 2.])
        """
        if mask._value.dtype.kind != "b":
            raise DTypeError(f"masked_scatter: the mask is a bool tensor, got {mask.dtype!r}")
        held = mask.expand(self._value.shape).flatten()
        place = (held.long().cumsum(0) - 1).where(held, 0)
        if not math.prod(source._value.shape):
            source = self.new_zeros((1,)) if not held._value.shape[0] else source
        taken = source.to(self.dtype).flatten().gather_places((place,), (0,), wrap=False)
        return taken.where(held, self.flatten()).reshape(self._value.shape)

    def index_put(
        self: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
    ) -> Tensor:
        """A copy of self in which x[indices] is `values`; with `accumulate`, is added to.

        >>> import thalweg as tw
        >>> at = (tw.tensor([0, 0]), tw.tensor([1, 1]))
        >>> tw.zeros(2, 2).index_put(at, tw.tensor([1.0, 2.0]), accumulate=True)
        tensor([[0., 3.],
                [0., 0.]])
        """
        key = tuple(indices)
        if not accumulate:
            return self.with_item(key, values)
        shape, size = self._value.shape, math.prod(self._value.shape)
        line = self.detach().flatten()._positions(0).reshape(shape)
        places = indexed(line, key_of(shape, key))
        given = lift(values, self).to(self.dtype).expand(places._value.shape).flatten()
        added = given.scatter_places((places.flatten(),), (size,), (0,), wrap=False)
        return self + added.reshape(shape)

    def select_scatter(self: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
        """A copy of self in which the slice of `dim` at `index` is `src`."""
        axis = normalize_axis("select_scatter", dim, self.ndim)
        wanted = self.select(axis, index)._value.shape
        if src._value.shape != wanted:
            raise ShapeError(
                f"select_scatter: src has shape {src._value.shape}, the slice {wanted}"
            )
        return self.with_item((slice(None),) * axis + (index,), src)

    def renorm(self: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
        """Each slice of `dim` whose p-norm is above `maxnorm` scaled down to it.

        >>> import thalweg as tw
        >>> tw.tensor([[3.0, 4.0], [0.3, 0.4]]).renorm(2, 0, 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
        """
        x = floating(self)
        axis = normalize_axis("renorm", dim, x.ndim)
        if not (p > 0 and maxnorm >= 0):
            raise ConfigError(f"renorm: p={p} above 0 and maxnorm={maxnorm} of 0 or more expected")
        others = tuple(k for k in range(x.ndim) if k != axis)
        size = x.norm(p, others, keepdim=True) if others else x.abs()
        return x * (maxnorm / (size + 1e-7)).where(size > maxnorm, 1)


def _extreme_values(
    x: Tensor, index: Tensor, src: Tensor, *, dim: int, largest: bool, include_self: bool
) -> Tensor:
    """Written in ascending order (descending for the smallest), so that the extreme stays."""
    given = src.window((0,) * src.ndim, index._value.shape, (1,) * src.ndim)
    order = given.argsort(dim, not largest)
    written = x.scatter(dim, index.gather(dim, order), given.gather(dim, order))
    if not include_self:
        return written
    return written.maximum(x) if largest else written.minimum(x)


def _shares(
    out: Any, x: Any, index: Any, src: Any, dim: int, include_self: bool
) -> tuple[Any, Any, Any, Any]:
    """Where x and src are what is chosen, and among how many; the part of src that is given."""
    given = src.window((0,) * src.ndim, index._value.shape, (1,) * src.ndim)
    hit = full_like(x, 0).scatter(dim, index, 1).ne(0)
    is_ours = x.eq(out) if include_self else ~hit
    ours = to_dtype(is_ours, x.dtype)
    theirs = to_dtype(given.eq(out.gather(dim, index)), x.dtype)
    count = ours.scatter_add(dim, index, theirs).clamp(1)
    return ours, theirs, count, given


def _to_x(g: Any, out: Any, x: Any, index: Any, src: Any, **how: Any) -> Any:
    ours, _, count, _ = _shares(out, x, index, src, how["dim"], how["include_self"])
    return g * ours / count


def _to_src(g: Any, out: Any, x: Any, index: Any, src: Any, **how: Any) -> Any:
    _, theirs, count, given = _shares(out, x, index, src, how["dim"], how["include_self"])
    found = (g / count).gather(how["dim"], index) * theirs
    high = tuple(n - m for n, m in zip(src._value.shape, given._value.shape, strict=True))
    return found.padded((0,) * src.ndim, high)


@composite("scatter_reduce", _to_x, None, _to_src)
def _extreme(x: Tensor, index: Tensor, src: Tensor, **how: Any) -> Tensor:
    return _extreme_values(x, index, src, **how)
