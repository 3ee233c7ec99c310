"""exp and its kin as polynomials: straight-line code for one lane or many.

Each function reduces its argument to a short interval by the properties of the function, and
takes there a polynomial from `polynomials`. Nothing branches: where cases differ, both sides are
computed and one is selected. The same text serves f32 and f64, by two tables.
Worst errors are in docs/elementwise-maths.md, which benchmarks/ulp.py measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from thalweg.compiler.lower import polynomials as table
from thalweg.compiler.lower.emit import F32, F64, Value
from thalweg.compiler.lower.logarithm import log, log1p, power
from thalweg.compiler.lower.trigonometry import acos, asin, atan, atan2, cos, sin, tan

__all__ = ["FUNCTIONS", "UNARY", "call", "erf", "exp", "expm1", "logistic", "tanh", "widened"]


def call(name: str, *operands: Value) -> Value:
    """The mathematical function `name` of values of one floating dtype, as a shared helper."""
    return operands[0].builder.helper(name, FUNCTIONS[name], *operands)


def widened(function: Callable[..., Value]) -> Callable[..., Value]:
    """In float32, `function` evaluated in float64: rare functions, rounded almost always right."""

    def evaluate(*operands: Value) -> Value:
        if operands[0].dtype == F64:
            return function(*operands)
        wide = [operand.convert("fpext", F64) for operand in operands]
        result = operands[0].builder.helper(function.__name__, function, *wide)
        return result.convert("fptrunc", F32)

    return evaluate


def exp(x: Value) -> Value:
    """e^x = 2^n e^r, r = x - n log 2 in +-log(2)/2; denormal results and those next to infinity are
    right."""
    lowest, highest = (-104.0, 89.0) if x.dtype == F32 else (-746.0, 710.0)
    x = table.clamped(x, lowest, highest)
    n, as_float, r = _halved_exponent(x)
    return table.scaled(_exp_small(r), n, as_float)


def _halved_exponent(x: Value) -> tuple[Value, Value, Value]:
    """The integer n nearest to x / log 2, also as a float, and r = x - n log 2 with the error of
    log 2 undone."""
    n, as_float = table.nearest_integer(x, 1 / math.log(2))
    r = x
    for part in table.LOG_2[x.dtype]:
        r = (-as_float).fma(part, r)
    return n, as_float, r


def _exp_small(r: Value) -> Value:
    """1 + r + r^2 Q(r), with what rounding takes from 1 + r added back."""
    head = r + 1.0
    lost = r - (head - 1.0)
    square = r * r
    if r.dtype == F32:
        return head + table.in_pairs(r, square, table.EXP[r.dtype]).fma(square, lost)
    return head + table.polynomial(r, table.EXP[r.dtype]).fma(r * r, lost)


def _short_exp(x: Value) -> Value:
    """e^x to some ulps, for moderate x in float32: the power of 2 is added to the exponent."""
    n, as_float = table.nearest_integer(x, 1 / math.log(2))
    r = (-as_float).fma(math.log(2), x)
    e = _expm1_small(r) + 1.0
    return (e.bitcast(n.dtype) + (n << 23)).bitcast(x.dtype)


def _expm1_small(r: Value) -> Value:
    """e^r - 1 = r + r^2 Q(r) for |r| <= log(2) / 2."""
    return table.polynomial(r, table.EXP[r.dtype]).fma(r * r, r)


def expm1(x: Value) -> Value:
    """2^n (e^r - 1) + (2^n - 1), at half scale so that 2^n does not overflow before the result."""
    lowest, highest = (-18.0, 89.0) if x.dtype == F32 else (-38.0, 710.0)
    n, _, r = _halved_exponent(table.clamped(x, lowest, highest))
    scale = table.power_of_two(n - 1)
    grown = scale.fma(_expm1_small(r), scale - 0.5) * 2.0
    tiny = 2.0**-25 if x.dtype == F32 else 2.0**-54
    return (x.absolute() < tiny).select(x, grown)


def tanh(x: Value) -> Value:
    """x + x^3 P(x^2) below 0.625, above 1 - 2 / (e^(2 |x|) + 1) with the sign of x."""
    z = x * x
    near = table.polynomial(z, table.TANH[x.dtype]).fma(z * x, x)
    size = x.absolute()
    grown = x.builder.helper("exp", exp, (size > 22.0).select(22.0, size) * 2.0)
    far = 1.0 - 2.0 / (grown + 1.0)
    return (size < 0.625).select(near, far).with_sign_of(x)


def logistic(x: Value) -> Value:
    """1 / (1 + e^-x), from e = e^-|x| so that nothing overflows: e / (1 + e) where x < 0."""
    e = x.builder.helper("exp", exp, -x.absolute())
    sum = e + 1.0
    lost = e - (sum - 1.0)  # by rounding; 1 / (1 + e) is about 1 - e / 2
    quotient = (x < 0.0).select(e, x.like(1.0)) / sum
    return quotient.fma(lost * e.fma(0.5, -1.0), quotient)


def erf(x: Value) -> Value:
    """x + x P(x^2) below 1; above, 1 - erfc, with erfc from a polynomial under an exponential."""
    size, z = x.absolute(), x * x
    near = table.in_pairs(z, z * z, table.ERF[x.dtype]).fma(x, x)
    far = 1.0 - (_erfc_32 if x.dtype == F32 else _erfc_64)(size)
    return (size >= 1.0).select(far.with_sign_of(x), near)  # NaN is near


def _erfc_32(size: Value) -> Value:
    """exp(-P(x)) on 1 to 4; erf(4) is 1. It is small beside 1, and so are its errors."""
    capped = (size > 4.0).select(4.0, size)
    return _short_exp(-table.in_pairs(capped, capped * capped, table.ERFC_32))


def _erfc_64(size: Value) -> Value:
    """exp(-x^2) P(1 / (x + 2)) on 1 to 6; erf(6) is 1."""
    capped = table.clamped(size, 1.0, 6.0)
    scaled = table.polynomial(1.0 / (capped + 2.0), table.ERFC_64)
    return size.builder.helper("exp", exp, -(capped * capped)) * scaled


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "tanh": tanh,
    "logistic": logistic,
    "erf": erf,
    "power": widened(power),
    **{f.__name__: widened(f) for f in (sin, cos, tan, asin, acos, atan, atan2)},
}
UNARY = tuple(name for name in FUNCTIONS if name not in ("power", "atan2"))
