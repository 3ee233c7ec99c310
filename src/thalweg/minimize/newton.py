"""Newton's method: a zero of the gradient, by the Hessian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task
from thalweg.minimize.stationary import kind_of
from thalweg.optim.line_search import Point, backtracking

__all__ = ["newton"]


def newton(task: Task, tolerance: float | None = None, zero: bool = False) -> Steps:
    """theta <- theta - H^-1 grad g(theta), with H the Hessian.

    It goes down: eigenvalues of H are taken by their size, those near 0 as 1e-8 of the largest, and
    the step is halved until g falls enough. With `zero` the step is taken as it is, to whatever
    zero of the gradient it leads to: a minimum, a maximum or a saddle.

    It converges where the largest element of the gradient is at most `tolerance` (1e-8, in float32
    1e-4). The result's `details` tell the "kind" of stationary point, and the "eigenvalues" of the
    Hessian.

    Source: deck 001, "Calculating zeroes of the gradient".
    """
    objective, flat = task.objective, task.flat(tolerance)
    point = np.asarray(task.begin(), np.float64)
    value, slope = objective.gradient(point)
    yield point, value
    while True:
        squares, axes = np.linalg.eigh(objective.hessian(point))
        task.notes["kind"] = kind_of(squares)
        task.notes["eigenvalues"] = tuple(map(float, squares))
        size = float(np.abs(slope).max(initial=0.0))
        if size <= flat:
            return Stop(True, f"the gradient is {size:.3g}, at most {flat:g}")
        move = _move(squares, axes, slope, zero)
        if zero:
            point = point + move
        else:
            descent = Point(0.0, value, float(slope @ move))
            step = backtracking(_along(task, point, move), descent, max_eval=50).step
            if not step or (task.real.theta(point + step * move) == task.real.theta(point)).all():
                return Stop(False, "no step along Newton's direction lowers g")
            point = point + step * move
        value, slope = objective.gradient(point)
        yield point, value


def _along(task: Task, point: Array, move: Array) -> Callable[[float], float]:
    return lambda t: task.objective.value(point + t * move, trial=True)


def _move(squares: Array, axes: Array, slope: Array, zero: bool) -> Array:
    least = 1e-8 * float(np.abs(squares).max(initial=0.0)) or 1.0  # no curvature: down the slope
    if zero:
        safe = np.where(np.abs(squares) < least, np.inf, squares)  # no step where H is singular
    else:
        safe = np.maximum(np.abs(squares), least)
    move: Array = -axes @ ((axes.T @ slope) / safe)
    return move
