"""Expectation-maximization for mixtures of Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import ConfigError, LinAlgError
from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task
from thalweg.minimize.structures import GaussianMixture
from thalweg.ops.creation import tensor
from thalweg.tape import no_grad

__all__ = ["expectation_maximization"]


def expectation_maximization(task: Task, tolerance: float = 1e-8) -> Steps:
    """The E step: r_tk, the probability that example t came from component k. The M step: weights,
    means and covariances of the examples weighted by r.

    The likelihood never falls (as long as `floor` is 0, for which it is proved). It converges where
    an iteration lowers g by at most `tolerance`. Without a start, means are examples far from each
    other (k-means++), covariances those of all data.

    Raises `LinAlgError` where a component shrinks onto a point, and says what helps.

    Sources: deck 001, "Alternated Minimization"; Dempster, Laird and Rubin, 1977; Arthur and
    Vassilvitskii, 2007, for the start.
    """
    g = task.objective.g
    assert isinstance(g, GaussianMixture)
    point = _start(g, task.generator) if task.start is None else _checked(task.start)
    while True:
        try:
            value = task.objective.value(point)
        except LinAlgError as error:
            raise LinAlgError(
                f"{error.message}: component {_worst(point, g)} has shrunk onto few examples. Use "
                "fewer components, another seed, or GaussianMixture(X, components, floor=1e-6)"
            ) from None
        yield point, value
        if len(task.track.values) > 1 and task.track.values[-2] - value <= tolerance:
            task.notes["likelihood"] = -value * len(g.X)
            return Stop(True, f"an iteration lowers g by at most {tolerance:g}")
        point = _maximized(g, _memberships(task, point))


def _checked(point: Any) -> Any:
    if not np.isclose(point[0].sum(), 1) or (point[0] <= 0).any():
        raise ConfigError(f"theta0: weights above 0 that add up to 1 expected, got {point[0]}")
    return point


def _start(g: GaussianMixture, generator: np.random.Generator) -> Any:
    means = [g.X[generator.integers(len(g.X))]]
    while len(means) < g.components:
        nearest = np.min([np.square(g.X - mean).sum(1) for mean in means], axis=0)
        chances = nearest / nearest.sum() if nearest.sum() > 0 else None
        means.append(g.X[generator.choice(len(g.X), p=chances)])
    k, d = g.components, g.X.shape[1]
    spread = np.cov(g.X.T, bias=True).reshape(d, d) / k ** (2 / d) + g.floor * np.eye(d)
    return np.full(k, 1 / k), np.ravel(means), np.tile(spread.ravel(), k)


@no_grad()
def _memberships(task: Task, point: Any) -> Array:
    """r (t, k): rows add up to 1."""
    g = task.objective.g
    assert isinstance(g, GaussianMixture)
    densities = g.log_densities(task.domain.theta(point))
    found: Array = densities.softmax(1).numpy()
    return found


def _maximized(g: GaussianMixture, r: Array) -> Any:
    totals = r.sum(0)
    weights = totals / totals.sum()
    means = (r.T @ g.X) / totals[:, None]
    apart = g.X[None] - means[:, None]
    covariances = np.einsum("tk,kti,ktj->kij", r, apart, apart) / totals[:, None, None]
    covariances += g.floor * np.eye(g.X.shape[1])
    return weights, means.ravel(), covariances.ravel()


def _worst(point: Any, g: GaussianMixture) -> int:
    d = g.X.shape[1]
    return int(np.argmin(np.linalg.eigvalsh(tensor(point[2]).numpy().reshape(-1, d, d))[:, 0]))
