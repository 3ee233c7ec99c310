"""The normal distribution, and that of its exponential."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thalweg._tensor import Tensor
from thalweg.distributions.distribution import LocScale
from thalweg.ops.random import randn

__all__ = ["LogNormal", "Normal"]

_LOG_2PI = math.log(2 * math.pi)


class Normal(LocScale):
    """Normal numbers of mean `loc` and standard deviation `scale`, above 0; both broadcast.

        p(x) = e^(-((x - loc) / scale)^2 / 2) / (scale sqrt(2 pi))

    >>> import thalweg as tw
    >>> normal = tw.distributions.Normal(tw.tensor([0.0, 1.0]), 2.0)
    >>> normal.batch_shape, normal.log_prob(tw.tensor([0.0, 1.0]))
    (Size([2]), tensor([-1.6121, -1.6121]))
    >>> normal.sample((3,)).shape
    Size([3, 2])
    """

    has_rsample = True

    @property
    def variance(self) -> Tensor:
        """scale^2."""
        return self.scale.square()

    @property
    def stddev(self) -> Tensor:
        """scale."""
        return self.scale

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + scale z, z standard normal."""
        return self.loc + self.scale * randn(self._shape(sample_shape), dtype=self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """-((x - loc) / scale)^2 / 2 - log scale - log(2 pi) / 2."""
        z = (self._checked(value) - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log() - 0.5 * _LOG_2PI

    def entropy(self) -> Tensor:
        """log scale + (1 + log 2 pi) / 2."""
        return self.scale.log() + 0.5 * (1 + _LOG_2PI)

    def cdf(self, value: Tensor) -> Tensor:
        """(1 + erf((x - loc) / (scale sqrt 2))) / 2."""
        return 0.5 * (1 + ((self._checked(value) - self.loc) / (self.scale * math.sqrt(2))).erf())

    def icdf(self, value: Tensor) -> Tensor:
        """loc + scale sqrt 2 erfinv(2 p - 1)."""
        return self.loc + self.scale * math.sqrt(2) * (2 * self._checked(value) - 1).erfinv()


class LogNormal(Normal):
    """Numbers whose logarithm is normal, of mean `loc` and standard deviation `scale`.

        p(x) = Normal(loc, scale)(log x) / x,   x > 0

    >>> import thalweg as tw
    >>> tw.distributions.LogNormal(0.0, 0.5).mean
    tensor(1.1331)
    """

    @property
    def mean(self) -> Tensor:
        """e^(loc + scale^2 / 2)."""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def mode(self) -> Tensor:
        """e^(loc - scale^2)."""
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        """(e^(scale^2) - 1) e^(2 loc + scale^2)."""
        square = self.scale.square()
        return square.expm1() * (2 * self.loc + square).exp()

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """e^z, z normal."""
        return super().rsample(sample_shape).exp()

    def _logarithm(self, value: Tensor) -> Tensor:
        return self._checked(value, lambda x: x > 0, "above 0").log()

    def log_prob(self, value: Tensor) -> Tensor:
        """That of log x, less log x."""
        log = self._logarithm(value)
        return super().log_prob(log) - log

    def entropy(self) -> Tensor:
        """That of the normal distribution, and loc."""
        return super().entropy() + self.loc

    def cdf(self, value: Tensor) -> Tensor:
        """That of log x."""
        return super().cdf(self._logarithm(value))

    def icdf(self, value: Tensor) -> Tensor:
        """e to that of the normal distribution."""
        return super().icdf(value).exp()
