"""Order: sorting, order statistics, and the distinct elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg import dtypes
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.lift import Operand, floating, lift
from thalweg.ops.reductions import ValuesAndIndices
from thalweg.primitives import indexing as i
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, bind, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Sorting"]


class Sorting:
    """Tensor's sorting and counting. NaN counts as the largest."""

    __slots__ = ()

    def argsort(
        self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
    ) -> Tensor:
        """The indices (int64) that sort along `dim`; equal elements keep their order, always."""
        axis = normalize_axis("argsort", dim, len(self._value.shape))
        return bind(i.argsort, self, axis=axis, descending=descending)

    def sort(
        self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
    ) -> ValuesAndIndices:
        """(values, indices) sorted along `dim`; equal elements keep their order, always.

        >>> import thalweg as tw
        >>> tw.tensor([3.0, 1.0, 2.0]).sort().values
        tensor([1., 2., 3.])
        """
        order = self.argsort(dim, descending)
        return ValuesAndIndices(self.take_along_dim(order, dim), order)

    def topk(self: Tensor, k: int, dim: int = -1, largest: bool = True) -> ValuesAndIndices:
        """The k largest (or smallest) along `dim`, in order, and their indices.

        >>> import thalweg as tw
        >>> tw.tensor([3.0, 9.0, 5.0]).topk(2)
        ValuesAndIndices(values=tensor([9., 5.]), indices=tensor([1, 2]))
        """
        axis = normalize_axis("topk", dim, len(self._value.shape))
        if not 0 <= k <= self._value.shape[axis]:
            raise ShapeError(
                f"topk: k = {k} of dimension {axis} of shape {self._value.shape}, "
                f"which has {self._value.shape[axis]}"
            )
        indices = self.argsort(axis, largest).narrow(axis, 0, k)
        return ValuesAndIndices(self.take_along_dim(indices, axis), indices)

    def median(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        """The middle element, of two the lower; with a `dim`, (values, indices) along it.

        NaN if there is one. The gradient goes to the chosen element.
        """
        if dim is None:
            return self.flatten().median(0).values
        axis = normalize_axis("median", dim, len(self._value.shape))
        size = self._value.shape[axis]
        if not size:
            raise ShapeError(f"median: dimension {axis} of shape {self._value.shape} is empty")
        order = self.argsort(axis)
        indices = order.narrow(axis, (size - 1) // 2, 1)
        if self._value.dtype.kind == "f":
            last = order.narrow(axis, size - 1, 1)
            indices = last.where(self.take_along_dim(last, axis).isnan(), indices)
        values = self.take_along_dim(indices, axis)
        if not keepdim:
            values, indices = values.squeeze(axis), indices.squeeze(axis)
        return ValuesAndIndices(values, indices)

    def quantile(self: Tensor, q: Operand, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The q-quantiles along `dim` (of x.flatten() if no dim), interpolated linearly.

        `q` in [0, 1] is a number, or a vector that becomes the first dimension of the result.
        NaN if there is one.

        >>> import thalweg as tw
        >>> tw.tensor([0.0, 10.0, 20.0]).quantile(0.25)
        tensor(5.)
        """
        x = floating(self)
        if dim is None:
            flat = x.flatten().quantile(q, 0)
            return flat.reshape(flat.shape + (1,) * x.ndim) if keepdim else flat
        axis = normalize_axis("quantile", dim, len(x._value.shape))
        size: int = x._value.shape[axis]
        if not size:
            raise ShapeError(f"quantile: dimension {axis} of shape {x._value.shape} is empty")
        if not isinstance(q, TensorBase) and not 0 <= q <= 1:
            raise ConfigError(f"quantile: q is from 0 to 1, got {q}")
        share = lift(q, x).to(x.dtype)
        place = share * (size - 1)
        below = place.floor()
        ordered: Tensor = x.sort(axis).values.movedim(axis, 0)
        low = ordered.gather_places((below.long(),), (0,), wrap=False)
        high = ordered.gather_places((place.ceil().long(),), (0,), wrap=False)
        weight = (place - below).reshape(share.shape + (1,) * (x.ndim - 1))
        has_nan = x.isnan().any(axis)
        out = (low + weight * (high - low)).where(~has_nan, float("nan"))
        return out.unsqueeze(axis + share.ndim) if keepdim else out

    def unique(
        self: Tensor,
        sorted: bool = True,
        return_inverse: bool = False,
        return_counts: bool = False,
        dim: int | None = None,
    ) -> Any:
        """The distinct elements, in order, without a gradient; or the distinct slices of `dim`.

        With `return_inverse` also where each element went, with `return_counts` also how often
        each occurs (both int64).

        >>> import thalweg as tw
        >>> tw.tensor([3, 1, 3]).unique(return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
        """
        array = self._concrete("unique")
        if array.dtype.names:
            raise DTypeError(f"unique: {self.dtype!r} is to store, not to compare: use x.float()")
        found = np.unique(array, return_inverse=True, return_counts=True, axis=dim)
        inverse = found[1].reshape(array.shape if dim is None else -1)
        out = [wrap(found[0])]
        out += [wrap(inverse.astype(np.int64))] if return_inverse else []
        out += [wrap(found[2].astype(np.int64))] if return_counts else []
        return tuple(out) if len(out) > 1 else out[0]

    def isin(self: Tensor, test_elements: Tensor) -> Tensor:
        """Whether each element occurs among `test_elements`.

        >>> import thalweg as tw
        >>> tw.tensor([1, 2, 3]).isin(tw.tensor([3, 1]))
        tensor([ True, False,  True])
        """
        return self.unsqueeze(-1).eq(lift(test_elements, self).flatten()).any(-1)

    def bincount(self: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
        """How often 0, 1, 2, ... occur in a vector of integers; or their summed `weights`.

        >>> import thalweg as tw
        >>> tw.tensor([0, 2, 2]).bincount(minlength=4)
        tensor([1, 0, 2, 0])
        """
        if self.ndim != 1:
            raise ShapeError(f"bincount: a vector expected, got shape {self._value.shape}")
        array = self._concrete("bincount")
        count = max(int(array.max()) + 1 if array.size else 0, minlength)
        ones = wrap(np.ones(array.shape, np.int64)) if weights is None else weights
        return ones.scatter_places((self,), (count,), (0,), wrap=False)

    def histc(self: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
        """How many elements lie in each of `bins` equal parts of [min, max].

        With min = max, from the smallest to the largest element. What lies outside is not
        counted; the counts are in the dtype of self.
        """
        x = floating(self).flatten()
        if not bins > 0 or min > max:
            raise ShapeError(f"histc: {bins} bins from {min} to {max}")
        low, high = (x.amin(), x.amax()) if min == max else (lift(min, x), lift(max, x))
        width = (high - low).where(high > low, 1)
        place = ((x - low) * bins / width).floor().clamp(0, bins - 1)
        counted = ((x >= low) & (x <= high)).to(x.dtype)
        place = place.where(counted != 0, 0).to(dtypes.int64)
        return counted.scatter_places((place,), (bins,), (0,), wrap=False)
