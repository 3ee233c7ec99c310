"""How operands become tensors: Python scalars are lifted, element types promoted, axes resolved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from thalweg import dtypes
from thalweg.errors import DTypeError, ShapeError
from thalweg.primitives import elementwise
from thalweg.primitives.core import Primitive, check_kind, normalize_axis
from thalweg.tape import TensorBase, bind, not_a_tensor, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Dims",
    "Operand",
    "axes_of",
    "binary",
    "floating",
    "is_literal",
    "lift",
    "literal",
    "number",
    "promote",
    "to_dtype",
    "truth",
]

Operand: TypeAlias = "Tensor | float"
Dims: TypeAlias = "int | Sequence[int] | None"

_NUMBERS = (float, int)


@lru_cache(maxsize=4096)
def literal(scalar: float, dtype: dtypes.DType) -> Tensor:
    """The rank-0 tensor of a Python scalar.

    Few distinct ones occur, so each is made once: nobody writes to a value.
    """
    return _made(scalar, dtype)


def _made(scalar: float, dtype: dtypes.DType) -> Tensor:
    try:
        with np.errstate(over="ignore"):
            if dtype.is_storage:  # a record, into which NumPy would write the number as bits
                wide = np.asarray(scalar, np.float32)
                return wrap(elementwise.cast.evaluate(wide, dtype=dtype.numpy))
            return wrap(np.asarray(scalar, dtype.numpy))
    except OverflowError as error:
        raise DTypeError(f"{scalar!r} does not fit into {dtype!r}") from error


def is_literal(x: Tensor) -> bool:
    """Whether `x` is what a Python scalar was made into, and so a constant of a program."""
    array = x._value
    if array.__class__ is not np.ndarray:
        return False
    return array.ndim == 0 and not array.dtype.names and literal(array.item(), x.dtype) is x


def _literal(scalar: Any, dtype: dtypes.DType) -> Tensor:
    # -0.0 equals 0.0 and would be given its cache entry.
    if scalar == 0 and dtype.is_floating_point and np.copysign(1, scalar) < 0:
        return _made(-0.0, dtype)
    return literal(scalar, dtype)


def lift(x: Any, beside: Tensor | None = None) -> Tensor:
    """`x` as a tensor; a Python scalar takes the dtype it has beside the tensor `beside`."""
    if isinstance(x, TensorBase):
        return x  # type: ignore[return-value]  # every TensorBase is a Tensor
    x = number(x)
    return _literal(x, dtypes.scalar_dtype(x, beside.dtype if beside is not None else None))


def to_dtype(x: Tensor, dtype: dtypes.DType) -> Tensor:
    """`x` cast to `dtype`, or `x` itself."""
    try:
        if x._value.dtype == dtype.numpy:
            return x
    except AttributeError:
        raise not_a_tensor("cast", x) from None
    return bind(elementwise.cast, x, dtype=dtype.numpy)


def floating(x: Tensor) -> Tensor:
    """`x` if its dtype is floating, else `x` in the default dtype; storage is not computed with."""
    try:
        kind = x._value.dtype.kind
    except AttributeError:
        raise not_a_tensor("an operand", x) from None
    if kind == "f":
        return x
    check_kind("an operand", x._value.dtype, "fiub")
    return to_dtype(x, dtypes.get_default_dtype())


def truth(x: Tensor) -> Tensor:
    """Whether each element is nonzero; `x` itself if it is bool."""
    return x if x._value.dtype.kind == "b" else x.ne(0)


def promote(*operands: Any) -> tuple[Tensor, ...]:
    """The operands as tensors of one dtype: at least one tensor, the rest may be scalars."""
    tensors: list[Any] = [x for x in operands if isinstance(x, TensorBase)]
    if not tensors:
        raise not_a_tensor("one operand", *operands)
    common = tensors[0].dtype
    for x in tensors[1:]:
        common = dtypes.promote_types(common, x.dtype)
    weak = {at: number(x) for at, x in enumerate(operands) if not isinstance(x, TensorBase)}
    for scalar in weak.values():
        common = dtypes.promote_types(common, dtypes.scalar_dtype(scalar, common))
    return tuple(
        _literal(weak[at], common) if at in weak else to_dtype(x, common)
        for at, x in enumerate(operands)
    )


def number(x: Any) -> Any:
    """A NumPy scalar as a Python number, which is weak."""
    if isinstance(x, np.ndarray) and x.ndim:
        raise not_a_tensor("an operand", x)
    return x.item() if isinstance(x, np.ndarray | np.generic) else x


def binary(primitive: Primitive, a: Any, b: Any) -> Tensor:
    """Apply an elementwise primitive to two operands, one of them a tensor."""
    # The usual cases first: a number beside a floating tensor, and two tensors of one dtype.
    try:
        if b.__class__ in _NUMBERS:
            if a._value.dtype.kind == "f":
                return bind(primitive, a, _literal(b, a.dtype))
        elif a.__class__ in _NUMBERS:
            if b._value.dtype.kind == "f":
                return bind(primitive, _literal(a, b.dtype), b)
        elif a._value.dtype is b._value.dtype:
            return bind(primitive, a, b)
    except AttributeError:
        pass
    return bind(primitive, *promote(a, b))


def axes_of(name: str, dims: Dims, rank: int) -> tuple[int, ...]:
    """`dim` arguments as sorted non-negative axes; None means all of them."""
    if dims is None:
        return tuple(range(rank))
    if isinstance(dims, int | np.integer):
        return (normalize_axis(name, int(dims), rank),)
    if not isinstance(dims, Iterable):
        raise ShapeError(f"{name}: dim is an int, several, or None; got {dims!r}")
    axes = [normalize_axis(name, dim, rank) for dim in dims]
    if len(axes) == 1:
        return (axes[0],)
    axes.sort()
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: dimensions {tuple(dims)} name one dimension twice")
    return tuple(axes)
