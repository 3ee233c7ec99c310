"""When threads must wait for each other: which kernels depend on each other, and how many threads.

Kernels run in the plan's order. A kernel of several blocks is split among all threads, one of a
single block is done by thread 0. Between two kernels where one writes memory that the other reads
or writes, all threads meet at a barrier, unless both are thread 0's. Before a loop of kernels, and
at the end of each round, all meet, unless all that is done in it is thread 0's; and at the end of a
branch, which all threads take alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from thalweg.compiler.kernels import (
    Access,
    Branch,
    Buffer,
    Chain,
    Contraction,
    Host,
    Kernel,
    Link,
    Loop,
    Repeat,
    Scalar,
    Scan,
    Scatter,
    Sort,
)
from thalweg.compiler.lower.lowered import Lowered

__all__ = [
    "Effects",
    "Fork",
    "Rounds",
    "Step",
    "Turn",
    "effects",
    "schedule",
    "steps_of",
    "threads_worth",
]

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
    """A kernel's turn; kernels are numbered through all loops, as `leaves` gives them.

    alone    thread 0 does it
    barrier  all threads meet before it
    check    the program stops before it where an earlier kernel met an index out of range, so
             that no state is written after a failure
    """

    kernel: int
    alone: bool
    barrier: bool
    check: bool


@dataclass(frozen=True, slots=True)
class Rounds:
    """A loop's turn: `count` times the turns of its kernels, over slices of buffers.

    alone    thread 0 does it all, and nobody else waits within
    """

    count: int
    links: tuple[Link, ...]
    steps: tuple[Turn, ...]
    alone: bool
    barrier: bool
    check: bool


@dataclass(frozen=True, slots=True)
class Fork:
    """A branch's turn: the turns of one side. All threads take the same, and meet at its end."""

    pred: tuple[Buffer, int]
    links: tuple[Link, ...]
    sides: tuple[tuple[Turn, ...], ...]
    alone: bool
    barrier: bool
    check: bool


Turn: TypeAlias = Step | Rounds | Fork


def steps_of(turns: Iterable[Turn]) -> Iterator[Step]:
    """The turns of kernels, within loops and branches too."""
    for turn in turns:
        match turn:
            case Rounds():
                yield from steps_of(turn.steps)
            case Fork():
                for side in turn.sides:
                    yield from steps_of(side)
            case Step():
                yield turn


def effects(kernel: Kernel) -> Effects:
    """What a kernel reads and writes."""
    if isinstance(kernel, Repeat):
        return _effects_inside(kernel, kernel.first, kernel.kernels, set())
    if isinstance(kernel, Branch):
        return _effects_inside(kernel, (), [*kernel.sides[0], *kernel.sides[1]], {kernel.pred[0]})
    if isinstance(kernel, Chain):
        return _effects_of_chain(kernel)
    loads = [a for scalar in _body(kernel) if (a := scalar.attributes.get("access"))]
    stores = _stores(kernel)
    reads = {access.buffer for access in loads}
    match kernel:
        case Contraction():
            reads |= {kernel.a, kernel.b, *([kernel.places.buffer] if kernel.places else [])}
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


def _effects_of_chain(chain: Chain) -> Effects:
    """Those of its loops; each thread has its own rows of what is within."""
    each = [effects(loop) for loop in chain.loops]
    reads = frozenset(b for effect in each for b in effect.reads).difference(chain.within)
    writes = frozenset(b for effect in each for b in effect.writes).difference(chain.within)
    return Effects(reads, writes, any(effect.may_fail for effect in each))


def _effects_inside(
    whole: Repeat | Branch, first: Iterable[Kernel], kernels: Iterable[Kernel], reads: set[Buffer]
) -> Effects:
    """Those of the kernels in a loop or a branch, on the buffers around."""
    outer = {link.inner: link.outer for link in whole.links}
    inside = [effects(kernel) for kernel in kernels]

    def around(buffers: Iterable[Buffer]) -> set[Buffer]:
        return {outer.get(b, whole.arena) for b in buffers}

    reads = reads | around(b for effect in inside for b in effect.reads)
    writes = around(b for effect in inside for b in effect.writes)
    for effect in map(effects, first):
        reads |= effect.reads
        writes |= effect.writes
    return Effects(frozenset(reads), frozenset(writes), any(e.may_fail for e in inside))


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


def schedule(kernels: Sequence[Kernel], lowered: Sequence[Lowered]) -> list[Turn]:
    """The kernels' turns, with as few barriers as one pass over them finds.

    `lowered` has the code of the kernels, those within loops too, as `leaves` orders them.
    """
    return _Schedule(lowered).turns(kernels)


class _Schedule:
    """Goes through kernels in order; `number` is that of the next one."""

    def __init__(self, lowered: Sequence[Lowered]) -> None:
        self.lowered = lowered
        self.number = 0

    def turns(self, kernels: Sequence[Kernel], inside: bool = False) -> list[Turn]:
        """The turns of `kernels`, which have met all that was before."""
        turns: list[Turn] = []
        failing = False
        own, shared = _Memory(), _Memory()  # touched by thread 0 alone, and by all
        for kernel in _opened(kernels):
            effect = effects(kernel)
            step = self._turn(kernel)
            writes_state = any(buffer.kind in ("state", "input") for buffer in effect.writes)
            check = failing and writes_state and not inside
            barrier = check or shared.meets(effect) or (not step.alone and own.meets(effect))
            if barrier:
                own, shared, failing = _Memory(), _Memory(), False
            if not isinstance(step, Step) and not step.alone:  # all have met at its end
                own, shared, failing = _Memory(), _Memory(), False
            else:
                (own if step.alone else shared).add(effect)
                failing |= effect.may_fail
            turns.append(replace(step, barrier=barrier, check=check))
        return turns

    def _turn(self, kernel: Kernel) -> Turn:
        """A kernel's turn, before it is known whom it has to wait for."""
        match kernel:
            case Repeat():
                steps = tuple(self.turns(kernel.kernels, inside=True))
                alone = all(step.alone for step in steps)
                return Rounds(kernel.count, kernel.links, steps, alone, False, False)
            case Branch():
                sides = tuple(tuple(self.turns(side, inside=True)) for side in kernel.sides)
                return Fork(kernel.pred, kernel.links, sides, False, False, False)
            case _:
                self.number += 1
                alone = self.lowered[self.number - 1].blocks <= 1
                return Step(self.number - 1, alone, False, False)


def _opened(kernels: Iterable[Kernel]) -> Iterator[Kernel]:
    """The kernels, and before a loop those that it begins with."""
    for kernel in kernels:
        if isinstance(kernel, Repeat):
            yield from kernel.first
            kernel = replace(kernel, first=())
        yield kernel


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


def threads_worth(lowered: Sequence[Lowered], turns: Sequence[Turn], most: int) -> int:
    """How many threads, of at most `most`, are worth having for a program.

    The time is estimated from the kernels' work: a kernel's share is that of the thread with most
    blocks, and several threads have to be woken and to meet.
    """
    times = dict(_times(turns))
    limit = min(most, max((code.blocks for code in lowered), default=1))
    meetings = _meetings(turns) + 1
    best, shortest = 1, _estimate(lowered, times, 1)
    for threads in range(2, limit + 1):
        time = _estimate(lowered, times, threads) + _WAKING + meetings * _MEETING
        if time < _WORTH * shortest:
            best, shortest = threads, time
    return best


def _meetings(turns: Iterable[Turn]) -> int:
    """How often threads meet, in loops in every round."""
    total = 0
    for turn in turns:
        total += turn.barrier
        if isinstance(turn, Rounds) and not turn.alone:
            total += turn.count * (_meetings(turn.steps) + 1)
        if isinstance(turn, Fork):
            total += max(map(_meetings, turn.sides)) + 1
    return total


def _times(turns: Iterable[Turn], rounds: int = 1) -> Iterator[tuple[int, int]]:
    """How often each kernel runs."""
    for turn in turns:
        match turn:
            case Rounds():
                yield from _times(turn.steps, rounds * turn.count)
            case Fork():
                for side in turn.sides:
                    yield from _times(side, rounds)
            case Step():
                yield turn.kernel, rounds


def _estimate(lowered: Sequence[Lowered], times: Mapping[int, int], threads: int) -> float:
    return sum(
        times[number]
        * max(code.flops / _OPERATIONS, code.bytes / _BYTES)
        * (-(-code.blocks // threads) / max(1, code.blocks))
        for number, code in enumerate(lowered)
    )
