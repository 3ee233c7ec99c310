"""Alternating least squares: with one factor of a matrix fixed, the other has a closed form."""

from __future__ import annotations

import numpy as np

from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task
from thalweg.minimize.structures import MatrixFactorization

__all__ = ["alternating_least_squares"]


def alternating_least_squares(task: Task, tolerance: float = 1e-9) -> Steps:
    """U <- argmin over U of g(U, V), then V <- argmin over V, for a `MatrixFactorization`.

    Row i of U solves (V_i^T V_i + ridge) u = V_i^T y_i, with the rows V_i of V whose entry of row i
    is known. g never rises. It converges where a round lowers it by at most `tolerance` (relative).
    Without a start, U and V are drawn from a normal distribution.

    Sources: deck 001, "Alternated Minimization"; Zhou and others, 2008.
    """
    g = task.objective.g
    assert isinstance(g, MatrixFactorization)
    u, v = (
        part.reshape(-1, g.rank)
        for part in (task.domain.sample(task.generator) if task.start is None else task.start)
    )
    filled, known = np.where(g.known, g.Y, 0.0), g.known.astype(np.float64)
    value = task.objective.value((u.reshape(-1), v.reshape(-1)))
    yield (u.reshape(-1), v.reshape(-1)), value
    while True:
        before = value
        u = _solved(v, filled, known, g.ridge)
        v = _solved(u, filled.T, known.T, g.ridge)
        value = task.objective.value((u.reshape(-1), v.reshape(-1)))
        yield (u.reshape(-1), v.reshape(-1)), value
        if before - value <= tolerance * abs(before):
            return Stop(True, f"a round lowers g by {before - value:.3g}")


def _solved(factor: Array, filled: Array, known: Array, ridge: float) -> Array:
    """For each row of `filled`, the ridge regression of its known entries on rows of `factor`."""
    squares = np.einsum("ij,jk,jl->ikl", known, factor, factor)
    squares += ridge * np.eye(factor.shape[1])
    found: Array = np.linalg.solve(squares, (filled @ factor)[..., None])[..., 0]
    return found
