"""What a search may try: for each parameter a list of choices, or a range of numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from thalweg.errors import ConfigError, nearest

__all__ = ["Choice", "Parameter", "Range", "Space", "grid", "parse_space"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values of any kind.

    >>> Choice(("sgd", "adam")).labels
    ('sgd', 'adam')
    >>> Choice(([30], [100, 100])).labels
    ('[30]', '[100, 100]')
    """

    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """What stands for the values in a table: themselves where they are plain."""
        plain = all(isinstance(v, str | int | float | bool) for v in self.values)
        return self.values if plain else tuple(map(str, self.values))

    def value(self, label: Any) -> Any:
        """The value that a label stands for."""
        return self.values[self.labels.index(label)]

    def points(self) -> tuple[Any, ...]:
        """All labels: what a grid tries."""
        return self.labels


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`, both of them possible; whole if both are and `step` is.

    With `log` its logarithm is spread evenly. With `step` it is low, low + step, ...

    >>> Range(1, 9, step=4).points()
    (1, 5, 9)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"low = {self.low}, high = {self.high}: expected low < high")
        if self.log and self.low <= 0:
            raise ConfigError(f"low = {self.low} of a logarithmic range; expected more than 0")
        if self.step is not None and (self.log or not 0 < self.step <= self.high - self.low):
            what = "a logarithmic range has no step" if self.log else "expected 0 < step <= range"
            raise ConfigError(f"step = {self.step}: {what}")

    @property
    def is_whole(self) -> bool:
        """Whether it is a range of ints."""
        given = (self.low, self.high, 1 if self.step is None else self.step)
        return all(isinstance(number, int) for number in given)

    def value(self, number: Any) -> Any:
        """Numbers stand for themselves."""
        return number

    def points(self) -> tuple[Any, ...]:
        """What a grid tries. Raises `ConfigError` for a range without a step."""
        if self.step is None:
            raise ConfigError(
                f"a grid has no points between {self.low} and {self.high}: give the range a step, "
                "or list the values"
            )
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(self.low + i * self.step for i in range(count))


Parameter: TypeAlias = Choice | Range
Space: TypeAlias = Mapping[str, Parameter]
_RANGE_KEYS = ("low", "high", "log", "step")


def parse_space(given: Mapping[str, Any], where: str = "space") -> dict[str, Parameter]:
    """A space from plain values, as they stand in a TOML file: lists, and tables with low and high.

    >>> parse_space({"optimizer": ["sgd", "adam"], "lr": {"low": 0.001, "high": 1.0, "log": True}})
    {'optimizer': Choice(values=('sgd', 'adam')), 'lr': Range(low=0.001, high=1.0, log=True, step=None)}

    Raises `ConfigError` for anything else.
    """  # noqa: E501  # a line that Python prints
    if not given:
        raise ConfigError(f"{where}: nothing to search: expected a parameter, such as lr = [0.1]")
    return {name: _parameter(value, f"{where}: {name}") for name, value in given.items()}


def _parameter(value: Any, where: str) -> Parameter:
    if isinstance(value, Choice | Range):
        return value
    if isinstance(value, list | tuple):
        if not value:
            raise ConfigError(f"{where} = []: expected one value or more")
        found = Choice(tuple(value))
        if len(set(found.labels)) < len(found.labels):
            raise ConfigError(f"{where} = {list(value)}: a value stands there twice")
        return found
    if isinstance(value, Mapping):
        for key in value:
            if key not in _RANGE_KEYS:
                raise ConfigError(f"{where}: unknown {key!r}: {nearest(key, _RANGE_KEYS)}")
        try:
            return Range(**value)
        except (TypeError, ConfigError) as error:
            raise ConfigError(f"{where} = {dict(value)}: {_why(error)}") from None
    raise ConfigError(
        f"{where} = {value!r}: expected a list of values, or a range {{ low = 0.1, high = 1.0 }}. "
        "What is the same in all trials stands outside the space"
    )


def _why(error: Exception) -> str:
    if isinstance(error, ConfigError):
        return error.message
    return "a range is { low = NUMBER, high = NUMBER }, and log = true or step = NUMBER if wanted"


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination of the parameters' points, the last one varying fastest.

    >>> [p["b"] for p in grid({"a": Choice((1, 2)), "b": Choice(("x", "y"))})]
    ['x', 'y', 'x', 'y']
    """
    points = [parameter.points() for parameter in space.values()]
    for combination in itertools.product(*points):
        yield dict(zip(space, combination, strict=True))
