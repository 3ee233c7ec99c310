"""The register tile: sums of products held in registers over the whole inner loop.

For every step of the inner axes each operand is read once at each distinct address, then one
vector multiply-add follows for every pair. With the lanes along an inner axis the sums are
vectors still; a tree of shuffles adds up their lanes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.compiler.lower.axes import A, B, Dim
from thalweg.compiler.lower.emit import I64, Builder, DType, Value

__all__ = [
    "Bounds",
    "Operand",
    "RegisterTile",
    "add_lanes",
    "first_lanes",
    "load_lanes",
    "plus",
    "shuffle",
]

Bounds = tuple[Value | int, Value | int]


def plus(offset: Value | int, index: Value | int, stride: int) -> Value | int:
    """offset + index * stride, without instructions where numbers are known."""
    if stride == 0 or (isinstance(index, int) and index == 0):
        return offset
    step = index * stride
    if isinstance(step, Value) and isinstance(offset, int):
        return step + offset if offset else step
    return offset + step


def first_lanes(b: Builder, count: int, lanes: int) -> Value | None:
    """The mask of the first `count` lanes; None for all."""
    return None if count == lanes else b.first_lanes(count, lanes)


def load_lanes(
    b: Builder, base: str, dtype: DType, offset: Value | int, stride: int, lanes: int, count: int
) -> Value:
    """`count` elements `stride` apart as a vector, the other lanes 0; one scalar if stride is 0."""
    if stride == 0 or lanes == 1:
        return b.load(b.pointer(base, dtype, offset), dtype)
    mask = first_lanes(b, count, lanes)
    if stride == 1:
        return b.load(b.pointer(base, dtype, offset), dtype, lanes, mask)
    places = b.lane_numbers(lanes) * stride
    return b.gather(b.pointer(base, dtype, offset), dtype, places, mask)


@dataclass(frozen=True, slots=True)
class Operand:
    """Where A or B is read: a pointer, an offset, strides along the lanes and the inner axes.

    rows    pointers to use instead, for each point of the tile along an axis that is looked up
    places  the number of an inner axis that is looked up, and the pointer to its places
    """

    base: str
    offset: Value | int
    lane: int
    inner: tuple[int, ...]
    padded: bool  # vectors may be read in full
    rows: tuple[str, ...] = ()
    places: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class RegisterTile:
    """The sums of one tile. `extents`: elements along outer axes, lanes not counted;
    `count`: elements along the lanes (ignored when these are inner); `ahead`: where each operand
    will be read for the next part of the inner axes, if that is to be asked for in time; `beside`:
    what else is asked for, along the inner axes."""

    b: Builder
    dtype: DType
    operands: tuple[Operand, Operand]
    extents: tuple[tuple[Dim, int], ...]
    lane: Dim
    count: int
    width: int
    inner: tuple[Dim, ...]
    bounds: tuple[Bounds, ...]
    ahead: tuple[Operand | None, Operand | None]
    beside: Operand | None = None

    @property
    def vectors(self) -> int:
        """Vectors side by side along the lanes."""
        return 1 if self.lane.role == "inner" else -(-self.count // self.width)

    def coordinates(self) -> list[tuple[tuple[int, ...], int]]:
        """(place along each extent, vector) of every sum, in the order of the sums."""
        places = itertools.product(*(range(extent) for _, extent in self.extents))
        return [(place, v) for place in places for v in range(self.vectors)]

    def lanes_of(self, vector: int) -> int:
        """How many lanes of this vector count."""
        if self.lane.role == "inner":
            return self.width
        return min(self.width, self.count - vector * self.width)

    def sums(self, start: Sequence[Value]) -> list[Value]:
        """`start` plus all products."""
        return self._walk(0, [operand.offset for operand in self._walked], list(start))

    @property
    def _walked(self) -> list[Operand]:
        """What moves along with the inner axes."""
        others = (operand for operand in (*self.ahead, self.beside) if operand is not None)
        return [*self.operands, *others]

    def _walk(self, axis: int, at: list[Value | int], sums: list[Value]) -> list[Value]:
        if axis == len(self.inner):
            return self._step(at, sums, self.width)
        dim, (low, high) = self.inner[axis], self.bounds[axis]
        if dim is self.lane:
            return self._walk_lanes(axis, at, sums)
        with self.b.loop(low, high, 1, sums, unrolled=False) as turn:
            turn.next = self._walk(axis + 1, self._moved(at, axis, turn.index), turn.values)
        return turn.values

    def _walk_lanes(self, axis: int, at: list[Value | int], sums: list[Value]) -> list[Value]:
        """Whole vectors along the inner axis, then what remains of it."""
        low, high = self.bounds[axis]
        rest = self.inner[axis].size % self.width
        whole = self.inner[axis].size - rest
        if isinstance(high, int):
            sums = self._vectors(axis, at, sums, low, whole, self.width) if whole else sums
            return self._step(self._moved(at, axis, whole), sums, rest) if rest else sums
        stop = (high < whole).select(high, whole) if rest else high
        sums = self._vectors(axis, at, sums, low, stop, self.width)
        return self._vectors(axis, at, sums, whole, high, rest) if rest else sums

    def _vectors(
        self,
        axis: int,
        at: list[Value | int],
        sums: list[Value],
        low: Value | int,
        high: Value | int,
        count: int,
    ) -> list[Value]:
        """A vector after another from `low`, with `count` lanes each."""
        with self.b.loop(low, high, self.width, sums, unrolled=False) as turn:
            turn.next = self._step(self._moved(at, axis, turn.index), turn.values, count)
        return turn.values

    def _moved(self, at: list[Value | int], axis: int, index: Value | int) -> list[Value | int]:
        moved = []
        for place, operand in zip(at, self._walked, strict=True):
            place = plus(place, index, operand.inner[axis])
            if operand.places is not None and operand.places[0] == axis:
                found = self.b.pointer(operand.places[1], I64, index)
                place = self.b.load(found, I64) + place
            moved.append(place)
        return moved

    def _step(self, at: list[Value | int], sums: list[Value], count: int) -> list[Value]:
        """One product onto every sum."""
        seen: dict[tuple[int, int, int, int], Value] = {}
        bases = [
            [self.b.pointer(base, self.dtype, place) for base in operand.rows or [operand.base]]
            for operand, place in zip(self.operands, at, strict=False)
        ]

        def read(which: int, place: tuple[int, ...], vector: int) -> Value:
            operand = self.operands[which]
            offset = self._apart(which, operand, place, vector)
            lanes = min(count, self.lanes_of(vector))
            lanes = self.width if operand.padded else lanes
            row = self._row(place) if operand.rows else 0
            key = (which, row, offset, lanes)
            if key not in seen:
                loaded = load_lanes(
                    self.b, bases[which][row], self.dtype, offset, operand.lane, self.width, lanes
                )
                if count < self.width and loaded.lanes == 1:  # inner lanes: no product twice
                    loaded = self._masked(loaded, count)
                seen[key] = loaded.spread(self.width)
            return seen[key]

        self._ask(at[len(self.operands) :])
        return [
            _multiply_add(read(A, place, vector), read(B, place, vector), total)
            for (place, vector), total in zip(self.coordinates(), sums, strict=True)
        ]

    def _apart(self, which: int, operand: Operand, place: tuple[int, ...], vector: int) -> int:
        """Elements from the tile's first of an operand to that of a sum."""
        strides = [dim.steps[which] for dim, _ in self.extents]
        along = sum(p * stride for p, stride in zip(place, strides, strict=True))
        return vector * self.width * operand.lane + along

    def _row(self, place: tuple[int, ...]) -> int:
        """The point along the axis that is looked up."""
        return sum(p for p, (dim, _) in zip(place, self.extents, strict=True) if dim.placed)

    def _ask(self, at: Sequence[Value | int]) -> None:
        """Ask for the lines of the next part; of scalars, which are neighbours, for the last."""
        places = iter(at)
        for which, operand in enumerate(self.ahead):
            if operand is None:
                continue
            base = self.b.pointer(operand.base, self.dtype, next(places))
            found = {self._apart(which, operand, *where) for where in self.coordinates()}
            for offset in sorted(found) if operand.lane == 1 else [max(found)]:
                self.b.prefetch(self.b.pointer(base, self.dtype, offset), near=False)
        if self.beside is not None:
            self.b.prefetch(self.b.pointer(self.beside.base, self.dtype, next(places)))

    def _masked(self, scalar: Value, count: int) -> Value:
        mask = first_lanes(self.b, count, self.width)
        assert mask is not None
        return mask.select(scalar, 0)


def _multiply_add(a: Value, b: Value, total: Value) -> Value:
    if a.dtype.kind == "f":
        return a.fma(b, total)
    return (a & b) | total if a.dtype.kind == "b" else a * b + total


# -- adding up lanes -----------------------------------------------------------------------------


def add_lanes(b: Builder, vectors: Sequence[Value]) -> list[Value]:
    """Vectors whose lanes, one after another, are the sums over the lanes of each of `vectors`.

    Halves of two vectors are brought side by side and added, log2(lanes) times: first halves of
    many registers, then of 128 bits, which stay where they are.
    """
    lanes = vectors[0].lanes
    zero = b.constant(0, vectors[0].dtype, lanes)
    results = []
    for start in range(0, len(vectors), lanes):
        group = list(vectors[start : start + lanes])
        group += [zero] * (lanes - len(group))
        results.append(_tree(b, group))
    return results


def _tree(b: Builder, group: list[Value]) -> Value:
    order = _order(len(group), group[0].dtype.itemsize)
    arranged = [group[0]] * len(group)
    for lane, fed in enumerate(order):
        arranged[fed] = group[lane]
    width = len(group)
    while width > 1:
        low, high = _halves(len(group), width, group[0].dtype.itemsize)
        arranged = [
            b.op(shuffle(u, v, low), u.dtype, u.lanes) + b.op(shuffle(u, v, high), u.dtype, u.lanes)
            for u, v in zip(arranged[0::2], arranged[1::2], strict=True)
        ]
        width //= 2
    return arranged[0]


def _order(lanes: int, itemsize: int) -> list[int]:
    """Which of the vectors fed to the tree ends in each lane."""
    labels = [[n] * lanes for n in range(lanes)]
    width = lanes
    while width > 1:
        low, _ = _halves(lanes, width, itemsize)
        labels = [
            [(u + v)[place] for place in low]
            for u, v in zip(labels[0::2], labels[1::2], strict=True)
        ]
        width //= 2
    return labels[0]


def _halves(lanes: int, width: int, itemsize: int) -> tuple[list[int], list[int]]:
    """Lanes of the pair (u, v) that hold the first and the second halves of segments of `width`.

    Segments of at most 128 bits stay within their 128 bits."""
    half, small = width // 2, 16 // itemsize
    reach = small if half < small <= lanes else lanes
    low = [
        vector * lanes + block + segment + lane
        for block in range(0, lanes, reach)
        for vector in (0, 1)
        for segment in range(0, reach, width)
        for lane in range(half)
    ]
    return low, [place + half for place in low]


def shuffle(u: Value, v: Value, places: Sequence[int]) -> str:
    """The instruction that picks lanes of u followed by v."""
    mask = ", ".join(f"i32 {place}" for place in places)
    return f"shufflevector {u.typed}, {v.typed}, <{len(places)} x i32> <{mask}>"
