"""Bernoulli, categorical and Poisson distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.distributions.distribution import (
    Distribution,
    given_one_of,
    numbers,
    require_each,
)
from thalweg.dtypes import finfo
from thalweg.errors import ShapeError
from thalweg.nn.functional.probability import binary_cross_entropy_with_logits
from thalweg.ops.creation import arange
from thalweg.ops.joining import broadcast_tensors
from thalweg.ops.lift import to_dtype
from thalweg.ops.random import rand

__all__ = ["Bernoulli", "Categorical", "OneHotCategorical", "Poisson"]


def _inside(probs: Tensor) -> Tensor:
    """Probabilities that have a logarithm, as their complements do."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


class Bernoulli(Distribution):
    """1 with probability `probs`, else 0; or `logits`, log(p / (1 - p)): one of the two is given.

    >>> import thalweg as tw
    >>> tw.distributions.Bernoulli(tw.tensor([0.25, 0.5])).log_prob(tw.tensor([1.0, 0.0])).exp()
    tensor([0.2500, 0.5000])
    """

    _parameters: ClassVar[dict[str, int]] = {"probs": 0, "logits": 0}

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, value = given_one_of("Bernoulli", probs=probs, logits=logits)
        (value,) = numbers("Bernoulli", **{name: value})
        is_probs = name == "probs"
        self.probs: Tensor = value if is_probs else value.sigmoid()
        self.logits: Tensor = _inside(value).logit() if is_probs else value
        super().__init__(value.shape, (), validate_args)
        fits = (self.probs >= 0) & (self.probs <= 1)
        self._require(probs=(fits, "from 0 to 1"))

    @property
    def mean(self) -> Tensor:
        """p."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """1 where p is above 1/2, 0 below, NaN at it."""
        high = to_dtype(self.probs > 0.5, self.probs.dtype)
        return high.where(self.probs != 0.5, float("nan"))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """0 or 1, in the dtype of the parameters."""
        probs = self.probs.detach()
        return to_dtype(rand(self._shape(sample_shape), dtype=probs.dtype) < probs, probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """x log p + (1 - x) log(1 - p)."""
        x = self._checked(value, lambda x: x.eq(0) | x.eq(1), "0 or 1")
        logits, x = broadcast_tensors(self.logits, to_dtype(x, self.logits.dtype))
        return -binary_cross_entropy_with_logits(logits, x, reduction="none")

    def entropy(self) -> Tensor:
        """-p log p - (1 - p) log(1 - p)."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Categorical(Distribution):
    """One of K classes, 0 to K - 1, int64, by `probs` (..., K), which are divided by their sum.

    Or by `logits` (..., K), from which softmax makes them: one of the two is given.

        p(k) = probs_k

    A sample is the class that is first in a race of exponential waiting times.

    >>> import thalweg as tw
    >>> policy = tw.distributions.Categorical(logits=tw.tensor([[0.0, 0.0], [0.0, 80.0]]))
    >>> policy.sample()[1], policy.log_prob(tw.tensor([0, 1]))
    (tensor(1), tensor([-0.6931,  0.0000]))
    """

    _parameters: ClassVar[dict[str, int]] = {"probs": 1, "logits": 1}

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        owner = type(self).__name__
        name, value = given_one_of(owner, probs=probs, logits=logits)
        (value,) = numbers(owner, **{name: value})
        if not value.ndim or not value._value.shape[-1]:
            raise ShapeError(f"{owner}: {name} (..., K) expected, got shape {tuple(value.shape)}")
        if name == "probs":
            if validate_args is not False:
                require_each(owner, "probs", value, value >= 0, "0 or more")
            self.probs: Tensor = value / value.sum(-1, keepdim=True)
            self.logits: Tensor = _inside(self.probs).log()
        else:
            self.logits = value - value.logsumexp(-1, keepdim=True)
            self.probs = value.softmax(-1)
        super().__init__(value.shape[:-1], (), validate_args)

    @property
    def _num_events(self) -> int:
        count: int = self.probs._value.shape[-1]
        return count

    @property
    def mean(self) -> Tensor:
        """NaN: classes are no numbers."""
        return self.probs.detach().sum(-1) * float("nan")

    @property
    def mode(self) -> Tensor:
        """The likeliest class."""
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN: classes are no numbers."""
        return self.mean

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Classes, int64."""
        probs = self.probs.detach()
        shape = (*Distribution._shape(self, sample_shape), self._num_events)
        race = -(1 - rand(shape, dtype=probs.dtype)).log() / probs
        return race.where(probs > 0, float("inf")).argmin(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(k) of classes k."""
        count = self._num_events
        fits = f"a class, 0 to {count - 1}"
        x = self._checked(value, lambda x: (x >= 0) & (x < count) & x.eq(x.long()), fits)
        place, logits = broadcast_tensors(x.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, place.narrow(-1, 0, 1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """-sum p log p."""
        smallest = finfo(self.logits.dtype).min
        return -(self.logits.clamp(min=smallest) * self.probs).sum(-1)


class OneHotCategorical(Distribution):
    """One of K classes as a vector (K,) with 1 at its place and 0 elsewhere.

    By `probs` or `logits` (..., K), as `Categorical`.

    >>> import thalweg as tw
    >>> tw.distributions.OneHotCategorical(tw.tensor([0.0, 1.0, 0.0])).sample()
    tensor([0., 1., 0.])
    """

    _parameters: ClassVar[dict[str, int]] = {"probs": 1, "logits": 1}

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        classes = Categorical(probs, logits, validate_args)
        self.probs, self.logits = classes.probs, classes.logits
        super().__init__(classes.batch_shape, self.probs.shape[-1:], validate_args)

    def _classes(self) -> Categorical:
        return Categorical(logits=self.logits, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """p."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likeliest class."""
        return self._as_vector(self.probs.argmax(-1))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def _as_vector(self, classes: Tensor) -> Tensor:
        places = arange(self.probs._value.shape[-1])
        return to_dtype(classes.unsqueeze(-1).eq(places), self.probs.dtype)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Vectors of 0 and 1, in the dtype of the parameters."""
        classes = Categorical(probs=self.probs.detach(), validate_args=False)
        return self._as_vector(classes.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(k) of the class whose place holds 1."""
        x = self._checked(value, lambda x: x.eq(0) | x.eq(1), "0 or 1")
        return self._classes().log_prob(x.argmax(-1))

    def entropy(self) -> Tensor:
        """-sum p log p."""
        return self._classes().entropy()


class Poisson(Distribution):
    """The number of events in a time in which there are `rate` on average, 0 or more.

        p(x) = rate^x e^-rate / x!

    It has no `sample`: how many draws one takes depends on what is drawn.

    >>> import thalweg as tw
    >>> tw.distributions.Poisson(2.0).log_prob(tw.tensor([0.0, 2.0])).exp()
    tensor([0.1353, 0.2707])
    """

    _parameters: ClassVar[dict[str, int]] = {"rate": 0}

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = numbers("Poisson", rate=rate)
        super().__init__(self.rate.shape, (), validate_args)
        self._require(rate=(self.rate >= 0, "0 or more"))

    @property
    def mean(self) -> Tensor:
        """rate."""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """The largest whole number up to the rate."""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """rate."""
        return self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """x log rate - rate - log(x!)."""
        x = self._checked(value, lambda x: (x >= 0) & x.eq(x.floor()), "a whole number, 0 or more")
        x = to_dtype(x, self.rate.dtype)
        return x.xlogy(self.rate) - self.rate - (x + 1).lgamma()
