"""log, log1p and powers: straight-line code for one lane or many."""

from __future__ import annotations

import math

from thalweg.compiler.lower import polynomials as table
from thalweg.compiler.lower.emit import F32, Value
from thalweg.compiler.lower.spelling import bits_of

__all__ = ["log", "log1p", "power"]

_INF = math.inf
_MANTISSA = {4: 23, 8: 52}
_TINY = {4: 2.0**-126, 8: 2.0**-1022}


def log(x: Value) -> Value:
    """log x = k log 2 + log(1 + f), with 1 + f in sqrt(1/2) to sqrt(2)."""
    k, f = _split(x)
    value = (_log1p_32 if x.dtype == F32 else _log1p_64)(k, f)
    return _special(x, value)


def _special(x: Value, value: Value) -> Value:
    """`value`, or what log makes of 0, infinity, negative numbers and NaN."""
    value = (x < _INF).select(value, x)  # infinity, and NaN
    value = (x < 0.0).select(math.nan, value)
    return x.equals(0.0).select(-_INF, value)


def _split(x: Value) -> tuple[Value, Value]:
    """k (as a float) and f with x = 2^k (1 + f); denormals are scaled up first."""
    width = _MANTISSA[x.dtype.itemsize]
    bits = bits_of(x.dtype)
    small = x < _TINY[x.dtype.itemsize]
    scaled = small.select(x * 2.0 ** (width + 2), x).bitcast(bits)
    # Counted from sqrt(1/2), so that the exponent steps there.
    start = x.like(math.sqrt(0.5)).bitcast(bits)
    steps = scaled - start
    k = steps >> width
    mantissa = scaled - (k << width)
    as_float = table.float_of(k, x.dtype) - small.select(float(width + 2), x.like(0.0))
    return as_float, mantissa.bitcast(x.dtype) - 1.0


def _log1p_32(k: Value, f: Value) -> Value:
    """k log 2 + f - f^2/2 + f^3 P(f), the small terms first."""
    high, low = table.LOG_2_SHORT[f.dtype]
    square = f * f
    cubic = table.polynomial(f, table.LOG_32) * f
    rest = square.fma(cubic - 0.5, k * low)
    return k.fma(high, f + rest)


def _log1p_64(k: Value, f: Value) -> Value:
    """With s = f / (2 + f): log(1 + f) = f - (f^2/2 - s (f^2/2 + s^2 R(s^2)))."""
    high, low = table.LOG_2_SHORT[f.dtype]
    s = f / (f + 2.0)
    z = s * s
    half = f * f * 0.5
    inner = s * z.fma(table.polynomial(z, table.LOG_64), half)
    return k.fma(high, f - (half - k.fma(low, inner)))


def log1p(x: Value) -> Value:
    """log u, u = 1 + x rounded, plus what the rounding lost: (x - (u - 1)) / u."""
    u = x + 1.0
    rounded = x.builder.helper("log", log, u)
    finite = (x > -1.0) & (x < _INF)
    value = finite.select(rounded + (x - (u - 1.0)) / u, rounded)
    return (x.absolute() < _TINY[x.dtype.itemsize]).select(x, value)


def power(x: Value, y: Value) -> Value:
    """x^y = e^(y log |x|) with the logarithm to twice the precision; signs and special cases as
    IEEE 754 has them (`pow`)."""
    size = x.absolute()
    high, low = _log_pair(size)
    value = _exp_pair(*_times(y, high, low))
    integer = y.builder.intrinsic("trunc", y).equals(y)
    halves = y * 0.5
    odd = integer & ~y.builder.intrinsic("trunc", halves).equals(halves)
    negative = x.bitcast(bits_of(x.dtype)) < 0
    value = (x < 0.0).select(integer.select(value, math.nan), value)
    value = _of_extremes(size, y, value)
    value = (odd & negative).select(-value, value)
    value = (x.is_nan() | y.is_nan()).select(x + y, value)
    minus_one = x.equals(-1.0) & y.absolute().equals(_INF)
    return (x.equals(1.0) | y.equals(0.0) | minus_one).select(1.0, value)


def _of_extremes(size: Value, y: Value, value: Value) -> Value:
    """|x| of 0 or infinity, and infinite y: the result is 0 or infinity."""
    up = (size > 1.0) ^ (y < 0.0)
    limit = up.select(_INF, size.like(0.0))
    extreme = size.equals(0.0) | size.equals(_INF) | y.absolute().equals(_INF)
    return extreme.select(limit, value)


def _log_pair(x: Value) -> tuple[Value, Value]:
    """log x as an unevaluated sum of two, the second below an ulp of the first.

    With s = f / (2 + f) = sh + sl: log(1 + f) = 2 s + s^3 (2/3 + z T(z)), z = s^2.
    """
    k, f = _split(x)
    head = f + 2.0
    lost = f - (head - 2.0)
    sh = f / head
    sl = ((-sh).fma(head, f) - sh * lost) / head
    z = sh * sh
    third, rest = _sum(z.like(2 / 3), z * table.polynomial(z, table.LOG_TAIL))
    rest = rest + table.TWO_THIRDS_LOW
    cube, cube_low = _product(z, sh)
    cube_low = cube_low + sh * sh.fma(sh, -z) + z * sl * 3.0
    p, p_low = _product(cube, third)
    p_low = p_low + cube * rest + cube_low * third
    high, low = table.LOG_2_SHORT[x.dtype]
    a, a_low = _sum(k * high, sh * 2.0)
    b, b_low = _sum(a, p)
    return _sum(b, b_low + a_low + p_low + sl * 2.0 + k * low)


def _times(y: Value, high: Value, low: Value) -> tuple[Value, Value]:
    product, error = _product(y, high)
    return product, y.fma(low, error)


def _sum(a: Value, b: Value) -> tuple[Value, Value]:
    """a + b and its rounding error (Knuth's two-sum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: Value, b: Value) -> tuple[Value, Value]:
    """a b and its rounding error."""
    product = a * b
    return product, a.fma(b, -product)


def _exp_pair(high: Value, low: Value) -> Value:
    """e^(high + low)."""
    capped = table.clamped(high, -746.0, 710.0)
    n, as_float = table.nearest_integer(capped, 1 / math.log(2))
    r = capped
    for part in table.LOG_2[high.dtype]:
        r = (-as_float).fma(part, r)
    r = r + high.equals(capped).select(low, 0.0)
    e = 1.0 + table.polynomial(r, table.EXP[r.dtype]).fma(r * r, r)
    return table.scaled(e, n, as_float)
