"""Arithmetic, comparison, logic and selection: elementwise, with NumPy broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.ops.lift import Operand, binary, floating, lift, promote
from thalweg.primitives import elementwise as e
from thalweg.tape import TensorBase, bind

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Arithmetic"]


class Arithmetic:
    """Tensor's arithmetic. Operands broadcast; dtypes promote; Python scalars are weak."""

    __slots__ = ()

    # --- arithmetic ---

    def add(self: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
        """self + alpha * other."""
        return binary(e.add, self, other if alpha == 1 else lift(other, self) * alpha)

    def sub(self: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
        """self - alpha * other."""
        return binary(e.subtract, self, other if alpha == 1 else lift(other, self) * alpha)

    def mul(self: Tensor, other: Operand) -> Tensor:
        """self * other, elementwise: the switch gate, each gradient is g times the other operand."""
        return binary(e.multiply, self, other)

    def div(self: Tensor, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """self / other; integers divide to floats. rounding_mode: None, "floor" or "trunc"."""
        if rounding_mode == "floor":
            return binary(e.floor_divide, self, other)
        quotient = _divide(self, other)
        return quotient.trunc() if rounding_mode == "trunc" else quotient

    def pow(self: Tensor, exponent: Operand) -> Tensor:
        """self ** exponent. A Python number as exponent is x^n, with gradient n x^(n-1).

        >>> import thalweg as tw
        >>> tw.tensor([1.0, 2.0, 3.0]).pow(2)
        tensor([1., 4., 9.])
        """
        if isinstance(exponent, TensorBase):
            return binary(e.power, self, exponent)
        return _scalar_power(self, exponent)

    def remainder(self: Tensor, other: Operand) -> Tensor:
        """self - floor(self / other) * other: the sign of the divisor, as Python's %."""
        return binary(e.remainder, self, other)

    def floor_divide(self: Tensor, other: Operand) -> Tensor:
        """floor(self / other), without a gradient."""
        return binary(e.floor_divide, self, other)

    def neg(self: Tensor) -> Tensor:
        """-self."""
        return bind(e.negative, self)

    def reciprocal(self: Tensor) -> Tensor:
        """1 / self."""
        return binary(e.divide, 1.0, floating(self))

    def square(self: Tensor) -> Tensor:
        """self * self."""
        return bind(e.multiply, self, self)

    def lerp(self: Tensor, end: Tensor, weight: Operand) -> Tensor:
        """self + weight * (end - self)."""
        return self + weight * (end - self)

    __add__ = __radd__ = add
    __sub__ = sub
    __mul__ = __rmul__ = mul
    __truediv__ = div
    __neg__ = neg
    __pow__ = pow
    __mod__ = remainder
    __floordiv__ = floor_divide

    def __pos__(self: Tensor) -> Tensor:
        return self

    def __rsub__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.subtract, other, self)

    def __rtruediv__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.divide, other, floating(self))

    def __rpow__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.power, other, self)

    def __rmod__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.remainder, other, self)

    def __rfloordiv__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.floor_divide, other, self)

    # --- extremes ---

    def maximum(self: Tensor, other: Operand) -> Tensor:
        """The larger of each pair; NaN if either is. A tie shares the gradient, half each."""
        return binary(e.maximum, self, other)

    def minimum(self: Tensor, other: Operand) -> Tensor:
        """The smaller of each pair; NaN if either is. A tie shares the gradient, half each."""
        return binary(e.minimum, self, other)

    def clamp(self: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """self limited to [min, max]; the gradient passes inside and at the limits themselves.

        >>> import thalweg as tw
        >>> tw.tensor([-2.0, 0.5, 3.0]).clamp(-1, 1)
        tensor([-1.0000,  0.5000,  1.0000])
        """
        x = self
        if min is not None:
            x = x.where(~(x < min), min)
        if max is not None:
            x = x.where(~(x > max), max)
        return x

    clip = clamp

    # --- comparison ---

    def eq(self: Tensor, other: Operand) -> Tensor:
        """self == other, as bool."""
        return binary(e.equal, self, other)

    def ne(self: Tensor, other: Operand) -> Tensor:
        """self != other, as bool."""
        return binary(e.not_equal, self, other)

    def lt(self: Tensor, other: Operand) -> Tensor:
        """self < other, as bool."""
        return binary(e.less, self, other)

    def le(self: Tensor, other: Operand) -> Tensor:
        """self <= other, as bool."""
        return binary(e.less_equal, self, other)

    def gt(self: Tensor, other: Operand) -> Tensor:
        """self > other, as bool."""
        return binary(e.greater, self, other)

    def ge(self: Tensor, other: Operand) -> Tensor:
        """self >= other, as bool."""
        return binary(e.greater_equal, self, other)

    __lt__, __le__, __gt__, __ge__ = lt, le, gt, ge

    def isnan(self: Tensor) -> Tensor:
        """Whether each element is NaN."""
        return bind(e.isnan, self)

    def isfinite(self: Tensor) -> Tensor:
        """Whether each element is neither infinite nor NaN."""
        return bind(e.isfinite, self)

    def isinf(self: Tensor) -> Tensor:
        """Whether each element is plus or minus infinity."""
        return ~(self.isfinite() | self.isnan())

    # --- logic and bits ---

    def logical_not(self: Tensor) -> Tensor:
        """Whether each element is zero."""
        return bind(e.bitwise_not, _truth(self))

    def logical_and(self: Tensor, other: Tensor) -> Tensor:
        """Whether both elements are nonzero."""
        return bind(e.bitwise_and, _truth(self), _truth(other))

    def logical_or(self: Tensor, other: Tensor) -> Tensor:
        """Whether either element is nonzero."""
        return bind(e.bitwise_or, _truth(self), _truth(other))

    def logical_xor(self: Tensor, other: Tensor) -> Tensor:
        """Whether exactly one of the elements is nonzero."""
        return bind(e.bitwise_xor, _truth(self), _truth(other))

    def __and__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.bitwise_and, self, other)

    def __or__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.bitwise_or, self, other)

    def __xor__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.bitwise_xor, self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self: Tensor) -> Tensor:
        return bind(e.bitwise_not, self)

    def __lshift__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.shift_left, self, other)

    def __rshift__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.shift_right, self, other)

    # --- selection ---

    def where(self: Tensor, condition: Tensor, other: Operand) -> Tensor:
        """self where `condition` (bool) holds, `other` elsewhere."""
        return bind(e.select, condition, *promote(self, other))

    def masked_fill(self: Tensor, mask: Tensor, value: Operand) -> Tensor:
        """`value` where `mask` (bool) holds, self elsewhere."""
        return bind(e.select, mask, lift(value, self).to(self.dtype), self)


def _divide(a: Tensor, b: Any) -> Tensor:
    if isinstance(b, TensorBase) and b._value.dtype.kind == "f":
        return binary(e.divide, a, b)
    return binary(e.divide, floating(a), b)


def _scalar_power(x: Tensor, exponent: Any) -> Tensor:
    if isinstance(exponent, float):
        x = floating(x)
    if exponent < 0 and x._value.dtype.kind != "f":
        return binary(e.power, x, exponent)  # which says why that is no integer
    return bind(e.scalar_power, x, exponent=exponent)


def _truth(x: Tensor) -> Tensor:
    return x if x._value.dtype.kind == "b" else x.ne(0)
