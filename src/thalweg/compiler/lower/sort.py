"""The stable order of each row, by its elements' bits.

A key is turned into an unsigned integer that sorts the same way: NaN all ones, -0 as 0, sign bits
flipped, everything inverted for a descending order. Then
- a short row is sorted by counting, for each element, how many stand before it;
- a long one by its digits of 8 bits, the lowest first, which keeps equal keys in order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.compiler.kernels import Sort
from thalweg.compiler.lower.casts import cast
from thalweg.compiler.lower.emit import I64, U32, U64, Builder, DType, Value
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import points
from thalweg.compiler.lower.scan import offset_of, rows_of_blocks
from thalweg.compiler.lower.spelling import bits_of
from thalweg.compiler.lower.work import blocks_for
from thalweg.compiler.machine import Machine

__all__ = ["lower_sort"]

_SHORT = 48
_DIGITS = 256
_ADDITIONS = 100.0  # that a vector could do while one element is moved once


def lower_sort(kernel: Sort, name: str, machine: Machine) -> Lowered:
    """The native code of a sort kernel: rows are shared out."""
    source, target = kernel.source, kernel.target
    buffers = tuple(dict.fromkeys((target.buffer, source.buffer)))
    *outer, size = source.shape
    rows, dtype = points(outer), source.buffer.dtype
    moved = float(rows * size * (dtype.itemsize + 8))
    steps = rows * size * (dtype.itemsize + 1) * _ADDITIONS
    blocks = min(max(rows, 1), blocks_for(steps, moved, machine))
    b = Builder()
    row_sort = _Row(b, kernel, size, f"%b{buffers.index(source.buffer)}")
    if size:
        low, high = rows_of_blocks(b, rows, blocks)
        with b.loop(low, high) as row:
            row_sort.emit(*(offset_of(b, view, row.index, outer) for view in (source, target)))
    scratch = row_sort.bytes
    return finished(name, buffers, b, blocks, float(rows * size), moved, scratch)


@dataclass(slots=True)
class _Row:
    """Sorts one row. Scratch: counts of digits, then two lists of (key, index), 16 bytes each."""

    b: Builder
    kernel: Sort
    size: int
    source: str

    @property
    def passes(self) -> int:
        """Digits of a key."""
        return self.kernel.source.buffer.dtype.itemsize

    @property
    def bytes(self) -> int:
        """Of scratch memory."""
        if self.size <= _SHORT:
            return 16 * self.size
        return 4 * _DIGITS * self.passes + 2 * 16 * self.size

    def emit(self, source: Value, target: Value) -> None:
        """Sort the row that begins at `source`; write its order from `target` on."""
        if self.size <= _SHORT:
            self._read(source, "%scratch", counted=False)
            self._rank(target)
            return
        counts = 4 * _DIGITS * self.passes
        lists = [self.b.pointer("%scratch", _BYTE, counts + n * 16 * self.size) for n in (0, 1)]
        self.b.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        self.b.emit(f"call void @llvm.memset.p0.i64(ptr %scratch, i8 0, i64 {counts}, i1 false)")
        self._read(source, lists[0], counted=True)
        for digit in range(self.passes):
            self._starts(digit)
            last = digit == self.passes - 1
            self._distribute(
                digit, lists[digit % 2], None if last else lists[1 - digit % 2], target
            )

    def _read(self, start: Value, list: str, counted: bool) -> None:
        """All keys with their indices into `list`; each of their digits counted."""
        b, view = self.b, self.kernel.source
        dtype = view.buffer.dtype
        with b.loop(0, self.size) as turn:
            place = start + turn.index * view.strides[-1]
            key = _sortable(b.load(b.pointer(self.source, dtype, place), dtype))
            if self.kernel.descending:
                key = ~key
            key = key if key.dtype == U64 else key.convert("zext", U64)
            self._put(list, turn.index, key, turn.index)
            for digit in range(self.passes if counted else 0):
                counter = self._counter(digit, self._digit(key, digit))
                b.store(b.load(counter, U32) + 1, counter)

    def _digit(self, key: Value, digit: int) -> Value:
        return ((key >> 8 * digit) & (_DIGITS - 1)).retyped(I64)

    def _counter(self, digit: int, value: Value) -> str:
        return self.b.pointer("%scratch", U32, value + digit * _DIGITS)

    def _put(self, list: str, place: Value, key: Value, index: Value) -> None:
        self.b.store(key, self.b.pointer(list, U64, place * 2))
        self.b.store(index, self.b.pointer(list, I64, place * 2 + 1))

    def _get(self, list: str, place: Value) -> tuple[Value, Value]:
        b = self.b
        key = b.load(b.pointer(list, U64, place * 2), U64)
        return key, b.load(b.pointer(list, I64, place * 2 + 1), I64)

    def _starts(self, digit: int) -> None:
        """Counts become the places where the elements of each digit begin."""
        b = self.b
        with b.loop(0, _DIGITS, carried=[b.constant(0, U32)]) as turn:
            counter = self._counter(digit, turn.index)
            count = b.load(counter, U32)
            b.store(turn.values[0], counter)
            turn.next = [turn.values[0] + count]

    def _distribute(self, digit: int, source: str, to: str | None, target: Value) -> None:
        """Each element to the next place of its digit; at last, only its index."""
        b = self.b
        with b.loop(0, self.size) as turn:
            key, index = self._get(source, turn.index)
            counter = self._counter(digit, self._digit(key, digit))
            place = b.load(counter, U32)
            b.store(place + 1, counter)
            if to is None:
                self._write(target, cast(place, I64), index)
            else:
                self._put(to, cast(place, I64), key, index)

    def _rank(self, target: Value) -> None:
        """Each index to the place that is the number of elements that come before it."""
        b = self.b
        with b.loop(0, self.size) as turn:
            key, index = self._get("%scratch", turn.index)
            with b.loop(0, self.size, carried=[b.integer(0)]) as other:
                rival, place = self._get("%scratch", other.index)
                before = (rival < key) | (rival.equals(key) & (place < index))
                other.next = [other.values[0] + cast(before, I64)]
            self._write(target, other.values[0], index)

    def _write(self, target: Value, place: Value, index: Value) -> None:
        view = self.kernel.target
        self.b.store(index, self.b.pointer("%b0", I64, target + place * view.strides[-1]))


_BYTE = np.dtype(np.uint8)


def _sortable(x: Value) -> Value:
    """An unsigned integer that compares as x does."""
    if x.dtype.kind in "ub":
        return cast(x, U32) if x.dtype.itemsize < 8 else x
    unsigned: DType = U32 if x.dtype.itemsize == 4 else U64
    sign = 1 << (8 * x.dtype.itemsize - 1)
    if x.dtype.kind == "i":
        return x.retyped(unsigned) ^ sign
    bits = (x + 0.0).bitcast(bits_of(x.dtype))
    flipped = (bits < 0).select(~bits, bits ^ -sign).retyped(unsigned)
    return x.is_nan().select(2 * sign - 1, flipped)
