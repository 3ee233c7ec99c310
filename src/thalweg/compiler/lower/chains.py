"""Chains of loops: a function for each loop, and one that calls them all for a few rows at a time.

    for the blocks of rows that this thread has
        for a few rows at a time
            loop 0, for these rows
            loop 1, ..

These rows' data fits in a cache. What lies within the chain stands in the thread's
scratch memory, always in the same place: a loop is given the address at which row 0 would stand,
and so finds its rows there. How many rows there are depends on sizes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.compiler.kernels import Access, Buffer, Chain
from thalweg.compiler.lower.emit import I64, Builder, Value
from thalweg.compiler.lower.loops import Part, lower_loop
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import accesses
from thalweg.compiler.lower.next_rows import next_rows
from thalweg.compiler.lower.past import in_one_of_two_ways, with_functions, written, written_past
from thalweg.compiler.lower.work import blocks_for, footprint, work_of
from thalweg.compiler.machine import Machine
from thalweg.compiler.stretches import Stretch, stretch_of

__all__ = ["lower_chain"]

# What some rows take of a cache: little, for while they are worked on the next ones come from
# memory. More where sums over rows are loaded and stored in between.
_SHARE, _SHARE_OF_SUMS = 4, 2
_MOST = 2 / 3  # of the first cache for a row; rows that take more go through the second
_LINE = 64


def lower_chain(chain: Chain, name: str, machine: Machine) -> Lowered:
    """The native code of a chain of loops."""
    streamed = written_past(chain.loops, machine, chain.within)
    part = Part(chain.rows, frozenset(chain.within))
    per = _rows_at_a_time(chain, machine)
    asked = next_rows(chain, per, machine, near=_row_bytes(chain) <= _MOST * machine.l1)
    parts = [replace(part, asked=each) for each in asked]
    plain = [lower_loop(x, f"{name}.{n}", machine, parts[n]) for n, x in enumerate(chain.loops)]
    past = [
        lower_loop(x, f"{code.name}.past", machine, own, streamed)
        if streamed & written(x)
        else code
        for x, code, own in zip(chain.loops, plain, parts, strict=True)
    ]
    buffers = tuple(
        b for b in dict.fromkeys(b for code in plain for b in code.buffers) if b not in chain.within
    )
    flops, bytes = sum(code.flops for code in plain), _traffic(chain)
    block = _rows_of_a_block(chain, flops, bytes, machine)
    b, scratch = Builder(), _Scratch(chain, per)
    pointers = {buffer: f"%b{number}" for number, buffer in enumerate(buffers)}

    def some_rows(start: Value, end: Value, each: Sequence[Lowered]) -> None:
        own = pointers | scratch.pointers(b, start)
        for code in each:
            given = [f"ptr {own[buffer]}" for buffer in code.buffers]
            given += ["ptr %error", "ptr %scratch", start.typed, end.typed]
            b.emit(f"call void @{code.name}({', '.join(given)})")

    def all_rows(each: Sequence[Lowered]) -> None:
        low, high = (Value(b, f"%{end}", I64) for end in ("low", "high"))
        with b.loop(low, high, unrolled=False) as number:
            start = number.index * block
            end = b.intrinsic("smin", start + block, b.integer(chain.rows))
            with b.loop(start, end, per, unrolled=False) as turn:
                some_rows(turn.index, b.intrinsic("smin", turn.index + per, end), each)

    if streamed:
        starts = [pointers[buffer] for buffer in buffers if buffer in streamed]
        in_one_of_two_ways(b, starts, lambda: all_rows(past), lambda: all_rows(plain))
    else:
        all_rows(plain)
    whole = finished(name, buffers, b, -(-chain.rows // block), flops, bytes, scratch.size)
    return with_functions(whole, [*plain, *past])


def _summed(chain: Chain) -> int:
    """How many rows are summed together, 0 where none are."""
    summed = [x.space[1] for x in chain.loops if 1 in x.reduced and chain.lead(x) == 2]
    return summed[0] if summed else 0


def _rows_of_a_block(chain: Chain, flops: float, bytes: float, machine: Machine) -> int:
    """Those that are summed together, or as many as are worth a thread's while."""
    if summed := _summed(chain):
        return summed
    wanted = max(
        blocks_for(flops, bytes, machine), *(work_of(x, machine).blocks for x in chain.loops)
    )
    return -(-chain.rows // min(wanted, chain.rows))


def _traffic(chain: Chain) -> float:
    """Bytes that come from memory or go there: of each buffer once, of one that is both twice."""
    read, written = dict[Buffer, int](), dict[Buffer, int]()
    for loop in chain.loops:
        stores = [store.access for store in loop.stores]
        for access in accesses(loop):
            side = written if access in stores else read
            side[access.buffer] = max(side.get(access.buffer, 0), footprint(access, loop.space))
    made = [buffer for buffer in read if buffer in written and buffer.kind != "state"]
    moved = sum(read.values()) + sum(written.values()) - sum(read[buffer] for buffer in made)
    return float(moved - sum(written.get(buffer, 0) for buffer in chain.within))


# -- rows ------------------------------------------------------------------------------------------


def _rows_at_a_time(chain: Chain, machine: Machine) -> int:
    """As many rows as a share of the first cache holds, or else of the second."""
    row = _row_bytes(chain)
    share = _SHARE_OF_SUMS if _summed(chain) else _SHARE
    cache = machine.l1 if row <= _MOST * machine.l1 else machine.l2
    return max(1, min(chain.rows, cache // share // max(1, row)))


def _row_bytes(chain: Chain) -> int:
    """Bytes that a row touches."""
    largest: dict[Buffer, int] = {}
    for loop in chain.loops:
        lead = chain.lead(loop)
        for access in accesses(loop):
            inside = Access(access.buffer, access.offset, access.strides[lead:], access.indirect)
            size = footprint(inside, loop.space[lead:])
            largest[access.buffer] = max(size, largest.get(access.buffer, 0))
    return sum(largest.values())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where rows of a buffer stand in scratch memory: from byte `at` on, `step` bytes a row; the
    first element is number `low` of its row."""

    at: int
    step: int
    low: int


class _Scratch:
    """The places of all buffers within a chain."""

    def __init__(self, chain: Chain, per: int) -> None:
        self.places, self.size = dict[Buffer, _Place](), 0
        for buffer in chain.within:
            own, item = _stretch(chain, buffer), buffer.dtype.itemsize
            self.places[buffer] = _Place(self.size, own.step * item, own.low * item)
            self.size += (-(-own.size(per) * item // _LINE)) * _LINE

    def pointers(self, b: Builder, first: Value) -> dict[Buffer, str]:
        """Where row 0 of each buffer would stand, if all did; the `first` of those that do."""
        found = {}
        for buffer, place in self.places.items():
            start = b.integer(place.at - place.low) - first * place.step
            found[buffer] = f"%{b.fresh('within')}"
            b.emit(f"{found[buffer]} = getelementptr i8, ptr %scratch, {start.typed}")
        return found


def _stretch(chain: Chain, buffer: Buffer) -> Stretch:
    """What all loops together touch of a buffer at a row."""
    whole: Stretch | None = None
    for loop in chain.loops:
        for access in (access for access in accesses(loop) if access.buffer is buffer):
            own = stretch_of(access, loop.space, chain.lead(loop))
            assert own is not None, buffer
            whole = own if whole is None else whole.joined(own)
    assert whole is not None, buffer
    return whole
