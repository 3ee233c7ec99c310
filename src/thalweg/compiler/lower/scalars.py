"""Each elementwise primitive as instructions, for one lane or many.

The semantics are NumPy's: integers wrap, dividing one by zero gives 0, maximum and minimum give
NaN where an operand is NaN, bools are logic. A float that no integer of the target type equals
when cut to an integer becomes the lowest one, as x86 has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thalweg.compiler.lower import maths
from thalweg.compiler.lower.casts import cast
from thalweg.compiler.lower.emit import BOOL, Builder, DType, Value

__all__ = ["flops", "lower_scalar"]


def lower_scalar(
    b: Builder,
    op: str,
    operands: Sequence[Value],
    dtype: DType,
    attributes: Mapping[str, Any],
) -> Value:
    """The result of the elementwise primitive `op`, in the lanes of its operands.

    `dtype` is that of the result. "load", "literal", "index", "bits", "reduced" and "sum" are
    the caller's: they need addresses or loops.
    """
    if op == "cast":
        return cast(operands[0], dtype)
    if op == "scalar_power":
        return _scalar_power(operands[0], attributes["exponent"])
    if op in maths.FUNCTIONS and operands[0].dtype.kind == "f":
        return maths.call(op, *operands)
    return RULES[op](*operands)


def flops(op: str, dtype: DType) -> float:
    """About how many additions the operation costs as much as."""
    wide = 2.0 if dtype.itemsize == 8 else 1.0
    return wide * _COSTS.get(op, 1.0)


# fmt: off
_COSTS = {
    "load": 0.0, "literal": 0.0, "affine": 0.1, "reduced": 0.0, "sum": 0.0, "bits": 40.0,
    "exp": 20.0, "expm1": 20.0, "log": 22.0, "log1p": 30.0, "tanh": 35.0, "logistic": 30.0,
    "erf": 33.0, "sin": 60.0, "cos": 60.0, "tan": 65.0, "asin": 55.0, "acos": 55.0, "atan": 60.0,
    "atan2": 75.0, "power": 150.0, "sqrt": 8.0, "divide": 6.0, "remainder": 100.0,
    "floor_divide": 100.0, "scalar_power": 8.0,
}
# fmt: on


# -- arithmetic ------------------------------------------------------------------------------------


def _logic_or(numbers: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """`numbers`, or for bools "or": the sum and the maximum of truths."""
    return lambda a, b: a | b if a.dtype.kind == "b" else numbers(a, b)


def _logic_and(numbers: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    return lambda a, b: a & b if a.dtype.kind == "b" else numbers(a, b)


def _maximum(a: Value, b: Value) -> Value:
    larger = (a > b).select(a, b)  # b where either is NaN
    return a.is_nan().select(a, larger) if a.dtype.kind == "f" else larger


def _minimum(a: Value, b: Value) -> Value:
    smaller = (a < b).select(a, b)
    return a.is_nan().select(a, smaller) if a.dtype.kind == "f" else smaller


def _absolute(x: Value) -> Value:
    if x.dtype.kind == "f":
        return x.absolute()
    return (x < 0).select(-x, x) if x.dtype.kind == "i" else x


def _sign(x: Value) -> Value:
    if x.dtype.kind == "u":
        return x.compare("ne", 0).select(x.like(1), x.like(0))
    below = (x < 0).select(x.like(-1), x if x.dtype.kind == "f" else x.like(0))
    return (x > 0).select(1, x.equals(0).select(0, below))


def _whole_division(a: Value, b: Value) -> tuple[Value, Value]:
    """The floor of a / b, and a less that times b, of integers; both 0 where b is 0."""
    a, b = a._paired(b)
    none = b.equals(0)
    if a.dtype.kind == "u":
        safe = none.select(1, b)
        return none.select(0, a / safe), none.select(0, a % safe)
    flips = b.equals(-1)  # by itself, for the lowest integer has no opposite
    safe = (none | flips).select(1, b)
    quotient, rest = a / safe, a % safe
    uneven = rest.compare("ne", 0) & ((rest ^ b) < 0)
    quotient = uneven.select(quotient - 1, quotient)
    rest = uneven.select(rest + b, rest)
    return none.select(0, flips.select(-a, quotient)), none.select(0, rest)


def _floor_divide(a: Value, b: Value) -> Value:
    if a.dtype.kind != "f":
        return _whole_division(a, b)[0]
    quotient = (a - a % b) / b
    rest = a % b
    shifted = rest.compare("ne", 0.0) & ((b < 0.0) ^ (rest < 0.0))
    quotient = shifted.select(quotient - 1.0, quotient)
    whole = b.builder.intrinsic("floor", quotient)
    whole = (quotient - whole > 0.5).select(whole + 1.0, whole)
    whole = quotient.equals(0.0).select(whole.like(0.0).with_sign_of(a / b), whole)
    return b.equals(0.0).select(a / b, whole)


def _remainder(a: Value, b: Value) -> Value:
    if a.dtype.kind != "f":
        return _whole_division(a, b)[1]
    rest = a % b
    shifted = rest.compare("ne", 0.0) & ((b < 0.0) ^ (rest < 0.0))
    rest = shifted.select(rest + b, rest)
    return rest.equals(0.0).select(rest.like(0.0).with_sign_of(b), rest)


def _scalar_power(x: Value, exponent: float) -> Value:
    """x to a constant: small whole powers as products, roots as roots."""
    if x.dtype.kind != "f":
        return _whole_power(x, int(exponent))
    if exponent == 0.5:
        return x.sqrt()
    if exponent == -0.5:
        return 1.0 / _root(x)
    if float(exponent).is_integer() and -2 <= exponent <= 4:
        power = _whole_power(x, abs(int(exponent)))
        return 1.0 / power if exponent < 0 else power
    return maths.call("power", x, x.like(exponent))


def _root(x: Value) -> Value:
    """The square root, where a power differs as the power: 0 for -0, infinity for -infinity."""
    return x.equals(-math.inf).select(math.inf, (x + 0.0).sqrt())


def _whole_power(x: Value, exponent: int) -> Value:
    """By repeated squaring; negative powers of integers give 0."""
    if exponent < 0:
        return x.like(0)
    result: Value | None = None
    while exponent:
        if exponent & 1:
            result = x if result is None else result * x
        exponent >>= 1
        if exponent:
            x = x * x
    return x.like(1) if result is None else result


def _integer_power(x: Value, exponent: Value) -> Value:
    """By repeated squaring over the bits of the exponent; 0 where that is negative."""
    result, power, rest = x.like(1).spread(max(x.lanes, exponent.lanes)), x, exponent
    for _ in range(8 * x.dtype.itemsize - (x.dtype.kind == "i")):
        result = (rest & 1).compare("ne", 0).select(result * power, result)
        power, rest = power * power, rest >> 1
    return (exponent < 0).select(0, result) if x.dtype.kind == "i" else result


# -- comparison, bits ------------------------------------------------------------------------------


def _comparison(condition: str) -> Callable[[Value, Value], Value]:
    return lambda a, b: a.compare(condition, b)


def _is_nan(x: Value) -> Value:
    if x.dtype.kind == "f":
        return x.is_nan()
    return x.builder.constant(False, BOOL, x.lanes)


def _is_finite(x: Value) -> Value:
    if x.dtype.kind == "f":
        return x.absolute() < math.inf
    return x.builder.constant(True, BOOL, x.lanes)


def _shift_left(x: Value, amount: Value) -> Value:
    inside = _is_shift(amount)
    return inside.select(x << inside.select(amount, 0), 0)


def _shift_right(x: Value, amount: Value) -> Value:
    inside = _is_shift(amount)
    if x.dtype.kind == "u":
        return inside.select(x >> inside.select(amount, 0), 0)
    return x >> inside.select(amount, 8 * x.dtype.itemsize - 1)


def _is_shift(amount: Value) -> Value:
    """Whether 0 <= amount < bits: beyond, all bits are shifted out."""
    width = 8 * amount.dtype.itemsize
    inside = amount < width
    return inside & (amount >= 0) if amount.dtype.kind == "i" else inside


def _rounding(name: str) -> Callable[[Value], Value]:
    return lambda x: x.builder.intrinsic(name, x)


def _select(condition: Value, a: Value, b: Value) -> Value:
    return condition.select(a, b)


RULES: dict[str, Callable[..., Value]] = {
    "add": _logic_or(lambda a, b: a + b),
    "subtract": lambda a, b: a - b,
    "multiply": _logic_and(lambda a, b: a * b),
    "divide": lambda a, b: a / b,
    "power": _integer_power,
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "maximum": _logic_or(_maximum),
    "minimum": _logic_and(_minimum),
    "negative": lambda x: -x,
    "absolute": _absolute,
    "sign": _sign,
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "round": _rounding("roundeven"),
    "trunc": _rounding("trunc"),
    "sqrt": lambda x: x.sqrt(),
    "equal": _comparison("eq"),
    "not_equal": _comparison("ne"),
    "less": _comparison("lt"),
    "less_equal": _comparison("le"),
    "greater": _comparison("gt"),
    "greater_equal": _comparison("ge"),
    "isfinite": _is_finite,
    "isnan": _is_nan,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "bitwise_not": lambda x: ~x,
    "shift_left": _shift_left,
    "shift_right": _shift_right,
    "select": _select,
}
