"""Projected gradient: a step down, then back to the nearest point of the domain."""

from __future__ import annotations

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["projected_gradient"]


def projected_gradient(
    task: Task, lr: float | None = None, steps: int = 1, tolerance: float | None = None
) -> Steps:
    """theta <- P(theta - eps grad g(theta)), with P the projection onto the domain.

    The domain: bounds (P clips), `Simplex(n)`, `Ball(shape, radius)`, or one of your own with
    `project`. Without `lr`, eps is halved until g falls enough, and grows again after; with it,
    `steps` gradient steps are made before each projection: minimization and projection alternate.

    It converges where P(theta - grad g) - theta, which is 0 at a constrained minimum, has no
    element above `tolerance` (1e-8, in float32 1e-4).

    Source: deck 001, "Alternated Minimization" (the variant with projection onto constraints).
    """
    if type(steps) is not int or steps < 1 or (lr is not None and not lr > 0):
        raise ConfigError(
            f"projected-gradient: steps >= 1 and lr above 0 expected, got {steps!r} and {lr!r}"
        )
    if steps > 1 and lr is None:
        raise ConfigError("projected-gradient: several steps before a projection need an lr")
    objective, project, flat = task.objective, task.real.project, task.flat(tolerance)
    point = project(np.asarray(task.begin(), np.float64))
    value, slope = objective.gradient(point)
    yield point, value
    eps = 1.0
    while True:
        away = float(np.abs(project(point - slope) - point).max(initial=0.0))
        if away <= flat:
            return Stop(True, f"a projected step is {away:.3g}, at most {flat:g}")
        if lr is not None:
            free = point - lr * slope
            for _ in range(steps - 1):
                free = free - lr * objective.gradient(free)[1]
            point = project(free)
        else:
            for _ in range(60):
                there = project(point - eps * slope)
                change = there - point
                limit = value + float(slope @ change) + float(change @ change) / (2 * eps)
                if objective.value(there, trial=True) <= limit + 1e-15 * abs(value):
                    break
                eps /= 2
            else:
                return Stop(False, "no step, however short, lowers g")
            point, eps = there, 1.5 * eps
        value, slope = objective.gradient(point)
        yield point, value
