"""A genetic algorithm: selection, crossover and mutation, on any domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["genetic"]


def genetic(
    task: Task,
    population: int = 60,
    elite: int = 2,
    crossover: float = 0.9,
    mutation: float = 0.3,
    tournament: int = 3,
    tolerance: float = 1e-10,
    patience: int = 50,
) -> Steps:
    """A population evolves: the best of `tournament` random members become parents; a child has
    something of both with probability `crossover`, and is changed with probability `mutation`. The
    best `elite` members live on.

    How a child is made is the domain's: blends and normal steps as wide as the population for real
    elements, another value for discrete ones, order crossover and reversed stretches for
    permutations. It converges where all values are within `tolerance` of each other, or
    where `patience` generations bring no better member.

    Sources: deck 001, "Population-Based Algorithms"; Holland, "Adaptation in Natural and Artificial
    Systems" (1975); Eshelman and Schaffer, 1993 (blend crossover); Davis, 1985 (order crossover).
    """
    if population < 2 or not 0 <= elite < population or tournament < 1:
        raise ConfigError(
            f"genetic: population >= 2, 0 <= elite < population and tournament >= 1 expected, got "
            f"{population}, {elite} and {tournament}"
        )
    generator, domain, value = task.generator, task.domain, task.objective.value
    members = [task.begin(), *(domain.sample(generator) for _ in range(population - 1))]
    values = [value(member) for member in members]
    rates = crossover, mutation
    best, since = np.inf, 0
    while since < patience:
        order = np.argsort(values, kind="stable")
        members, values = [members[i] for i in order], [values[i] for i in order]
        best, since = values[0], 0 if values[0] < best else since + 1
        yield members[0], values[0]
        if values[-1] - values[0] <= tolerance * (1 + abs(values[0])):
            return Stop(True, "all members of the population have the same value")
        children = [
            _child(task, members, values, tournament, rates) for _ in range(population - elite)
        ]
        members = [*members[:elite], *children]
        values = [*values[:elite], *map(value, children)]
    return Stop(True, f"no better member in {patience} generations")


def _child(
    task: Task,
    members: list[Any],
    values: list[float],
    tournament: int,
    rates: tuple[float, float],
) -> Any:
    generator = task.generator

    def parent() -> Any:  # members are sorted: the lowest number wins
        return members[int(generator.integers(0, len(members), tournament).min())]

    child = parent()
    if generator.random() < rates[0]:
        child = task.domain.crossed(generator, child, parent())
    if generator.random() < rates[1]:
        child = task.domain.mutated(generator, child, members)
    return child
