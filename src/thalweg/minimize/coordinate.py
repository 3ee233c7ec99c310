"""Coordinate descent: one coordinate, or one part of a mixed theta, after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.minimize.domain import Product
from thalweg.minimize.line import along
from thalweg.minimize.real import Array, Real
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["coordinate_descent"]


def coordinate_descent(task: Task, tolerance: float = 1e-9, step: float = 0.1) -> Steps:
    """theta_p <- argmin over theta_p of g(theta_1, ..., theta_P), for p = 1, ..., P, repeatedly.

    A real coordinate goes to a minimum on its line (Brent's method, from steps of `step` on), a
    discrete part to its best value. g never rises. An iteration is one round over all coordinates;
    it converges where a round lowers g by at most `tolerance` (relative) and moves nothing.

    It needs no derivatives, and may stop where g has a ridge that no single coordinate can follow.
    Source: deck 001, "Alternated Minimization".
    """
    point = task.begin()
    value = task.objective.value(point)
    yield point, value
    steps = dict.fromkeys(_keys(task), step)
    while True:
        before, start = value, point
        for key in _keys(task):
            point, value = _improved(task, point, value, key, steps)
        yield point, value
        if before - value <= tolerance * (abs(value) + tolerance) and _same(point, start):
            return Stop(True, f"a round lowers g by {before - value:.3g}")


Key = tuple[int, int]  # the part of a mixed theta (0 of a real one), and the element of a real part


def _keys(task: Task) -> list[Key]:
    parts = task.domain.parts if isinstance(task.domain, Product) else [task.domain]
    return [
        (number, element)
        for number, part in enumerate(parts)
        for element in range(part.count if isinstance(part, Real) else 1)
    ]


def _improved(
    task: Task, point: Any, value: float, key: Key, steps: dict[Key, float]
) -> tuple[Any, float]:
    """The point with one coordinate at its best."""
    number, element = key
    is_mixed = isinstance(task.domain, Product)
    domain = task.domain.parts[number] if isinstance(task.domain, Product) else task.domain

    def joined(part: Any) -> Any:
        return (*point[:number], part, *point[number + 1 :]) if is_mixed else part

    own = point[number] if is_mixed else point
    if not isinstance(domain, Real):
        for other in domain.points(0):
            found = task.objective.value(joined(other))
            if found < value:
                own, value = other, found
        return joined(own), value

    def moved(x: float) -> Array:
        changed: Array = own.copy()
        changed[element] = x
        return changed

    x, value = along(
        lambda x: task.objective.value(joined(moved(x)), trial=True),
        float(own[element]), value, steps[key],
        float(domain.low[element]), float(domain.high[element]),
    )  # fmt: skip
    change = abs(x - float(own[element]))
    steps[key] = max(change, 1e-6 * (1 + abs(x))) if change else max(steps[key] / 4, 1e-9)
    return joined(moved(x)), value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        size = 1 + float(np.abs(b).max(initial=0.0))
        return float(np.abs(a - b).max(initial=0.0)) <= math.sqrt(1e-12) * size
    return bool(a == b)
