"""Reductions over some or all dimensions. `dim` is an int, a tuple, or None for all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg import dtypes
from thalweg.ops.lift import Dims, axes_of, floating, to_dtype
from thalweg.primitives import reductions as r
from thalweg.primitives.core import Primitive, normalize_axis
from thalweg.tape import bind, composite

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Reductions", "ValuesAndIndices"]


class ValuesAndIndices(NamedTuple):
    """What `max(dim)`, `min(dim)`, `sort` and `topk` give."""

    values: Tensor
    indices: Tensor


def _reduce(primitive: Primitive, x: Tensor, name: str, dim: Dims, keepdim: bool) -> Tensor:
    shape = x._value.shape
    axes = axes_of(name, dim, len(shape))
    out = bind(primitive, x, axes=axes)
    if keepdim:
        out = out.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return out


def _summable(x: Tensor) -> Tensor:
    """Booleans and small integers are added up as int64."""
    return x if x._value.dtype.kind == "f" else to_dtype(x, dtypes.int64)


class Reductions:
    """Tensor's reductions."""

    __slots__ = ()

    def sum(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The sum over `dim`; integers and bools add up as int64.

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
        tensor([4., 6.])
        """
        return _reduce(r.sum, _summable(self), "sum", dim, keepdim)

    def prod(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The product over `dim`; its gradient is right where elements are 0 too."""
        return _reduce(r.prod, _summable(self), "prod", dim, keepdim)

    def mean(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The mean over `dim`, NaN of nothing."""
        x = floating(self)
        shape = x._value.shape
        count = math.prod(shape[i] for i in axes_of("mean", dim, len(shape)))
        return x.sum(dim, keepdim) / count

    def var(
        self: Tensor, dim: Dims = None, keepdim: bool = False, *, correction: int = 1
    ) -> Tensor:
        """sum (x - mean)^2 / (n - correction): 1 for the unbiased estimate, 0 for the mean square."""
        centred, count = _centred(floating(self), dim)
        return (centred * centred).sum(dim, keepdim) / max(count - correction, 0)

    def std(
        self: Tensor, dim: Dims = None, keepdim: bool = False, *, correction: int = 1
    ) -> Tensor:
        """The square root of `var`, with the subgradient 0 where all elements are equal."""
        centred, count = _centred(floating(self), dim)
        return centred.norm(dim=dim, keepdim=keepdim) / _root(count - correction)

    def amax(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The largest element; ties share the gradient evenly."""
        return _reduce(r.max, self, "amax", dim, keepdim)

    def amin(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The smallest element; ties share the gradient evenly."""
        return _reduce(r.min, self, "amin", dim, keepdim)

    def max(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; with an int `dim`, (values, indices) along it.

        Without `dim`, ties share the gradient evenly; along a `dim` it goes to the element at
        `indices`, the first of equals. `max(other)` of a tensor is `maximum`.
        """
        if hasattr(dim, "_value"):
            return self.maximum(dim)
        if dim is None:
            return self.amax()
        return _extreme(self, self.argmax(dim, keepdim=True), dim, keepdim)

    def min(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; with an int `dim`, (values, indices) along it. See `max`."""
        if hasattr(dim, "_value"):
            return self.minimum(dim)
        if dim is None:
            return self.amin()
        return _extreme(self, self.argmin(dim, keepdim=True), dim, keepdim)

    def argmax(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The index (int64) of the largest element, the first of equals; of x.flatten() if no dim."""
        return _arg(r.argmax, self, dim, keepdim)

    def argmin(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The index (int64) of the smallest element, the first of equals; of x.flatten() if no dim."""
        return _arg(r.argmin, self, dim, keepdim)

    def all(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Whether all elements are nonzero, as bool."""
        return self.ne(0).sum(dim, keepdim).eq(_count(self, dim))

    def any(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Whether any element is nonzero, as bool."""
        return self.ne(0).sum(dim, keepdim).ne(0)

    def count_nonzero(self: Tensor, dim: Dims = None) -> Tensor:
        """How many elements are not zero, as int64."""
        return self.ne(0).sum(dim)

    def cumsum(self: Tensor, dim: int) -> Tensor:
        """y[i] = x[0] + ... + x[i] along `dim`."""
        x = _summable(self)
        return bind(r.cumsum, x, axis=normalize_axis("cumsum", dim, len(x._value.shape)))

    def norm(self: Tensor, p: float = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """(sum |x|^p)^(1/p) over `dim`; p = inf gives max |x|.

        With p = 2 the gradient is x / norm, and the subgradient 0 where the norm is 0.
        """
        x = floating(self)
        axes = axes_of("norm", dim, len(x._value.shape))
        if p == 2:
            out = _euclidean(x, axes=axes)
        elif p == math.inf:
            return x.abs().amax(dim, keepdim)
        elif p == 1:
            return x.abs().sum(dim, keepdim)
        else:
            out = (x.abs() ** p).sum(axes) ** (1 / p)
        return r.kept(out, x._value.shape, axes) if keepdim else out

    def logsumexp(self: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
        """log sum e^x over `dim`, shifted by the largest element so that nothing overflows."""
        x = floating(self)
        top = x.detach().amax(dim, keepdim=True)
        top = top.where(top.isfinite(), 0)
        total = (x - top).exp().sum(dim, keepdim)
        return total.log() + (top if keepdim else top.reshape(total._value.shape))


def _root(count: int) -> float:
    return math.sqrt(count) if count > 0 else 0.0


def _centred(x: Tensor, dim: Dims) -> tuple[Tensor, int]:
    return x - x.mean(dim, keepdim=True), _count(x, dim)


def _count(x: Tensor, dim: Dims) -> int:
    shape = x._value.shape
    return math.prod(shape[i] for i in axes_of("reduction", dim, len(shape)))


def _arg(primitive: Primitive, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if dim is None:
        return bind(primitive, x.flatten(), axis=0)
    shape = x._value.shape
    axis = normalize_axis(primitive.name, dim, len(shape))
    out = bind(primitive, x, axis=axis)
    return r.kept(out, shape, (axis,)) if keepdim else out


def _extreme(x: Tensor, indices: Tensor, dim: int, keepdim: bool) -> ValuesAndIndices:
    values = x.take_along_dim(indices, dim)
    if not keepdim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return ValuesAndIndices(values, indices)


def _euclidean_slope(g: Any, out: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    slope = (g / out.where(out != 0, 1)).where(out != 0, 0)
    return x * r.kept(slope, x._value.shape, axes)


@composite("norm", _euclidean_slope)
def _euclidean(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    return (x * x).sum(axes).sqrt()
