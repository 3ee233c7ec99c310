"""Loop kernels: a loop nest over vectors, with reductions kept in registers.

    for the kept axes, outermost first            blocks of them go to the threads
        for the kept axis that vectors run along, if one is chosen
            for the reduced axes                  partial results are carried round
                body and its stores, one step of each reduction
            tail and its stores

If vectors run along a reduced axis, their lanes are joined at the end; if along a kept one, a few
vectors' worth of partial results stand side by side. A scalar of the body is computed in the
outermost loop that determines it. Sizes are known, so what is left over after the last full turn
of a vector loop is written out once, the last vector under a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from thalweg.compiler.kernels import Buffer, Loop, Reduce, Store
from thalweg.compiler.lower.body import Body, Turn
from thalweg.compiler.lower.emit import BOOL, Builder, Value
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import (
    Vectors,
    accesses,
    arranged,
    dependencies,
    points,
    vector_axis,
)
from thalweg.compiler.lower.next_rows import NOTHING, Asked
from thalweg.compiler.lower.reducing import (
    Partial,
    combined,
    identity,
    joined,
    nothing,
    of_lanes,
    result,
    step,
)
from thalweg.compiler.lower.scalars import flops
from thalweg.compiler.lower.work import Work, work_of
from thalweg.compiler.machine import Machine

__all__ = ["Part", "lower_loop"]

# Sums are made of partial sums this long, those again, so that rounding errors stay small.
_CHUNK = 64
# Loops of no more turns are for LLVM to unroll; the others have a body long enough.
_FEW = 8
# Elements from one row to the next, from where it pays to read more than a few vectors of each.
_FAR = 256
# Vectors of a row, in the loop down a few rows, that are written before those of the next row.
_BESIDE = 4

Partials = list[list[Partial]]  # by turn, by reduction


@dataclass(frozen=True, slots=True)
class Part:
    """A loop as a part of a chain: a block is a row, a point of the first axes.

    If the second of these is reduced, what a call finds is combined with what the calls for the
    rows before have stored; all rows of a call have the same place on the first.

    rows      how many there are
    shifted   buffers of which only some rows are there, where they would be among all
    asked     what is asked for of the next rows
    """

    rows: int
    shifted: frozenset[Buffer]
    asked: Asked = NOTHING


def lower_loop(
    loop: Loop,
    name: str,
    machine: Machine,
    part: Part | None = None,
    streamed: frozenset[Buffer] = frozenset(),
) -> Lowered:
    """The native code of a loop kernel; buffers that are `streamed` begin at a line and are written
    past the caches."""
    buffers = tuple(dict.fromkeys(access.buffer for access in accesses(loop)))
    loop, lead = arranged(loop, part.rows if part else 1)
    vectors = vector_axis(loop, machine.vector_bits, lead)
    b = Builder(scales=machine.has_scaling)
    work = work_of(loop, machine)
    nest = _Nest(
        b,
        loop,
        vectors,
        Body(b, (*loop.body, *loop.tail), dependencies(loop), vectors, buffers),
        work,
        machine,
        lead,
    )
    nest.body.streamed = streamed
    if part:
        nest.body.asked = part.asked
        b.outside = {p for buffer, p in nest.body.pointers.items() if buffer in part.shifted}
    nest.emit()
    return finished(name, buffers, b, nest.blocks, work.flops, work.bytes)


@dataclass(slots=True)
class _Split:
    """How blocks fall: `per` turns of the loops over the first `depth` kept axes, or of the vector
    loop where `depth` is None."""

    depth: int | None
    per: int


class _Nest:
    def __init__(
        self,
        b: Builder,
        loop: Loop,
        vectors: Vectors,
        body: Body,
        work: Work,
        machine: Machine,
        lead: int = 0,
    ) -> None:
        self.b, self.loop, self.vectors, self.body = b, loop, vectors, body
        axis = vectors.axis
        self.kept = [a for a in range(len(loop.space)) if a not in loop.reduced and a != axis]
        self.reduced = [a for a in loop.reduced if a != axis]
        self.along_reduced = axis in loop.reduced
        self.along_kept = axis is not None and not self.along_reduced
        if axis is not None:
            (self.reduced if self.along_reduced else self.kept).append(axis)
        self.lead = lead - any(a in loop.reduced for a in range(lead))
        self.rows: tuple[Value, Value] | None = None  # of a call, where these are summed over
        self.inner = self._inside()
        self.unroll = self._unroll(work, machine.registers)
        self.levels, self.after = self._levels()
        self.root = Turn(b.integer(0))
        self.blocks = 1
        self.split = _Split(self.lead, 1) if lead else self._split(work)
        self.is_carried = lead > self.lead

    # -- plans -------------------------------------------------------------------------------

    def _inside(self) -> list[int]:
        """The kept axes to run inside the loop of vectors: one along which what vectors gather
        lies side by side, so that each line of the cache is used up while it is there; and short
        ones along which most values are the same, and are computed once."""
        if self.loop.reduced or not self.along_kept:
            return []
        *others, vector = self.kept[self.lead :]
        short = [a for a in others if self.loop.space[a] <= _FEW and self._is_repeated(a)]
        while points([self.loop.space[a] for a in short]) > _FEW:
            short.pop(0)
        others = [a for a in others if a not in short]
        short[:0] = [axis for axis in others if self._streams(axis, vector)][:1]
        self.kept = [*(a for a in self.kept if a not in short), *short]
        return short

    def _streams(self, axis: int, vector: int) -> bool:
        """Whether more lies side by side along `axis` than along the vectors' own."""
        size = dict.fromkeys(self.body.pointers, 0)
        for access in accesses(self.loop):
            across, along = abs(access.strides[vector]), abs(access.strides[axis])
            side = 1 if across > 1 == along else -1 if across == 1 else 0
            size[access.buffer] = side * access.buffer.size * access.buffer.dtype.itemsize
        return sum(size.values()) > 0

    def _is_repeated(self, axis: int) -> bool:
        """Whether half of what is computed at a point does not depend on this axis."""
        work = [flops(scalar.op, scalar.dtype) for scalar in self.loop.body]
        varying = sum(w for w, axes in zip(work, self.body.depends, strict=False) if axis in axes)
        return 2 * varying <= sum(work) > 0

    def _unroll(self, work: Work, registers: int) -> int:
        """Vectors side by side: several partial results hide the latency of adding. Columns of
        rows that are far apart are added up in half of the registers, a long way along each row,
        where the rows come from memory and not from a chain's cache."""
        if self.vectors.axis is None:
            return 1
        random = any(scalar.op == "bits" for scalar in self.loop.body)  # in blocks of 4 words
        wanted = 4 if work.body_flops <= 8 or random else 2 if work.body_flops <= 30 else 1
        if not self.loop.reduced:
            wanted = 1 if self.inner else wanted if random else min(wanted, 4)
        elif self.along_kept and self.lead:
            wanted = max(wanted, _BESIDE if self.loop.body_stores else 1)
        elif self.along_kept and self._is_deep():
            wanted = max(wanted, registers // (2 if wanted == 4 else 4) // self._carried_values())
        if self.loop.reduced and self.kept == [self.vectors.axis] and work.blocks > 1:
            wanted = min(wanted, max(1, self._vectors() // 4))  # turns for several threads
        return min(wanted, self._vectors())

    def _is_deep(self) -> bool:
        """Whether what is reduced lies in rows, one below the other."""
        reads = [s.attributes["access"].strides for s in self.loop.body if s.op == "load"]
        return any(abs(s[a]) >= _FAR for s in reads for a in self.loop.reduced)

    def _carried_values(self) -> int:
        return sum(1 + r.kind.startswith("arg") for r in self.loop.reductions)

    def _levels(self) -> tuple[list[list[int]], list[int]]:
        """Scalars by the number of open loops that they need, and those after the reductions."""
        order = [*self.kept, *self.reduced]
        levels: list[list[int]] = [[] for _ in range(len(order) + 1)]
        after: list[int] = []
        for number, scalar in enumerate(self.body.scalars):
            if scalar.op == "reduced" or any(n in after for n in scalar.inputs):
                after.append(number)
                continue
            needs = [order.index(axis) + 1 for axis in self.body.depends[number]]
            level = max(needs, default=0)
            is_tail = number >= len(self.loop.body)
            (after if is_tail and level == len(self.kept) else levels[level]).append(number)
        return levels, after

    def _split(self, work: Work) -> _Split:
        """Blocks of about equal work over the outermost loops, or over the one vector loop."""
        outer = [axis for axis in self.kept if axis not in (self.vectors.axis, *self.inner)]
        sizes = [self.loop.space[axis] for axis in outer]
        for depth in range(1, len(outer) + 1):
            if (turns := points(sizes[:depth])) >= 4 * work.blocks or depth == len(outer):
                break
        else:
            depth, turns = 0, 1
        vector_turns = self._full_turns() if self.along_kept else 1
        wanted = min(work.blocks, max(turns, vector_turns))
        if wanted < 2:
            return _Split(0, 1)
        if turns >= min(work.blocks, vector_turns):
            per = -(-turns // wanted)
            self.blocks = -(-turns // per)
            return _Split(depth, per)
        per = -(-vector_turns // wanted)
        self.blocks = -(-vector_turns // per)
        return _Split(None, per)

    def _vectors(self) -> int:
        """How many vectors the vector axis takes, the last one perhaps in part."""
        assert self.vectors.axis is not None
        return -(-self.loop.space[self.vectors.axis] // self.vectors.lanes)

    def _full_turns(self) -> int:
        assert self.vectors.axis is not None
        return self.loop.space[self.vectors.axis] // (self.vectors.lanes * self.unroll)

    # -- kept axes ---------------------------------------------------------------------------

    def emit(self) -> None:
        """All of the kernel."""
        if any(self.loop.space[axis] == 0 for axis in self.kept):
            return
        self.body.compute(self.levels[0], [self.root], {})
        if self.is_carried:
            self._some_rows()
            return
        if not self.split.depth:
            self._kept(0, [self.root])
            return
        prefix = self.kept[: self.split.depth]
        total = points([self.loop.space[axis] for axis in prefix])
        low, high = self._range(total)
        with self.b.loop(low, high, unrolled=False) as turn:
            self.body.count(turn.index, prefix, self.loop.space)
            for level in range(1, len(prefix) + 1):
                self.body.compute(self.levels[level], [self.root], {})
            self._kept(len(prefix), [self.root])

    def _some_rows(self) -> None:
        """The rows of a call: where among all they are, and where among those summed together."""
        low, high = (Value(self.b, f"%{end}", self.root.start.dtype) for end in ("low", "high"))
        size = self.loop.space[self.reduced[0]]
        place = self.b.op(f"udiv i64 %low, {size}", low.dtype)
        first = place * size
        self.rows = low - first, high - first
        self.body.counters[self.kept[0]] = place
        self.body.compute(self.levels[1], [self.root], {})
        self._kept(1, [self.root])

    def _range(self, total: int) -> tuple[Value, Value]:
        """Turns that the blocks low .. high - 1 do."""
        low, high = (
            self.b.op(f"mul i64 %{end}, {self.split.per}", self.root.start.dtype)
            for end in ("low", "high")
        )
        return low, self.b.intrinsic("smin", high, self.b.integer(total))

    def _kept(self, depth: int, turns: list[Turn]) -> None:
        """The loops over the kept axes from `depth` on; inside that of the vectors, for `turns`."""
        if depth == len(self.kept):
            self._point(turns)
        elif self.kept[depth] == self.vectors.axis:
            self._kept_vectors(depth)
        else:
            axis = self.kept[depth]
            size = self.loop.space[axis]
            with self.b.loop(0, size, unrolled=size <= _FEW) as turn:
                self.body.counters[axis] = turn.index
                self.body.compute(self.levels[depth + 1], turns, {})
                self._kept(depth + 1, turns)

    def _kept_vectors(self, depth: int) -> None:
        def inside(turns: list[Turn]) -> None:
            self.body.compute(self.levels[depth + 1], turns, {})
            self._kept(depth + 1, turns)

        width = self.vectors.lanes * self.unroll
        full = self._full_turns()
        low, high = self.b.integer(0), self.b.integer(full * width)
        if self.split.depth is None:
            low, high = (end * width for end in self._range(full))
        if full:
            with self.b.loop(low, high, width, unrolled=False) as turn:
                inside(self._turns(turn.index, self.unroll))
        if rest := self._rest():
            if self.split.depth is None:
                last = self.b.op(f"icmp eq i64 %high, {self.blocks}", BOOL)
                with self.b.when(last):
                    inside(rest)
            else:
                inside(rest)

    def _turns(self, start: Value, count: int) -> list[Turn]:
        lanes = self.vectors.lanes
        starts = [start + lanes * number if number else start for number in range(count)]
        return [Turn(first, None, dict(self.root.values)) for first in starts]

    def _rest(self) -> list[Turn]:
        """What the full turns of the vector loop leave: a few vectors, the last one masked."""
        assert self.vectors.axis is not None
        lanes, size = self.vectors.lanes, self.loop.space[self.vectors.axis]
        starts = range(self._full_turns() * lanes * self.unroll, size, lanes)
        turns = [Turn(self.b.integer(s), None, dict(self.root.values)) for s in starts]
        if size % lanes:
            turns[-1].mask = self.b.first_lanes(size % lanes, lanes)
        return turns

    # -- a point of the kept axes ------------------------------------------------------------

    def _point(self, turns: list[Turn]) -> None:
        results: dict[int, list[Value]] = {}
        if self.loop.reduced or self.loop.reductions:
            partials = self._reduced(turns)
            results = {
                id(turn): [result(r, p) for r, p in zip(self.loop.reductions, own, strict=True)]
                for turn, own in zip(turns, partials, strict=True)
            }
        if self.rows:
            results = {id(turn): self._with_earlier(turn, results[id(turn)]) for turn in turns}
        self.body.compute(self.after, turns, results)
        self._store(self.loop.tail_stores if results else self.loop.stores, turns)

    def _with_earlier(self, turn: Turn, results: Sequence[Value]) -> list[Value]:
        """Results of some rows with those of the rows before, which stand where these will."""
        assert self.rows is not None
        is_first = self.rows[0].equals(0)
        found = []
        for reduction, value, store in zip(
            self.loop.reductions, results, self.loop.tail_stores, strict=True
        ):
            before = self.body.load(store.access, turn, value.lanes)
            found.append(is_first.select(value, combined(reduction, before, value)))
        return found

    def _store(self, stores: Sequence[Store], turns: Sequence[Turn]) -> None:
        for turn in turns:
            for store in stores:
                self.body.store(turn.values[store.value], store.access, turn)

    def _reduced(self, turns: list[Turn]) -> Partials:
        """The partial results of each turn, lanes joined if vectors run along a reduced axis."""
        if any(self.loop.space[axis] == 0 for axis in self.reduced):
            return [[nothing(self.b, r) for r in self.loop.reductions] for _ in turns]
        count = self.unroll if self.along_reduced else len(turns)
        partials = self._reduce(0, self._fresh(count), turns)
        if not self.along_reduced:
            return partials
        whole = reduce(self._joined, partials)
        return [[of_lanes(r, p) for r, p in zip(self.loop.reductions, whole, strict=True)]]

    def _fresh(self, count: int) -> Partials:
        dtypes = [self.body.scalars[r.value].dtype for r in self.loop.reductions]
        pairs = list(zip(self.loop.reductions, dtypes, strict=True))
        lanes = self.vectors.lanes
        return [[identity(self.b, r, dtype, lanes) for r, dtype in pairs] for _ in range(count)]

    def _joined(self, a: list[Partial], b: list[Partial]) -> list[Partial]:
        return [joined(r, x, y) for r, x, y in zip(self.loop.reductions, a, b, strict=True)]

    def _reduce(self, depth: int, partials: Partials, turns: list[Turn]) -> Partials:
        """The loops over the reduced axes from `depth` on, and what they make of `partials`."""
        if depth == len(self.reduced):
            return self._step(partials, turns)
        axis = self.reduced[depth]
        if axis == self.vectors.axis:
            return self._reduced_vectors(partials)

        def inside(counter: Value, partials: Partials) -> Partials:
            self.body.counters[axis] = counter
            self.body.compute(self.levels[len(self.kept) + depth + 1], turns, {})
            return self._reduce(depth + 1, partials, turns)

        if self.rows and not depth:
            return self._carried(*self.rows, 1, partials, inside)
        return self._repeated(self.loop.space[axis], 1, partials, inside)

    def _reduced_vectors(self, partials: Partials) -> Partials:
        """The innermost loop, whose vectors run along a reduced axis."""

        def inside(start: Value, partials: Partials) -> Partials:
            return self._computed(self._turns(start, self.unroll), partials)

        full, width = self._full_turns(), self.vectors.lanes * self.unroll
        if full:
            partials = self._repeated(full, width, partials, inside)
        if rest := self._rest():
            return self._computed(rest, partials[: len(rest)]) + partials[len(rest) :]
        return partials

    def _computed(self, turns: list[Turn], partials: Partials) -> Partials:
        self.body.compute(self.levels[-1], turns, {})
        return self._step(partials, turns)

    def _repeated(
        self,
        count: int,
        width: int,
        partials: Partials,
        inside: Callable[[Value, Partials], Partials],
    ) -> Partials:
        """A loop of `count` turns that carries `partials`; a long one sums chunks of chunks."""
        span = width
        while span * _CHUNK < count * width:
            span *= _CHUNK

        def chunk(start: Value, partials: Partials, end: Value, span: int) -> Partials:
            if span == width:
                return inside(start, partials)
            stop = self.b.intrinsic("smin", start + span, end)
            step = span // _CHUNK
            own = self._carried(
                start, stop, step, self._fresh(len(partials)), lambda s, p: chunk(s, p, stop, step)
            )
            return [self._joined(a, b) for a, b in zip(partials, own, strict=True)]

        end = count * width
        last = self.b.integer(end)
        return self._carried(0, end, span, partials, lambda s, p: chunk(s, p, last, span))

    def _carried(
        self,
        low: Value | int,
        high: Value | int,
        width: int,
        partials: Partials,
        inside: Callable[[Value, Partials], Partials],
    ) -> Partials:
        flat = [value for own in partials for partial in own for value in partial]
        few = isinstance(low, int) and isinstance(high, int) and high - low <= _FEW * width
        with self.b.loop(low, high, width, flat, unrolled=few) as turn:
            after = inside(turn.index, _folded(turn.values, partials))
            turn.next = [value for own in after for partial in own for value in partial]
        return _folded(turn.values, partials)

    def _step(self, partials: Partials, turns: list[Turn]) -> Partials:
        """Each turn's values stored, and taken into its partial results."""
        self._store(self.loop.body_stores, turns)
        return [
            [
                step(r, p, turn.values[r.value], self._position(r, turn), turn.mask)
                for r, p in zip(self.loop.reductions, own, strict=True)
            ]
            for turn, own in zip(turns, partials, strict=True)
        ]

    def _position(self, reduction: Reduce, turn: Turn) -> Value | None:
        if not reduction.kind.startswith("arg"):
            return None
        if not self.loop.reduced:  # the one axis was of size 1
            return self.b.integer(0)
        return self.body.position(self.loop.reduced[0], turn)


def _folded(values: Sequence[Value], like: Partials) -> Partials:
    """`values`, a flat list, in the shape of `like`."""
    rest = iter(values)
    return [[[next(rest) for _ in partial] for partial in own] for own in like]
