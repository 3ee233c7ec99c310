"""Functions whose minima are known: what methods are tried and tested on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, nearest
from thalweg.minimize.domain import Choice, Integers, Permutations, Product
from thalweg.minimize.real import Real
from thalweg.minimize.structures import (
    GaussianMixture,
    Lasso,
    MatrixFactorization,
    SumOfSquares,
)
from thalweg.ops.creation import tensor

__all__ = [
    "PROBLEMS",
    "Problem",
    "Tour",
    "ackley",
    "beale",
    "find_problem",
    "himmelblau",
    "rastrigin",
    "rosenbrock",
    "sphere",
    "styblinski_tang",
]


# --- functions of vectors --------------------------------------------------------------------


def sphere(x: Tensor) -> Tensor:
    """sum x_i^2; 0 at 0."""
    return x.square().sum()


def rosenbrock(x: Tensor) -> Tensor:
    """sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2: a bent valley; 0 at (1, ..., 1).

    Source: Rosenbrock, 1960.
    """
    ahead, here = x[1:], x[:-1]
    return (100 * (ahead - here.square()).square() + (1 - here).square()).sum()


def rastrigin(x: Tensor) -> Tensor:
    """10 n + sum x_i^2 - 10 cos(2 pi x_i): a minimum near each grid point; 0 at 0.

    Source: Rastrigin, 1974.
    """
    return 10 * x.numel() + (x.square() - 10 * (2 * math.pi * x).cos()).sum()


def ackley(x: Tensor) -> Tensor:
    """-20 exp(-0.2 rms(x)) - exp(mean cos(2 pi x)) + 20 + e: a funnel with ripples; 0 at 0.

    Source: Ackley, 1987.
    """
    ripples = (2 * math.pi * x).cos().mean().exp()
    return -20 * (-0.2 * x.square().mean().sqrt()).exp() - ripples + 20 + math.e


def himmelblau(x: Tensor) -> Tensor:
    """(x^2 + y - 11)^2 + (x + y^2 - 7)^2: four minima, all 0.

    Source: Himmelblau, 1972.
    """
    a, b = x[0], x[1]
    return (a.square() + b - 11).square() + (a + b.square() - 7).square()


def _beale(x: Tensor) -> Tensor:
    a, b = x[0], x[1]
    powers = b ** tensor([1.0, 2.0, 3.0], dtype=x.dtype)
    return tensor([1.5, 2.25, 2.625], dtype=x.dtype) - a + a * powers


def beale(x: Tensor) -> Tensor:
    """(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2; 0 at (3, 0.5).

    Source: Beale, 1958.
    """
    return _beale(x).square().sum()


def styblinski_tang(x: Tensor) -> Tensor:
    """sum (x_i^4 - 16 x_i^2 + 5 x_i) / 2; -39.16617 n at (-2.903534, ...).

    Source: Styblinski and Tang, 1990.
    """
    return (x**4 - 16 * x.square() + 5 * x).sum() / 2


class Tour:
    """The length of the round trip through `cities` (n, 2) in an order: the travelling salesman.

    >>> square = Tour([[0, 0], [0, 1], [1, 1], [1, 0]])
    >>> square((0, 1, 2, 3)), round(square((0, 2, 1, 3)), 3)
    (4.0, 4.828)
    """

    def __init__(self, cities: Any) -> None:
        self.cities = np.asarray(cities, np.float64)
        if self.cities.ndim != 2 or len(self.cities) < 1:
            raise ConfigError(f"Tour: cities (n, 2) expected, got shape {self.cities.shape}")
        self.distances = np.linalg.norm(self.cities[:, None] - self.cities[None], axis=-1)
        self.domain = Permutations(len(self.cities))

    def __call__(self, order: tuple[int, ...]) -> float:
        """The length."""
        here = np.array(order)
        return float(self.distances[here, np.roll(here, -1)].sum())


# --- problems --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A function, where it is minimized, and what is known of its minimum.

    start      theta0, or None where a method draws it
    bounds     or None
    value      the minimum; `near`: how far above it a method may stop and have solved the problem
    minima     the points where it is, if they are known
    residual   residuals whose squares add up to it, or None
    about      one line
    """

    name: str
    g: Callable[..., Any]
    start: Any
    bounds: Any
    value: float
    minima: tuple[Any, ...] = ()
    near: float = 1e-4
    residual: Callable[[Tensor], Tensor] | None = None
    about: str = ""
    domain: Any = field(default=None)

    @property
    def squares(self) -> Any:
        """The function as a `SumOfSquares` where it is one, else as it is."""
        return self.g if self.residual is None else SumOfSquares(self.residual)

    def solved(self, value: float) -> bool:
        """Whether a value is as low as the minimum, nearly."""
        return value <= self.value + self.near


def _rosenbrock_residual(x: Tensor) -> Tensor:
    from thalweg.ops.joining import cat

    return cat([10 * (x[1:] - x[:-1].square()), 1 - x[:-1]])


def _himmelblau_residual(x: Tensor) -> Tensor:
    from thalweg.ops.joining import stack

    a, b = x[0], x[1]
    return stack([a.square() + b - 11, a + b.square() - 7])


_X = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
_Y = 2 * _X - 1 + np.array([0.1, -0.1, 0.2, -0.2, 0.1, -0.1])
_FIT = np.linalg.lstsq(np.stack([_X, np.ones(6)], 1), _Y, rcond=None)


def _affine_residual(theta: Tensor) -> Tensor:
    return theta[0] * tensor(_X, dtype=theta.dtype) + theta[1] - tensor(_Y, dtype=theta.dtype)


def _affine(theta: Tensor) -> Tensor:
    return _affine_residual(theta).square().sum()


def _polygon(n: int) -> Tour:
    """Cities on a circle, in no order: the shortest tour is the polygon."""
    angles = 2 * math.pi * np.random.default_rng(3).permutation(n) / n
    return Tour(np.stack([np.cos(angles), np.sin(angles)], 1))


def _mixed(theta: tuple[Any, Tensor]) -> Tensor:
    """Deck 001's mixed domain, {0, 1} x R^2: another bowl for each choice."""
    choice, x = theta
    centre = tensor([1.0, -2.0] if choice else [-1.0, 0.5], dtype=x.dtype)
    return (x - centre).square().sum() + (0.0 if choice else 0.5)


def _cell(theta: tuple[int, str]) -> float:
    width, kind = theta
    return (width - 24) ** 2 / 64 + {"relu": 0.0, "tanh": 0.5, "sigmoid": 1.0}[kind]


def _lasso() -> Lasso:
    generator = np.random.default_rng(0)
    A = generator.standard_normal((30, 6))
    w = np.array([2.0, 0.0, -1.0, 0.0, 0.0, 0.5])
    return Lasso(A, A @ w + 0.1 * generator.standard_normal(30), alpha=0.1)


def _ratings() -> MatrixFactorization:
    generator = np.random.default_rng(1)
    Y = generator.standard_normal((8, 1)) @ generator.standard_normal((1, 6))
    Y[generator.random(Y.shape) < 0.25] = np.nan
    return MatrixFactorization(Y, rank=1, ridge=0.1)


def _clusters() -> GaussianMixture:
    generator = np.random.default_rng(2)
    X = np.concatenate([generator.normal(c, 0.5, (40, 2)) for c in ([-2, 0], [2, 1])])
    return GaussianMixture(X, 2)


_FOUR = ((3.0, 2.0), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848126))
_LOW = -2.903534
_TOUR = 2 * 10 * math.sin(math.pi / 10)

# fmt: off
_ALL = (
    Problem("sphere", sphere, [2.0, -3.0], (-5.0, 5.0), 0.0, ((0.0, 0.0),), residual=lambda x: x,
            about="a bowl"),
    Problem("rosenbrock", rosenbrock, [-1.2, 1.0], (-5.0, 5.0), 0.0, ((1.0, 1.0),),
            residual=_rosenbrock_residual, about="a bent valley"),
    Problem("rastrigin", rastrigin, [2.2, -1.8], (-5.12, 5.12), 0.0, ((0.0, 0.0),),
            about="a bowl with a minimum near each grid point"),
    Problem("ackley", ackley, [1.5, -2.5], (-5.0, 5.0), 0.0, ((0.0, 0.0),),
            about="a funnel with ripples"),
    Problem("himmelblau", himmelblau, [0.0, 0.0], (-5.0, 5.0), 0.0, _FOUR,
            residual=_himmelblau_residual, about="four minima of one height"),
    Problem("beale", beale, [1.0, 0.5], (-4.5, 4.5), 0.0, ((3.0, 0.5),), residual=_beale,
            about="a flat valley between steep walls"),
    Problem("styblinski-tang", styblinski_tang, [-1.0, -1.5], (-5.0, 5.0), -78.332331408,
            ((_LOW, _LOW),), about="four minima, one the lowest"),
    Problem("affine-fit", _affine, [0.0, 0.0], (-5.0, 5.0), float(_FIT[1][0]),
            (tuple(map(float, _FIT[0])),), residual=_affine_residual,
            about="deck 001's exercise: a x + b through points"),
    Problem("tour", _polygon(10), None, None, _TOUR, about="ten cities on a circle"),
    Problem("mixed", _mixed, None, None, 0.0, ((1, (1.0, -2.0)),), about="{0, 1} x [-4, 4]^2",
            domain=Product([Choice([0, 1]), Real((2,), -4.0, 4.0)])),
    Problem("architecture", _cell, None, None, 0.0, ((24, "relu"),), about="a width and a kind",
            domain=Product([Integers(1, 64), Choice(["sigmoid", "tanh", "relu"])])),
    Problem("lasso", _lasso(), [0.0] * 6, None, 0.34256615, about="least squares with zeros"),
    Problem("ratings", _ratings(), None, None, 0.40995940, about="a matrix with missing entries"),
    Problem("clusters", _clusters(), None, None, 1.99501394, about="two Gaussians"),
)
# fmt: on
PROBLEMS: dict[str, Problem] = {problem.name: problem for problem in _ALL}


def find_problem(name: str) -> Problem:
    """The problem of that name; a `ConfigError` with the list of names where there is none."""
    if name not in PROBLEMS:
        raise ConfigError(f"there is no problem {name!r}: {nearest(name, PROBLEMS)}")
    return PROBLEMS[name]
