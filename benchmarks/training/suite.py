"""The rows of the training suite: workers in turns, the best of several rounds."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.report import Row
from benchmarks.training.works import WORKS, Work

__all__ = ["Process", "check_losses", "run"]

SETTLE = 0.1  # seconds for the other libraries' threads to fall asleep
SECONDS = 1.0  # of a turn
TOLERANCE = 1e-4
DRIFT = 2e-2  # later losses: the first steps of Adam are as large for small gradients as for large
SCALING = 1.85
CALL_US = 10
# Seconds of a first call without a cache, and with one.
FIRST_S = {
    WORKS[0].name: (0.5, 0.1), WORKS[4].name: (2.0, 0.1), WORKS[6].name: (3.0, 0.2),
    WORKS[7].name: (6.0, 0.2),
}  # fmt: skip
MEMORY_RATIO = 0.5
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
VARIANTS = (
    ("thalweg", ""), ("torch", "eager"), ("torch", "channels-last"), ("torch", "compile"),
    ("jax", ""),
)  # fmt: skip


class Process:
    """A worker, asked from here."""

    def __init__(self, framework: str, threads: int, **environment: str) -> None:
        said = dict.fromkeys(THREAD_VARIABLES, str(threads)) | environment
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training.worker", framework, str(threads)],
            env=os.environ | said | {"THALWEG_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, do: str, **request: Any) -> Any:
        """The answer. Raises `RuntimeError` with the worker's words where there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@dataclass(slots=True)
class Entrant:
    """A framework's way to do a work, and the best time of a step."""

    framework: str
    process: Process
    best: float = math.inf


def run(threads: Sequence[int], rounds: int, works: Sequence[Work] = WORKS) -> list[Row]:
    """All rows."""
    rows: list[Row] = []
    for count in threads:
        rows += roof_rows(count)
        peak = rows[-2].machine
        rows += [work_row(work, count, rounds, peak or math.inf) for work in works]
    rows += scaling_rows(rows, works)
    return [*rows, *call_rows(), *compile_rows(rounds), *memory_rows(max(threads))]


def roof_rows(threads: int) -> list[Row]:
    """What the machine can do at most."""
    with Process("thalweg", threads) as process:
        flops, bandwidth = process.ask("roof", threads=threads)
    return [
        Row("FMA peak", "GFLOP/s", threads, machine=flops / 1e9),
        Row("copy in memory", "GB/s", threads, machine=bandwidth / 1e9),
    ]


# -- works -----------------------------------------------------------------------------------------


def work_row(work: Work, threads: int, rounds: int, peak: float) -> Row:
    """The works' time in each framework: of an epoch, or of a step."""
    entrants = ready(work, threads)
    try:
        for number in range(rounds):
            for entrant in entrants[:: -1 if number % 2 else 1]:
                time.sleep(SETTLE)
                entrant.best = min(entrant.best, entrant.process.ask("turn", seconds=SECONDS))
    finally:
        for entrant in entrants:
            entrant.process.__exit__()
    unit = 1e3 / (1 if work.is_epoch else work.steps)
    best = {
        name: min((e.best * unit for e in entrants if e.framework == name), default=None)
        for name in ("thalweg", "torch", "jax")
    }
    ours = best["thalweg"]
    flop = work.flop * (work.steps if work.is_epoch else 1)
    return Row(
        work.name,
        "ms",
        threads,
        thalweg=ours,
        torch=best["torch"],
        jax=best["jax"],
        limit=work.to_torch,
        jax_limit=work.to_jax,
        roof=flop / ours / 1e6 / peak if ours else None,
    )


def ready(work: Work, threads: int) -> list[Entrant]:
    """The workers that have built the work; their first losses agree."""
    entrants, losses = [], {}
    for framework, variant in VARIANTS:
        if variant == "channels-last" and len(work.image) != 3:
            continue
        process = Process(framework, threads)
        try:
            losses[framework, variant] = process.ask("build", work=work.name, variant=variant)
            entrants.append(Entrant(framework, process))
        except RuntimeError as error:
            process.__exit__()
            print(f"{work.name}: {framework} {variant} did not run: {error}", file=sys.stderr)
    check_losses(work.name, losses)
    return entrants


def check_losses(name: str, losses: dict[tuple[str, str], list[float]]) -> None:
    """Raise `RuntimeError` where frameworks do not compute the same."""
    reference = next(iter(losses.values()), [])
    for who, found in losses.items():
        pairs = list(zip(found, reference, strict=True))
        if not (_close(pairs[:1], TOLERANCE) and _close(pairs[1:], DRIFT)):
            raise RuntimeError(f"{name}: {who} has losses {found}, the first had {reference}")


def _close(pairs: Sequence[tuple[float, float]], tolerance: float) -> bool:
    return all(math.isclose(a, b, rel_tol=tolerance) for a, b in pairs)


def scaling_rows(rows: Sequence[Row], works: Sequence[Work]) -> list[Row]:
    """Two threads against one, on the third row."""
    times = {
        row.threads: row.thalweg for row in rows if row.what == works[min(2, len(works) - 1)].name
    }
    one, two = times.get(1), times.get(2)
    if not one or not two:
        return []
    what = "two threads' time over one's"
    return [Row(what, "", thalweg=two / one, limit=1 / SCALING, limited="thalweg")]


# -- calls, compilation, memory --------------------------------------------------------------------


def call_rows() -> list[Row]:
    """Microseconds of a call of a compiled addition."""
    found = {}
    for framework in ("thalweg", "jax"):
        with Process(framework, 1) as process:
            found[framework] = 1e6 * process.ask("call")
    return [Row("call of a trivial step", "us", 1, **found, limit=CALL_US, limited="thalweg")]


def compile_rows(rounds: int) -> list[Row]:
    """Seconds of the first step of some of the rows: with an empty cache, and again."""
    rows = []
    for name, limits in FIRST_S.items():
        taken = [cold_and_warm(name) for _ in range(rounds)]
        for what, limit, times in zip(
            ("cold", "warm"), limits, zip(*taken, strict=True), strict=True
        ):
            row = f"first call ({what}), {name}"
            rows.append(Row(row, "s", thalweg=min(times), limit=limit, limited="thalweg"))
    return rows


def cold_and_warm(name: str) -> tuple[float, float]:
    """What a first call takes beyond a second one, in a new process: without a cache, and with."""
    cores = len(os.sched_getaffinity(0))
    taken = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            with Process("thalweg", cores, XDG_CACHE_HOME=cache) as process:
                first, second = process.ask("first", work=name)
            taken.append(first - second)
    cold, warm = taken
    return cold, warm


def memory_rows(threads: int) -> list[Row]:
    """Megabytes of the third row at their peak, the data set left out."""
    work = WORKS[2]
    size = work.examples * math.prod(work.network.image) * 4
    found = {}
    for framework, variant in (("thalweg", ""), ("torch", "eager"), ("jax", "")):
        with Process(framework, threads) as process:
            process.ask("build", work=work.name, variant=variant)
            found[framework] = (process.ask("memory") - size) / 1e6
    return [Row(f"peak memory, {work.name}", "MB", threads, **found, limit=MEMORY_RATIO)]
