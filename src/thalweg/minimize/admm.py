"""ADMM: a new variable for the absolute values, and multipliers that keep both equal."""

from __future__ import annotations

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task
from thalweg.minimize.structures import Lasso

__all__ = ["admm"]


def admm(task: Task, rho: float = 1.0, tolerance: float = 1e-10) -> Steps:
    """For a `Lasso`, minimize ||A x - b||^2 / (2 m) + alpha ||z||_1 subject to x = z:

        x <- (A^T A / m + rho)^-1 (A^T b / m + rho (z - u))
        z <- soft(x + u, alpha / rho)          soft(a, t) = sign(a) max(|a| - t, 0)
        u <- u + x - z

    The result is z, whose zeros are exact. rho doubles or halves where one of the residuals
    ||x - z|| and rho ||z - z_before|| is ten times the other. It converges where both are at most
    `tolerance` (relative to z and u).

    Sources: deck 001, "Alternated Minimization"; Boyd and others, "Distributed optimization and
    statistical learning via the alternating direction method of multipliers" (2011), chapter 3.
    """
    if not rho > 0:
        raise ConfigError(f"admm: rho above 0 expected, got {rho!r}")
    g = task.objective.g
    assert isinstance(g, Lasso)
    count = len(g.b)
    squares, axes = np.linalg.eigh(g.A.T @ g.A / count)
    target = g.A.T @ g.b / count
    z = np.asarray(task.begin(), np.float64)
    u = np.zeros_like(z)
    yield z, task.objective.value(z)
    while True:
        x = axes @ ((axes.T @ (target + rho * (z - u))) / (squares + rho))
        before, z = z, _soft(x + u, g.alpha / rho)
        u = u + x - z
        yield z, task.objective.value(z)
        primal, dual = float(np.linalg.norm(x - z)), rho * float(np.linalg.norm(z - before))
        size = np.sqrt(z.size) + float(max(np.linalg.norm(x), np.linalg.norm(z)))
        if primal <= tolerance * size and dual <= tolerance * (
            np.sqrt(z.size) + rho * float(np.linalg.norm(u))
        ):
            return Stop(True, f"residuals {primal:.3g} and {dual:.3g} are small")
        change = 2.0 if primal > 10 * dual else 0.5 if dual > 10 * primal else 1.0
        rho, u = rho * change, u / change


def _soft(x: Array, by: float) -> Array:
    found: Array = np.sign(x) * np.maximum(np.abs(x) - by, 0.0) + 0.0  # no -0
    return found
