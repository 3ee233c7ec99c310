"""Ant colony: tours are drawn along trails, and good tours strengthen the trails they used."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import ConfigError, ShapeError
from thalweg.minimize.domain import Permutations
from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["ant_colony"]


def ant_colony(
    task: Task,
    ants: int | None = None,
    distances: Any = None,
    alpha: float = 1.0,
    beta: float = 2.0,
    evaporation: float = 0.1,
    patience: int = 60,
) -> Steps:
    """Each ant goes from city i to a new city j with probability ~ tau_ij^alpha (1 / d_ij)^beta.

    The trails tau evaporate by `evaporation`; then the best tour so far adds 1 to each of its
    edges. They stay within the bounds of the max-min ant system, so that every tour stays possible.
    d are `distances` (n, n), of g (`g.distances`) unless given, else all alike. An order is taken
    as a round trip. It converges where `patience` iterations bring no better tour.

    Sources: deck 001, "Population-Based Algorithms"; Dorigo and Gambardella, 1997; Stuetzle and
    Hoos, "MAX-MIN ant system" (2000).
    """
    assert isinstance(task.domain, Permutations)
    n, generator = task.domain.n, task.generator
    if not 0 < evaporation < 1:
        raise ConfigError(f"ant-colony: evaporation is between 0 and 1, got {evaporation!r}")
    near = _nearness(distances if distances is not None else task.objective.g, n) ** beta
    low, trails = 1 / (2 * n), np.ones((n, n))
    best = task.begin()
    value = task.objective.value(best)
    yield best, value
    since = 0
    while since < patience:
        found = False
        for _ in range(ants or n):
            tour = _tour(generator, trails**alpha * near)
            length = task.objective.value(tour)
            if length < value:
                best, value, found = tour, length, True
        trails *= 1 - evaporation
        here, there = np.array(best), np.roll(best, -1)
        trails[here, there] += evaporation
        trails[there, here] = trails[here, there]
        trails = np.clip(trails, low, 1.0)
        since = 0 if found else since + 1
        yield best, value
    return Stop(True, f"no better tour in {patience} iterations")


def _nearness(source: Any, n: int) -> Array:
    """1 / d, of the mean distance where two cities are at one place; 1 where nothing is known."""
    given = getattr(source, "distances", source if not callable(source) else None)
    if given is None:
        return np.ones((n, n))
    d = np.asarray(given.numpy() if hasattr(given, "numpy") else given, np.float64)
    if d.shape != (n, n):
        raise ShapeError(f"ant-colony: distances of shape {(n, n)} expected, got {d.shape}")
    mean = float(d.sum()) / max(1, n * (n - 1))
    return mean / np.where(d > 1e-12 * mean, d, mean) if mean > 0 else np.ones((n, n))


def _tour(generator: np.random.Generator, weights: Array) -> tuple[int, ...]:
    """A tour whose next city is drawn by its weight, from a random first one."""
    n = len(weights)
    city = int(generator.integers(n))
    tour, free = [city], np.ones(n, bool)
    free[city] = False
    for draw in generator.random(n - 1):
        chances = np.cumsum(weights[city] * free)
        city = int(np.searchsorted(chances, draw * chances[-1], side="right"))
        city = min(city, n - 1)
        if not free[city]:  # rounding at the very end
            city = int(np.flatnonzero(free)[-1])
        tour.append(city)
        free[city] = False
    return tuple(tour)
