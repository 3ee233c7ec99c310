"""Checks of settings: a number in its range, a name that exists, else a `ConfigError`.

A rule takes a setting's name and value, and returns the value as a plain Python one.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, Self, TypeAlias

from thalweg.errors import ConfigError, ConfigTypeError, nearest

__all__ = [
    "Configured",
    "Rule",
    "absent",
    "choice",
    "flag",
    "fraction",
    "fractions",
    "function",
    "listed",
    "nonnegative",
    "positive",
    "proper",
    "real",
    "refuse_unknown",
    "whole",
]

Rule: TypeAlias = Callable[[str, Any], Any]


def _number(
    name: str, value: Any, expected: str, fits: Callable[[float], bool] = math.isfinite
) -> float:
    """`value` as a float; a tensor or a bool is no plain number."""
    plain = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not plain:
        raise ConfigTypeError(f"{name}={value!r}; expected {expected}")
    if not math.isfinite(value) or not fits(float(value)):
        raise ConfigError(f"{name}={value!r}; expected {expected}")
    return float(value)


def real(name: str, value: Any) -> float:
    """A finite number."""
    return _number(name, value, "a finite number")


def nonnegative(name: str, value: Any) -> float:
    """A number, 0 or more.

    >>> nonnegative("lr", 0.5)
    0.5
    >>> nonnegative("lr", -0.5)
    Traceback (most recent call last):
    thalweg.errors.ConfigError: lr=-0.5; expected a number, 0 or more
    """
    return _number(name, value, "a number, 0 or more", lambda x: x >= 0)


def positive(name: str, value: Any) -> float:
    """A number above 0."""
    return _number(name, value, "a number above 0", lambda x: x > 0)


def fraction(name: str, value: Any) -> float:
    """A number from 0 to 1, both included."""
    return _number(name, value, "a number from 0 to 1", lambda x: 0 <= x <= 1)


def fractions(name: str, value: Any) -> tuple[float, float]:
    """Two numbers from 0 up to, without, 1."""
    expected = "two numbers, each from 0 up to, without, 1"
    if not isinstance(value, Iterable) or len(pair := tuple(value)) != 2:
        raise ConfigError(f"{name}={value!r}; expected {expected}")
    first, second = (_number(name, x, expected, lambda x: 0 <= x < 1) for x in pair)
    return first, second


def absent(value: Any) -> bool:
    """Whether a hyperparameter is 0: a plain number, not a tensor that a schedule changes."""
    return isinstance(value, numbers.Real) and value == 0


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ConfigTypeError(f"{name}={value!r}; expected True or False")
    return value


def whole(name: str, value: Any, least: int = 0) -> int:
    """A whole number, `least` or more."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < least:
        kind = ConfigError if is_whole else ConfigTypeError
        raise kind(f"{name}={value!r}; expected a whole number, {least} or more")
    return int(value)


def function(name: str, value: Callable[..., Any]) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise ConfigTypeError(f"{name}={value!r}; expected a function")
    return value


def listed(name: str, value: Any) -> list[Any]:
    """Things one after another, as a list."""
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise ConfigTypeError(f"{name}={value!r}; expected a list")
    return list(value)


def proper(name: str, value: Any) -> float:
    """A number between 0 and 1, without both."""
    return _number(name, value, "a number above 0 and below 1", lambda x: 0 < x < 1)


def choice(*names: str) -> Rule:
    """The rule for one of `names`.

    >>> choice("min", "max")("mode", "mix")
    Traceback (most recent call last):
    thalweg.errors.ConfigError: mode='mix'; did you mean 'min'? Known: max, min
    """

    def rule(name: str, value: Any) -> str:
        if value not in names:
            raise ConfigError(f"{name}={value!r}; {nearest(str(value), names)}")
        return str(value)

    return rule


def refuse_unknown(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """A `ConfigError` for the first name of `given` that is not `known`."""
    names = list(known)
    for name in given:
        if name not in names:
            raise ConfigError(f"{where} has no {name!r}; {nearest(str(name), names)}")


class Configured:
    """A class whose constructor names the nearest keyword where one is misspelt."""

    def __new__(cls, *args: Any, **options: Any) -> Self:
        if options:
            known = inspect.signature(cls.__init__).parameters
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in known.values()):
                refuse_unknown(cls.__name__, options, list(known)[1:])
        return super().__new__(cls)
