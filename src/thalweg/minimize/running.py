"""One run of a method: what it is given, where it stops, what comes out.

A method is a generator. It yields (point, value) after each iteration, the start first where it
has one, and returns a `Stop`: whether it met its own test of convergence, and why it stops in
words. Counting, recording, the callback and the limit of iterations are here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from thalweg.minimize.domain import Domain
from thalweg.minimize.objective import Objective
from thalweg.minimize.real import Real

__all__ = ["Callback", "Progress", "Steps", "Stop", "Task", "Track", "run"]


class Stop(NamedTuple):
    """Why a method stops."""

    converged: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What a callback is given after each iteration: where the method stands."""

    iteration: int
    theta: Any
    value: float


Steps: TypeAlias = Generator[tuple[Any, float], None, Stop]
Callback: TypeAlias = Callable[[Progress], Any]


@dataclass(slots=True)
class Track:
    """The points that a run visited, and their values.

    has_start  whether the first is where it started, before any iteration
    is_budget  whether the limit of iterations is what the method set out to do
    """

    domain: Domain
    callback: Callback | None = None
    points: list[Any] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    has_start: bool = True
    is_budget: bool = False

    def visit(self, point: Any, value: float) -> bool:
        """Record a point; gives whether the callback asks to stop."""
        self.points.append(point.copy() if isinstance(point, np.ndarray) else point)
        self.values.append(float(value))
        if self.callback is None:
            return False
        told = Progress(self.iterations, self.domain.theta(self.points[-1]), float(value))
        return bool(self.callback(told))

    @property
    def iterations(self) -> int:
        """How many were done."""
        return max(0, len(self.values) - self.has_start)

    @property
    def best(self) -> int:
        """The number of the lowest value, the first of equals."""
        return int(np.argmin([math.inf if math.isnan(v) else v for v in self.values]))


@dataclass(slots=True)
class Task:
    """What a method is given.

    start   the point of theta0, or None
    limit   iterations allowed
    track   for a library that calls back itself
    notes   what a method wants to tell beside the result, by name
    """

    objective: Objective
    domain: Domain
    start: Any
    generator: np.random.Generator
    limit: int
    track: Track
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def real(self) -> Real:
        """The domain, which the method's row in the table says is real."""
        assert isinstance(self.domain, Real)
        return self.domain

    def flat(self, given: float | None) -> float:
        """The size of a gradient that counts as 0: what is given, or what the dtype can tell."""
        return given if given is not None else 1e-4 if self.real.dtype.itemsize < 8 else 1e-8

    def begin(self) -> Any:
        """The start; a random point where none was given."""
        return self.domain.sample(self.generator) if self.start is None else self.start


def run(method: Callable[..., Steps], task: Task, options: dict[str, Any]) -> Stop:
    """Take the method's steps until it stops, is stopped, or has done `limit` iterations."""
    steps, track = method(task, **options), task.track
    while True:
        try:
            point, value = next(steps)
        except StopIteration as end:
            stop: Stop = end.value
            return stop
        if track.visit(point, value):
            steps.close()
            return Stop(False, "the callback asked to stop")
        if math.isinf(value) and value < 0:
            steps.close()
            return Stop(False, "g is -infinity: it has no minimum")
        if track.iterations >= task.limit:
            steps.close()
            return Stop(track.is_budget, f"all {task.limit} iterations were done")
