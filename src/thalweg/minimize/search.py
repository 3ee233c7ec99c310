"""Brute force, grid and random search: points that do not depend on what was found before.

Sometimes the best there is, on a small discrete set; the number of points explodes with the number
of parameters. Source: deck 001, "Brute Force / Random / Grid Search".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thalweg.errors import ConfigError
from thalweg.minimize.domain import Domain, Product
from thalweg.minimize.real import Real
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["brute_force", "grid", "random_search"]

_MOST = 10**6


def brute_force(task: Task, most: int = _MOST) -> Steps:
    """Every point of a finite domain; each evaluation is an iteration.

    Raises `ConfigError` where there are more than `most`.
    """
    _refuse(task.domain.size, most, "brute-force")
    return (yield from _all(task, task.domain.points(0), f"all {task.domain.size} points"))


def grid(task: Task, count: int = 11, most: int = _MOST) -> Steps:
    """Every point of a grid: `count` values along each bounded real coordinate, all values of what
    is discrete.

    Raises `ConfigError` where a real coordinate has no bounds, or there are more than `most`.
    """
    if type(count) is not int or count < 1:
        raise ConfigError(f"grid: count is a whole number from 1 on, got {count!r}")
    size = _grid_size(task.domain, count)
    _refuse(size, most, "grid")
    return (yield from _all(task, task.domain.points(count), f"all {size} points of the grid"))


def random_search(task: Task) -> Steps:
    """Points drawn at random from the domain, `max_iterations` of them."""
    task.track.is_budget = True
    drawn = (task.domain.sample(task.generator) for _ in range(task.limit))
    return (yield from _all(task, drawn, f"all {task.limit} random points"))


def _all(task: Task, points: Iterable[Any], what: str) -> Steps:
    task.track.has_start = False
    for point in points:
        yield point, task.objective.value(point)
    return Stop(True, f"{what} were tried")


def _grid_size(domain: Domain, count: int) -> float:
    if isinstance(domain, Product):
        size = 1.0
        for part in domain.parts:
            size *= _grid_size(part, count)
        return int(size)
    return count**domain.count if isinstance(domain, Real) else domain.size


def _refuse(size: float, most: int, name: str) -> None:
    if size > most:
        raise ConfigError(
            f"method {name!r}: {size:.3g} points, more than most={most}. Their number explodes "
            "with that of parameters: search a part of them, or use random, genetic or cma-es"
        )
