"""Real domains: boxes, the simplex and balls, with the projection onto each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.minimize.domain import Choice, Domain, Generator, Integers, Product
from thalweg.ops.creation import tensor

__all__ = ["Ball", "Real", "Simplex", "as_domain", "project_ball", "project_simplex", "spelled"]

Array = npt.NDArray[np.float64]


class Real(Domain):
    """Tensors of a shape, each element from its `low` to its `high`: a box, or all of R^n.

    Elements without a bound are drawn from a normal distribution around the start, or 0.

    >>> Real((2,), 0.0, 1.0).sample(np.random.default_rng(0)).round(3).tolist()
    [0.637, 0.27]
    """

    def __init__(
        self,
        shape: Sequence[int] | int = (),
        low: Any = -math.inf,
        high: Any = math.inf,
        dtype: Any = None,
    ) -> None:
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.dtype = dtypes.float64 if dtype is None else dtypes.as_dtype(dtype)
        self.low, self.high = self._spread(low, "low"), self._spread(high, "high")
        wrong = np.flatnonzero(~(self.low <= self.high))
        if wrong.size:
            n = wrong[0]
            raise ConfigError(
                f"bounds: low <= high expected, got {self.low[n]} and {self.high[n]} at element {n}"
            )
        self.count = math.prod(self.shape)
        self.size = math.inf
        self.centre = self.project(np.zeros(self.count))
        self.scale = 1.0

    def _spread(self, bound: Any, name: str) -> Array:
        try:
            values = np.asarray(bound, np.float64)
            return np.broadcast_to(values, self.shape).reshape(-1).copy()
        except (TypeError, ValueError):
            raise ShapeError(
                f"bounds: {name} is expected to broadcast to theta's shape {self.shape}, got "
                f"{bound!r}"
            ) from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shape})"

    @property
    def is_bounded(self) -> bool:
        """Whether each element has both bounds."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def is_free(self) -> bool:
        """Whether there is no constraint."""
        return type(self) is Real and bool(np.isinf(self.low).all() and np.isinf(self.high).all())

    def project(self, point: Array) -> Array:
        """The nearest point of the domain: of a box, each element clipped."""
        clipped: Array = np.clip(point, self.low, self.high)
        return clipped

    def point(self, theta: Any) -> Array:
        """The elements of theta, flat; a `ConfigError` where they are not in the domain."""
        values = _numbers(theta)
        if values.shape != self.shape:
            raise ShapeError(f"theta0 has shape {values.shape}, the domain {self.shape}")
        flat: Array = values.reshape(-1)
        if not np.isfinite(flat).all():
            raise ConfigError(f"theta0 is not finite: {spelled(flat)}")
        if not np.allclose(flat, self.project(flat), rtol=1e-6, atol=1e-9):
            raise ConfigError(
                f"theta0 = {spelled(flat)} is not in the domain; the nearest point of it is "
                f"{spelled(self.project(flat))}"
            )
        return flat

    def theta(self, point: Array) -> Tensor:
        """A tensor of the domain's shape and dtype."""
        return tensor(np.asarray(point).reshape(self.shape), dtype=self.dtype)

    def sample(self, generator: Generator) -> Array:
        """Uniform between two bounds; else normal around the centre, brought into the domain."""
        both = np.isfinite(self.low) & np.isfinite(self.high)
        low, high = np.where(both, self.low, 0.0), np.where(both, self.high, 1.0)
        uniform = low + (high - low) * generator.random(self.count)
        normal = self.centre + self.scale * generator.standard_normal(self.count)
        return np.where(both, uniform, self.project(normal))

    def points(self, count: int) -> Iterator[Array]:
        """A grid of `count` values along each element."""
        if not self.is_bounded:
            raise ConfigError("a grid needs bounds: give bounds=(low, high), or a pair an element")
        lines = [
            np.linspace(a, b, count) if count > 1 else np.array([(a + b) / 2])
            for a, b in zip(self.low, self.high, strict=True)
        ]
        for values in itertools.product(*lines):
            yield np.array(values)

    def mutated(self, generator: Generator, point: Array, others: Sequence[Array]) -> Array:
        """A normal step along some elements, as long as the population is wide there."""
        spread = np.std(np.stack(others), axis=0) if len(others) > 1 else np.full(self.count, 1.0)
        chosen = generator.random(self.count) < 1 / max(1, self.count)
        if self.count:
            chosen[generator.integers(self.count)] = True
        return self.project(point + chosen * spread * generator.standard_normal(self.count))

    def crossed(self, generator: Generator, a: Array, b: Array) -> Array:
        """Each element between a's and b's, or as far again beyond them (blend crossover)."""
        weight = generator.uniform(-0.5, 1.5, self.count)
        return self.project(a + weight * (b - a))


class Simplex(Real):
    """Vectors of n numbers that are not negative and add up to 1.

    >>> Simplex(3).project(np.array([0.5, 0.5, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(self, n: int, dtype: Any = None) -> None:
        if type(n) is not int or n < 1:
            raise ConfigError(f"Simplex: a whole number from 1 on expected, got {n!r}")
        super().__init__((n,), 0.0, 1.0, dtype)
        self.centre = np.full(n, 1 / n)

    def project(self, point: Array) -> Array:
        """The nearest point of the simplex."""
        return project_simplex(point)

    def sample(self, generator: Generator) -> Array:
        """Uniform on the simplex."""
        return generator.dirichlet(np.ones(self.count))

    def points(self, count: int) -> Iterator[Array]:
        """The points whose elements are multiples of 1 / (count - 1)."""
        steps = max(1, count - 1)
        for bars in itertools.combinations(range(steps + self.count - 1), self.count - 1):
            edges = [-1, *bars, steps + self.count - 1]
            yield np.diff(edges).astype(np.float64) / steps - 1 / steps


class Ball(Real):
    """Tensors whose distance from `centre` is at most `radius`.

    >>> Ball((2,), radius=1.0).project(np.array([3.0, 4.0])).round(6).tolist()
    [0.6, 0.8]
    """

    def __init__(
        self,
        shape: Sequence[int] | int,
        radius: float = 1.0,
        centre: Any = 0.0,
        dtype: Any = None,
    ) -> None:
        if not radius > 0:
            raise ConfigError(f"Ball: a radius above 0 expected, got {radius!r}")
        self.radius = float(radius)
        self.middle = np.zeros(0)
        super().__init__(shape, np.asarray(centre) - radius, np.asarray(centre) + radius, dtype)
        self.middle = (self.low + self.high) / 2
        self.centre = self.middle

    def project(self, point: Array) -> Array:
        """The nearest point of the ball."""
        middle = self.middle if self.middle.size else (self.low + self.high) / 2
        return middle + project_ball(point - middle, self.radius)

    def sample(self, generator: Generator) -> Array:
        """Uniform in the ball."""
        direction = generator.standard_normal(self.count)
        length = self.radius * generator.random() ** (1 / max(1, self.count))
        found: Array = self.middle + direction * (length / np.linalg.norm(direction))
        return found

    def points(self, count: int) -> Iterator[Array]:
        """Those of a grid over the box around it that are in the ball."""
        for point in super().points(count):
            if np.linalg.norm(point - self.middle) <= self.radius * (1 + 1e-12):
                yield point


def project_simplex(point: Array) -> Array:
    """The nearest point with elements >= 0 and sum 1: max(x - t, 0) with the t that makes it so.

    Source: Duchi and others, "Efficient projections onto the l1-ball" (2008).
    """
    falling = np.sort(point)[::-1]
    excess = np.cumsum(falling) - 1
    numbers = np.arange(1, point.size + 1)
    last = np.flatnonzero(falling * numbers > excess)[-1]
    found: Array = np.maximum(point - excess[last] / (last + 1), 0.0)
    return found


def project_ball(point: Array, radius: float = 1.0) -> Array:
    """The nearest point whose norm is at most `radius`."""
    length = float(np.linalg.norm(point))
    return point if length <= radius else point * (radius / length)


# --- from what users give --------------------------------------------------------------------


def _numbers(theta: Any) -> npt.NDArray[Any]:
    """The elements of theta in float64."""
    try:
        values = theta.detach().numpy() if isinstance(theta, Tensor) else np.asarray(theta)
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise DTypeError(f"theta0 is expected to hold numbers, got {theta!r}") from None


def spelled(point: Any, domain: Domain | None = None) -> str:
    """A point for a message: short, whatever its size."""
    if isinstance(domain, Product):
        parts = [spelled(x, part) for x, part in zip(point, domain.parts, strict=True)]
        named = domain.names or [""] * len(parts)
        texts = [
            f"{name}: {part}" if name else part for name, part in zip(named, parts, strict=True)
        ]
        return f"({', '.join(texts)})"
    if domain is not None and not isinstance(point, np.ndarray):
        return repr(domain.theta(point))
    if isinstance(point, np.ndarray):
        shown = ", ".join(f"{x:.6g}" for x in point[:6])
        return f"[{shown}, ... {point.size} elements]" if point.size > 6 else f"[{shown}]"
    return repr(point)


def as_domain(theta0: Any, bounds: Any = None, domain: Any = None) -> Domain:
    """The domain that the arguments of `minimize` mean.

    `domain` is a `Domain`, a list of values, a `range`, or a tuple or dict of these for a mixed
    one. Without it, theta is real: of theta0's shape, within `bounds`: (low, high) for all
    elements, or a pair for each. Numbers and lists are taken in float64, a tensor in its dtype.
    """
    if domain is not None:
        if bounds is not None:
            raise ConfigError(
                "give bounds or a domain, not both: Real(shape, low, high) has bounds"
            )
        return _meant(domain)
    if theta0 is None:
        if bounds is None:
            raise ConfigError("give a start theta0, bounds or a domain: none of them was given")
        pairs = np.asarray(bounds, np.float64)
        return _bounded(() if pairs.shape == (2,) else pairs.shape[:1], bounds, None)
    values = _numbers(theta0)
    is_float = isinstance(theta0, Tensor) and theta0.is_floating_point()
    return _bounded(values.shape, bounds, theta0.dtype if is_float else None)


def _bounded(shape: tuple[int, ...], bounds: Any, dtype: Any) -> Real:
    if bounds is None:
        return Real(shape, dtype=dtype)
    try:
        pairs = np.asarray(
            [(-math.inf if a is None else a, math.inf if b is None else b) for a, b in bounds]
            if np.ndim(bounds) == 2 or not all(np.isscalar(x) or x is None for x in bounds)
            else [(-math.inf if bounds[0] is None else bounds[0],
                   math.inf if bounds[1] is None else bounds[1])],
            np.float64,
        )  # fmt: skip
    except (TypeError, ValueError, IndexError):
        raise ConfigError(
            f"bounds: a pair (low, high), or one for each element, expected, got {bounds!r}"
        ) from None
    count = math.prod(shape)
    if len(pairs) not in (1, count):
        raise ConfigError(
            f"bounds: one pair for each of theta's {count} elements expected, got {len(pairs)}"
        )
    low, high = (np.broadcast_to(column, (count,)).reshape(shape) for column in pairs.T)
    return Real(shape, low, high, dtype)


def _meant(domain: Any) -> Domain:
    match domain:
        case Domain():
            return domain
        case range() if domain.step == 1 and len(domain):
            return Integers(domain.start, domain.stop - 1)
        case list() | range():
            return Choice(list(domain))
        case tuple():
            return Product([_meant(part) for part in domain])
        case dict():
            return Product([_meant(part) for part in domain.values()], [*map(str, domain)])
    raise ConfigError(
        f"domain: a Domain, a list of values, a range, or a tuple or dict of these expected, got "
        f"{domain!r}"
    )
