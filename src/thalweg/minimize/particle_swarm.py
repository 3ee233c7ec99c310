"""Particle swarm: particles fly, drawn to the best point each has seen and all have seen."""

from __future__ import annotations

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["particle_swarm"]


def particle_swarm(
    task: Task,
    particles: int = 30,
    inertia: float = 0.7298,
    own: float = 1.49618,
    common: float = 1.49618,
    tolerance: float = 1e-7,
) -> Steps:
    """v <- inertia v + own r1 (p - x) + common r2 (b - x), then x <- x + v, for each particle.

    p is the best point that the particle has seen, b the best of all; r1 and r2 are uniform in
    [0, 1], drawn for each element. At the edge of the domain a particle stops. It converges where
    all particles are within `tolerance` of b and slow.

    Sources: deck 001, "Population-Based Algorithms"; Kennedy and Eberhart, 1995; Clerc and Kennedy,
    2002, for the constants.
    """
    if particles < 2:
        raise ConfigError(f"particle-swarm: two particles or more expected, got {particles}")
    generator, real = task.generator, task.real
    first = [task.begin(), *(real.sample(generator) for _ in range(particles - 1))]
    x = np.stack([np.asarray(point, np.float64) for point in first])
    v = np.stack([real.sample(generator) for _ in range(particles)]) - x
    v *= 0.5
    best = x.copy()
    values = np.array([task.objective.value(point) for point in x])
    while True:
        leader = int(np.argmin(values))
        yield best[leader], float(values[leader])
        size = 1 + float(np.abs(best[leader]).max(initial=0.0))
        if max(np.abs(x - best[leader]).max(initial=0.0), np.abs(v).max(initial=0.0)) < (
            tolerance * size
        ):
            return Stop(True, f"all particles are within {tolerance:.3g} of the best point")
        r1, r2 = generator.random((2, *x.shape))
        v = inertia * v + own * r1 * (best - x) + common * r2 * (best[leader] - x)
        moved = np.stack([real.project(point) for point in x + v])
        v, x = moved - x, moved
        found = np.array([task.objective.value(point) for point in x])
        better = found < values
        best[better], values[better] = x[better], found[better]
