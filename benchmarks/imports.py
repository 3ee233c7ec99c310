"""How long an import takes beyond NumPy's own, in new processes that take turns."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.report import Row

__all__ = ["run"]

LIMIT_MS = 60
SCRIPT = """
import numpy
from time import perf_counter
start = perf_counter()
import {name}
print(perf_counter() - start)
"""


def run(rounds: int) -> list[Row]:
    """Milliseconds of `import thalweg` and `import torch` where NumPy is loaded already."""
    names = ("thalweg", "torch")
    for name in names:  # the first import compiles to bytecode and fills the disk's cache
        import_seconds(name)
    seconds = {name: float("inf") for name in names}
    for _ in range(rounds):
        for name in names:
            seconds[name] = min(seconds[name], import_seconds(name))
    ours, theirs = (1e3 * seconds[name] for name in names)
    what = "import, above NumPy"
    return [Row(what, "ms", thalweg=ours, torch=theirs, limit=LIMIT_MS, limited="thalweg")]


def import_seconds(name: str) -> float:
    """Seconds the import takes in a new interpreter."""
    # An installed package has its bytecode beside it; a linked one must be allowed to write it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", SCRIPT.format(name=name)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    return float(done.stdout)
