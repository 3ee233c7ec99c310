"""Arithmetic, comparison, logic and selection: elementwise, with NumPy broadcasting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from thalweg.dtypes import finfo, scalar_dtype
from thalweg.errors import ConfigError, DTypeError
from thalweg.ops.lift import Operand, binary, floating, lift, number, promote, truth
from thalweg.primitives import elementwise as e
from thalweg.tape import TensorBase, bind, composite

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
        """self * other, elementwise: the switch gate, a gradient is g times the other operand."""
        return binary(e.multiply, self, other)

    def div(self: Tensor, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """self / other; integers divide to floats, unless rounded by rounding_mode.

        `rounding_mode` is None, "floor" (the next lower integer) or "trunc" (towards 0).

        >>> import thalweg as tw
        >>> tw.tensor([7, -7]).div(2), tw.tensor([7, -7]).div(2, rounding_mode="trunc")
        (tensor([ 3.5000, -3.5000]), tensor([ 3, -3]))
        """
        if rounding_mode is None:
            return _divide(self, other)
        if rounding_mode == "floor":
            return binary(e.floor_divide, self, other)
        if rounding_mode != "trunc":
            raise ConfigError(
                f'div: rounding_mode is None, "floor" or "trunc", got {rounding_mode!r}'
            )
        a, b = promote(self, other)
        if a._value.dtype.kind == "f":
            return binary(e.divide, a, b).trunc()
        floor = binary(e.floor_divide, a, b)
        return floor + ((floor < 0) & (floor * b != a))

    def pow(self: Tensor, exponent: Operand) -> Tensor:
        """self ** exponent. A Python number as exponent is x^n, with gradient n x^(n-1).

        >>> import thalweg as tw
        >>> tw.tensor([1.0, 2.0, 3.0]).pow(2)
        tensor([1., 4., 9.])
        """
        if isinstance(exponent, TensorBase):
            return binary(e.power, self, exponent)
        return _scalar_power(self, exponent)

    multiply, subtract, divide = mul, sub, div

    def remainder(self: Tensor, other: Operand) -> Tensor:
        """self - floor(self / other) * other: the sign of the divisor, as Python's %."""
        return binary(e.remainder, self, other)

    def fmod(self: Tensor, other: Operand) -> Tensor:
        """self - trunc(self / other) * other: the sign of self, as C's fmod."""
        a, b = promote(self, other)
        size = a.where(a >= 0, -a)
        rest = binary(e.remainder, size, b.where(b >= 0, -b))
        return rest.where(a >= 0, -rest)

    def floor_divide(self: Tensor, other: Operand) -> Tensor:
        """floor(self / other), without a gradient."""
        return binary(e.floor_divide, self, other)

    def neg(self: Tensor) -> Tensor:
        """-self."""
        return bind(e.negative, self)

    negative = neg

    def reciprocal(self: Tensor) -> Tensor:
        """1 / self."""
        return binary(e.divide, 1.0, floating(self))

    def addcmul(self: Tensor, tensor1: Tensor, tensor2: Operand, *, value: float = 1) -> Tensor:
        """self + value * tensor1 * tensor2."""
        return self.add(tensor1 * tensor2, alpha=value)

    def addcdiv(self: Tensor, tensor1: Tensor, tensor2: Operand, *, value: float = 1) -> Tensor:
        """self + value * tensor1 / tensor2."""
        return self.add(tensor1 / tensor2, alpha=value)

    def square(self: Tensor) -> Tensor:
        """self * self."""
        return bind(e.multiply, self, self)

    def lerp(self: Tensor, end: Tensor, weight: Operand) -> Tensor:
        """self + weight * (end - self).

        >>> import thalweg as tw
        >>> tw.tensor([0.0, 10.0]).lerp(tw.tensor([10.0, 20.0]), 0.25)
        tensor([ 2.5000, 12.5000])
        """
        return self + weight * (end - self)

    __add__ = add
    __sub__ = sub
    __mul__ = mul
    __truediv__ = div
    __neg__ = neg
    __pow__ = pow
    __mod__ = remainder
    __floordiv__ = floor_divide

    def __pos__(self: Tensor) -> Tensor:
        return self

    # The operands stay in the order they were written in: the tape prints them so.

    def __radd__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.add, other, self)

    def __rmul__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.multiply, other, self)

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
        """The larger of each pair; NaN if either is. A tie shares the gradient, half each.

        >>> import thalweg as tw
        >>> tw.tensor([1.0, 5.0]).maximum(tw.tensor([3.0, 2.0]))
        tensor([3., 5.])
        """
        return binary(e.maximum, self, other)

    def minimum(self: Tensor, other: Operand) -> Tensor:
        """The smaller of each pair; NaN if either is. A tie shares the gradient, half each."""
        return binary(e.minimum, self, other)

    def clamp(self: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """self limited to [min, max]; the gradient passes inside and at the limits themselves.

        Where a limit is a tensor, the gradient goes to it where it took effect. If min > max
        the result is max. NaN stays NaN.

        >>> import thalweg as tw
        >>> tw.tensor([-2.0, 0.5, 3.0]).clamp(-1, 1)
        tensor([-1.0000,  0.5000,  1.0000])
        """
        if min is None and max is None:
            raise ConfigError("clamp: min, max or both expected, got neither")
        if not isinstance(min, TensorBase) and not isinstance(max, TensorBase):
            low, high = -math.inf if min is None else min, math.inf if max is None else max
            return _limited(self, low=low, high=high)
        x = self
        if min is not None:
            x = x.where(~(x < min), min)
        if max is not None:
            x = x.where(~(x > max), max)
        return x

    clip = clamp

    def clamp_min(self: Tensor, min: Operand) -> Tensor:
        """self, but no less than `min`."""
        return self.clamp(min=min)

    def clamp_max(self: Tensor, max: Operand) -> Tensor:
        """self, but no more than `max`."""
        return self.clamp(max=max)

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

    def isclose(
        self: Tensor,
        other: Operand,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        equal_nan: bool = False,
    ) -> Tensor:
        """|self - other| <= atol + rtol |other|, elementwise; NaN equals NaN if `equal_nan`."""
        x, y = promote(self, other)
        if x._value.dtype.kind in "iub":
            x, y = x.double(), y.double()
        # Infinities are close to themselves only.
        close = x.eq(y) | (((x - y).abs() <= atol + rtol * y.abs()) & y.isfinite())
        return close | (x.isnan() & y.isnan()) if equal_nan else close

    def allclose(
        self: Tensor,
        other: Operand,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        equal_nan: bool = False,
    ) -> bool:
        """Whether all elements are close; see `isclose`."""
        return bool(self.isclose(other, rtol, atol, equal_nan).all())

    def equal(self: Tensor, other: Tensor) -> bool:
        """Whether shapes and all elements are equal."""
        return self.shape == other.shape and bool(self.eq(other).all())

    def isnan(self: Tensor) -> Tensor:
        """Whether each element is NaN."""
        return bind(e.isnan, self)

    def isfinite(self: Tensor) -> Tensor:
        """Whether each element is neither infinite nor NaN."""
        return bind(e.isfinite, self)

    def isinf(self: Tensor) -> Tensor:
        """Whether each element is plus or minus infinity."""
        return ~(self.isfinite() | self.isnan())

    def nan_to_num(
        self: Tensor, nan: float = 0, posinf: float | None = None, neginf: float | None = None
    ) -> Tensor:
        """NaN as `nan`, infinities as `posinf` and `neginf` (unless given, the largest finite)."""
        if self._value.dtype.kind in "iub":
            return self
        largest = finfo(self.dtype).max
        above = largest if posinf is None else posinf
        below = -largest if neginf is None else neginf
        x = self.where(~(self > largest), above)
        x = x.where(~(self < -largest), below)
        return x.where(~self.isnan(), nan)

    # --- logic and bits ---

    def logical_not(self: Tensor) -> Tensor:
        """Whether each element is zero."""
        return bind(e.bitwise_not, truth(self))

    def logical_and(self: Tensor, other: Operand) -> Tensor:
        """Whether both elements are nonzero."""
        return bind(e.bitwise_and, truth(self), truth(lift(other)))

    def logical_or(self: Tensor, other: Operand) -> Tensor:
        """Whether either element is nonzero."""
        return bind(e.bitwise_or, truth(self), truth(lift(other)))

    def logical_xor(self: Tensor, other: Operand) -> Tensor:
        """Whether exactly one of the elements is nonzero."""
        return bind(e.bitwise_xor, truth(self), truth(lift(other)))

    def bitwise_and(self: Tensor, other: Operand) -> Tensor:
        """self & other: integers bit by bit, bools as logic."""
        return binary(e.bitwise_and, self, other)

    def bitwise_or(self: Tensor, other: Operand) -> Tensor:
        """self | other: integers bit by bit, bools as logic."""
        return binary(e.bitwise_or, self, other)

    def bitwise_xor(self: Tensor, other: Operand) -> Tensor:
        """self ^ other: integers bit by bit, bools as logic."""
        return binary(e.bitwise_xor, self, other)

    def bitwise_not(self: Tensor) -> Tensor:
        """~self: integers bit by bit, bools as logic."""
        return bind(e.bitwise_not, self)

    __and__ = __rand__ = bitwise_and
    __or__ = __ror__ = bitwise_or
    __xor__ = __rxor__ = bitwise_xor
    __invert__ = bitwise_not

    def __lshift__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.shift_left, self, other)

    def __rshift__(self: Tensor, other: Operand) -> Tensor:
        return binary(e.shift_right, self, other)

    # --- selection ---

    def where(self: Tensor, condition: Tensor, other: Operand) -> Tensor:
        """self where `condition` (bool) holds, `other` elsewhere."""
        return bind(e.select, condition, *promote(self, other))

    def masked_fill(self: Tensor, mask: Tensor, value: Operand) -> Tensor:
        """`value` where `mask` (bool) holds, self elsewhere.

        >>> import thalweg as tw
        >>> x = tw.tensor([1.0, -2.0])
        >>> x.masked_fill(x < 0, 0)
        tensor([1., 0.])
        """
        return bind(e.select, mask, lift(value, self).to(self.dtype), self)


def _divide(a: Tensor, b: Any) -> Tensor:
    if isinstance(b, TensorBase) and b._value.dtype.kind == "f":
        return binary(e.divide, a, b)
    return binary(e.divide, floating(a), b)


def _scalar_power(x: Tensor, exponent: Any) -> Tensor:
    if exponent.__class__ not in (int, float):
        exponent = number(exponent)
        scalar_dtype(exponent, None)  # which says what is no number
    if isinstance(exponent, float):
        x = floating(x)
    if exponent < 0 and x._value.dtype.kind in "iu":
        raise DTypeError(
            f"power: an integer to a negative power, {exponent}, is no integer. Cast the base: "
            "x.float()"
        )
    return bind(e.scalar_power, x, exponent=exponent)


def _clamp_slope(g: Any, out: Any, x: Any, *, low: float, high: float) -> Any:
    return g.where((x >= low) & (x <= high), 0)


@composite("clamp", _clamp_slope)
def _limited(x: Tensor, *, low: float, high: float) -> Tensor:
    if low > -math.inf:
        x = x.maximum(low)
    return x.minimum(high) if high < math.inf else x
