"""Chains: loops over the same rows, done together for a few rows at a time.

A softmax is the rows' largest, the exponentials with their sum, and a division. Each alone would
stream the tensor from memory; row after row, only the first does, and only the last writes to it.

So may a loop by itself, where it sums over rows and writes at each point: along rows, memory is
read and written in order.

Loops are looked at in order. A large one begins a chain, and later ones join it that share much
with it, or are on the way to some that do. What lies between and waits for the chain comes after
it, the rest before it. A loop fits where whatever one loop of the chain writes and another touches
is, at each row, in a stretch of memory that no other row touches.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from thalweg.compiler.kernels import Access, Buffer, Chain, Kernel, Loop
from thalweg.compiler.lower.nest import accesses
from thalweg.compiler.passes.plan.memory import reads_of, writes_of
from thalweg.compiler.passes.plan.parts import counted, divided, in_parts
from thalweg.compiler.passes.plan.tails import tail_apart
from thalweg.compiler.stretches import Stretch, stretch_of

__all__ = ["chained"]

_LEAST = 1 << 18  # bytes that need not come from memory again; less stays in a cache anyway
_LARGEST_ROW = 3 << 18  # bytes of all that is touched at a row, to stay in a cache
_FEWEST = 16  # rows, for threads to share
_SHORT, _TOGETHER = 256, 1024  # points of a row below which rows of so many are taken for one
_FAR = 24  # kernels that may lie between two loops


def chained(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` with loops that go on row by row in chains."""
    rest, result = list[Kernel](kernels), list[Kernel]()
    known = _Known(rest)
    while rest:
        found = _Search(rest, known).best()
        if found is None:
            result.append(rest.pop(0))
            continue
        taken = {*found.before, *found.members}
        result += [rest[n] for n in found.before]
        result += _chain(found)
        rest = [kernel for n, kernel in enumerate(rest) if n not in taken]
    return [_with_within(kernel, result) for kernel in result]


def _row_counts(kernels: Iterable[Kernel]) -> list[int]:
    """The numbers of rows that reductions suggest, most first."""
    counts = set[int]()
    for kernel in kernels:
        if isinstance(kernel, Loop) and kernel.reductions:
            size = 1
            for axis, own in enumerate(kernel.space):
                if axis in kernel.reduced:
                    break
                size *= own
                counts.add(size // _neighbours(own, math.prod(kernel.space[axis + 1 :])))
            if 0 in kernel.reduced and _sums_what_it_writes(kernel):
                counts.add(kernel.space[0])
    return sorted((count for count in counts if count >= _FEWEST), reverse=True)


def _sums_what_it_writes(loop: Loop) -> bool:
    """Whether it would go down columns, far apart in memory, were it not in rows."""
    down = bool(loop.reduced) and len(loop.space) - 1 not in loop.reduced
    return down and bool(loop.body_stores)


def _neighbours(rows: int, points: int) -> int:
    """How many neighbours of `rows` rows, of so many `points`, are one: vectors run along a row."""
    if points >= _SHORT:
        return 1
    enough = (n for n in range(1, rows) if not rows % n and n * points >= _TOGETHER)
    return next(enough, rows)


# --- a loop in rows ------------------------------------------------------------------------------


def _in_rows(loop: Loop, rows: int) -> tuple[Loop, int] | None:
    """`loop` with first axes that have `rows` points together, and how many these are."""
    count = 1
    for axis, size in enumerate(loop.space):
        if axis in loop.reduced or not size:
            return None
        if count * size >= rows:
            inside = rows // count
            if inside * count != rows or size % inside:
                return None
            if size != inside:
                if axis in counted(loop):
                    return None
                loop = divided(loop, axis, inside)
            return loop, axis + 1
        count *= size
    return None


@dataclass(slots=True)
class _Rows:
    """A loop in rows: what it touches of each buffer, None where that is not to be told.

    If it sums over the rows, it does so in parts, and `rest` joins these.
    """

    loop: Loop
    rest: Loop | None
    touched: dict[Buffer, Stretch | None]
    reads: frozenset[Buffer]
    writes: frozenset[Buffer]
    sizes: dict[Buffer, int]

    @classmethod
    def of(cls, loop: Loop, rows: int) -> _Rows | None:
        """`loop` over `rows` rows, if it can be."""
        rest: Loop | None = None
        if found := _in_rows(loop, rows):
            split, lead = found
        elif parts := in_parts(loop, rows):
            (split, rest), lead = parts, 2
        else:
            return None
        touched: dict[Buffer, Stretch | None] = {}
        sizes: dict[Buffer, int] = {}
        for access in accesses(split):
            own, buffer = stretch_of(access, split.space, lead), access.buffer
            before = touched.get(buffer, own)
            touched[buffer] = own and before and before.joined(own)
            sizes[buffer] = max(sizes.get(buffer, 0), _row_bytes(access, split.space[lead:]))
        reads, writes = frozenset(reads_of(split)), frozenset(writes_of(split))
        return cls(split, rest, touched, reads, writes, sizes)


def _row_bytes(access: Access, inside: Sequence[int]) -> int:
    strides = access.strides[len(access.strides) - len(inside) :]
    moving = [size for size, stride in zip(inside, strides, strict=True) if stride]
    return math.prod(moving) * access.buffer.dtype.itemsize


class _Known:
    """What is asked about kernels again and again."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.counts = _row_counts(kernels)
        self.touched = {id(kernel): _touched(kernel) for kernel in kernels}
        self._rows: dict[tuple[int, int], _Rows | None] = {}

    def rows(self, kernel: Kernel, count: int) -> _Rows | None:
        """`kernel` over `count` rows, if it can be."""
        key = id(kernel), count
        if key not in self._rows:
            self._rows[key] = _Rows.of(kernel, count) if isinstance(kernel, Loop) else None
        return self._rows[key]


@dataclass(frozen=True, slots=True)
class _Touched:
    """What kernels read and write."""

    reads: frozenset[Buffer] = frozenset()
    writes: frozenset[Buffer] = frozenset()

    def with_(self, other: _Touched) -> _Touched:
        return _Touched(self.reads | other.reads, self.writes | other.writes)

    def holds_up(self, later: _Touched) -> bool:
        """Whether later kernels have to wait for these."""
        return not (
            self.writes.isdisjoint(later.reads)
            and self.writes.isdisjoint(later.writes)
            and self.reads.isdisjoint(later.writes)
        )


def _touched(kernel: Kernel) -> _Touched:
    return _Touched(frozenset(reads_of(kernel)), frozenset(writes_of(kernel)))


# --- which loops ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """A chain to be: kernels by their number, and those that come before it."""

    rows: int
    members: dict[int, _Rows] = field(default_factory=dict)
    before: list[int] = field(default_factory=list)

    def saved(self, number: int) -> int:
        """Bytes that a member shares with others, row by row."""
        own = self.members[number]
        others = Counter(
            buffer for n, member in self.members.items() if n != number for buffer in member.touched
        )
        return sum(_bytes(b) for b in own.touched if others[b] and self.apart(b))

    def needs_others(self, number: int) -> bool:
        """Whether a member reads what another one writes."""
        reads = self.members[number].reads
        return any(reads & m.writes for n, m in self.members.items() if n != number)

    def apart(self, buffer: Buffer) -> bool:
        """Whether each row has its own stretch of a buffer, the same in all members."""
        whole: Stretch | None = None
        for member in self.members.values():
            if buffer in member.touched:
                own = member.touched[buffer]
                if own is None:
                    return False
                whole = own if whole is None else whole.joined(own)
                if whole is None:
                    return False
        return whole is not None and whole.is_apart

    def fits(self) -> bool:
        """Whether what is written is touched by others at the same row only."""
        count = Counter(buffer for member in self.members.values() for buffer in member.touched)
        written = {buffer for member in self.members.values() for buffer in member.writes}
        return all(self.apart(buffer) for buffer in written if count[buffer] > 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of all that is touched at a row, but for results that one loop writes: these go
        past the caches."""
        count = Counter(buffer for member in self.members.values() for buffer in member.touched)
        largest: dict[Buffer, int] = {}
        for member in self.members.values():
            for buffer, size in member.sizes.items():
                if buffer.kind != "output" or count[buffer] > 1 or buffer in member.reads:
                    largest[buffer] = max(size, largest.get(buffer, 0))
        return sum(largest.values())

    @property
    def total(self) -> int:
        """Bytes that are not moved again."""
        count = Counter(buffer for member in self.members.values() for buffer in member.touched)
        return sum((n - 1) * _bytes(b) for b, n in count.items() if n > 1 and self.apart(b))


def _bytes(buffer: Buffer) -> int:
    return buffer.size * buffer.dtype.itemsize


class _Search:
    """Looks for the chain that the first of `kernels` begins."""

    def __init__(self, kernels: Sequence[Kernel], known: _Known) -> None:
        self.kernels, self.known = kernels, known

    def best(self) -> _Found | None:
        """The one that saves most, or None where nothing much is saved."""
        if not isinstance(self.kernels[0], Loop) or not self._is_large(self.kernels[0]):
            return None
        found = [chain for rows in self.known.counts if (chain := self._grown(rows))]
        return max(found, key=lambda chain: chain.total, default=None)

    def _is_large(self, kernel: Kernel) -> bool:
        touched = self.known.touched[id(kernel)]
        return sum(map(_bytes, touched.reads | touched.writes)) >= _LEAST

    def _grown(self, rows: int) -> _Found | None:
        """The chain of `rows` rows, of two loops or more, or of one that sums what it writes."""
        chain, within, after = _Found(rows), _Touched(), _Touched()
        idle = 0
        for number, kernel in enumerate(self.kernels):
            own = self.known.touched[id(kernel)]
            if not after.holds_up(own):
                if self._joins(chain, number, kernel):
                    within, idle = within.with_(own), 0
                    rest = chain.members[number].rest
                    after = after.with_(_touched(rest)) if rest else after
                    continue
                if not within.holds_up(own):
                    chain.before.append(number)
                    own = _Touched()
            after = after.with_(own)
            idle += 1
            if not chain.members or idle > _FAR:
                break
        self._trim(chain)
        alone = [m for m in chain.members.values() if m.rest and _sums_what_it_writes(m.loop)]
        return chain if len(chain.members) > 1 or alone else None

    def _joins(self, chain: _Found, number: int, kernel: Kernel) -> bool:
        """Take a kernel into the chain, if it fits and saves something, or may lead on."""
        own = self.known.rows(kernel, chain.rows)
        if own is None:
            return False
        chain.members[number] = own
        leads_on = not self._is_large(kernel) and chain.needs_others(number)
        useful = not number or leads_on or chain.saved(number) >= _LEAST
        if useful and chain.row_bytes <= _LARGEST_ROW and chain.fits():
            return True
        del chain.members[number]
        return False

    def _trim(self, chain: _Found) -> None:
        """Without members that share little and that no other waits for; but one is left."""
        if not chain.members:
            return
        first, alone = min(chain.members.items(), key=lambda member: member[0])
        for number in sorted(chain.members, reverse=True):
            own = self.known.touched[id(self.kernels[number])]
            later = [self.known.touched[id(self.kernels[n])] for n in chain.members if n > number]
            if chain.saved(number) < _LEAST and not any(map(own.holds_up, later)):
                del chain.members[number]
        if not chain.members:
            chain.members[first] = alone
        last = max(chain.members, default=0)
        chain.before = [number for number in chain.before if number < last]


# --- the kernel ----------------------------------------------------------------------------------


def _chain(found: _Found) -> list[Kernel]:
    """The chain, and what its sums over rows are joined by."""
    members = [found.members[number] for number in sorted(found.members)]
    whole = tuple(member.loop for member in members)
    within = [b for b in _between(whole) if _steps_forward(found, b)]
    loops = tuple(part for member in members for part in _apart(member, found.rows))
    known = {buffer for member in members for buffer in member.touched}
    chain = Chain(
        rows=found.rows,
        loops=loops,
        within=(*within, *(b for b in _between(loops) if b not in known)),
        origins=tuple(dict.fromkeys(line for loop in loops for line in loop.origins)),
        label=" | ".join(loop.label for loop in loops),
    )
    return [chain, *(member.rest for member in members if member.rest is not None)]


def _apart(member: _Rows, rows: int) -> list[Loop]:
    """The loop, and what is left of it for many of its rows at once."""
    if member.rest is not None:
        return [member.loop]
    found = _in_rows(member.loop, rows)
    return tail_apart(member.loop, found[1]) if found else [member.loop]


def _between(loops: Sequence[Loop]) -> Iterator[Buffer]:
    """Temporaries that one loop writes and later ones read."""
    for number, loop in enumerate(loops):
        for buffer in writes_of(loop):
            later = any(buffer in reads_of(other) for other in loops[number + 1 :])
            if buffer.kind == "temporary" and later:
                yield buffer


def _steps_forward(found: _Found, buffer: Buffer) -> bool:
    stretches = [member.touched.get(buffer) for member in found.members.values()]
    return found.apart(buffer) and all(s is None or s.step > 0 for s in stretches)


def _with_within(kernel: Kernel, kernels: Sequence[Kernel]) -> Kernel:
    """Of a chain only those buffers are within that nobody else touches."""
    if not isinstance(kernel, Chain):
        return kernel
    others = [other for other in kernels if other is not kernel]
    outside = {b for other in others for b in (*reads_of(other), *writes_of(other))}
    return replace(kernel, within=tuple(b for b in kernel.within if b not in outside))
