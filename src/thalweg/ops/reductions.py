"""Reductions over some or all dimensions. `dim` is an int, a tuple, or None for all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg import dtypes
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.lift import Dims, axes_of, floating, to_dtype, truth
from thalweg.primitives import reductions as r
from thalweg.primitives.core import Primitive, check_kind, normalize_axis
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


def _summable(x: Tensor, dtype: Any = None) -> Tensor:
    """`x` in the dtype it is added up in: booleans and integers as int64, unless it is given."""
    if dtype is not None:
        return to_dtype(x, dtypes.as_dtype(dtype))
    if x._value.dtype.kind == "f":
        return x
    check_kind("sum, prod", x._value.dtype, "fiub")
    return to_dtype(x, dtypes.int64)


class Reductions:
    """Tensor's reductions."""

    __slots__ = ()

    def sum(self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """The sum over `dim`; integers and bools add up as int64 (or in `dtype`).

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
        tensor([4., 6.])
        """
        return _reduce(r.sum, _summable(self, dtype), "sum", dim, keepdim)

    def nansum(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The sum over `dim` of what is not NaN."""
        return self.where(~self.isnan(), 0).sum(dim, keepdim)

    def prod(self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """The product over `dim`; its gradient is right where elements are 0 too.

        >>> import thalweg as tw
        >>> x = tw.tensor([0.0, 2.0, 3.0], requires_grad=True)
        >>> x.prod().backward()
        >>> x.grad
        tensor([6., 0., 0.])
        """
        return _reduce(r.prod, _summable(self, dtype), "prod", dim, keepdim)

    def mean(self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """The mean over `dim`, NaN of nothing; integers are averaged in the default dtype.

        >>> import thalweg as tw
        >>> tw.tensor([[1, 2], [3, 5]]).mean(dim=1)
        tensor([1.5000, 4.0000])
        """
        x = floating(self) if dtype is None else to_dtype(self, dtypes.as_dtype(dtype))
        shape = x._value.shape
        count: int = math.prod(shape[i] for i in axes_of("mean", dim, len(shape)))
        return x.sum(dim, keepdim) / count

    def nanmean(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The mean over `dim` of what is not NaN."""
        return self.nansum(dim, keepdim) / (~self.isnan()).sum(dim, keepdim)

    def var(
        self: Tensor,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: int | None = None,
    ) -> Tensor:
        """The variance, sum (x - mean)^2 / (n - correction), over `dim`.

        `correction` is 1 for the unbiased estimate (the default), 0 for the mean square, which
        `unbiased=False` asks for too.

        >>> import thalweg as tw
        >>> x = tw.tensor([1.0, 2.0, 3.0, 4.0])
        >>> x.var(), x.var(unbiased=False)
        (tensor(1.6667), tensor(1.2500))
        """
        x, axes, count = _spread(self, dim, unbiased, correction)
        out = _variance(x, axes=axes, count=count)
        return r.kept(out, x._value.shape, axes) if keepdim else out

    def std(
        self: Tensor,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: int | None = None,
    ) -> Tensor:
        """The square root of `var`, with the subgradient 0 where all elements are equal."""
        x, axes, count = _spread(self, dim, unbiased, correction)
        out = _deviation(x, axes=axes, count=count)
        return r.kept(out, x._value.shape, axes) if keepdim else out

    def var_mean(
        self: Tensor,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The variance and the mean over `dim`."""
        spread = self.var(dim, unbiased, keepdim, correction=correction)
        return spread, self.mean(None if isinstance(dim, bool) else dim, keepdim)

    def std_mean(
        self: Tensor,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The standard deviation and the mean over `dim`."""
        spread = self.std(dim, unbiased, keepdim, correction=correction)
        return spread, self.mean(None if isinstance(dim, bool) else dim, keepdim)

    def amax(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The largest element; ties share the gradient evenly.

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 5.0], [7.0, 2.0]]).amax(dim=0)
        tensor([7., 5.])
        """
        return _reduce(r.max, self, "amax", dim, keepdim)

    def amin(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The smallest element; ties share the gradient evenly."""
        return _reduce(r.min, self, "amin", dim, keepdim)

    def max(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; with an int `dim`, (values, indices) along it.

        Without `dim`, ties share the gradient evenly; along a `dim` it goes to the element at
        `indices`, the first of equals. `max(other)` of a tensor is `maximum`.

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1)
        ValuesAndIndices(values=tensor([5., 7.]), indices=tensor([1, 0]))
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
        """The index (int64) of the largest element, the first of equals.

        Of x.flatten() if there is no `dim`.

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 5.0], [7.0, 2.0]]).argmax(dim=1)
        tensor([1, 0])
        """
        return _arg(r.argmax, self, dim, keepdim)

    def argmin(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The index (int64) of the smallest element, the first of equals; see `argmax`."""
        return _arg(r.argmin, self, dim, keepdim)

    def aminmax(self: Tensor, *, dim: Dims = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        """The smallest and the largest element."""
        return self.amin(dim, keepdim), self.amax(dim, keepdim)

    def all(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Whether all elements are nonzero, as bool; True of nothing."""
        true = truth(self)
        if 0 in self._value.shape:
            return true.sum(dim, keepdim).eq(_count(self, dim))
        return _reduce(r.min, true, "all", dim, keepdim)

    def any(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Whether any element is nonzero, as bool; False of nothing."""
        true = truth(self)
        if 0 in self._value.shape:
            return true.sum(dim, keepdim).ne(0)
        return _reduce(r.max, true, "any", dim, keepdim)

    def count_nonzero(self: Tensor, dim: Dims = None) -> Tensor:
        """How many elements are not zero, as int64."""
        return truth(self).sum(dim)

    def cumsum(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        """y[i] = x[0] + ... + x[i] along `dim`.

        >>> import thalweg as tw
        >>> tw.tensor([1, 2, 3]).cumsum(0)
        tensor([1, 3, 6])
        """
        x = _summable(self, dtype)
        return bind(r.cumsum, x, axis=normalize_axis("cumsum", dim, len(x._value.shape)))

    def cumprod(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        """y[i] = x[0] ... x[i] along `dim`, in log2(n) steps; its gradient is right at 0 too."""
        y = _summable(self, dtype).movedim(dim, -1)
        reach = 1
        while reach < y._value.shape[-1]:
            y = y * y.shifted(reach, 1)
            reach *= 2
        return y.movedim(-1, dim)

    def diff(self: Tensor, n: int = 1, dim: int = -1) -> Tensor:
        """y[i] = x[i + 1] - x[i] along `dim`, `n` times."""
        x = self
        for _ in range(n):
            size = x.size(dim)
            later, earlier = (
                x.narrow(dim, min(1, size), max(size - 1, 0)),
                x.narrow(dim, 0, max(size - 1, 0)),
            )
            x = later.ne(earlier) if x._value.dtype.kind == "b" else later - earlier
        return x

    def norm(self: Tensor, p: float | str = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """(sum |x|^p)^(1/p) over `dim`; p = inf gives max |x|, p = 0 counts what is not 0.

        Over all elements unless `dim` is given; p = "fro" is 2. Where the norm is 0 its
        subgradient is 0, with p = 2 the gradient is x / norm.

        >>> import thalweg as tw
        >>> tw.tensor([[3.0, 4.0], [0.0, 5.0]]).norm(dim=1)
        tensor([5., 5.])
        """
        x = floating(self)
        axes = axes_of("norm", dim, len(x._value.shape))
        if p in (2, "fro"):
            out = _euclidean(x, axes=axes)
        elif isinstance(p, str):
            raise ConfigError(f'norm: p is a number or "fro", got {p!r}')
        elif p == math.inf:
            out = x.abs().amax(axes)
        elif p == -math.inf:
            out = x.abs().amin(axes)
        elif p == 0:
            out = to_dtype(x.ne(0).sum(axes), x.dtype)
        else:
            out = x.abs().sum(axes) if p == 1 else _power_norm(x, axes=axes, p=float(p))
        return r.kept(out, x._value.shape, axes) if keepdim else out

    def dist(self: Tensor, other: Tensor, p: float = 2) -> Tensor:
        """The norm of self - other."""
        return (floating(self) - other).norm(p)

    def cdist(self: Tensor, other: Tensor, p: float = 2) -> Tensor:
        """The distance of every row to every row: (..., n, d), (..., m, d) -> (..., n, m).

        As norms of differences, exact where points lie close together; 0 has the subgradient 0.

        >>> import thalweg as tw
        >>> tw.tensor([[0.0, 0.0], [3.0, 4.0]]).cdist(tw.tensor([[0.0, 0.0]]))
        tensor([[0.],
                [5.]])
        """
        if self.ndim < 2 or other.ndim < 2 or self.shape[-1] != other.shape[-1]:
            raise ShapeError(
                f"cdist: matrices of points expected, (n, d) and (m, d), got shapes "
                f"{self._value.shape} and {other._value.shape}"
            )
        return (floating(self).unsqueeze(-2) - floating(other).unsqueeze(-3)).norm(p, -1)

    def logsumexp(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """log sum e^x over `dim`, shifted by the largest element so that nothing overflows.

        >>> import thalweg as tw
        >>> tw.tensor([1000.0, 1000.0]).logsumexp(dim=0)
        tensor(1000.6932)
        """
        x = floating(self)
        axes = axes_of("logsumexp", dim, len(x._value.shape))
        out = _logsumexp(x, axes=axes)
        return r.kept(out, x._value.shape, axes) if keepdim else out


def _count(x: Tensor, dim: Dims) -> int:
    shape = x._value.shape
    return math.prod(shape[i] for i in axes_of("reduction", dim, len(shape)))


def _spread(
    x: Tensor, dim: Dims, unbiased: bool, correction: int | None
) -> tuple[Tensor, tuple[int, ...], float]:
    """What `var` and `std` work on: the floating values, the axes and the divisor."""
    if isinstance(dim, bool):  # var(False) means unbiased=False
        unbiased, given = dim, None
    else:
        given = dim
    x = floating(x)
    axes = axes_of("var", given, len(x._value.shape))
    count = math.prod(x._value.shape[i] for i in axes)
    return x, axes, max(count - (int(unbiased) if correction is None else correction), 0)


def _centred(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x - x.mean(axes, keepdim=True)


def _variance_slope(g: Any, out: Any, x: Any, *, axes: tuple[int, ...], count: float) -> Any:
    return _centred(x, axes) * r.kept(g * 2 / count, x._value.shape, axes)


@composite("var", _variance_slope)
def _variance(x: Tensor, *, axes: tuple[int, ...], count: float) -> Tensor:
    centred = _centred(x, axes)
    return (centred * centred).sum(axes) / count


def _deviation_slope(g: Any, out: Any, x: Any, *, axes: tuple[int, ...], count: float) -> Any:
    slope = g / out.where(out != 0, 1) / count
    return _centred(x, axes) * r.kept(slope, x._value.shape, axes)


@composite("std", _deviation_slope)
def _deviation(x: Tensor, *, axes: tuple[int, ...], count: float) -> Tensor:
    centred = _centred(x, axes)
    return ((centred * centred).sum(axes) / count).sqrt()


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


def _power_norm_slope(g: Any, out: Any, x: Any, *, axes: tuple[int, ...], p: float) -> Any:
    """g sign(x) (|x| / norm)^(p - 1), and 0 where x or the norm is 0."""
    share = x.abs() / r.kept(out.where(out != 0, 1), x._value.shape, axes)
    slope = (share.where(share != 0, 1) ** (p - 1)).where(share != 0, 0)
    return r.kept(g, x._value.shape, axes) * x.sign() * slope


@composite("norm", _power_norm_slope)
def _power_norm(x: Tensor, *, axes: tuple[int, ...], p: float) -> Tensor:
    return (x.abs() ** p).sum(axes) ** (1 / p)


def _logsumexp_slope(g: Any, out: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    """g softmax(x), and 0 where all of x is -inf."""
    shape = x._value.shape
    return r.kept(g, shape, axes) * (x - r.kept(out.where(out != -math.inf, 0), shape, axes)).exp()


@composite("logsumexp", _logsumexp_slope)
def _logsumexp(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    if any(x._value.shape[axis] == 0 for axis in axes):
        return x.exp().sum(axes).log()
    top = bind(r.max, x, axes=axes)
    top = top.where(top.isfinite(), 0)
    total: Tensor = (x - r.kept(top, x._value.shape, axes)).exp().sum(axes)
    return total.log() + top
