"""Asking for rows in time: a product's tiles ask, line by line, for what is gathered next.

Rows are cut into about as many runs as there are tiles, and a tile asks for one run, a little at
every step of its sums: lines that come from memory one after another leave room for what the
product itself reads (66.4 ms an epoch of a 784-128-10 network; 67.9 where a tile asks for all its
lines at once, 69.6 without). The blocks share the runs in order, so a thread asks for about those
rows that it will gather itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from thalweg.compiler.kernels import Ahead, Buffer, Contraction
from thalweg.compiler.lower.casts import cast
from thalweg.compiler.lower.emit import I64, Builder, Value
from thalweg.compiler.lower.packing import panel_strides
from thalweg.compiler.lower.register_tile import Operand
from thalweg.compiler.lower.tiling import Tiling

__all__ = ["NoRowsAhead", "RowsAhead", "rows_ahead", "rows_of"]

LINE = 64  # bytes


def rows_of(kernel: Contraction) -> tuple[Buffer, ...]:
    """What rows are asked for with: their places in the next run, and the table."""
    return (kernel.ahead.index, kernel.ahead.table) if kernel.ahead else ()


def rows_ahead(
    b: Builder, kernel: Contraction, buffers: Sequence[Buffer], tiling: Tiling
) -> RowsAhead | NoRowsAhead:
    """What asks for the rows of `kernel`, if there are any; with long sums, nobody does."""
    if kernel.ahead is None or tiling.cut is not None:
        return NoRowsAhead()
    return RowsAhead(b, kernel.ahead, buffers, tiling, kernel.a.dtype.itemsize)


class NoRowsAhead:
    """Asks for nothing."""

    spots: Sequence[str] = ()

    def begin(self, block: Value) -> None:
        """Nothing to share."""

    def next(self) -> None:
        """Nothing to ask for."""


class RowsAhead:
    """Asks for `rows` in the tiles of a contraction, whose elements have `item` bytes. `spots` are
    instructions for the entry of the function, that take a place on the stack."""

    spots = (f"  %turn = alloca i64, align {I64.itemsize}",)

    def __init__(
        self, b: Builder, rows: Ahead, buffers: Sequence[Buffer], tiling: Tiling, item: int
    ) -> None:
        self.b, self.rows, self.tiling, self.item = b, rows, tiling, item
        self.index, self.table = (f"%b{buffers.index(x)}" for x in (rows.index, rows.table))
        wanted = -(-rows.count * rows.length // tiling.tiles)
        self.runs = max(1, rows.length // wanted)  # of each row
        self.run = -(-rows.length // self.runs)

    @property
    def _count(self) -> int:
        return self.rows.count * self.runs

    def begin(self, block: Value) -> None:
        """A block begins with its share of the runs."""
        self.b.store(block * self._count / self.tiling.blocks, "%turn")

    def next(self) -> Operand:
        """The next run, to be asked for along the inner axes."""
        b, rows = self.b, self.rows
        turn = b.load("%turn", I64)
        b.store(turn + 1, "%turn")
        turn = (turn < self._count).select(turn, self._count - 1)
        place = turn / self.runs * rows.step + rows.start
        number = cast(b.load(b.pointer(self.index, rows.index.dtype, place), rows.index.dtype), I64)
        number = (number < 0).select(number + rows.size, number)
        first = number * rows.stride + turn % self.runs * self.run + rows.offset
        start = b.pointer(self.table, rows.table.dtype, first)
        return Operand(start, 0, 0, panel_strides(self.tiling.inner, self._step()), False)

    def _step(self) -> int:
        """How far from one point of the sums to the next, in their elements: at most a line."""
        lanes = self.tiling.width if self.tiling.lane.role == "inner" else 1
        depth = math.prod(dim.size for dim in self.tiling.inner)
        run = self.run * self.rows.table.dtype.itemsize
        return max(1, min(LINE // self.item // lanes, run // (self.item * max(depth, 1)) + 1))
