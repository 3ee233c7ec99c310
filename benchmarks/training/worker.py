"""A process of one framework: reads requests as lines of JSON, answers each with one.

    {"do": "build", "work": NAME, "variant": ..}   answers the losses of the first steps
    {"do": "turn", "seconds": S}                   answers the seconds of its fastest round
    {"do": "memory"}                               answers the peak of a round, in bytes
    {"do": "first"}                                answers the seconds of a first, and a later call
    {"do": "call"}                                 answers the seconds of a call of a trivial step
    {"do": "roof", "threads": N}                   answers FMA operations and copied bytes a second

Each has cores and threads of its own number: the command that starts it says how many.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.training.layers import Array
from benchmarks.training.works import Work, data, work_named

__all__ = ["Worker", "main"]

CHECKED = 5
PATIENCE = 20_000  # calls that make a best time of microseconds


class Worker:
    """What a framework has built so far."""

    def __init__(self, framework: str, threads: int) -> None:
        self.framework = framework
        self.rng = np.random.default_rng(2)
        if framework == "torch":
            importlib.import_module("torch").set_num_threads(threads)
        self.work: Work | None = None
        self.run: Callable[[Array], Sequence[Any]] | None = None

    def build(self, work: str, variant: str) -> list[float]:
        """Load the data, make the step, run a first round in order; the losses of its steps."""
        self.run = None
        gc.collect()
        self.work = work_named(work)
        module = importlib.import_module(f"benchmarks.training.in_{self.framework}")
        self.run = module.build(self.work, *data(self.work), variant)
        rows = np.arange(self.work.steps * self.work.batch).reshape(self.work.steps, -1)
        losses = self._run(rows)
        return [float(loss) for loss in losses[:CHECKED]]

    def turn(self, seconds: float) -> float:
        """The fastest of as many rounds as fit, reshuffled; seconds a round."""
        assert self.work is not None
        best, until = float("inf"), perf_counter() + seconds
        while best == float("inf") or perf_counter() < until:
            start = perf_counter()
            self._run(self.work.rows(self.rng))
            best = min(best, perf_counter() - start)
        return best

    def memory(self) -> int:
        """The most memory that rounds take, data set and libraries included, in bytes."""
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.turn(0.1)
        status = Path("/proc/self/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024

    def first(self, work: str) -> list[float]:
        """Seconds of a first step, which traces and compiles, and of the fastest after it."""
        from benchmarks.training.in_thalweg import step_of

        chosen = work_named(work)
        x, y = data(chosen)
        thalweg = importlib.import_module("thalweg")
        step, rows = step_of(chosen, x, y), chosen.rows(self.rng)
        index = thalweg.from_numpy(rows[0])
        first, *others = (_seconds(lambda: step(index)) for _ in range(4))
        return [first, min(others)]

    def call(self) -> float:
        """Seconds of a call of a compiled addition."""
        function, x = _trivial(self.framework)
        function(x)
        return min(_seconds(lambda: function(x)) for _ in range(PATIENCE))

    def roof(self, threads: int) -> list[float]:
        """FMA operations, and bytes copied in memory, a second."""
        from thalweg.compiler.roof import roof

        measured = roof(threads)
        return [measured.flops, measured.bandwidth]

    def _run(self, rows: Array) -> Sequence[Any]:
        assert self.run is not None
        return self.run(rows)


def _seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def _trivial(framework: str) -> tuple[Callable[[Any], Any], Any]:
    if framework == "jax":
        jax = importlib.import_module("jax")
        return jax.jit(lambda x: x + 1.0), jax.numpy.ones(4)
    module = importlib.import_module(framework)
    return module.compile(lambda x: x + 1.0), module.ones(4)


def main() -> None:
    """Answer requests until there are no more."""
    framework, threads = sys.argv[1], int(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    worker = Worker(framework, threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(worker, request.pop("do"))(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
