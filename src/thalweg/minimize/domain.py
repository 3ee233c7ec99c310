"""Where theta may be: real, discrete, a permutation, or several of these at once.

A method works on points: flat float64 arrays for real domains, plain Python values for the others,
tuples of points for a mixed one. `theta(point)` is what the function is called with, `point(theta)`
the way back. Source of the distinction: deck 001, "Domain of the function".
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.errors import ConfigError

__all__ = ["Choice", "Domain", "Integers", "Permutations", "Product"]

Generator = np.random.Generator


class Domain(ABC):
    """A set of points; `size` is how many there are, infinity where they cannot be counted.

    is_open  whether a method may go anywhere in it: else only those made for the function know how
    """

    size: float
    is_open = True

    @abstractmethod
    def point(self, theta: Any) -> Any:
        """The point of `theta`; a `ConfigError` where it is not in the domain."""

    @abstractmethod
    def theta(self, point: Any) -> Any:
        """What the function is called with."""

    @abstractmethod
    def sample(self, generator: Generator) -> Any:
        """A random point."""

    @abstractmethod
    def points(self, count: int) -> Iterator[Any]:
        """All points, of a real one `count` along each bounded coordinate."""

    @abstractmethod
    def mutated(self, generator: Generator, point: Any, others: Sequence[Any]) -> Any:
        """A point near `point`; `others` are a population, whose spread tells how near."""

    @abstractmethod
    def crossed(self, generator: Generator, a: Any, b: Any) -> Any:
        """A point that has something of both `a` and `b`."""


class _Finite(Domain):
    """A domain of single values that have no parts."""

    def mutated(self, generator: Generator, point: Any, others: Sequence[Any]) -> Any:
        return self.sample(generator)

    def crossed(self, generator: Generator, a: Any, b: Any) -> Any:
        return a if generator.random() < 0.5 else b


class Choice(_Finite):
    """One of finitely many values of any kind.

    >>> Choice(["relu", "tanh"]).size
    2
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = list(values)
        self.size = len(self.values)
        if not self.values:
            raise ConfigError("Choice: one value or more expected, got none")

    def __repr__(self) -> str:
        return f"Choice({self.values!r})"

    def point(self, theta: Any) -> Any:
        """The number of the value."""
        for number, value in enumerate(self.values):
            if value is theta or bool(value == theta):
                return number
        raise ConfigError(f"theta0 is {theta!r}, expected one of {self.values!r}")

    def theta(self, point: Any) -> Any:
        """The value."""
        return self.values[point]

    def sample(self, generator: Generator) -> Any:
        """Each value with the same probability."""
        return int(generator.integers(len(self.values)))

    def points(self, count: int) -> Iterator[Any]:
        """In the order in which they were given."""
        yield from range(len(self.values))


class Integers(_Finite):
    """The whole numbers from `low` to `high`, both included.

    >>> list(Integers(2, 5).points(0))
    [2, 3, 4, 5]
    """

    def __init__(self, low: int, high: int) -> None:
        if type(low) is not int or type(high) is not int or low > high:
            raise ConfigError(
                f"Integers: whole numbers low <= high expected, got {low!r}, {high!r}"
            )
        self.low, self.high = low, high
        self.size = high - low + 1

    def __repr__(self) -> str:
        return f"Integers({self.low}, {self.high})"

    def point(self, theta: Any) -> Any:
        """The number itself."""
        if type(theta) is not int or not self.low <= theta <= self.high:
            raise ConfigError(
                f"theta0 is {theta!r}, expected a whole number from {self.low} to {self.high}"
            )
        return theta

    def theta(self, point: Any) -> Any:
        """The number itself."""
        return point

    def sample(self, generator: Generator) -> Any:
        """Each number with the same probability."""
        return int(generator.integers(self.low, self.high + 1))

    def points(self, count: int) -> Iterator[Any]:
        """In ascending order."""
        yield from range(self.low, self.high + 1)

    def mutated(self, generator: Generator, point: Any, others: Sequence[Any]) -> Any:
        """A number within the population's spread, at least a neighbour."""
        reach = max(1, round(float(np.std(others)) * 2)) if others else self.size
        step = int(generator.integers(1, int(reach) + 1))
        moved = point + (step if generator.random() < 0.5 else -step)
        return min(max(moved, self.low), self.high)


class Permutations(Domain):
    """The orders of 0 .. n-1, as tuples; such as a tour of a travelling salesman.

    >>> Permutations(4).size
    24
    """

    def __init__(self, n: int) -> None:
        if type(n) is not int or n < 1:
            raise ConfigError(f"Permutations: a whole number from 1 on expected, got {n!r}")
        self.n = n
        self.size = math.factorial(n)

    def __repr__(self) -> str:
        return f"Permutations({self.n})"

    def point(self, theta: Any) -> Any:
        """A tuple of ints."""
        order = tuple(int(i) for i in theta)
        if sorted(order) != list(range(self.n)):
            raise ConfigError(f"theta0 is {order}, expected an order of 0 to {self.n - 1}")
        return order

    def theta(self, point: Any) -> Any:
        """The tuple itself."""
        return point

    def sample(self, generator: Generator) -> Any:
        """Each order with the same probability."""
        return tuple(map(int, generator.permutation(self.n)))

    def points(self, count: int) -> Iterator[Any]:
        """In lexicographic order."""
        yield from itertools.permutations(range(self.n))

    def mutated(self, generator: Generator, point: Any, others: Sequence[Any]) -> Any:
        """A stretch in reverse: the 2-opt move of tours."""
        i, j = sorted(generator.integers(0, self.n + 1, 2))
        return (*point[:i], *point[i:j][::-1], *point[j:])

    def crossed(self, generator: Generator, a: Any, b: Any) -> Any:
        """A stretch of `a` where it stands, the rest in the order of `b` (order crossover)."""
        i, j = sorted(generator.integers(0, self.n + 1, 2))
        kept = set(a[i:j])
        rest = [city for city in b if city not in kept]
        return (*rest[:i], *a[i:j], *rest[i:])


class Product(Domain):
    """Several domains at once: theta is a tuple, or a dict where `names` are given.

    >>> mixed = Product([Choice([0, 1]), Integers(1, 3)])
    >>> mixed.size, [mixed.theta(p) for p in mixed.points(2)][:3]
    (6, [(0, 1), (0, 2), (0, 3)])
    """

    def __init__(self, parts: Sequence[Domain], names: Sequence[str] | None = None) -> None:
        self.parts, self.names = list(parts), None if names is None else list(names)
        self.size = math.prod(part.size for part in self.parts)
        if not self.parts:
            raise ConfigError("a mixed domain needs one part or more, got none")

    def __repr__(self) -> str:
        shown = self.parts if self.names is None else dict(zip(self.names, self.parts, strict=True))
        return f"Product({shown!r})"

    def point(self, theta: Any) -> Any:
        """A point of each part."""
        if self.names is not None:
            if not isinstance(theta, dict) or list(theta) != self.names:
                raise ConfigError(f"theta0 is {theta!r}, expected a dict with keys {self.names}")
            theta = list(theta.values())
        if not isinstance(theta, tuple | list) or len(theta) != len(self.parts):
            raise ConfigError(f"theta0 is {theta!r}, expected {len(self.parts)} parts, a tuple")
        return tuple(part.point(x) for part, x in zip(self.parts, theta, strict=True))

    def theta(self, point: Any) -> Any:
        """The tuple or the dict."""
        values = [part.theta(x) for part, x in zip(self.parts, point, strict=True)]
        return tuple(values) if self.names is None else dict(zip(self.names, values, strict=True))

    def sample(self, generator: Generator) -> Any:
        """Each part by itself."""
        return tuple(part.sample(generator) for part in self.parts)

    def points(self, count: int) -> Iterator[Any]:
        """The last part changes fastest."""
        yield from itertools.product(*(list(part.points(count)) for part in self.parts))

    def mutated(self, generator: Generator, point: Any, others: Sequence[Any]) -> Any:
        """One part or more, in the mean one, changes."""
        chosen = generator.random(len(self.parts)) < 1 / len(self.parts)
        chosen[generator.integers(len(self.parts))] = True
        columns = list(zip(*others, strict=True)) or [()] * len(self.parts)
        return tuple(
            part.mutated(generator, x, column) if change else x
            for part, x, column, change in zip(self.parts, point, columns, chosen, strict=True)
        )

    def crossed(self, generator: Generator, a: Any, b: Any) -> Any:
        """Each part by itself."""
        return tuple(
            part.crossed(generator, x, y) for part, x, y in zip(self.parts, a, b, strict=True)
        )
