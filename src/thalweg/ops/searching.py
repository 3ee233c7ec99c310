"""Where something stands in an order, and what stands at a place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg import dtypes
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.lift import Operand, lift, promote, to_dtype
from thalweg.ops.reductions import ValuesAndIndices
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, not_a_tensor, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Searching", "bucketize", "searchsorted"]


class Searching:
    """Tensor's order statistics beside the median."""

    __slots__ = ()

    def msort(self: Tensor) -> Tensor:
        """The values in ascending order along dimension 0."""
        return self.sort(0).values

    def kthvalue(self: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
        """The `k`-th smallest element along `dim`, counted from 1, and where it stands.

        Raises `ConfigError` for a k that there is not.

        >>> import thalweg as tw
        >>> tw.tensor([3.0, 1.0, 2.0]).kthvalue(2).values
        tensor(2.)
        """
        axis = normalize_axis("kthvalue", dim, self.ndim)
        size = self._value.shape[axis]
        if not 1 <= k <= size:
            raise ConfigError(f"kthvalue: k={k!r} along a dimension of size {size}; 1 to {size}")
        return _chosen(self, self.argsort(axis).narrow(axis, k - 1, 1), axis, keepdim)

    def nanmedian(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        """`median` of what is not NaN; NaN where all of it is.

        >>> import thalweg as tw
        >>> tw.tensor([1.0, float("nan"), 3.0]).nanmedian()
        tensor(1.)
        """
        if dim is None:
            return self.flatten().nanmedian(0).values
        axis = normalize_axis("nanmedian", dim, self.ndim)
        count = (~self.isnan()).sum(axis, keepdim=True)
        place = (count - 1).clamp(0) // 2
        return _chosen(self, self.argsort(axis).take_along_dim(place, axis), axis, keepdim)

    def bucketize(
        self: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
    ) -> Tensor:
        """`searchsorted` of self among `boundaries`, a vector in ascending order.

        >>> import thalweg as tw
        >>> tw.tensor([0.5, 2.0]).bucketize(tw.tensor([0.0, 1.0, 2.0]))
        tensor([1, 2])
        """
        return searchsorted(boundaries, self, out_int32=out_int32, right=right)

    def unique_consecutive(
        self: Tensor,
        return_inverse: bool = False,
        return_counts: bool = False,
        dim: int | None = None,
    ) -> Any:
        """The elements, or the slices of `dim`, without those that equal the one before.

        Without a gradient, and not in a trace: how many there are depends on values. With
        `return_inverse` also where each went, with `return_counts` how long each run is (int64).

        >>> import thalweg as tw
        >>> tw.tensor([1, 1, 2, 1]).unique_consecutive(return_counts=True)
        (tensor([1, 2, 1]), tensor([2, 1, 1]))
        """
        array = self._concrete("unique_consecutive")
        if array.dtype.names:
            raise DTypeError(
                f"unique_consecutive: {self.dtype!r} is to store, not to compare: use x.float()"
            )
        rows = array.reshape(-1) if dim is None else np.moveaxis(array, dim, 0)
        begins = np.ones(len(rows), np.bool_)
        begins[1:] = (rows[1:] != rows[:-1]).any(tuple(range(1, rows.ndim)))
        found = rows[begins]
        inverse = np.cumsum(begins) - 1
        out = [wrap(found if dim is None else np.ascontiguousarray(np.moveaxis(found, 0, dim)))]
        if return_inverse:
            out.append(wrap(inverse.reshape(array.shape if dim is None else -1).astype(np.int64)))
        if return_counts:
            out.append(wrap(np.bincount(inverse, minlength=len(found)).astype(np.int64)))
        return tuple(out) if len(out) > 1 else out[0]


def _chosen(x: Tensor, indices: Tensor, axis: int, keepdim: bool) -> ValuesAndIndices:
    values = x.take_along_dim(indices, axis)
    if not keepdim:
        values, indices = values.squeeze(axis), indices.squeeze(axis)
    return ValuesAndIndices(values, indices)


def searchsorted(
    sorted_sequence: Tensor,
    input: Operand,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
) -> Tensor:
    """Where each of `input` would go in a sequence in ascending order: so many are below it.

    With `right`, or side="right", so many are below it or equal to it. The sequence (..., n) with
    input (..., m), or a vector (n,) with any input; the result has the shape of the input, int64,
    or int32 with `out_int32`. By bisection, log2(n) steps.

    Raises `ShapeError` where the leading dimensions differ, `ConfigError` for another side.

    >>> import thalweg as tw
    >>> tw.searchsorted(tw.tensor([1.0, 3.0, 5.0]), tw.tensor([3.0, 6.0]))
    tensor([1, 3])
    """
    if not isinstance(sorted_sequence, TensorBase):
        raise not_a_tensor("searchsorted", sorted_sequence)
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ConfigError(
            f'searchsorted: side={side!r}, right={right!r}; side is "left" or "right", and right '
            "the same without words"
        )
    line, values = promote(sorted_sequence.detach(), lift(input, sorted_sequence).detach())
    sizes = line._value.shape
    if not sizes or (len(sizes) > 1 and sizes[:-1] != values._value.shape[:-1]):
        raise ShapeError(
            f"searchsorted: a sequence of shape {sizes} and input of shape {values._value.shape}; "
            "expected (n,) with any shape, or (..., n) with (..., m)"
        )
    found = _bisected(line, values, right or side == "right")
    return to_dtype(found, dtypes.int32) if out_int32 else found


def _bisected(line: Tensor, values: Tensor, is_right: bool) -> Tensor:
    size = line._value.shape[-1]
    low = values._positions(0) * 0 if values.ndim else lift(0, None).long()
    high = low + size
    for _ in range(size.bit_length()):
        middle = (low + high) // 2
        place = middle.clamp(0, max(size - 1, 0))
        if line.ndim == 1:
            here = line.gather_places((place,), (0,), wrap=False)
        else:
            here = line.take_along_dim(place, -1)
        goes_on = (low < high) & ((here <= values) if is_right else (here < values))
        stays = (low < high) & ~goes_on
        low, high = (middle + 1).where(goes_on, low), middle.where(stays, high)
    return low


def bucketize(
    input: Operand, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """`searchsorted` of `input`, a tensor or a number, among `boundaries`.

    >>> import thalweg as tw
    >>> tw.bucketize(tw.tensor([0.5, 2.0]), tw.tensor([0.0, 1.0, 2.0]), right=True)
    tensor([1, 3])
    """
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
