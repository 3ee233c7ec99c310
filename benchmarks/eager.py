"""Eager training steps and operations, both frameworks in turns in one process.

That process is a new one, because the number of threads must stand before the libraries load:
`run` starts it, and reads the rows it prints as JSON.

Thalweg asks the system to keep freed memory (`thalweg.memory`), for the whole process: here
PyTorch's steps gain from that as well.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.cases import ADDITIONS, CLASSIFIERS, Classifier
from benchmarks.machine import copy_bandwidth, matrix_product_rate
from benchmarks.report import Row
from benchmarks.timing import interleaved

__all__ = ["measure", "run"]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(threads: int, rounds: int, seconds: float) -> list[Row]:
    """`measure` with that many threads, in a new process."""
    command = [sys.executable, "-m", "benchmarks.eager"]
    done = subprocess.run(
        [*command, str(threads), str(rounds), str(seconds)],
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Row(**row) for row in json.loads(done.stdout)]


def measure(threads: int, rounds: int, seconds: float) -> list[Row]:
    """The rows of one process: the machine's roof, the steps, and on one thread the operations."""
    frameworks = {name: importlib.import_module(name) for name in ("thalweg", "torch")}
    frameworks["torch"].set_num_threads(threads)
    watch = partial(best_microseconds, rounds=rounds, seconds=seconds)
    rate = matrix_product_rate(seconds)
    rows = [Row("matrix product in NumPy", "GFLOP/s", threads, machine=rate)]
    for step in CLASSIFIERS:
        ours, theirs = watch(checked(step, frameworks))
        roof = step.flop / ours / 1e3 / rate
        rows.append(Row(str(step), "us", threads, ours, theirs, limit=step.limit, roof=roof))
    if threads == 1:
        rows.append(Row("copy", "GB/s", threads, machine=copy_bandwidth(seconds)))
        for addition in ADDITIONS:
            ours, theirs = watch(map(addition.build, frameworks.values()))
            rows.append(Row(str(addition), "us", threads, ours, theirs))
    return rows


def checked(case: Classifier, frameworks: Mapping[str, Any]) -> Iterator[Callable[[], object]]:
    """The case's step in each framework; one that does not learn is an error."""
    for name, module in frameworks.items():
        step = case.build(module)
        first, second = step().item(), step().item()
        if not second < first:
            raise RuntimeError(f"{name} does not learn in {case}: from {first} to {second}")
        yield step


def best_microseconds(
    functions: Iterable[Callable[[], object]], rounds: int, seconds: float
) -> list[float]:
    """What each function takes in its fastest block of calls."""
    return [1e6 * timing.best for timing in interleaved(functions, rounds, seconds)]


if __name__ == "__main__":
    threads, rounds, seconds = sys.argv[1:]
    rows = measure(int(threads), int(rounds), float(seconds))
    print(json.dumps([asdict(row) for row in rows]))
