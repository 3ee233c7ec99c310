"""Special functions: of the gamma function and the error function, and rarer elementwise ones.

The gamma functions and `erfinv` are computed in float64 and rounded to the dtype of what is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg import dtypes
from thalweg.ops.creation import full_like
from thalweg.ops.lift import Operand, floating, promote, to_dtype
from thalweg.primitives.elementwise import unbroadcast
from thalweg.tape import composite

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Special"]


class Special:
    """Tensor's special functions."""

    __slots__ = ()

    def lgamma(self: Tensor) -> Tensor:
        """log |Gamma(x)|, infinite at 0, -1, -2, ...; log (n - 1)! at whole numbers n.

        By Stirling's series beyond 8, the recurrence below, and the reflection below 1/2. Its
        gradient is `digamma`. Error below 2e-15 (1 + |lgamma(x)|) in float64, and the last digit
        in float32.

        >>> import thalweg as tw
        >>> tw.tensor([1.0, 5.0, 0.5]).lgamma().exp()
        tensor([ 1.0000, 24.0000,  1.7725])

        Source: Abramowitz, Stegun, "Handbook of mathematical functions", 6.1.
        """
        return _lgamma(floating(self))

    def digamma(self: Tensor) -> Tensor:
        """Gamma'(x) / Gamma(x), the derivative of `lgamma`; -inf at 0, NaN at -1, -2, ...

        >>> import thalweg as tw
        >>> tw.tensor([1.0, 2.0]).digamma()
        tensor([-0.5772,  0.4228])

        Source: Abramowitz, Stegun, "Handbook of mathematical functions", 6.3.
        """
        return _digamma(floating(self))

    def erfc(self: Tensor) -> Tensor:
        """1 - erf(x), as accurate as a number near 1 is: to within 1e-16, or 6e-8 in float32."""
        return 1 - floating(self).erf()

    def erfinv(self: Tensor) -> Tensor:
        """The inverse of erf: infinite at -1 and 1, NaN beyond; gradient sqrt(pi)/2 e^(y^2).

        >>> import thalweg as tw
        >>> tw.tensor([0.0, 0.5]).erfinv().erf()
        tensor([0.0000, 0.5000])

        Source: Wichura, "The percentage points of the normal distribution", 1988.
        """
        return _erfinv(floating(self))

    def sinc(self: Tensor) -> Tensor:
        """sin(pi x) / (pi x), and 1 at 0.

        >>> import thalweg as tw
        >>> tw.tensor([0.0, 0.5]).sinc()
        tensor([1.0000, 0.6366])
        """
        return _sinc(floating(self))

    def heaviside(self: Tensor, values: Operand) -> Tensor:
        """0 below 0 and of NaN, 1 above 0, `values` at 0; no gradient.

        >>> import thalweg as tw
        >>> tw.tensor([-1.0, 0.0, 2.0]).heaviside(tw.tensor(0.5))
        tensor([0.0000, 0.5000, 1.0000])
        """
        x, at_zero = (y.detach() for y in promote(self, values))
        return to_dtype(x > 0, x.dtype).where(x != 0, at_zero)

    def copysign(self: Tensor, other: Operand) -> Tensor:
        """|x| with the sign of `other`; the sign of 0 counts. Slope 0 in x at 0.

        >>> import thalweg as tw
        >>> tw.tensor([1.0, -2.0]).copysign(-1.0)
        tensor([-1., -2.])
        """
        return _copysign(*(floating(z) for z in promote(self, other)))

    def signbit(self: Tensor) -> Tensor:
        """Whether the sign is a minus, which -0.0 has too."""
        x = self.detach()
        if x._value.dtype.kind != "f":
            return x < 0
        return (x < 0) | ((x == 0) & (1 / x < 0))

    def isposinf(self: Tensor) -> Tensor:
        """Whether each element is infinity."""
        return floating(self).eq(math.inf)

    def isneginf(self: Tensor) -> Tensor:
        """Whether each element is minus infinity."""
        return floating(self).eq(-math.inf)

    def fmax(self: Tensor, other: Operand) -> Tensor:
        """The larger of two, elementwise; of a number and NaN the number."""
        x, y = promote(self, other)
        return x.where(y.isnan(), y.where(x.isnan(), x.maximum(y)))

    def fmin(self: Tensor, other: Operand) -> Tensor:
        """The smaller of two, elementwise; of a number and NaN the number."""
        x, y = promote(self, other)
        return x.where(y.isnan(), y.where(x.isnan(), x.minimum(y)))

    def logaddexp2(self: Tensor, other: Operand) -> Tensor:
        """log2(2^x + 2^y), shifted so that nothing overflows."""
        return _logaddexp2(*(floating(z) for z in promote(self, other)))

    def float_power(self: Tensor, exponent: Operand) -> Tensor:
        """x^exponent in float64."""
        power = exponent if isinstance(exponent, float | int) else to_dtype(exponent, _WIDE)
        return to_dtype(self, _WIDE).pow(power)

    def ldexp(self: Tensor, other: Tensor) -> Tensor:
        """x 2^other."""
        x, y = (floating(z) for z in promote(self, other))
        return x * y.exp2()


_WIDE = dtypes.float64
_SHIFT = 8  # the series are for numbers above
_LGAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """By Horner's rule, the constant first."""
    out: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        out = out * x + c
    return out  # type: ignore[no-any-return]  # a tensor from the first product on


_SINC = tuple((-1) ** (k + 1) * (2 * k + 2) / math.factorial(2 * k + 3) for k in range(7))


def _sinc_slope(g: Any, out: Any, x: Any) -> Any:
    """pi (cos a - sin a / a) / a of a = pi x; where that cancels by its series, to a^13."""
    angle = x * math.pi
    is_far = angle.abs() > 1
    far = angle.where(is_far, 1)
    near = angle.where(~is_far, 0)
    series = near * _polynomial(_SINC, near * near)
    return g * math.pi * ((far.cos() - far.sin() / far) / far).where(is_far, series)


@composite("sinc", _sinc_slope)
def _sinc(x: Tensor) -> Tensor:
    angle = x * math.pi
    safe = angle.where(angle != 0, 1)
    return (safe.sin() / safe).where(angle != 0, 1)


@composite(
    "logaddexp2",
    lambda g, out, x, y: unbroadcast(g * ((x - y) * math.log(2)).sigmoid(), x),
    lambda g, out, x, y: unbroadcast(g * ((y - x) * math.log(2)).sigmoid(), y),
)
def _logaddexp2(x: Tensor, y: Tensor) -> Tensor:
    gap = (x - y).abs().where(x != y, 0)  # inf - inf is NaN
    return x.maximum(y) + (-gap).exp2().log1p() / math.log(2)


def _copysign_slope(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(g * x.sign() * out.sign(), x)


@composite("copysign", _copysign_slope, lambda g, out, x, y: full_like(y, 0))
def _copysign(x: Tensor, y: Tensor) -> Tensor:
    size = x.abs()
    return (-size).where(y.signbit(), size)


def _reflected(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether x is below 1/2; 1 - x there, else x; and pi times the distance to a whole number."""
    low = x < 0.5
    return low, (1 - x).where(low, x), (x - x.round()) * math.pi


def _raised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether x is below where the series hold; x there, else 1; x, raised there."""
    low = x < _SHIFT
    return low, x.where(low, 1), (x + _SHIFT).where(low, x)


def _lgamma_slope(g: Any, out: Any, x: Any) -> Any:
    return g * _digamma(x)


def _digamma_slope(g: Any, out: Any, x: Any) -> Any:
    return g * _polygamma(x, order=1)


def _polygamma_slope(g: Any, out: Any, x: Any, *, order: int) -> Any:
    return g * _polygamma(x, order=order + 1)


@composite("lgamma", _lgamma_slope)
def _lgamma(x: Tensor) -> Tensor:
    wide = to_dtype(x, _WIDE)
    is_reflected, above, angle = _reflected(wide)
    is_raised, small, z = _raised(above)
    steps = small
    for k in range(1, _SHIFT):
        steps = steps * (small + k)
    out = (z - 0.5) * z.log() - z + 0.5 * math.log(2 * math.pi)
    out = out + _polynomial(_LGAMMA, 1 / (z * z)) / z
    out = out.where(z.isfinite(), z) - steps.log().where(is_raised, 0)
    reflection = math.log(math.pi) - angle.sin().abs().log()
    reflected = (reflection - out).where(wide.isfinite(), math.inf).where(~wide.isnan(), wide)
    return to_dtype(reflected.where(is_reflected, out), x.dtype)


@composite("digamma", _digamma_slope)
def _digamma(x: Tensor) -> Tensor:
    wide = to_dtype(x, _WIDE)
    is_reflected, above, angle = _reflected(wide)
    is_raised, small, z = _raised(above)
    steps = 1 / small
    for k in range(1, _SHIFT):
        steps = steps + 1 / (small + k)
    inverse = 1 / (z * z)
    out = z.log() - 0.5 / z - _polynomial(_DIGAMMA, inverse) * inverse
    out = out - steps.where(is_raised, 0)
    pole = (angle == 0) & (wide < 0)
    reflected = (out - math.pi / angle.tan().where(angle != 0, 0.0)).where(~pole, math.nan)
    return to_dtype(reflected.where(is_reflected, out), x.dtype)


@composite("polygamma", _polygamma_slope)
def _polygamma(x: Tensor, *, order: int) -> Tensor:
    """The derivative of digamma of that order, 1 or more; of x > 0, with order 1 of any x.

    (-1)^(n+1) n! times the sum of (x + k)^-(n+1) over all k: the first ones as they stand, the
    rest by Euler and Maclaurin.
    """
    wide = to_dtype(x, _WIDE)
    is_reflected, above, angle = _reflected(wide)
    if order > 1:
        above = wide.where(wide > 0, math.nan)
    s, count = order + 1, _SHIFT + order
    z = above + count
    total = z ** (1 - s) / (s - 1) + 0.5 * z**-s
    rising = float(s)
    for k, number in enumerate(_BERNOULLI, start=1):
        total = total + number / math.factorial(2 * k) * rising * z ** (1 - s - 2 * k)
        rising *= (s + 2 * k - 1) * (s + 2 * k)
    for k in range(count):
        total = total + (above + k) ** -s
    out = total * (math.factorial(order) * (-1) ** (order + 1))
    if order == 1:
        out = ((math.pi / angle.sin()).square() - out).where(is_reflected, out)
    return to_dtype(out, x.dtype)


# Wichura's AS 241: numerators and denominators about the middle, towards the ends, at the ends.
# fmt: off
_MIDDLE = (
    (3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
     45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
     21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610),
)
_TOWARDS = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
     1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833,
     7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
     0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)
_ENDS = (
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.29656057182850489123,
     0.0265321895265761230930, 1.24266094738807843860e-3, 2.71155556874348757815e-5,
     2.01033439929228813265e-7),
    (1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)
# fmt: on


@composite("erfinv", lambda g, out, x: g * (out * out).exp() * (math.sqrt(math.pi) / 2))
def _erfinv(x: Tensor) -> Tensor:
    wide = to_dtype(x, _WIDE)
    half = wide / 2  # p - 1/2 of the normal distribution's quantile
    size = half.abs()
    r = 0.180625 - (half * half).where(size <= 0.425, 0)
    middle = half * _polynomial(_MIDDLE[0], r) / _polynomial(_MIDDLE[1], r)
    tail = (0.5 - size).where((size > 0.425) & (size < 0.5), 0.05)
    far = (-tail.log()).sqrt()
    outer = _polynomial(_TOWARDS[0], far - 1.6) / _polynomial(_TOWARDS[1], far - 1.6)
    ends = _polynomial(_ENDS[0], far - 5) / _polynomial(_ENDS[1], far - 5)
    side = outer.where(far <= 5, ends).where(size != 0.5, math.inf).where(size <= 0.5, math.nan)
    out = middle.where(size <= 0.425, side * half.sign()) / math.sqrt(2)
    return to_dtype(out, x.dtype)
