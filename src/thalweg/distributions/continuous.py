"""Uniform, exponential and Laplace distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.distributions.distribution import Distribution, LocScale, numbers
from thalweg.ops.lift import to_dtype
from thalweg.ops.random import rand

__all__ = ["Exponential", "Laplace", "Uniform"]


class Uniform(Distribution):
    """Numbers from `low` to `high`, without that, all equally likely; both broadcast.

        p(x) = 1 / (high - low)

    >>> import thalweg as tw
    >>> tw.distributions.Uniform(tw.tensor([0.0, 2.0]), 4.0).mean
    tensor([2., 3.])
    """

    has_rsample = True
    _parameters: ClassVar[dict[str, int]] = {"low": 0, "high": 0}

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = numbers("Uniform", low=low, high=high)
        super().__init__(self.low.shape, (), validate_args)
        self._require(low=(self.low < self.high, "below high"))

    @property
    def mean(self) -> Tensor:
        """(low + high) / 2."""
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        """(high - low)^2 / 12."""
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """low + u (high - low), u uniform in [0, 1)."""
        u = rand(self._shape(sample_shape), dtype=self.low.dtype)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """-log(high - low)."""
        x = self._checked(value, lambda x: (x >= self.low) & (x <= self.high), "from low to high")
        inside = to_dtype((x >= self.low) & (x < self.high), self.low.dtype)
        return inside.log() - (self.high - self.low).log()

    def entropy(self) -> Tensor:
        """log(high - low)."""
        return (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        """(x - low) / (high - low), from 0 to 1."""
        return ((self._checked(value) - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """low + p (high - low)."""
        return self.low + self._checked(value) * (self.high - self.low)


class Exponential(Distribution):
    """Waiting times between events of which there are `rate` in a unit of time.

        p(x) = rate e^(-rate x),   x >= 0

    >>> import thalweg as tw
    >>> tw.distributions.Exponential(2.0).log_prob(tw.tensor(1.0))
    tensor(-1.3069)
    """

    has_rsample = True
    _parameters: ClassVar[dict[str, int]] = {"rate": 0}

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = numbers("Exponential", rate=rate)
        super().__init__(self.rate.shape, (), validate_args)
        self._require(rate=(self.rate > 0, "above 0"))

    @property
    def mean(self) -> Tensor:
        """1 / rate."""
        return self.rate.reciprocal()

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.rate.detach() * 0

    @property
    def variance(self) -> Tensor:
        """1 / rate^2."""
        return self.rate.square().reciprocal()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """-log(1 - u) / rate, u uniform in [0, 1)."""
        return _waits(self, sample_shape, self.rate) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """log rate - rate x."""
        x = self._checked(value, lambda x: x >= 0, "0 or more")
        return self.rate.log() - self.rate * x

    def entropy(self) -> Tensor:
        """1 - log rate."""
        return 1 - self.rate.log()

    def cdf(self, value: Tensor) -> Tensor:
        """1 - e^(-rate x)."""
        x = self._checked(value, lambda x: x >= 0, "0 or more")
        return -(-self.rate * x).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """-log(1 - p) / rate."""
        return -(-self._checked(value)).log1p() / self.rate


def _waits(own: Distribution, sample_shape: Sequence[int], like: Tensor) -> Tensor:
    """Exponential numbers of rate 1, never infinite."""
    return -(1 - rand(own._shape(sample_shape), dtype=like.dtype)).log()


class Laplace(LocScale):
    """Numbers about `loc`, with tails that fall by a factor of e every `scale`, above 0.

        p(x) = e^(-|x - loc| / scale) / (2 scale)

    >>> import thalweg as tw
    >>> tw.distributions.Laplace(0.0, 1.0).log_prob(tw.tensor([0.0, 1.0]))
    tensor([-0.6931, -1.6931])
    """

    has_rsample = True

    @property
    def variance(self) -> Tensor:
        """2 scale^2."""
        return 2 * self.scale.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + scale (a - b), a and b exponential of rate 1."""
        first, second = (_waits(self, sample_shape, self.loc) for _ in range(2))
        return self.loc + self.scale * (first - second)

    def log_prob(self, value: Tensor) -> Tensor:
        """-|x - loc| / scale - log 2 scale."""
        return -(self._checked(value) - self.loc).abs() / self.scale - (2 * self.scale).log()

    def entropy(self) -> Tensor:
        """1 + log 2 scale."""
        return 1 + (2 * self.scale).log()

    def cdf(self, value: Tensor) -> Tensor:
        """e^((x - loc) / scale) / 2 below loc, 1 - e^(-(x - loc) / scale) / 2 above."""
        gap = self._checked(value) - self.loc
        tail = 0.5 * (gap.where(gap < 0, -gap) / self.scale).exp()
        return tail.where(gap < 0, 1 - tail)

    def icdf(self, value: Tensor) -> Tensor:
        """loc - scale sign(p - 1/2) log(1 - 2 |p - 1/2|)."""
        term = self._checked(value) - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()
