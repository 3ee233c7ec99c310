"""Elementwise mathematics. Integers are computed in the default floating dtype."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from thalweg.ops.lift import Operand, floating, promote
from thalweg.primitives import elementwise as e
from thalweg.primitives.core import Primitive, check_kind
from thalweg.primitives.elementwise import unbroadcast
from thalweg.tape import bind, composite

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Maths"]


class Maths:
    """Tensor's elementwise functions."""

    __slots__ = ()

    def abs(self: Tensor) -> Tensor:
        """|x|, with gradient sign(x): 0 at 0.

        >>> import thalweg as tw
        >>> tw.tensor([-2, 3]).abs()
        tensor([2, 3])
        """
        return bind(e.absolute, self)

    absolute = __abs__ = abs

    def sign(self: Tensor) -> Tensor:
        """-1, 0 or 1; gradient 0."""
        return bind(e.sign, self)

    def exp2(self: Tensor) -> Tensor:
        """2^x."""
        return (self * math.log(2)).exp()

    def exp(self: Tensor) -> Tensor:
        """e^x.

        >>> import thalweg as tw
        >>> tw.tensor([0.0, 1.0]).exp()
        tensor([1.0000, 2.7183])
        """
        return bind(e.exp, floating(self))

    def expm1(self: Tensor) -> Tensor:
        """e^x - 1, accurate near 0."""
        return bind(e.expm1, floating(self))

    def log(self: Tensor) -> Tensor:
        """The natural logarithm; -inf at 0, NaN below."""
        return bind(e.log, floating(self))

    def log1p(self: Tensor) -> Tensor:
        """log(1 + x), accurate near 0."""
        return bind(e.log1p, floating(self))

    def log2(self: Tensor) -> Tensor:
        """The logarithm to base 2."""
        return self.log() / math.log(2)

    def log10(self: Tensor) -> Tensor:
        """The logarithm to base 10."""
        return self.log() / math.log(10)

    def logaddexp(self: Tensor, other: Operand) -> Tensor:
        """log(e^x + e^y), shifted by the larger so that nothing overflows."""
        return _logaddexp(*_floats(self, other))

    def xlogy(self: Tensor, other: Operand) -> Tensor:
        """x log y, and 0 where x = 0 (unless y is NaN); its slope in x is log y there too."""
        x, y = _floats(self, other)
        return x * y.where((x != 0) | y.isnan() | ((y > 0) & y.isfinite()), 1).log()

    def sqrt(self: Tensor) -> Tensor:
        """The square root; NaN below 0.

        The gradient is 1 / (2 sqrt x), and 0 at 0, where the slope is infinite: so what has a
        subgradient there, such as sqrt(x * x), gets it, and not inf * 0 = NaN.

        >>> import thalweg as tw
        >>> x = tw.tensor([0.0, 3.0], requires_grad=True)
        >>> (x * x).sqrt().sum().backward()
        >>> x.grad
        tensor([0., 1.])
        """
        return bind(e.sqrt, floating(self))

    def rsqrt(self: Tensor) -> Tensor:
        """1 / sqrt(x), with gradient -1/2 x^(-3/2)."""
        return _rsqrt(floating(self))

    def sin(self: Tensor) -> Tensor:
        """The sine; x in radians."""
        return bind(e.sin, floating(self))

    def cos(self: Tensor) -> Tensor:
        """The cosine; x in radians."""
        return bind(e.cos, floating(self))

    def tan(self: Tensor) -> Tensor:
        """The tangent; x in radians."""
        return bind(e.tan, floating(self))

    def asin(self: Tensor) -> Tensor:
        """The inverse sine, in radians; NaN outside [-1, 1]."""
        return bind(e.asin, floating(self))

    def acos(self: Tensor) -> Tensor:
        """The inverse cosine, in radians; NaN outside [-1, 1]."""
        return bind(e.acos, floating(self))

    def atan(self: Tensor) -> Tensor:
        """The inverse tangent, in radians."""
        return bind(e.atan, floating(self))

    def atan2(self: Tensor, other: Operand) -> Tensor:
        """The angle of the point (other, self), in radians, in (-pi, pi]."""
        return bind(e.atan2, *_floats(self, other))

    def sinh(self: Tensor) -> Tensor:
        """(e^x - e^-x) / 2, by expm1 so that it is accurate near 0."""
        x = floating(self)
        return 0.5 * (x.expm1() - (-x).expm1())

    def cosh(self: Tensor) -> Tensor:
        """(e^x + e^-x) / 2."""
        x = floating(self)
        return 0.5 * (x.exp() + (-x).exp())

    def asinh(self: Tensor) -> Tensor:
        """The inverse hyperbolic sine, log(x + sqrt(x^2 + 1)), accurate near 0."""
        return _asinh(floating(self))

    def acosh(self: Tensor) -> Tensor:
        """The inverse hyperbolic cosine, log(x + sqrt(x^2 - 1)); NaN below 1."""
        above = floating(self) - 1
        return (above + above.sqrt() * (above + 2).sqrt()).log1p()

    def atanh(self: Tensor) -> Tensor:
        """The inverse hyperbolic tangent, log((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]."""
        x = floating(self)
        return 0.5 * (x.log1p() - (-x).log1p())

    def hypot(self: Tensor, other: Operand) -> Tensor:
        """sqrt(x^2 + y^2), the length of (x, y); subgradient 0 at the origin."""
        return _hypot(*_floats(self, other))

    def rad2deg(self: Tensor) -> Tensor:
        """Radians as degrees."""
        return floating(self) * (180 / math.pi)

    def deg2rad(self: Tensor) -> Tensor:
        """Degrees as radians."""
        return floating(self) * (math.pi / 180)

    def logit(self: Tensor, eps: float | None = None) -> Tensor:
        """log(x / (1 - x)), the inverse of the sigmoid; with x limited to [eps, 1 - eps]."""
        x = floating(self) if eps is None else floating(self).clamp(eps, 1 - eps)
        return x.log() - (-x).log1p()

    def tanh(self: Tensor) -> Tensor:
        """The hyperbolic tangent, with gradient 1 - tanh^2.

        >>> import thalweg as tw
        >>> tw.tensor([-1.0, 0.0, 1.0]).tanh()
        tensor([-0.7616,  0.0000,  0.7616])
        """
        return bind(e.tanh, floating(self))

    def sigmoid(self: Tensor) -> Tensor:
        """1 / (1 + e^-x), with gradient y (1 - y).

        >>> import thalweg as tw
        >>> tw.tensor([-2.0, 0.0, 2.0]).sigmoid()
        tensor([0.1192, 0.5000, 0.8808])
        """
        return bind(e.logistic, floating(self))

    def erf(self: Tensor) -> Tensor:
        """2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
        return bind(e.erf, floating(self))

    def floor(self: Tensor) -> Tensor:
        """The largest integer not above x; gradient 0."""
        return _rounded(e.floor, self)

    def ceil(self: Tensor) -> Tensor:
        """The smallest integer not below x; gradient 0."""
        return _rounded(e.ceil, self)

    def round(self: Tensor, *, decimals: int = 0) -> Tensor:
        """The nearest number with so many decimals, halves to the even one; gradient 0."""
        if not decimals:
            return _rounded(e.round, self)
        return _rounded(e.round, self * 10.0**decimals) / 10.0**decimals

    def trunc(self: Tensor) -> Tensor:
        """x without its fraction; gradient 0."""
        return _rounded(e.trunc, self)

    def frac(self: Tensor) -> Tensor:
        """The fraction of x, with its sign: x - trunc(x)."""
        return self - self.trunc()


def _floats(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Two operands in the floating dtype they promote to."""
    a, b = promote(x, y)
    return floating(a), floating(b)


def _rounded(primitive: Primitive, x: Tensor) -> Tensor:
    """Integers are round already."""
    if x._value.dtype.kind == "f":
        return bind(primitive, x)
    check_kind(primitive.name, x._value.dtype, "fiu")
    return x


@composite("rsqrt", lambda g, out, x: g * (out * out * out) * -0.5)
def _rsqrt(x: Tensor) -> Tensor:
    return 1 / bind(e.sqrt, x)


@composite("asinh", lambda g, out, x: g * (x * x + 1).rsqrt())
def _asinh(x: Tensor) -> Tensor:
    size = x.abs()
    root = (size * size + 1).sqrt()
    more = (size * (size / (root + 1))).where(size < 1e9, size - 1)  # its square could overflow
    return x.sign() * (size + more).log1p()


@composite(
    "logaddexp",
    lambda g, out, x, y: unbroadcast(g * (x - y).sigmoid(), x),
    lambda g, out, x, y: unbroadcast(g * (y - x).sigmoid(), y),
)
def _logaddexp(x: Tensor, y: Tensor) -> Tensor:
    top = x.maximum(y)
    gap = (x - y).abs().where(x != y, 0)  # inf - inf is NaN
    return top + (-gap).exp().log1p()


def _share(g: Any, out: Any, x: Any) -> Any:
    """g x / length: 0 where the length is 0."""
    return unbroadcast(g * x / out.where(out != 0, 1), x)


@composite("hypot", lambda g, out, x, y: _share(g, out, x), lambda g, out, x, y: _share(g, out, y))
def _hypot(x: Tensor, y: Tensor) -> Tensor:
    return (x * x + y * y).sqrt()
