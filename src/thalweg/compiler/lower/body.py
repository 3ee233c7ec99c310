"""A body at one vector of points: its scalars as values, in step with the loops round it.

A `Turn` is one vector's worth of points (or a single point): the counters of the loops, the lanes
that count, and the values of the scalars so far. Several turns may stand side by side (unrolled);
a scalar that is the same in all of them is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.compiler.kernels import Access, Buffer, Indirect, Scalar
from thalweg.compiler.lower import philox
from thalweg.compiler.lower.casts import cast
from thalweg.compiler.lower.emit import BOOL, I32, I64, U64, Builder, Value
from thalweg.compiler.lower.nest import Vectors
from thalweg.compiler.lower.next_rows import NOTHING
from thalweg.compiler.lower.reducing import of_any
from thalweg.compiler.lower.scalars import lower_scalar

__all__ = ["Body", "Turn"]


@dataclass(slots=True)
class Turn:
    """One vector of points: where it begins along the vector axis, which lanes count."""

    start: Value
    mask: Value | None = None
    values: dict[int, Value] = field(default_factory=dict)


class Body:
    """Emits scalars, addresses and stores of one kernel."""

    def __init__(
        self,
        b: Builder,
        scalars: Sequence[Scalar],
        depends: Sequence[frozenset[int]],
        vectors: Vectors,
        buffers: Sequence[Buffer],
    ) -> None:
        self.b = b
        self.scalars = scalars
        self.depends = depends
        self.vectors = vectors
        self.pointers = {buffer: f"%b{number}" for number, buffer in enumerate(buffers)}
        self.counters: dict[int, Value] = {}
        self.streamed: frozenset[Buffer] = frozenset()  # what is written past the caches
        self.asked = NOTHING

    def count(self, turn: Value, axes: Sequence[int], space: Sequence[int]) -> None:
        """The counters of `axes` from the number of a turn, the last axis running fastest."""
        for axis in reversed(axes[1:]):
            whole = self.b.op(f"udiv i64 {turn.text}, {space[axis]}", turn.dtype)
            self.counters[axis] = turn - whole * space[axis]
            turn = whole
        self.counters[axes[0]] = turn

    def compute(
        self, numbers: Sequence[int], turns: Sequence[Turn], reduced: Mapping[int, list[Value]]
    ) -> None:
        """The scalars `numbers`, in order, for each of `turns`; `reduced`: results by turn."""
        for number in numbers:
            if self.scalars[number].op == "bits" and self.varies(number):
                self._bits(number, turns)
            elif self.varies(number):
                for turn in turns:
                    turn.values[number] = self._scalar(number, turn, reduced)
            else:
                value = self._scalar(number, turns[0], reduced)
                for turn in turns:
                    turn.values[number] = value

    def varies(self, number: int) -> bool:
        """Whether the scalar differs from lane to lane."""
        return self.vectors.axis in self.depends[number]

    def _scalar(self, number: int, turn: Turn, reduced: Mapping[int, list[Value]]) -> Value:
        scalar = self.scalars[number]
        lanes = self.vectors.lanes if self.varies(number) else 1
        inputs = [turn.values[n] for n in scalar.inputs]
        match scalar.op:
            case "load":
                return self.load(scalar.attributes["access"], turn, lanes)
            case "literal":
                return self.b.constant(scalar.attributes["value"], scalar.dtype)
            case "affine":
                first = self._first(scalar.attributes, turn)
                stride = self._stride(scalar.attributes["strides"])
                return first + self._steps(stride, lanes) if stride else first
            case "bits":
                return philox.word(*inputs)
            case "reduced":
                number = int(scalar.attributes["number"])
                return reduced[id(turn)][number]
        return lower_scalar(self.b, scalar.op, inputs, scalar.dtype, scalar.attributes)

    def _bits(self, number: int, turns: Sequence[Turn]) -> None:
        """Random words; where lanes and turns take them one after another, in whole blocks."""
        key, counter, n = self.scalars[number].inputs
        if not self._in_blocks(number):
            for turn in turns:
                turn.values[number] = philox.word(*(turn.values[x] for x in (key, counter, n)))
            return
        first, lanes = turns[0], self.vectors.lanes
        start = self._first(self.scalars[n].attributes, first)
        stream = first.values[key], first.values[counter]
        found = philox.words(*stream, start, lanes, len(turns))
        for turn, words in zip(turns, found, strict=True):
            turn.values[number] = words

    def _in_blocks(self, number: int) -> bool:
        """Whether the words follow each other along the vector axis, from a multiple of 4 on."""
        *stream, n = self.scalars[number].inputs
        source, axis = self.scalars[n], self.vectors.axis
        if axis is None or source.op != "affine" or any(map(self.varies, stream)):
            return False
        strides = list(source.attributes["strides"])
        together = strides.pop(axis) == 1 and self.vectors.lanes % 4 == 0
        return together and not any(k % 4 for k in (source.attributes["start"], *strides))

    def position(self, axis: int, turn: Turn) -> Value:
        """The counter of `axis` in every lane."""
        if axis != self.vectors.axis or self.vectors.lanes == 1:
            return turn.start if axis == self.vectors.axis else self.counters[axis]
        return turn.start + self.b.lane_numbers(self.vectors.lanes)

    # -- memory ------------------------------------------------------------------------------

    def load(self, access: Access, turn: Turn, lanes: int) -> Value:
        """The elements at `access`."""
        dtype = access.buffer.dtype
        if any(indirect.size == 0 for indirect in access.indirect):
            self._raise(self.b.constant(True, BOOL))
            return self.b.constant(0, dtype, lanes)
        base = self.pointers[access.buffer]
        fixed, varying = self.address(access, turn)
        pointer = self.b.pointer(base, dtype, fixed)
        stride = self._vector_stride(access)
        if varying is not None:
            return self.b.gather(pointer, dtype, varying, turn.mask)
        if stride == 0 or lanes == 1:
            return self.b.load(pointer, dtype)
        if stride == 1:
            self._ask(access.buffer, pointer)
            return self.b.load(pointer, dtype, lanes, turn.mask)
        return self.b.gather(pointer, dtype, self._steps(stride, lanes), turn.mask)

    def _ask(self, buffer: Buffer, pointer: str) -> None:
        """For what will be read instead of this, if it should be."""
        if distance := self.asked.distance.get(buffer):
            ahead = f"%{self.b.fresh('ahead')}"
            self.b.emit(f"{ahead} = getelementptr i8, ptr {pointer}, i64 {distance}")
            self.b.prefetch(ahead, near=self.asked.near)

    def store(self, value: Value, access: Access, turn: Turn) -> None:
        """Write `value` to `access`, in the lanes that count."""
        b, dtype = self.b, access.buffer.dtype
        fixed, varying = self.address(access, turn)
        pointer = b.pointer(self.pointers[access.buffer], dtype, fixed)
        stride = self._vector_stride(access)
        lanes = self.vectors.lanes if stride else 1
        assert varying is None, "only a scatter writes to computed places"
        if lanes == 1:
            b.store(value, pointer)
        elif stride == 1 and turn.mask is None and self._is_streamed(access):
            b.stream(value.spread(lanes), pointer)
        elif stride == 1:
            b.store(value.spread(lanes), pointer, turn.mask)
        else:
            b.scatter(value.spread(lanes), pointer, self._steps(stride, lanes), turn.mask)

    def _is_streamed(self, access: Access) -> bool:
        """Whether its vectors are written past the caches: wide, at multiples of their size."""
        axis, lanes = self.vectors.axis, self.vectors.lanes
        others = [stride for n, stride in enumerate(access.strides) if n != axis]
        even = not any(place % lanes for place in (access.offset, *others))
        wide = lanes * access.buffer.dtype.itemsize >= 32
        return access.buffer in self.streamed and even and wide

    def add(self, value: Value, access: Access, turn: Turn) -> None:
        """Add `value` to what stands at `access`: one place, or neighbours along the vector."""
        if any(indirect.size == 0 for indirect in access.indirect):
            self._raise(self.b.constant(True, BOOL))
            return
        b, dtype = self.b, access.buffer.dtype
        fixed, varying = self.address(access, turn)
        assert varying is None, "lanes that may meet in one place are added one by one"
        pointer = b.pointer(self.pointers[access.buffer], dtype, fixed)
        lanes = self.vectors.lanes
        before = b.load(pointer, dtype, lanes, turn.mask)
        b.store(before + value.spread(lanes), pointer, turn.mask)

    def address(self, access: Access, turn: Turn) -> tuple[Value, Value | None]:
        """Offset of the first lane, and, where indices vary, what to add to it in each lane."""
        offset = self._first({"start": access.offset, "strides": access.strides}, turn)
        varying: Value | None = None
        for indirect in access.indirect:
            place = self.place(indirect, turn)
            if place.lanes == 1:
                offset = self._add(offset, place, indirect.stride)
            else:
                more = place * indirect.stride
                varying = more if varying is None else varying + more
        stride = self._vector_stride(access)
        if varying is not None and stride:
            varying = varying + self._steps(stride, varying.lanes)
        return offset, varying

    def _first(self, line: Mapping[str, Any], turn: Turn) -> Value:
        """start + sum of stride * counter, for the first lane."""
        offset = self.b.integer(line["start"])
        for axis, stride in enumerate(line["strides"]):
            if stride:
                counter = turn.start if axis == self.vectors.axis else self.counters[axis]
                offset = self._add(offset, counter, stride)
        return offset

    def _add(self, offset: Value, counter: Value, stride: int) -> Value:
        if counter.text == "0":
            return offset
        scaled = counter if stride == 1 else counter * stride
        return scaled if offset.text == "0" else offset + scaled

    def _vector_stride(self, access: Access) -> int:
        return self._stride(access.strides)

    def _stride(self, strides: Sequence[int]) -> int:
        return 0 if self.vectors.axis is None else strides[self.vectors.axis]

    def _steps(self, stride: int, lanes: int) -> Value:
        numbers = ", ".join(f"i64 {lane * stride}" for lane in range(lanes))
        return Value(self.b, f"<{numbers}>", I64, lanes)

    def place(self, indirect: Indirect, turn: Turn) -> Value:
        """A computed index as int64 in range; one that is not raises the flag and becomes 0."""
        index = cast(turn.values[indirect.index], I64)
        if indirect.wrap:
            index = (index < 0).select(index + indirect.size, index)
        outside = index.retyped(U64) >= indirect.size
        bad = outside & turn.mask if turn.mask is not None and outside.lanes > 1 else outside
        self._raise(bad)
        return outside.select(0, index)

    def _raise(self, bad: Value) -> None:
        with self.b.when(of_any(bad)):
            self.b.store(self.b.constant(1, I32), "%error")
