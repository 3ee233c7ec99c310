"""Sums of squares: in closed form where residuals are affine, Gauss-Newton where they are not."""

from __future__ import annotations

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.objective import Residuals
from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task
from thalweg.ops.creation import from_numpy
from thalweg.ops.matrices import pinv

__all__ = ["closed_form", "gauss_newton", "levenberg_marquardt"]


def _value(r: Array) -> float:
    return float(r @ r)


def _best_change(found: Residuals) -> Array:
    """-J^+ r: the change of smallest norm that minimizes ||r + J change||."""
    inverse = pinv(from_numpy(found.jacobian)).numpy()
    change: Array = -(inverse @ found.values)
    return change


def _start(task: Task) -> Array:
    return np.asarray(task.begin(), np.float64)


def closed_form(task: Task) -> Steps:
    """theta = W^+ y for residuals r(theta) = W theta - y: where the gradient is 0, in one step.

    W^+ is the pseudo-inverse; of many minima it gives the one nearest to the start (with the start
    at 0, that of smallest norm). Raises `ConfigError` where the residuals are not affine in theta.

    Source: deck 001, "Fitting an affine model via least squares".
    """
    start = _start(task)
    found = task.objective.residuals(start)
    yield start, task.objective.value(start)
    point = start + _best_change(found)
    predicted = found.values + found.jacobian @ (point - start)
    actual = task.objective.residuals(point).values
    size = np.abs(found.values).max(initial=0.0) + np.abs(actual).max(initial=0.0)
    if np.abs(predicted - actual).max(initial=0.0) > 1e-5 * size:
        raise ConfigError(
            "least-squares: the residuals are not affine in theta: after one step they are "
            f"{np.abs(predicted - actual).max():.3g} away from where an affine model leads. Use "
            "gauss-newton or levenberg-marquardt"
        )
    yield point, task.objective.value(point)
    task.notes["rank"] = int(np.linalg.matrix_rank(found.jacobian))
    return Stop(True, "the residuals are affine: this is the zero of the gradient")


def gauss_newton(task: Task, tolerance: float = 1e-10) -> Steps:
    """theta <- theta - t J^+ r, with J the Jacobian of the residuals r, and t halved until the sum
    of squares falls enough.

    It converges where the gradient 2 J^T r, or the step, is below `tolerance` (relative).
    """
    point = _start(task)
    value = task.objective.value(point)
    yield point, value
    while True:
        found = task.objective.residuals(point)
        slope = 2 * found.jacobian.T @ found.values
        if np.abs(slope).max(initial=0.0) <= tolerance * max(1.0, abs(value)):
            return Stop(True, _small(slope, tolerance))
        change, t = _best_change(found), 1.0
        if np.abs(change).max(initial=0.0) <= tolerance * (1 + np.abs(point).max(initial=0.0)):
            return Stop(True, f"the step is at most {tolerance:.3g} of theta")
        for _ in range(50):
            there = point + t * change
            reached = task.objective.value(there, trial=True)
            if reached < value:
                break
            t /= 2
        else:
            return Stop(False, "no step along the Gauss-Newton direction lowers g")
        point, value = there, reached
        yield point, value


def levenberg_marquardt(task: Task, tolerance: float = 1e-10, damping: float = 1e-3) -> Steps:
    """theta <- theta - (J^T J + mu D)^-1 J^T r, D the diagonal of J^T J.

    mu falls where the affine model predicts the sum of squares well, and grows where it does not
    (Nielsen's rule); it begins as `damping`. It converges where the gradient or the step is below
    `tolerance` (relative).

    Sources: Marquardt, 1963; Madsen, Nielsen and Tingleff, "Methods for non-linear least squares
    problems" (2004).
    """
    point = _start(task)
    value = task.objective.value(point)
    yield point, value
    found = task.objective.residuals(point)
    scale, growth, mu = _value(found.values), 2.0, damping
    weight = value / scale if scale > 0 else 1.0
    while True:
        square, slope = found.jacobian.T @ found.jacobian, found.jacobian.T @ found.values
        if 2 * np.abs(slope).max(initial=0.0) <= tolerance * max(1.0, scale):
            return Stop(True, _small(2 * slope, tolerance))
        diagonal = np.maximum(np.diag(square), 1e-12 * max(1.0, float(np.diag(square).max())))
        change = -np.linalg.solve(square + mu * np.diag(diagonal), slope)
        if np.abs(change).max(initial=0.0) <= tolerance * (1 + np.abs(point).max(initial=0.0)):
            return Stop(True, f"the step is at most {tolerance:.3g} of theta")
        there = point + change
        reached = task.objective.value(there, trial=True)
        expected = float(change @ (mu * diagonal * change - slope)) * weight
        gain = (value - reached) / expected if expected > 0 else -1.0
        if gain > 0:
            point, value = there, reached
            found = task.objective.residuals(point)
            scale = _value(found.values)
            mu, growth = mu * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
            yield point, value
        elif mu > 1e20:
            return Stop(False, "no step lowers g, however short")
        else:
            mu, growth = mu * growth, 2 * growth


def _small(slope: Array, tolerance: float) -> str:
    size = float(np.abs(slope).max(initial=0.0))
    return f"the gradient is {size:.3g}, at most {tolerance:.3g} of g or of 1"
