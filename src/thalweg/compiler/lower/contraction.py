"""Contractions: matrix products of every kind, and convolutions, as loops round register tiles.

    block            a fixed part of the result                     (tiling: chunks)
      fixed levels   batch axes, and what panels do not hold
        inner cut    a part of a long inner axis                    (partial sums are put away)
          packing    an operand copied to panels                    (packing)
          levels     tiles along the result's axes
            tile     sums of products in registers                  (register_tile)
            finish   the epilogue, and the stores                   (finish)

Reading order: axes, tile_model, tiling, this file, register_tile, packing, finish.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from thalweg.compiler.kernels import Buffer, Contraction, Margin
from thalweg.compiler.lower.ahead import rows_ahead, rows_of
from thalweg.compiler.lower.axes import A, B, Dim, Form, normal_form
from thalweg.compiler.lower.emit import Builder, DType, Value
from thalweg.compiler.lower.finish import FAR, Finish, effort
from thalweg.compiler.lower.lowered import Lowered, function
from thalweg.compiler.lower.packing import Packing, panel_strides
from thalweg.compiler.lower.placed import placed_operand
from thalweg.compiler.lower.register_tile import Bounds, Operand, RegisterTile, plus
from thalweg.compiler.lower.tiling import Level, Tiling, choose
from thalweg.compiler.machine import Machine
from thalweg.errors import ThalwegError

SHORT = 256  # products of a sum that is made before what is asked for then can have come

__all__ = ["Nest", "Part", "Point", "lower_contraction"]


def lower_contraction(kernel: Contraction, name: str, machine: Machine) -> Lowered:
    """The native code of `kernel`: float32 and float64 in vectors, integers one by one.

    Raises `ThalwegError` where the kernel writes to one of its operands, which is read again.
    """
    if {kernel.a, kernel.b} & {store.access.buffer for store in kernel.stores}:
        raise ThalwegError(f"{name}: a product is to be written over one of its own operands")
    form = normal_form(kernel)
    own = dict.fromkeys(s.buffer for s in form.streams if s.buffer is not None)
    own |= dict.fromkeys([kernel.places.buffer] if kernel.places else [])
    buffers = (*own, *rows_of(kernel))
    final = [kernel.stores[number].access.buffer for number in kernel.final]
    points, depth = form.count("batch", "row", "column"), form.count("inner")
    builder = Builder(scales=machine.has_scaling)
    blocks = scratch = 0
    if points:
        tiling = choose(form, kernel.a.dtype, machine, effort(kernel))
        nest = Nest(builder, kernel, form, tiling, buffers, machine)
        nest.write()
        blocks, scratch = tiling.blocks, nest.scratch
    return Lowered(
        name=name,
        ir=function(name, buffers, builder),
        buffers=buffers,
        blocks=max(1, blocks),
        flops=2.0 * points * depth * kernel.share + points * effort(kernel),
        bytes=float(sum(form.touched(buffer) for buffer in own if buffer not in final)),
        scratch=scratch,
        declarations=frozenset(builder.declarations),
        helpers=builder.helpers,
        later=(len(own),) if kernel.ahead else (),
        final=tuple(map(buffers.index, final)),
    )


@dataclass(frozen=True, slots=True)
class Point:
    """Where the loops stand: the offset of every stream, and of the partial sums; `sources`: of the
    operands in place, though they may be read from panels; `looked_up`: along a placed axis."""

    offsets: tuple[Value | int, ...]
    sources: tuple[Value | int, ...]
    partial: Value | int = 0
    looked_up: Value | int | None = None

    def moved(self, index: Value | int, dim: Dim) -> Point:
        """`index` steps further along an axis."""
        offsets, sources = (
            tuple(plus(at, index, stride) for at, stride in zip(places, dim.steps, strict=False))
            for places in (self.offsets, self.sources)
        )
        looked_up = index if dim.placed else self.looked_up
        return replace(self, offsets=offsets, sources=sources, looked_up=looked_up)

    def at(self, stream: int, offset: Value | int) -> Point:
        """With another offset of one stream."""
        return replace(self, offsets=(*self.offsets[:stream], offset, *self.offsets[stream + 1 :]))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the inner axes: bounds of each, and whether it is the first and the last."""

    bounds: tuple[Bounds, ...]
    first: Value | None = None
    last: Value | None = None


class Nest:
    """The loops of one contraction."""

    def __init__(
        self,
        builder: Builder,
        kernel: Contraction,
        form: Form,
        tiling: Tiling,
        buffers: Sequence[Buffer],
        machine: Machine,
    ) -> None:
        self.b = builder
        self.kernel = kernel
        self.form = form
        self.tiling = tiling
        self.dtype: DType = kernel.a.dtype
        self.finish = Finish(builder, kernel, form, buffers, machine.vector_bits == 512)
        self.bases = self.finish.bases
        self.places = f"%b{buffers.index(kernel.places.buffer)}" if kernel.places else ""
        self.panels = self._panel_bytes()
        self.partials = self._partial_strides()
        self.bounds: dict[int, tuple[Value | int, Value | int]] = {}
        self.rows = rows_ahead(builder, kernel, buffers, tiling)

    # -- scratch memory ----------------------------------------------------------------------

    @property
    def scratch(self) -> int:
        """Bytes a thread needs: panels, then partial sums."""
        return self.panels + self._partial_bytes()

    def _panel_bytes(self) -> int:
        """Panels of a block, and one vector's room."""
        tiling = self.tiling
        if tiling.packed is None:
            return 0
        lanes = _rounded(self._lane_level().chunk, tiling.width)
        return _rounded(lanes * tiling.panel_depth * self.dtype.itemsize, 64)

    def _lane_level(self) -> Level:
        return next(level for level in self.tiling.levels if level.dim is self.tiling.lane)

    def _spans(self) -> list[int]:
        """Elements of a block along each level, lanes in whole vectors."""
        tiling = self.tiling
        return [
            _rounded(level.chunk, tiling.width) if level.dim is tiling.lane else level.chunk
            for level in tiling.levels
        ]

    def _lanes_apart(self) -> int:
        """Partial sums for one element: many while the lanes are not added up."""
        return self.tiling.width if self.tiling.lane.role == "inner" else 1

    def _partial_strides(self) -> list[int]:
        """Of partial sums along each level: lanes are neighbours."""
        strides = [0] * len(self.tiling.levels)
        reach = self._lanes_apart()
        order = sorted(
            range(self.tiling.fixed, len(strides)),
            key=lambda n: self.tiling.levels[n].dim is not self.tiling.lane,
        )
        for number in order:
            strides[number] = reach
            reach *= self._spans()[number]
        return strides

    def _partial_bytes(self) -> int:
        if self.tiling.cut is None:
            return 0
        count = math.prod(self._spans()[self.tiling.fixed :]) * self._lanes_apart()
        return _rounded(count * self.dtype.itemsize, 64)

    # -- blocks ------------------------------------------------------------------------------

    def write(self) -> None:
        """All blocks from %low to %high."""
        low, high = (Value(self.b, f"%{end}", np.dtype(np.int64)) for end in ("low", "high"))
        if self.tiling.cut is not None:
            type = f"getelementptr inbounds i8, ptr %scratch, i64 {self.panels}"
            self.b.emit(f"%partials = {type}")
        with self.b.loop(low, high, unrolled=False) as turn:
            self._find(turn.index)
            self.rows.begin(turn.index)
            offsets = tuple(stream.offset for stream in self.form.streams)
            start = Point(offsets, offsets[: B + 1])
            self._fixed(0, start, self._fresh_panels(turn.index, low))
        self.b.lines[0:0] = [*self.finish.spots, *self.rows.spots]

    def _find(self, block: Value) -> None:
        """The bounds of the block along each level."""
        for number in reversed(self.tiling.slowest_first()):
            level = self.tiling.levels[number]
            if level.chunks == 1:
                self.bounds[number] = (0, level.dim.size)
                continue
            start = block % level.chunks * level.chunk
            block = block / level.chunks
            stop = start + level.chunk
            if level.dim.size % level.chunk:
                stop = (stop < level.dim.size).select(stop, level.dim.size)
            self.bounds[number] = (start, stop)

    def _fresh_panels(self, block: Value, low: Value) -> Value | None:
        """Whether this block needs other panels than the one before; None: always."""
        tiling = self.tiling
        if tiling.packed is None or not tiling.whole:
            return None
        alone = all(level.chunk == 1 for level in tiling.levels[: tiling.fixed])
        kept = math.prod(
            level.chunks for level in tiling.levels[tiling.fixed :] if level.dim is not tiling.lane
        )
        if not alone or kept == 1:
            return None
        return (block % kept).equals(0) | block.equals(low)

    def _fixed(self, number: int, point: Point, fresh: Value | None) -> None:
        if number == self.tiling.fixed:
            self._parts(point, fresh)
            return
        with self._each(*self.bounds[number]) as index:
            self._fixed(number + 1, point.moved(index, self.tiling.levels[number].dim), fresh)

    @contextmanager
    def _each(self, low: Value | int, high: Value | int, step: int = 1) -> Iterator[Value | int]:
        """A loop, or no loop for one turn."""
        if isinstance(low, int) and isinstance(high, int) and low < high <= low + step:
            yield low
        else:
            with self.b.loop(low, high, step, unrolled=False) as turn:
                yield turn.index

    # -- the inner axes, cut -----------------------------------------------------------------

    def _parts(self, point: Point, fresh: Value | None) -> None:
        """Each part of the inner axes: packing, then all tiles."""
        tiling = self.tiling
        part = Part(tuple((0, dim.size) for dim in tiling.inner))
        if tiling.packed is not None and tiling.whole:
            point = self._packed(point, part, fresh)
        if tiling.cut is None:
            self._levels(tiling.fixed, point, part, [])
        else:
            self._part(0, point, part, [])

    def _part(self, axis: int, point: Point, part: Part, ends: list[tuple[Value, Value]]) -> None:
        cut = self.tiling.cut
        assert cut is not None
        size = self.tiling.inner[axis].size
        step = 1 if axis < cut.axis else cut.count
        with self.b.loop(0, size, step, unrolled=False) as turn:
            stop = turn.index + step
            final = (stop >= size).select(size, stop) if size % step else stop
            bounds = (*part.bounds[:axis], (turn.index, final), *part.bounds[axis + 1 :])
            here = [*ends, (turn.index.equals(0), stop >= size)]
            if axis < cut.axis:
                self._part(axis + 1, point, replace(part, bounds=bounds), here)
            else:
                first, last = here[0]
                for other_first, other_last in here[1:]:
                    first, last = first & other_first, last & other_last
                final_part = Part(bounds, first, last)
                if self.tiling.packed is not None and not self.tiling.whole:
                    point = self._packed(point, final_part, None)
                self._levels(self.tiling.fixed, point, final_part, [])

    # -- packing -----------------------------------------------------------------------------

    def _packed(self, point: Point, part: Part, fresh: Value | None) -> Point:
        """Panels of the block, and where they begin. With `fresh`, only if that is true."""
        which = self.tiling.packed
        assert which is not None
        packing = Packing(
            self.b, self.dtype, which, self.bases[which], "%scratch", self.tiling.lane,
            self.tiling.width, self.tiling.inner, part.bounds,
        )  # fmt: skip
        if fresh is None:
            self._pack(packing, point.offsets[which])
        else:
            with self.b.when(fresh):
                self._pack(packing, point.offsets[which])
        return point.at(which, 0)

    def _pack(self, packing: Packing, source: Value | int) -> None:
        level = self._lane_level()
        number = self.tiling.levels.index(level)
        for index, count in self._tiles(number):
            at = plus(source, index, level.dim.strides[packing.which])
            packing.panel(at, self._panel_place(number, index), count)

    def _panel_place(self, number: int, index: Value | int) -> Value | int:
        low = self.bounds[number][0]
        along = index if isinstance(low, int) else index - low
        return plus(0, along, self.tiling.panel_depth)

    # -- tiles -------------------------------------------------------------------------------

    def _tiles(self, number: int) -> Iterator[tuple[Value | int, int]]:
        """(start, extent) of the tiles of a level: a loop over the full ones, then the rest.

        A generator of code: what the caller emits for each pair stands inside its loop."""
        level, (low, high) = self.tiling.levels[number], self.bounds[number]
        rest = level.dim.size % level.tile
        if isinstance(high, int):
            if high - rest > 0:
                with self._each(low, high - rest, level.tile) as index:
                    yield index, level.tile
            if rest:
                yield high - rest, rest
            return
        whole = (high < level.dim.size).select(high, level.dim.size - rest) if rest else high
        with self._each(low, whole, level.tile) as index:
            yield index, level.tile
        if rest:
            with self.b.when(high.equals(level.dim.size)):
                yield level.dim.size - rest, rest

    def _levels(
        self, number: int, point: Point, part: Part, extents: list[tuple[int, int]]
    ) -> None:
        tiling = self.tiling
        if number == len(tiling.levels):
            self._tile(point, part, extents)
            return
        dim = tiling.levels[number].dim
        low = self.bounds[number][0]
        for index, extent in self._tiles(number):
            moved = point.moved(index, dim)
            if tiling.packed is not None and dim is tiling.lane:
                moved = moved.at(tiling.packed, self._panel_place(number, index))
            along = index if isinstance(low, int) else index - low
            moved = replace(moved, partial=plus(moved.partial, along, self.partials[number]))
            trimmed = self._trimmed(part, number, index)
            self._levels(number + 1, moved, trimmed, [*extents, (number, extent)])

    def _trimmed(self, part: Part, number: int, index: Value | int) -> Part:
        """The part without those inner points that, at `index` of a level, hold only padding."""
        tiling, level = self.tiling, self.tiling.levels[number]
        if level.tile != 1 or not (tiling.packed is None or tiling.whole):
            return part
        for margin in self.kernel.margins:
            if (level.dim.strides[A], level.dim.size) != (margin.row, margin.count):
                continue
            for axis, dim in enumerate(tiling.inner):
                if (dim.strides[A], dim.size) == (margin.inner, margin.size):
                    bounds = self._inside(margin, index, part.bounds[axis])
                    part = replace(
                        part, bounds=(*part.bounds[:axis], bounds, *part.bounds[axis + 1 :])
                    )
        return part

    def _inside(self, margin: Margin, index: Value | int, bounds: Bounds) -> Bounds:
        """From which inner point on, and up to which, there is more than padding."""
        low, high, at = (x if isinstance(x, Value) else self.b.integer(x) for x in (*bounds, index))
        first, last = (
            (
                self.b.intrinsic("smax", end - at * margin.step, self.b.integer(0))
                + margin.inside
                - 1
            )
            / margin.inside
            for end in (margin.low, margin.high)
        )
        return self.b.intrinsic("smax", first, low), self.b.intrinsic("smin", last, high)

    def _tile(self, point: Point, part: Part, extents: list[tuple[int, int]]) -> None:
        tiling = self.tiling
        counts = {tiling.levels[number].dim: extent for number, extent in extents}
        count = counts.get(tiling.lane, tiling.width)
        spans = tuple(
            (number, extent)
            for number, extent in extents
            if extent > 1 and tiling.levels[number].dim is not tiling.lane
        )
        placed = math.prod(extent for dim, extent in counts.items() if dim.placed)
        read = point, part, count, placed
        tile = RegisterTile(
            self.b,
            self.dtype,
            (self._operand(A, *read), self._operand(B, *read)),
            tuple((tiling.levels[number].dim, extent) for number, extent in spans),
            tiling.lane,
            count,
            tiling.width,
            tiling.inner,
            part.bounds,
            (self._ahead(0, point), self._ahead(1, point)),
            self.rows.next(),
        )
        start = self._start(tile, point, part, spans)
        self._ask(tile, point, part)
        sums = tile.sums(start)
        if part.last is None:
            self.finish.tile(tile, sums, point.offsets)
            return
        with self.b.when(part.last):
            self.finish.tile(tile, sums, point.offsets)
        with self.b.when(~part.last):
            for pointer, total in zip(self._places(tile, point, spans), sums, strict=True):
                self.b.store(total, pointer)

    def _ask(self, tile: RegisterTile, point: Point, part: Part) -> None:
        """Ask for what the epilogue will touch: of this tile, or where sums are short, the next."""
        last = self.tiling.levels[-1] if self.tiling.levels else None
        if part.last is not None:
            if self.finish.far:
                with self.b.when(part.last):
                    self.finish.ask(tile, point.offsets, near=True)
        elif last is not None and last.tile < last.chunk and self.form.count("inner") <= SHORT:
            self.finish.ask(tile, point.moved(last.tile, last.dim).offsets, near=False)
        else:
            self.finish.ask(tile, point.offsets, near=True)

    def _operand(self, which: int, point: Point, part: Part, count: int, placed: int) -> Operand:
        tiling = self.tiling
        if which == self.form.placed:
            read = self.bases[which], self.dtype, self.places, tiling, which
            return placed_operand(self.b, *read, point.offsets[which], point.looked_up, placed)
        if which != tiling.packed:
            inner = tuple(dim.strides[which] for dim in tiling.inner)
            lane = tiling.lane.strides[which]
            return Operand(self.bases[which], point.offsets[which], lane, inner, False)
        strides = panel_strides(tiling.inner, _rounded(count, tiling.width))
        offset = point.offsets[which]
        for (low, _), stride in zip(part.bounds, strides, strict=True):
            if isinstance(low, Value) and not tiling.whole:  # panels start where the part does
                offset = offset - low * stride
        return Operand("%scratch", offset, 1, strides, True)

    def _ahead(self, which: int, point: Point) -> Operand | None:
        """Where a long operand is read, or packed from, for the next part of the inner axes."""
        tiling, inner, cut = self.tiling, self.tiling.inner, self.tiling.cut
        buffer = self.form.streams[which].buffer
        assert buffer is not None
        strides = tuple(dim.strides[which] for dim in inner)
        if which == self.form.placed or buffer.size * buffer.dtype.itemsize < FAR:
            return None
        if tiling.lane.role == "inner":  # neighbours all along: machines foresee that
            return None
        lane = tiling.lane.strides[which]
        if which == tiling.packed and (cut is None or tiling.whole):
            level = self._lane_level()
            offset = plus(point.sources[which], level.chunk, lane)
            again = Operand(self.bases[which], offset, lane, strides, False)
            return again if level.chunks > 1 and lane == 1 else None
        if cut is None:
            return None
        whole = cut.count >= inner[cut.axis].size and cut.axis > 0
        step = (
            inner[cut.axis - 1].strides[which]
            if whole
            else cut.count * inner[cut.axis].strides[which]
        )
        return Operand(self.bases[which], plus(point.sources[which], 1, step), lane, strides, False)

    def _start(
        self, tile: RegisterTile, point: Point, part: Part, spans: Sequence[tuple[int, int]]
    ) -> list[Value]:
        """Zeros, or what earlier parts of the inner axes came to."""
        zero = self.b.constant(0, self.dtype, tile.width)
        if part.first is None:
            return [zero] * len(tile.coordinates())
        earlier = [
            self.b.load(pointer, self.dtype, tile.width)
            for pointer in self._places(tile, point, spans)
        ]
        choose = f"select i1 {part.first.text}, {zero.typed}, "
        return [self.b.op(choose + value.typed, self.dtype, tile.width) for value in earlier]

    def _places(
        self, tile: RegisterTile, point: Point, spans: Sequence[tuple[int, int]]
    ) -> list[str]:
        """Pointers to the partial sums of a tile."""
        return [
            self.b.pointer(
                "%partials",
                self.dtype,
                plus(
                    point.partial,
                    1,
                    vector * tile.width
                    + sum(p * self.partials[n] for p, (n, _) in zip(place, spans, strict=True)),
                ),
            )
            for place, vector in tile.coordinates()
        ]


def _rounded(count: int, unit: int) -> int:
    return -(-count // unit) * unit
