"""Rows of a table as cases: a name, and the arguments to call it with in both its spellings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.reference.both import BOTH, Case, Fixed

__all__ = ["Call", "Samples", "call", "first", "functional", "given", "named", "spelled"]


# tw.trace(fn, ...) traces a program; a matrix has its trace as a method alone.
METHODS = {"trace"}


class Call(NamedTuple):
    """Arguments of one call."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]
    second: bool = True  # whether second derivatives are compared


def call(*arguments: Any, **options: Any) -> Call:
    """The arguments of one call, as they would be written."""
    return Call(arguments, options)


def first(*arguments: Any, **options: Any) -> Call:
    """A call whose second derivatives are not compared: PyTorch has none, or they are at a kink."""
    return Call(arguments, options, second=False)


# --- arrays for arguments ------------------------------------------------------------------------


class Samples:
    """Arrays for arguments, from a seed of the table's own: no other table changes them."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def normal(self, *shape: int) -> Any:
        """Gaussian numbers: no ties, no zeros."""
        return self._random.normal(size=shape)

    def positive(self, *shape: int) -> Any:
        """Numbers from 1/2 to 2."""
        return self._random.uniform(0.5, 2.0, size=shape)

    def integers(self, *shape: int, low: int = -5, high: int = 6) -> Any:
        """int64, from `low` up to, without, `high`."""
        return self._random.integers(low, high, size=shape)

    def truths(self, *shape: int) -> Any:
        """bools, both kinds of them."""
        return self._random.random(size=shape) < 0.5


def given(*values: float) -> Any:
    """A vector of floats, just these."""
    return np.array(values, dtype=np.float64)


# --- rows as cases -------------------------------------------------------------------------------


def spelled(name: str, options: dict[str, Any]) -> Callable[..., Any]:
    """Calls `tw.name(...)` and `x.name(...)`: each spelling that both frameworks have."""
    function = name not in METHODS and all(callable(getattr(tw, name, None)) for tw in BOTH)
    method = all(hasattr(tw.Tensor, name) for tw in BOTH)
    assert function or method, name

    def run(tw: Any, *arguments: Any) -> Any:
        outputs = []
        if function:
            outputs.append(getattr(tw, name)(*arguments, **options))
        if method:
            outputs.append(getattr(arguments[0], name)(*arguments[1:], **options))
        return outputs

    return run


def named(table: Mapping[str, Iterable[Call]], off_tape: Collection[str] = ()) -> list[Case]:
    """A case for each call in a table from names to calls, without gradients for some names."""
    return [
        Case(f"{name}-{number}", spelled(name, options), arguments, name not in off_tape, second)
        for name, calls in table.items()
        for number, (arguments, options, second) in enumerate(calls)
    ]


def functional(table: Mapping[str, Iterable[Call]]) -> list[Case]:
    """A case for each call in a table of functions of `nn.functional`.

    Arrays among the options become tensors, as arguments do; a dtype is given by its name.
    """
    return [
        Case(
            f"{name}-{number}",
            _functional(name, options),
            (arguments, _tensors_of(options)),
            second=second,
        )
        for name, calls in table.items()
        for number, (arguments, options, second) in enumerate(calls)
    ]


def _tensors_of(options: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value for value in options.values() if isinstance(value, Fixed))


def _functional(name: str, options: dict[str, Any]) -> Callable[..., Any]:
    def run(tw: Any, arguments: tuple[Any, ...], given: tuple[Any, ...]) -> Any:
        tensors = iter(given)
        chosen = {
            key: next(tensors) if isinstance(value, Fixed) else value
            for key, value in options.items()
        }
        if "dtype" in chosen:
            chosen["dtype"] = getattr(tw, chosen["dtype"])
        return getattr(tw.nn.functional, name)(*arguments, **chosen)

    return run
