"""When threads must wait for each other: which kernels depend on each other, and how many threads.

Kernels run in the plan's order. A kernel of several blocks is split among all threads, one of a
single block is done by thread 0. Between two kernels where one writes memory that the other reads
or writes, all threads meet at a barrier, unless both are thread 0's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from thalweg.compiler.kernels import (
    Access,
    Buffer,
    Contraction,
    Host,
    Kernel,
    Loop,
    Scalar,
    Scan,
    Scatter,
    Sort,
)
from thalweg.compiler.lower.lowered import Lowered

__all__ = ["Effects", "Step", "effects", "schedule", "threads_worth"]

# For the choice of threads only: what a core does in a second, and what meeting costs.
_OPERATIONS = 1e11
_BYTES = 2e10
_WAKING = 3e-6
_MEETING = 0.5e-6
_WORTH = 0.95  # more threads must save at least a twentieth

Stretch: TypeAlias = tuple[int, int, int]  # of what memory, from, to


@dataclass(frozen=True, slots=True)
class Effects:
    """What a kernel reads and writes; `may_fail`: it has indices that may be out of range,
    or calls what may fail."""

    reads: frozenset[Buffer]
    writes: frozenset[Buffer]
    may_fail: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A kernel's turn.

    alone    thread 0 does it
    barrier  all threads meet before it
    check    the program stops before it where an earlier kernel met an index out of range, so
             that no state is written after a failure
    """

    kernel: int
    alone: bool
    barrier: bool
    check: bool


def effects(kernel: Kernel) -> Effects:
    """What a kernel reads and writes."""
    loads = [a for scalar in _body(kernel) if (a := scalar.attributes.get("access"))]
    stores = _stores(kernel)
    reads = {access.buffer for access in loads}
    match kernel:
        case Contraction():
            reads |= {kernel.a, kernel.b}
        case Sort() | Scan():
            reads.add(kernel.source.buffer)
            return Effects(frozenset(reads), frozenset({kernel.target.buffer}), False)
        case Host():
            reads |= {view.buffer for view in kernel.sources}
            return Effects(frozenset(reads), frozenset({kernel.target.buffer}), True)
        case _:
            pass
    may_fail = any(access.indirect for access in [*loads, *stores])
    return Effects(frozenset(reads), frozenset(a.buffer for a in stores), may_fail)


def _body(kernel: Kernel) -> Sequence[Scalar]:
    match kernel:
        case Loop():
            return [*kernel.body, *kernel.tail]
        case Contraction():
            return kernel.epilogue
        case Scatter():
            return kernel.body
        case _:
            return ()


def _stores(kernel: Kernel) -> list[Access]:
    match kernel:
        case Loop() | Contraction():
            return [store.access for store in kernel.stores]
        case Scatter():
            return [kernel.store.access]
        case _:
            return []


# -- barriers --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Memory:
    """What kernels since the last barrier have touched."""

    read: list[Stretch] = field(default_factory=list)
    written: list[Stretch] = field(default_factory=list)

    def add(self, effect: Effects) -> None:
        self.read += map(_stretch, effect.reads)
        self.written += map(_stretch, effect.writes)

    def meets(self, effect: Effects) -> bool:
        reads, writes = map(_stretch, effect.reads), [*map(_stretch, effect.writes)]
        return _overlap(reads, self.written) or _overlap(writes, [*self.written, *self.read])


def schedule(kernels: Sequence[Kernel], lowered: Sequence[Lowered]) -> list[Step]:
    """The kernels' turns, with as few barriers as one pass over them finds."""
    steps, failing = [], False
    own, shared = _Memory(), _Memory()  # touched by thread 0 alone, and by all
    for number, (kernel, code) in enumerate(zip(kernels, lowered, strict=True)):
        effect, alone = effects(kernel), code.blocks <= 1
        check = failing and any(buffer.kind in ("state", "input") for buffer in effect.writes)
        barrier = check or shared.meets(effect) or (not alone and own.meets(effect))
        if barrier:
            own, shared, failing = _Memory(), _Memory(), False
        (own if alone else shared).add(effect)
        failing |= effect.may_fail
        steps.append(Step(number, alone, barrier, check))
    return steps


def _stretch(buffer: Buffer) -> Stretch:
    """Temporaries share the arena, at places that others may have had before; given buffers do not
    overlap."""
    if buffer.kind != "temporary":
        return (id(buffer), 0, 1)
    return (0, buffer.place, buffer.place + buffer.size * buffer.dtype.itemsize)


def _overlap(some: Iterator[Stretch] | list[Stretch], others: list[Stretch]) -> bool:
    return any(
        memory == other and low < end and begin < high
        for memory, low, high in some
        for other, begin, end in others
    )


# -- threads ---------------------------------------------------------------------------------------


def threads_worth(lowered: Sequence[Lowered], steps: Sequence[Step], most: int) -> int:
    """How many threads, of at most `most`, are worth having for a program.

    The time is estimated from the kernels' work: a kernel's share is that of the thread with most
    blocks, and several threads have to be woken and to meet.
    """
    limit = min(most, max((code.blocks for code in lowered), default=1))
    meetings = sum(step.barrier for step in steps) + 1
    best, shortest = 1, _estimate(lowered, 1)
    for threads in range(2, limit + 1):
        time = _estimate(lowered, threads) + _WAKING + meetings * _MEETING
        if time < _WORTH * shortest:
            best, shortest = threads, time
    return best


def _estimate(lowered: Sequence[Lowered], threads: int) -> float:
    return sum(
        max(code.flops / _OPERATIONS, code.bytes / _BYTES)
        * (-(-code.blocks // threads) / max(1, code.blocks))
        for code in lowered
    )
