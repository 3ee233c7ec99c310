"""What a distribution is: a batch of them, of events of one shape, that are drawn and weighed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from thalweg._tensor import Size, Tensor
from thalweg.dtypes import get_default_dtype
from thalweg.errors import ConfigError, ConfigTypeError, ShapeError
from thalweg.nn.functional.checks import first_place, require
from thalweg.ops.creation import shape_of, tensor
from thalweg.ops.joining import broadcast_tensors
from thalweg.ops.lift import floating, promote
from thalweg.tape import no_grad

__all__ = [
    "Distribution",
    "LocScale",
    "Located",
    "given_one_of",
    "numbers",
    "require_each",
]


def numbers(owner: str, **given: Any) -> tuple[Tensor, ...]:
    """Parameters, tensors or numbers, as floating tensors of one dtype and shape."""
    for name, value in given.items():
        if not isinstance(value, Tensor | int | float) or isinstance(value, bool):
            raise ConfigTypeError(f"{owner}: {name}={value!r:.60}; expected a tensor or a number")
    values = list(given.values())
    if not any(isinstance(x, Tensor) for x in values):
        values = [tensor(float(x), dtype=get_default_dtype()) for x in values]
    return broadcast_tensors(*(floating(x) for x in promote(*values)))


def given_one_of(owner: str, **given: Any) -> tuple[str, Any]:
    """The name and the value of the one that is not None; a `ConfigError` unless there is one."""
    found = [(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise ConfigError(f"{owner}: one of {', '.join(given)} is given, got {len(found)} of them")
    return found[0]


def require_each(owner: str, what: str, x: Tensor, holds: Tensor, expected: str) -> None:
    """A `ConfigError` that names the first element of `x` for which `holds` does not."""

    def error() -> ConfigError:
        place = first_place(~holds)
        shown = x.expand(holds._value.shape)[place].item()
        at = f" at {place}" if place else ""
        return ConfigError(f"{owner}: {what} is {shown:g}{at}, expected {expected}")

    require(holds, error)


class Distribution:
    """A batch of probability distributions; the base of all of them.

    `batch_shape` is that of the parameters: so many distributions. `event_shape` is that of what
    one of them gives. `sample(n)` has the shape n + batch_shape + event_shape, `log_prob(x)` that
    of x without the event's. Parameters that cannot be, and values that have no probability, are a
    `ConfigError` that names the first, in compiled functions too, unless validate_args is False.

    >>> import thalweg as tw
    >>> normal = tw.distributions.Normal(tw.zeros(2), 1.0)
    >>> isinstance(normal, tw.distributions.Distribution), normal.expand((3, 2)).batch_shape
    (True, Size([3, 2]))

    Source: `torch.distributions`.
    """

    has_rsample: ClassVar[bool] = False
    # The parameters, each with how many dimensions of its shape are not of the batch.
    _parameters: ClassVar[dict[str, int]] = {}

    def __init__(
        self,
        batch_shape: Sequence[int] = (),
        event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validates = validate_args is not False

    @property
    def batch_shape(self) -> Size:
        """How many distributions there are."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of what one distribution gives."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        """E(x)."""
        raise self._without("mean")

    @property
    def mode(self) -> Tensor:
        """The likeliest value."""
        raise self._without("mode")

    @property
    def variance(self) -> Tensor:
        """E((x - E(x))^2)."""
        raise self._without("variance")

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values drawn by chance, sample_shape + batch_shape + event_shape; without a gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`sample`, as a function of the parameters that a gradient goes through."""
        raise self._without("rsample")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability, or of its density, of `value`."""
        raise self._without("log_prob")

    def entropy(self) -> Tensor:
        """-E(log p(x)), in nats: (batch_shape)."""
        raise self._without("entropy")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of `value` or less."""
        raise self._without("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`."""
        raise self._without("icdf")

    def perplexity(self) -> Tensor:
        """e^entropy."""
        return self.entropy().exp()

    def expand(self, batch_shape: Sequence[int]) -> Self:
        """The same distributions, repeated to a batch of that shape."""
        new = copy.copy(self)
        shape = tuple(batch_shape)
        for name, own in self._parameters.items():
            value: Tensor = getattr(self, name)
            tail = tuple(value._value.shape)[value.ndim - own :] if own else ()
            setattr(new, name, value.expand((*shape, *tail)))
        new._batch_shape = Size(shape)
        return new

    def __repr__(self) -> str:
        shapes = (f"{name}: {tuple(getattr(self, name).shape)}" for name in self._parameters)
        return f"{type(self).__name__}({', '.join(shapes)})"

    # --- for those that derive -------------------------------------------------------------------

    def _without(self, what: str) -> NotImplementedError:
        """The error, PyTorch's too, for what a kind of distribution does not define."""
        return NotImplementedError(f"{type(self).__name__} has no {what}")

    def _shape(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of samples."""
        drawn = shape_of(f"{type(self).__name__}.sample", (tuple(sample_shape),))
        return (*drawn, *self._batch_shape, *self._event_shape)

    def _checked(
        self, value: Any, fits: Callable[[Tensor], Tensor] | None = None, expected: str = ""
    ) -> Tensor:
        """A value as a tensor, which broadcasts with the batch and is where it may be."""
        like: Tensor = getattr(self, next(iter(self._parameters)))
        x = value if isinstance(value, Tensor) else tensor(value, dtype=like.dtype)
        events = len(self._event_shape)
        tail = tuple(x._value.shape)[x.ndim - events :] if events else ()
        if x.ndim < events or tail != tuple(self._event_shape):
            raise ShapeError(
                f"{type(self).__name__}: a value of shape {tuple(x.shape)}, expected one that ends "
                f"with the event's shape, {tuple(self._event_shape)}"
            )
        if self._validates and fits is not None:
            require_each(type(self).__name__, "value", x, fits(x), expected)
        return x

    def _require(self, **conditions: tuple[Tensor, str]) -> None:
        """Check parameters: where each condition holds, and in words what is expected."""
        if self._validates:
            for name, (holds, expected) in conditions.items():
                value = getattr(self, name)
                require_each(type(self).__name__, name, value, holds, expected)


class Located(Distribution):
    """What lies evenly about `loc`."""

    loc: Tensor

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc


class LocScale(Located):
    """What lies evenly about `loc`, as wide as `scale`, which is above 0; both broadcast."""

    _parameters: ClassVar[dict[str, int]] = {"loc": 0, "scale": 0}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = numbers(type(self).__name__, loc=loc, scale=scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._require(scale=(self.scale > 0, "above 0"))
