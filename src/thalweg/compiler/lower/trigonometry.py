"""sin, cos, tan and their inverses in float64; `maths` evaluates float32 through these."""

from __future__ import annotations

import math

from thalweg.compiler.lower import polynomials as table
from thalweg.compiler.lower.emit import I64, Value

__all__ = ["acos", "asin", "atan", "atan2", "cos", "sin", "tan"]


def _quadrant(x: Value) -> tuple[Value, Value]:
    """n and r = x - n pi/2 in +-pi/4, by Cody and Waite with pi/2 in three parts.

    Good to an ulp for |x| below 2^30 or so; far beyond, r is merely kept in range.
    """
    n, as_float = table.nearest_integer(x, 2 / math.pi)
    r = x
    for part in table.HALF_PI:
        r = (-as_float).fma(part, r)
    return n, table.clamped(r, -0.79, 0.79)


def _sin_cos(r: Value) -> tuple[Value, Value]:
    """sin r and cos r for r in +-pi/4."""
    z = r * r
    sine = table.polynomial(z, table.SIN).fma(z * r, r)
    half = z * 0.5
    rest = table.polynomial(z, table.COS) * z * z
    head = 1.0 - half
    return sine, head + (((1.0 - head) - half) + rest)


def _bit(n: Value, bit: int) -> Value:
    return (n & bit).compare("ne", 0)


def sin(x: Value) -> Value:
    """The sine."""
    n, r = _quadrant(x)
    sine, cosine = _sin_cos(r)
    value = _bit(n, 1).select(cosine, sine)
    value = _bit(n, 2).select(-value, value)
    return (x.absolute() < 2.0**-27).select(x, value)


def cos(x: Value) -> Value:
    """The cosine."""
    n, r = _quadrant(x)
    sine, cosine = _sin_cos(r)
    value = _bit(n, 1).select(sine, cosine)
    return _bit(n + 1, 2).select(-value, value)


def tan(x: Value) -> Value:
    """sin / cos of the rest, or - cos / sin in the odd quadrants."""
    n, r = _quadrant(x)
    sine, cosine = _sin_cos(r)
    odd = _bit(n, 1)
    value = odd.select(-cosine, sine) / odd.select(sine, cosine)
    return (x.absolute() < 2.0**-27).select(x, value)


def _asin_parts(x: Value) -> tuple[Value, Value]:
    """Whether |x| > 1/2, and asin of |x|, or there of sqrt((1 - |x|) / 2)."""
    size = x.absolute()
    large = size > 0.5
    z = large.select(size.fma(-0.5, 0.5), size * size)
    s = large.select(z.sqrt(), size)
    return large, table.polynomial(z, table.ASIN).fma(z * s, s)


def asin(x: Value) -> Value:
    """Above 1/2, pi/2 - 2 asin sqrt((1 - x) / 2)."""
    large, p = _asin_parts(x)
    high, low, _ = table.HALF_PI
    far = high - (p * 2.0 - low)
    return large.select(far, p).with_sign_of(x)


def acos(x: Value) -> Value:
    """pi/2 - asin x; above 1/2, 2 asin sqrt((1 - x) / 2); below -1/2, pi less that."""
    large, p = _asin_parts(x)
    high, low, _ = table.HALF_PI
    negative = x < 0.0
    near = high - (p.with_sign_of(x) - low)
    far = negative.select(high * 2.0 - (p * 2.0 - low * 2.0), p * 2.0)
    return large.select(far, near)


def _atan_small(t: Value) -> Value:
    """t + t^3 P(t^2), the terms after t, for |t| <= tan(pi / 8)."""
    z = t * t
    return table.polynomial(z, table.ATAN) * (z * t)


def atan(x: Value) -> Value:
    """Of |x|, turned by pi/2 above tan(3 pi/8), by pi/4 above tan(pi/8)."""
    size = x.absolute()
    high, low, _ = table.HALF_PI
    far, middle = size > 1 + math.sqrt(2), size > math.sqrt(2) - 1
    top = far.select(-1.0, middle.select(size - 1.0, size))
    bottom = far.select(size, middle.select(size + 1.0, size.like(1.0)))
    t = top / bottom
    base = far.select(high, middle.select(high / 2, x.like(0.0)))
    base_low = far.select(low, middle.select(low / 2, x.like(0.0)))
    return (base + (t + (_atan_small(t) + base_low))).with_sign_of(x)


def atan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y), from the ratio of the smaller side to the larger."""
    high, low, _ = table.HALF_PI
    a, b = y.absolute(), x.absolute()
    steep = a > b
    larger, smaller = steep.select(a, b), steep.select(b, a)
    alike = larger.equals(smaller)
    ratio = alike.select(1.0, smaller / larger)
    ratio = larger.equals(0.0).select(0.0, ratio)
    middle = ratio > math.sqrt(2) - 1
    # tan(atan(s/l) - pi/4) = (s - l) / (s + l): from the sides, so that one division rounds.
    major, minor = larger * 0.25, smaller * 0.25
    turned = alike.select(0.0, (minor - major) / (minor + major))
    t = middle.select(turned, ratio)
    small = _atan_small(t)
    # The angle is turns * pi/4 +- (t + small), the turns and the sign by the octant.
    left = x.bitcast(I64) < 0
    eighth = middle.select(1.0, x.like(0.0))
    turns = steep.select(2.0 - eighth, eighth)
    turns = left.select(4.0 - turns, turns)
    t, small = _turned(steep ^ left, t, small)
    base, base_low = turns * (high / 2), turns * (low / 2)
    angle = (base + (t + (small + base_low))).with_sign_of(y)
    return (x.is_nan() | y.is_nan()).select(x + y, angle)


def _turned(mask: Value, t: Value, small: Value) -> tuple[Value, Value]:
    return mask.select(-t, t), mask.select(-small, small)
