"""The table of methods: a name, where it is, what it takes, how long it goes on."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from thalweg.errors import ConfigError, nearest
from thalweg.minimize.domain import Domain, Permutations, Product
from thalweg.minimize.real import Real
from thalweg.minimize.running import Steps

__all__ = ["METHODS", "Method", "find", "names"]

Takes = Literal["any", "countable", "real", "free", "order", "parts"]

_WORDS: dict[Takes, str] = {
    "any": "any domain",
    "countable": "a domain of finitely many points",
    "real": "a real domain",
    "free": "a real domain without bounds",
    "order": "a domain of permutations",
    "parts": "a real domain, free or with bounds, or a mixed one of such and discrete parts",
}


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table.

    home        the module and the function
    takes       the domains it works on
    iterations  at most, unless max_iterations is given
    about       one line
    structure   what g must be, beside a function: a name in `minimize.structures`
    """

    name: str
    home: str
    takes: Takes
    iterations: int
    about: str
    structure: str = ""

    def function(self) -> Callable[..., Steps]:
        """The generator function, loaded."""
        module, name = self.home.split(".")
        found: Callable[..., Steps] = getattr(
            importlib.import_module(f"thalweg.minimize.{module}"), name
        )
        return found

    def check(self, domain: Domain, g: Any) -> None:
        """A `ConfigError` where the domain or the function is not what the method takes."""
        if not _fits(self.takes, domain) or not (domain.is_open or self.structure):
            others = [m.name for m in METHODS.values() if m.accepts(domain, g)]
            raise ConfigError(
                f"method {self.name!r} takes {_WORDS[self.takes]}, got {domain!r}. Methods that "
                f"take it: {', '.join(sorted(others))}"
            )
        if self.structure and not _has_structure(g, self.structure):
            raise ConfigError(
                f"method {self.name!r} minimizes a {self.structure}: g is expected to be one, such "
                f"as tw.minimize.{self.structure}(...), got {getattr(g, '__name__', g)!r}"
            )

    def accepts(self, domain: Domain, g: Any) -> bool:
        """Whether it takes the domain and the function."""
        has_structure = not self.structure or _has_structure(g, self.structure)
        is_open = domain.is_open or bool(self.structure)
        return _fits(self.takes, domain) and has_structure and is_open

    def options(self) -> list[str]:
        """The names of its options."""
        return [p for p in inspect.signature(self.function()).parameters if p != "task"]


def _fits(takes: Takes, domain: Domain) -> bool:
    match takes:
        case "any":
            return True
        case "countable":
            return domain.size != float("inf")
        case "order":
            return isinstance(domain, Permutations)
        case "parts":
            parts = domain.parts if isinstance(domain, Product) else [domain]
            is_box = [type(part) is Real for part in parts if isinstance(part, Real)]
            return all(is_box) and (isinstance(domain, Product) or bool(is_box))
        case "real":
            return isinstance(domain, Real)
    return isinstance(domain, Real) and domain.is_free


def _has_structure(g: Any, name: str) -> bool:
    if name == "SumOfSquares":  # whatever has residuals
        return callable(getattr(g, "residual", None))
    from thalweg.minimize import structures

    return isinstance(g, getattr(structures, name))


_ROWS = (
    Method(
        "brute-force", "search.brute_force", "countable", 10**9, "every point of a finite domain"
    ),
    Method("grid", "search.grid", "any", 10**9, "every point of a grid"),
    Method("random", "search.random_search", "any", 1000, "points drawn at random"),
    Method(
        "genetic",
        "genetic.genetic",
        "any",
        200,
        "a population that is selected, crossed and mutated",
    ),
    Method(
        "cma-es",
        "cma_es.cma_es",
        "real",
        1000,
        "a normal distribution that learns the landscape's shape",
    ),
    Method(
        "particle-swarm",
        "particle_swarm.particle_swarm",
        "real",
        500,
        "particles drawn to the best points seen",
    ),
    Method(
        "ant-colony",
        "ant_colony.ant_colony",
        "order",
        200,
        "tours along trails that good tours mark",
    ),
    Method(
        "least-squares",
        "least_squares.closed_form",
        "free",
        10,
        "affine residuals, by the pseudo-inverse",
        "SumOfSquares",
    ),
    Method(
        "gauss-newton",
        "least_squares.gauss_newton",
        "free",
        100,
        "residuals made affine, again and again",
        "SumOfSquares",
    ),
    Method(
        "levenberg-marquardt",
        "least_squares.levenberg_marquardt",
        "free",
        200,
        "Gauss-Newton within a trust in the affine model",
        "SumOfSquares",
    ),
    Method("newton", "newton.newton", "free", 100, "a zero of the gradient, by its Jacobian"),
    Method(
        "coordinate-descent",
        "coordinate.coordinate_descent",
        "parts",
        200,
        "one coordinate after the other, each to its minimum",
    ),
    Method(
        "projected-gradient",
        "projected.projected_gradient",
        "real",
        2000,
        "a gradient step, then the nearest point of the domain",
    ),
    Method(
        "alternating-least-squares",
        "factorization.alternating_least_squares",
        "any",
        200,
        "one factor of a matrix, then the other",
        "MatrixFactorization",
    ),
    Method(
        "expectation-maximization",
        "mixture.expectation_maximization",
        "any",
        500,
        "memberships, then the Gaussians they say",
        "GaussianMixture",
    ),
    Method(
        "admm",
        "admm.admm",
        "free",
        2000,
        "a smooth part, then an absolute one, kept together",
        "Lasso",
    ),
    Method(
        "l-bfgs", "descent.lbfgs", "free", 500, "Newton with a Hessian from the latest gradients"
    ),
    Method(
        "gradient-descent", "descent.gradient_descent", "free", 1000, "steps against the gradient"
    ),
)
METHODS = {row.name: row for row in _ROWS}
_SPELLED = {"lbfgs": "l-bfgs", "em": "expectation-maximization", "als": "alternating-least-squares"}


def names() -> list[str]:
    """Every method: those of the table, the optimizers of `optim`, and "scipy:NAME" with SciPy."""
    from thalweg.minimize.descent import optimizers
    from thalweg.minimize.scipy_methods import SCIPY

    return [*METHODS, *optimizers(), *(f"scipy:{name}" for name in SCIPY)]


def find(name: Any) -> Method:
    """The method of that name; a `ConfigError` with the list of names where there is none."""
    from thalweg.minimize.descent import optimizers
    from thalweg.minimize.scipy_methods import SCIPY, scipy_takes

    plain = name.lower().replace("_", "-") if isinstance(name, str) else ""
    plain = _SPELLED.get(plain, plain)
    if plain in METHODS:
        return METHODS[plain]
    if plain in optimizers():
        about = f"steps of optim.{optimizers()[plain].__name__}"
        return Method(plain, "descent.gradient_descent", "free", 1000, about)
    if plain.startswith("scipy:") and plain[6:] in SCIPY:
        takes = scipy_takes(plain[6:])
        return Method(plain, "scipy_methods.scipy_minimize", takes, 1000, f"SciPy's {plain[6:]}")
    raise ConfigError(f"there is no method {name!r}: {nearest(str(name), names())}")
