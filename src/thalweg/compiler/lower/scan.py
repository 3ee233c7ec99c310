"""Cumulative sums: each row in order, so that the result is NumPy's bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.kernels import Scan, View
from thalweg.compiler.lower.emit import I64, Builder, Value
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import points
from thalweg.compiler.lower.work import blocks_for
from thalweg.compiler.machine import Machine

__all__ = ["lower_scan", "offset_of", "rows_of_blocks"]

_ADDITIONS = 60.0  # that a vector could do while a scalar chain does one


def lower_scan(kernel: Scan, name: str, machine: Machine) -> Lowered:
    """The native code of a scan kernel: rows are shared out, each is one chain of additions."""
    source, target = kernel.source, kernel.target
    buffers = tuple(dict.fromkeys((target.buffer, source.buffer)))
    *outer, size = source.shape
    rows = points(outer)
    dtype = source.buffer.dtype
    moved = 2.0 * rows * size * dtype.itemsize
    blocks = min(max(rows, 1), blocks_for(rows * size * _ADDITIONS, moved, machine))
    b = Builder()
    low, high = rows_of_blocks(b, rows, blocks)
    with b.loop(low, high) as row:
        starts = [offset_of(b, view, row.index, outer) for view in (source, target)]
        zero = b.constant(-0.0 if dtype.kind == "f" else 0, dtype)
        with b.loop(0, size, carried=[zero]) as turn:
            places = [
                start + turn.index * view.strides[-1]
                for start, view in zip(starts, (source, target), strict=True)
            ]
            element = b.load(b.pointer(_name(source, buffers), dtype, places[0]), dtype)
            total = turn.values[0] + element
            b.store(total, b.pointer(_name(target, buffers), dtype, places[1]))
            turn.next = [total]
    return finished(name, buffers, b, blocks, float(rows * size), moved)


def _name(view: View, buffers: Sequence[object]) -> str:
    return f"%b{buffers.index(view.buffer)}"


def rows_of_blocks(b: Builder, rows: int, blocks: int) -> tuple[Value, Value]:
    """The first row of block low, and the row after those of block high - 1."""
    per = -(-rows // blocks)
    low = b.op(f"mul i64 %low, {per}", I64)
    high = b.op(f"mul i64 %high, {per}", I64)
    return low, b.intrinsic("smin", high, b.integer(rows))


def offset_of(b: Builder, view: View, row: Value, outer: Sequence[int]) -> Value:
    """Where the row of that number begins in `view`, whose leading axes are `outer`."""
    offset = b.integer(view.offset)
    for axis in reversed(range(len(outer))):
        size, stride = outer[axis], view.strides[axis]
        whole = b.op(f"udiv i64 {row.text}, {size}", I64)
        offset = offset + (row - whole * size) * stride
        row = whole
    return offset
