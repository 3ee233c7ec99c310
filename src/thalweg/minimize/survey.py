"""Every method on every problem that it takes: what it reaches, and with how much work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from thalweg.errors import ConfigError
from thalweg.minimize.call import minimize
from thalweg.minimize.domain import Domain, Product
from thalweg.minimize.methods import find
from thalweg.minimize.problems import PROBLEMS, Problem
from thalweg.minimize.real import Real, as_domain

__all__ = ["Outcome", "SETTINGS", "outcome", "survey", "table"]

# What each method is given beside its defaults; searches get the problem's bounds.
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "brute-force": {},
    "grid": {"count": 21},
    "random": {},
    "genetic": {},
    "cma-es": {"population": 16, "restarts": 2},
    "particle-swarm": {"particles": 20},
    "ant-colony": {},
    "least-squares": {},
    "gauss-newton": {},
    "levenberg-marquardt": {},
    "newton": {},
    "coordinate-descent": {},
    "projected-gradient": {},
    "alternating-least-squares": {},
    "expectation-maximization": {},
    "admm": {},
    "l-bfgs": {},
    "gradient-descent": {"lr": 1e-3, "momentum": 0.9},
    "adam": {"lr": 0.05, "max_iterations": 2000},
}
_ALL_POINTS: Final = frozenset({"brute-force", "grid"})
_MOST: Final = 100_000
_FROM_BOUNDS: Final = frozenset({"grid", "random", "genetic", "cma-es", "particle-swarm"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method reached on a problem.

    value        the lowest it visited
    solved       whether that is the minimum, as near as the problem asks
    evaluations  of the function and its derivatives
    """

    method: str
    problem: str
    value: float
    solved: bool
    evaluations: int


def outcome(method: str, problem: Problem, seed: int = 0) -> Outcome | None:
    """Run a method on a problem; None where it does not take it."""
    g, searches = problem.squares, method in _FROM_BOUNDS and problem.bounds is not None
    start, bounds = problem.start, None
    if searches:
        bounds, start = [problem.bounds] * len(problem.start), None
    domain = problem.domain if problem.domain is not None else getattr(g, "domain", None)
    where, row = as_domain(start, bounds, domain), find(method)
    if not row.accepts(where, g) or (method in _ALL_POINTS and not _few(where)):
        return None
    try:
        found = minimize(
            g, start, method, bounds=bounds, domain=domain, seed=seed, **SETTINGS[method]
        )
    except ConfigError:
        if method != "least-squares":  # which refuses residuals that are not affine
            raise
        return None
    work = found.evaluations + found.gradients
    return Outcome(method, problem.name, found.value, problem.solved(found.value), work)


def _few(domain: Domain) -> bool:
    """Whether all points of a domain, or of a grid over it, can be tried."""
    if isinstance(domain, Product):
        return all(map(_few, domain.parts))
    return domain.is_bounded if isinstance(domain, Real) else domain.size <= _MOST


def survey(
    methods: Sequence[str] | None = None,
    problems: Mapping[str, Problem] | None = None,
    seed: int = 0,
) -> Iterator[Outcome]:
    """The outcomes of methods (all of `SETTINGS`) on problems (all of `PROBLEMS`)."""
    for name in SETTINGS if methods is None else methods:
        for problem in (PROBLEMS if problems is None else problems).values():
            found = outcome(name, problem, seed)
            if found is not None:
                yield found


def table(outcomes: Sequence[Outcome]) -> str:
    """Outcomes as a Markdown table: a row a method, a column a problem; "yes" where it is solved,
    "no" where the method ended elsewhere, nothing where it does not take the problem.
    """
    methods = list(dict.fromkeys(o.method for o in outcomes))
    problems = [name for name in PROBLEMS if any(o.problem == name for o in outcomes)]
    known = {(o.method, o.problem): "yes" if o.solved else "no" for o in outcomes}
    lines = ["| method | " + " | ".join(problems) + " |", "| --- |" + " --- |" * len(problems)]
    for method in methods:
        cells = [known.get((method, problem), "") for problem in problems]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(line.replace("|  ", "| ") for line in lines)
