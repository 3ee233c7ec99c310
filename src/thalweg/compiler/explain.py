"""Where a program's time goes: its kernels, measured, beside what the machine could do.

Every kernel has a row: the operations that were fused into it and the user's lines they came from,
its loops, its work, the time it took, and its share of the roof. The roof is the peak of fused
multiply-adds or the bandwidth of a copy, whichever binds the kernel: of a copy in the caches where
all that the kernel touches fits in them, else in memory. A kernel can do better than a copy in
memory where a part of it was still in a cache, and then shows more than 100 %.
"""

from __future__ import annotations

import linecache
import math
import os
import shutil
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from thalweg.compiler.binding import Array, Bound
from thalweg.compiler.graph import Origin
from thalweg.compiler.kernels import (
    Branch,
    Chain,
    Contraction,
    Host,
    Kernel,
    Loop,
    Repeat,
    Scatter,
    leaves,
)
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.native.runtime import checked_count, get_num_threads
from thalweg.compiler.roof import Roof, roof
from thalweg.errors import TraceError

__all__ = ["Explanation", "Row", "explain"]

_SECONDS: Final = 0.005  # of a measured round: short, so that some meet no other process
_ROUNDS: Final = 40
_ALL_SECONDS: Final = 0.5  # of all rounds, where steps are long
_MOST_RUNS: Final = 2000
_WIDEST: Final = 100
_NARROWEST: Final = 80
_LEAST: Final = 12  # letters of a kernel's operations, and of its loops
_SHORT_BOUND: Final = {"fma": "fma", "cache": "cache", "memory": "mem"}


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel and its measured time.

    operations  the names of what was fused, joined by +; those of a chain's loops by |
    origins     the user's lines
    space       its loops: of a contraction batch, rows, columns, and what is summed over; before
                them, within a scan, the number of its rounds
    flops, bytes, seconds   of one run, in all rounds
    reach       bytes of all the memory that it reads from or writes to
    roof        of as many threads as worked on it
    """

    number: int
    operations: str
    origins: tuple[Origin, ...]
    space: str
    flops: float
    bytes: float
    seconds: float
    reach: int
    roof: Roof

    @property
    def bound(self) -> str:
        """What limits it: "fma", "cache" or "memory"."""
        return self.roof.bound(self.flops, self.bytes, self.reach)

    @property
    def shortest(self) -> float:
        """Seconds that its work would take at the roof."""
        return self.roof.seconds(self.flops, self.bytes, self.reach)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The measured kernels of a program; as text, a table.

    seconds  of one run of the whole program among many, as in a scan
    """

    rows: tuple[Row, ...]
    seconds: float
    roof: Roof

    @property
    def inside(self) -> float:
        """Seconds in kernels, measured one by one."""
        return sum(row.seconds for row in self.rows)

    @property
    def outside(self) -> float:
        """Seconds of a run that no kernel accounts for: calls, and threads that meet."""
        return max(0.0, self.seconds - self.inside)

    @property
    def shortest(self) -> float:
        """Seconds that the work of all kernels would take at the roof."""
        return sum(row.shortest for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(_table(self))


def explain(bound: Bound, threads: int | None = None) -> Explanation:
    """Run a program for a moment, on copies of its state, and measure its kernels.

    Raises `TraceError` where the program has not run yet: there are no arguments to run it with.
    """
    if bound.sample is None:
        raise TraceError("explain: the program has not run yet: call it once")
    wanted = get_num_threads() if threads is None else checked_count(threads, "explain: threads")
    threads = min(wanted, bound.program.threads)
    seconds, times = _Rehearsal(bound, *bound.sample).measured(threads)
    every = zip(leaves(bound.plan.kernels), bound.program.lowered, times, strict=True)
    rows = [
        _row(number, kernel, count, code, seconds, threads)
        for number, ((kernel, count), code, seconds) in enumerate(every)
    ]
    return Explanation(tuple(rows), seconds, roof(threads))


class _Rehearsal:
    """A program with memory of its own: copies of the state, room for the results.

    Given the arguments of a scan it goes through them; those of one call serve for every run.
    """

    def __init__(self, bound: Bound, given: Sequence[Array], count: int) -> None:
        self.program = bound.program
        captured = [each.read() for each in bound.captured]
        outputs = [bound.trace.graph.outputs[number] for number in bound.free]
        results = [np.empty(atom.shape, atom.dtype) for atom in outputs]
        fixed = [*captured, *results]
        self.arrays = [*given, *fixed]
        self.addresses = [int(a.__array_interface__["data"][0]) for a in self.arrays]
        each = [a.nbytes // count if count > 1 else 0 for a in given]
        self.strides = each + [0] * len(fixed)
        self.most = min(_MOST_RUNS, count if count > 1 else _MOST_RUNS)

    def measured(self, threads: int) -> tuple[float, list[float]]:
        """Seconds of a run in a scan, and of each kernel by itself."""
        self._scan(1, threads)
        each = self._scan(1, threads)
        count = max(1, min(self.most, int(_SECONDS / each)))
        rounds = max(3, min(_ROUNDS, int(_ALL_SECONDS / (count * each))))
        seconds = min(self._scan(count, threads) for _ in range(rounds))
        profile = self.program.profile
        return seconds, profile(self.addresses, count, threads, self.strides, rounds)

    def _scan(self, count: int, threads: int) -> float:
        start = time.perf_counter()
        self.program.scan(count, self.addresses, self.strides, threads)
        return (time.perf_counter() - start) / count


def _row(
    number: int, kernel: Kernel, count: int, code: Lowered, seconds: float, threads: int
) -> Row:
    return Row(
        number,
        kernel.label or type(kernel).__name__.lower(),
        kernel.origins,
        (f"{count} * " if count > 1 else "") + _space(kernel),
        count * code.flops,
        count * code.bytes,
        seconds,
        sum(buffer.size * buffer.dtype.itemsize for buffer in code.buffers),
        roof(max(1, min(threads, code.blocks))),
    )


def _space(kernel: Kernel) -> str:
    match kernel:
        case Contraction():
            outer = [axis.size for axis in (*kernel.batch, *kernel.rows, *kernel.columns)]
            inner = [axis.size for axis in kernel.inner]
            return f"{_times(outer)} sum {_times(inner)}"
        case Loop():
            kept = [n for axis, n in enumerate(kernel.space) if axis not in kernel.reduced]
            over = [kernel.space[axis] for axis in kernel.reduced]
            return f"{_times(kept)} of {_times(over)}" if over else _times(kept)
        case Chain():
            return _times(max((loop.space for loop in kernel.loops), key=math.prod))
        case Scatter():
            return _times(kernel.space)
        case Repeat() | Branch():
            return ""
        case Host():
            return _times(kernel.sources[0].shape)
        case _:
            return _times(kernel.source.shape)


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes)) or "1"


# -- text ------------------------------------------------------------------------------------------


def _table(told: Explanation) -> Iterator[str]:
    columns = shutil.get_terminal_size((_WIDEST, 24)).columns
    width = min(_WIDEST, max(_NARROWEST, columns))
    names = _Lines(told.rows, width)
    head = ("", "kernel", "loops", "MFLOP", "MB", "us", "share", "of roof", "thr", "lines")
    body = [_cells(row, told, names) for row in told.rows]
    cells = [head, *body, _totals(told)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = width - (sum(widths) - widths[1]) - (len(widths) - 1)
    widths[1] = min(widths[1], room)
    if room < _LEAST:  # a little of the kernels' names is worth more than all of their loops
        widths[1:3] = _LEAST, max(_LEAST, widths[2] + room - _LEAST)
    for line in cells:
        yield _aligned(line, widths)
    yield ""
    yield from names.legend()
    yield ""
    for words in _summary(told):
        yield from textwrap.wrap(words, width, subsequent_indent="  ")


def _cells(row: Row, told: Explanation, names: _Lines) -> tuple[str, ...]:
    return (
        str(row.number),
        row.operations,
        row.space,
        _short(row.flops / 1e6),
        _short(row.bytes / 1e6),
        _short(row.seconds * 1e6),
        f"{row.seconds / max(told.inside, 1e-12):.0%}",
        f"{row.shortest / max(row.seconds, 1e-12):.0%} {_SHORT_BOUND[row.bound]}",
        str(row.roof.threads),
        names.of(row.origins),
    )


def _totals(told: Explanation) -> tuple[str, ...]:
    flops, bytes = (sum(getattr(row, name) for row in told.rows) for name in ("flops", "bytes"))
    share = told.shortest / max(told.inside, 1e-12)
    sums = (_short(flops / 1e6), _short(bytes / 1e6), _short(told.inside * 1e6))
    return ("", "all", "", *sums, "100%", f"{share:.0%}", "", "")


def _summary(told: Explanation) -> Iterator[str]:
    run, outside = told.seconds * 1e6, told.outside * 1e6
    yield f"one run in a scan {_short(run)} us, {_short(outside)} us of it outside kernels"
    yield f"the roof: {told.roof}"


class _Lines:
    """Short names of the user's lines: 12, or b12 where several files have a part in it."""

    def __init__(self, rows: Sequence[Row], width: int) -> None:
        self.width = width
        self.most = 3 if width == _WIDEST else 1  # of a row
        origins = dict.fromkeys(o for row in rows for o in row.origins)
        self.places = sorted({(o.file, o.line) for o in origins})
        files = sorted({file for file, _ in self.places})
        self.files = {
            file: chr(97 + n % 26) if len(files) > 1 else "" for n, file in enumerate(files)
        }

    def of(self, origins: Sequence[Origin]) -> str:
        names = sorted({(o.file, o.line) for o in origins})
        shown = [f"{self.files[file]}{line}" for file, line in names[: self.most]]
        return ",".join(shown) + (",.." if len(names) > self.most else "")

    def legend(self) -> Iterator[str]:
        for file, letter in self.files.items():
            yield f"{letter}{' ' if letter else ''}{_path(file)}"
            lines = [line for at, line in self.places if at == file]
            width = max(len(f"{letter}{line}") for line in lines)
            for line in lines:
                text = linecache.getline(file, line).strip()
                yield f"  {letter}{line}".ljust(width + 4) + _cut(text, self.width - width - 4)


def _path(file: str) -> str:
    """As seen from the current folder, where it is below it; Thalweg's own from its package."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return file.removeprefix(os.getcwd() + os.sep).removeprefix(package + os.sep)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    words = {1, 2, 9}
    line = [
        _cut(cell, width).ljust(width) if column in words else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return " ".join(line).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _short(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else "0"
