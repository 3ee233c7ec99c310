"""Elementwise mathematics. Integers are computed in the default floating dtype."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.ops.lift import floating
from thalweg.primitives import elementwise as e
from thalweg.tape import bind

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Maths"]


class Maths:
    """Tensor's elementwise functions."""

    __slots__ = ()

    def abs(self: Tensor) -> Tensor:
        """|x|, with gradient sign(x): 0 at 0."""
        return bind(e.absolute, self)

    __abs__ = abs

    def sign(self: Tensor) -> Tensor:
        """-1, 0 or 1; gradient 0."""
        return bind(e.sign, self)

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
        return self.log() * (1 / math.log(2))

    def log10(self: Tensor) -> Tensor:
        """The logarithm to base 10."""
        return self.log() * (1 / math.log(10))

    def sqrt(self: Tensor) -> Tensor:
        """The square root; its gradient at 0 is infinite, unless the cotangent is 0: then 0."""
        return bind(e.sqrt, floating(self))

    def rsqrt(self: Tensor) -> Tensor:
        """1 / sqrt(x)."""
        return self.sqrt().reciprocal()

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

    def atan2(self: Tensor, other: Tensor) -> Tensor:
        """The angle of the point (other, self), in radians, in (-pi, pi]."""
        return bind(e.atan2, floating(self), floating(other))

    def sinh(self: Tensor) -> Tensor:
        """(e^x - e^-x) / 2, by expm1 so that it is accurate near 0."""
        grown = self.expm1()
        return 0.5 * (grown + grown / (grown + 1))

    def cosh(self: Tensor) -> Tensor:
        """(e^x + e^-x) / 2."""
        return 0.5 * (self.exp() + (-self).exp())

    def tanh(self: Tensor) -> Tensor:
        """The hyperbolic tangent, with gradient 1 - tanh^2."""
        return bind(e.tanh, floating(self))

    def sigmoid(self: Tensor) -> Tensor:
        """1 / (1 + e^-x), with gradient y (1 - y)."""
        return bind(e.logistic, floating(self))

    def erf(self: Tensor) -> Tensor:
        """2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
        return bind(e.erf, floating(self))

    def floor(self: Tensor) -> Tensor:
        """The largest integer not above x; gradient 0."""
        return bind(e.floor, self)

    def ceil(self: Tensor) -> Tensor:
        """The smallest integer not below x; gradient 0."""
        return bind(e.ceil, self)

    def round(self: Tensor) -> Tensor:
        """The nearest integer, halves to the even one; gradient 0."""
        return bind(e.round, self)

    def trunc(self: Tensor) -> Tensor:
        """x without its fraction; gradient 0."""
        return bind(e.trunc, self)
