"""Packing: an operand copied to panels, in the order in which register tiles read it.

    panel[inner point][lane]     one after another, each as wide as a register tile

Lanes behind the end of the axis hold anything: what is made of them is never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.compiler.lower.axes import Dim
from thalweg.compiler.lower.emit import I64, Builder, DType, Value, short_name
from thalweg.compiler.lower.register_tile import Bounds, load_lanes, plus, shuffle

__all__ = ["Packing", "panel_strides", "transposed"]


def panel_strides(inner: Sequence[Dim], width: int) -> tuple[int, ...]:
    """Elements from one point of each inner axis to the next in a panel of `width` lanes."""
    strides = []
    for dim in reversed(inner):
        strides.append(width)
        width *= dim.size
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class Packing:
    """Copies operand number `which` from `base` to `target`.

    `inner` and `bounds` are the inner axes and the part of each that is copied; the strides of
    panels count from the lower bounds.
    """

    b: Builder
    dtype: DType
    which: int
    base: str
    target: str
    lane: Dim
    width: int
    inner: tuple[Dim, ...]
    bounds: tuple[Bounds, ...]

    def panel(self, source: Value | int, place: Value | int, count: int) -> None:
        """One panel of `count` lanes at `place` of the target; its first lane is at `source`."""
        vectors = -(-count // self.width)
        strides = panel_strides(self.inner, vectors * self.width)
        for vector in range(vectors):
            start = vector * self.width
            at = plus(source, start, self._lane_stride)
            self._vector(at, plus(place, 1, start), min(self.width, count - start), strides)

    @property
    def _lane_stride(self) -> int:
        return self.lane.strides[self.which]

    def _vector(
        self, source: Value | int, place: Value | int, count: int, strides: tuple[int, ...]
    ) -> None:
        """The panel's lanes of one vector, for all inner points."""
        deepest = self.inner[-1] if self.inner else None
        if (
            deepest is not None
            and deepest.strides[self.which] == 1
            and self._lane_stride != 1
            and deepest.size >= self.width > 1
        ):
            self._walk(0, source, place, count, strides, len(self.inner) - 1)
        else:
            self._walk(0, source, place, count, strides, len(self.inner))

    def _walk(
        self,
        axis: int,
        source: Value | int,
        place: Value | int,
        count: int,
        strides: tuple[int, ...],
        depth: int,
    ) -> None:
        if axis == depth:
            if depth < len(self.inner):
                self._turned(source, place, count, strides[-1])
            else:
                self._copied(source, place, count)
            return
        low, high = self.bounds[axis]
        with self.b.loop(low, high, unrolled=False) as turn:
            at = plus(source, turn.index, self.inner[axis].strides[self.which])
            to = plus(place, _minus(turn.index, low), strides[axis])
            self._walk(axis + 1, at, to, count, strides, depth)

    def _copied(self, source: Value | int, place: Value | int, count: int) -> None:
        """The lanes of one inner point."""
        loaded = load_lanes(
            self.b, self.base, self.dtype, source, self._lane_stride, self.width, count
        )
        self.b.store(loaded.spread(self.width), self.b.pointer(self.target, self.dtype, place))

    def _turned(self, source: Value | int, place: Value | int, count: int, step: int) -> None:
        """Squares of lanes times inner points, transposed in registers; the last one may lie over
        the one before. Parts of a cut axis, which may be short, end with single points."""
        low, high = self.bounds[-1]
        points = _minus(high, low)
        if isinstance(points, int):
            self._squares(source, place, count, step, points - self.width + 1)
            if points % self.width:
                last = points - self.width
                self._square(plus(source, last, 1), plus(place, last, step), count, step)
            return
        middle = plus(low, points / self.width, self.width)
        self._squares(source, place, count, step, middle)
        with self.b.loop(middle, high, unrolled=False) as turn:
            to = plus(place, _minus(turn.index, low), step)
            self._copied(plus(source, turn.index, 1), to, count)

    def _squares(
        self, source: Value | int, place: Value | int, count: int, step: int, stop: Value | int
    ) -> None:
        low = self.bounds[-1][0]
        with self.b.loop(low, stop, self.width, unrolled=False) as turn:
            to = plus(place, _minus(turn.index, low), step)
            self._square(plus(source, turn.index, 1), to, count, step)

    def _square(self, source: Value | int, place: Value | int, count: int, step: int) -> None:
        """Call the shared function that transposes a square of vectors."""
        name = f"tw.transpose.{short_name(self.dtype)}x{self.width}"
        if name not in self.b.helpers:
            self.b.helpers[name] = _transposing(name, self.dtype, self.width)
        read = self.b.pointer(self.base, self.dtype, source)
        write = self.b.pointer(self.target, self.dtype, place)
        numbers = f"i64 {self._lane_stride}, i64 {count - 1}"
        self.b.emit(f"call void @{name}(ptr {read}, {numbers}, ptr {write}, i64 {step})")


def _transposing(name: str, dtype: DType, width: int) -> str:
    """A function: `width` vectors `stride` apart, from number `last` on the same one, are written
    transposed, as vectors `step` apart."""
    b = Builder()
    stride, last, step = (Value(b, f"%{n}", I64) for n in ("stride", "last", "step"))
    rows = []
    for lane in range(width):
        at = (last < lane).select(last, b.integer(lane)) * stride
        rows.append(b.load(b.pointer("%source", dtype, at), dtype, width))
    for number, column in enumerate(transposed(b, rows)):
        b.store(column, b.pointer("%target", dtype, step * number))
    given = "ptr noalias %source, i64 %stride, i64 %last, ptr noalias %target, i64 %step"
    return (
        f"define internal void @{name}({given}) noinline nounwind {{\n{b.body()}\n  ret void\n}}\n"
    )


def transposed(b: Builder, rows: Sequence[Value]) -> list[Value]:
    """The columns of a square of vectors: blocks off the diagonal change places, ever smaller."""
    lanes, square = len(rows), list(rows)
    block = lanes // 2
    while block:
        for first in range(lanes):
            if not first & block:
                u, v = square[first], square[first + block]
                square[first] = _exchanged(b, u, v, block, 0)
                square[first + block] = _exchanged(b, u, v, block, block)
        block //= 2
    return square


def _exchanged(b: Builder, u: Value, v: Value, block: int, start: int) -> Value:
    """The blocks of u and of v that begin `start` after every second multiple, side by side."""
    places = [
        vector * u.lanes + segment + start + lane
        for segment in range(0, u.lanes, 2 * block)
        for vector in (0, 1)
        for lane in range(block)
    ]
    return b.op(shuffle(u, v, places), u.dtype, u.lanes)


def _minus(index: Value | int, low: Value | int) -> Value | int:
    if isinstance(low, int) and low == 0:
        return index
    return index - low
