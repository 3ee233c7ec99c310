"""The epilogue of a contraction: finished sums, in vectors, pass through it and are stored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from thalweg.compiler.kernels import Buffer, Contraction, Scalar
from thalweg.compiler.lower import philox
from thalweg.compiler.lower.axes import B, Dim, Form
from thalweg.compiler.lower.body import Body, Turn
from thalweg.compiler.lower.casts import cast
from thalweg.compiler.lower.emit import BOOL, Builder, DType, Value
from thalweg.compiler.lower.nest import Vectors
from thalweg.compiler.lower.register_tile import (
    RegisterTile,
    add_lanes,
    first_lanes,
    load_lanes,
    plus,
    shuffle,
)
from thalweg.compiler.lower.scalars import flops, lower_scalar

__all__ = ["Finish", "effort"]

FAR = 1 << 19  # bytes of a buffer from which on its lines are asked for before they are needed
LONG = 400.0  # an epilogue of more instructions for a whole tile is a loop over the tile

Offsets = Sequence[Value | int]


def effort(kernel: Contraction) -> float:
    """About how many instructions the epilogue has for one vector, loads and stores apart."""
    return sum(flops(scalar.op, scalar.dtype) for scalar in kernel.epilogue)


class Finish:
    """Finishes tiles of `kernel`. `masked`: the machine writes part of a vector by a mask.

    `bases` are the pointers of the streams; `spots` are the places on the stack that were taken,
    as instructions for the entry of the function.
    """

    def __init__(
        self, b: Builder, kernel: Contraction, form: Form, buffers: Sequence[Buffer], masked: bool
    ) -> None:
        self.b = b
        self.kernel = kernel
        self.masked = masked
        self.dtype: DType = kernel.a.dtype
        names = {buffer: f"%b{number}" for number, buffer in enumerate(buffers)}
        self.bases = tuple(names[s.buffer] if s.buffer else "" for s in form.streams)
        self.body = Body(b, kernel.epilogue, (), Vectors(None, 1), buffers)
        self.far = _far(kernel, form)
        self.stores: Sequence[int] = ()
        self.types = [s.buffer.dtype if s.buffer else self.dtype for s in form.streams]
        self.spots: list[str] = []

    # -- whole tiles -------------------------------------------------------------------------

    def tile(self, tile: RegisterTile, sums: Sequence[Value], offsets: Offsets) -> None:
        """Finish the sums of a tile whose first element is at `offsets`. What only the last run of
        a scan stores comes first, so that all other runs skip it by one branch a tile."""
        for number in self.kernel.final:
            base = self.bases[len(self.bases) - len(self.kernel.stores) + number]
            with self.b.when(self.b.op(f"icmp ne ptr {base}, null", BOOL)):
                self._tile(tile, sums, offsets, [number])
        always = [n for n in range(len(self.kernel.stores)) if n not in self.kernel.final]
        if always:
            self._tile(tile, sums, offsets, always)

    def _tile(
        self, tile: RegisterTile, sums: Sequence[Value], offsets: Offsets, stores: Sequence[int]
    ) -> None:
        """Finish the sums, and do some of the stores."""
        self.stores = stores
        if tile.lane.role == "inner":
            self._added(tile, sums, offsets)
        elif self._is_long(len(sums)):
            spot = self._lay_down(sums)
            width = tile.width
            self._memory(spot, tile.extents, tile.lane, width, tile.count, offsets)
        else:
            for (place, vector), total in zip(tile.coordinates(), sums, strict=True):
                at = list(offsets)
                for count, (dim, _) in zip(place, tile.extents, strict=True):
                    at = _moved(at, count, dim)
                at = _moved(at, vector * tile.width, tile.lane)
                self._vector(total, at, tile.lane, tile.lanes_of(vector))

    def ask(self, tile: RegisterTile, offsets: Offsets, *, near: bool) -> None:
        """Ask for the lines that the epilogue of a tile will read and write, if they lie far:
        for the first cache, or the second."""
        for stream, write in self.far.items():
            if tile.lane.strides[stream] != 1:
                continue
            base, item = self.bases[stream], self.types[stream]
            strides = [dim.strides[stream] for dim, _ in tile.extents]
            for place, vector in tile.coordinates():
                steps = sum(p * stride for p, stride in zip(place, strides, strict=True))
                at = plus(offsets[stream], steps + vector * tile.width, 1)
                self.b.prefetch(self.b.pointer(base, item, at), write=write and near, near=near)

    def _is_long(self, vectors: int) -> bool:
        return effort(self.kernel) * vectors > LONG

    def _added(self, tile: RegisterTile, sums: Sequence[Value], offsets: Offsets) -> None:
        """Add up the lanes, lay the results down, take them up as vectors along one axis."""
        axis = self._finishing_axis(tile)
        others = [*tile.extents[:axis], *tile.extents[axis + 1 :]]
        nothing = Dim("column", 1, (0,) * len(offsets))
        lane, lanes = tile.extents[axis] if tile.extents else (nothing, 1)
        pairs = sorted(
            zip(tile.coordinates(), sums, strict=True),
            key=lambda pair: (*pair[0][0][:axis], *pair[0][0][axis + 1 :], pair[0][0][axis:]),
        )
        spot = self._lay_down(add_lanes(self.b, [total for _, total in pairs]))
        self._memory(spot, others, lane, lanes, lanes, offsets)

    def _finishing_axis(self, tile: RegisterTile) -> int:
        """The axis along which most results are neighbours."""
        stores = range(len(self.bases) - len(self.kernel.stores), len(self.bases))

        def neighbours(axis: int) -> tuple[int, int]:
            dim, extent = tile.extents[axis]
            return (sum(dim.strides[stream] == 1 for stream in stores), extent)

        return max(range(len(tile.extents)), key=neighbours, default=0)

    def _lay_down(self, vectors: Sequence[Value]) -> str:
        """The vectors one after another, at a place on the stack taken once for the function."""
        spot, lanes = f"%{self.b.fresh('spot')}", vectors[0].lanes
        type = self.b.type(self.dtype)
        self.spots.append(f"  {spot} = alloca {type}, i64 {lanes * len(vectors)}, align 64")
        for number, vector in enumerate(vectors):
            self.b.store(vector, self.b.pointer(spot, self.dtype, number * lanes))
        return spot

    def _memory(
        self,
        spot: str,
        dims: Sequence[tuple[Dim, int]],
        lane: Dim,
        lanes: int,
        count: int,
        offsets: Offsets,
    ) -> None:
        """Finish what lies at `spot`: over `dims`, `count` elements in vectors of `lanes`."""
        vectors = -(-count // lanes)
        looped = self._is_long(vectors * math.prod(extent for _, extent in dims))

        def walk(axis: int, row: Value | int, at: Offsets) -> None:
            if axis < len(dims):
                dim, extent = dims[axis]
                for index in self._range(extent, looped):
                    walk(axis + 1, plus(index, row, extent), _moved(at, index, dim))
                return
            for index in self._range(count // lanes, looped):
                take(row, index, at, lanes)
            if count % lanes:
                take(row, count // lanes, at, count % lanes)

        def take(row: Value | int, vector: Value | int, at: Offsets, present: int) -> None:
            place = plus(plus(0, row, vectors * lanes), vector, lanes)
            total = self.b.load(self.b.pointer(spot, self.dtype, place), self.dtype, lanes)
            self._vector(total, _moved(at, plus(0, vector, lanes), lane), lane, present)

        walk(0, 0, offsets)

    def _range(self, count: int, looped: bool) -> Iterator[Value | int]:
        """The numbers below `count`: a loop of the program, or one after another."""
        if looped and count > 1:
            with self.b.loop(0, count, unrolled=False) as turn:
                yield turn.index
        else:
            yield from range(count)

    # -- one vector --------------------------------------------------------------------------

    def _vector(self, total: Value, offsets: Offsets, lane: Dim, count: int) -> None:
        """Finish the first `count` lanes of `total`, which are neighbours along `lane`."""
        mask = first_lanes(self.b, count, total.lanes)
        turn = Turn(self.b.integer(0), mask)
        streams = itertools.count(B + 1)
        for number, scalar in enumerate(self.kernel.epilogue):
            stream = next(streams) if scalar.op in ("load", "index") else 0
            turn.values[number] = self._scalar(
                scalar, turn, total, stream, offsets[stream], lane.strides[stream], count
            )
        for (number, store), stream in zip(enumerate(self.kernel.stores), streams, strict=False):
            if number in self.stores:
                value = turn.values[store.value].spread(total.lanes)
                self._store(value, self.bases[stream], offsets[stream], lane.strides[stream], count)

    def _scalar(
        self,
        scalar: Scalar,
        turn: Turn,
        total: Value,
        stream: int,
        place: Value | int,
        stride: int,
        count: int,
    ) -> Value:
        operands = [turn.values[number] for number in scalar.inputs]
        match scalar.op:
            case "sum":
                return total
            case "literal":
                return self.b.constant(scalar.attributes["value"], scalar.dtype)
            case "index":
                first = self.b.integer(place) if isinstance(place, int) else place
                steps = self.b.lane_numbers(total.lanes) * stride + first if stride else first
                return cast(steps, scalar.dtype)
            case "bits":
                return philox.word(*operands)
            case "load":
                return self._load(scalar, turn, stream, place, stride, total.lanes, count)
        return lower_scalar(self.b, scalar.op, operands, scalar.dtype, scalar.attributes)

    def _load(
        self,
        scalar: Scalar,
        turn: Turn,
        stream: int,
        place: Value | int,
        stride: int,
        lanes: int,
        count: int,
    ) -> Value:
        access, base, dtype = scalar.attributes["access"], self.bases[stream], scalar.dtype
        varying: Value | None = None
        for indirect in access.indirect:
            index = self.body.place(indirect, turn)
            if index.lanes == 1:
                place = plus(place, index, indirect.stride)
            else:
                step = index * indirect.stride
                varying = step if varying is None else varying + step
        if varying is None:
            return load_lanes(self.b, base, dtype, place, stride, lanes, count)
        places = varying + self.b.lane_numbers(lanes) * stride
        return self.b.gather(self.b.pointer(base, dtype, place), dtype, places, turn.mask)

    def _store(self, value: Value, base: str, place: Value | int, stride: int, count: int) -> None:
        pointer = self.b.pointer(base, value.dtype, place)
        if stride == 1 or count == 1:
            self._store_neighbours(value, pointer, count)
        else:
            places = self.b.lane_numbers(value.lanes) * stride
            self.b.scatter(value, pointer, places, first_lanes(self.b, count, value.lanes))

    def _store_neighbours(self, value: Value, pointer: str, count: int) -> None:
        """Without masks a part of a vector is written as a shorter vector."""
        if count == 1 < value.lanes:
            value = self.b.op(f"extractelement {value.typed}, i64 0", value.dtype)
        elif count < value.lanes and not self.masked:
            value = self.b.op(shuffle(value, value, range(count)), value.dtype, count)
        self.b.store(value, pointer, first_lanes(self.b, min(count, value.lanes), value.lanes))


def _far(kernel: Contraction, form: Form) -> dict[int, bool]:
    """The streams of large buffers, each address once, and whether it is written."""
    found: dict[tuple[object, ...], tuple[int, bool]] = {}
    first = len(form.streams) - len(kernel.stores)
    final = {first + number for number in kernel.final}
    for number, stream in enumerate(form.streams):
        buffer = stream.buffer
        if buffer is None or number <= B or number in final:
            continue
        if buffer.size * buffer.dtype.itemsize >= FAR:
            strides = tuple(dim.strides[number] for dim in form.outer)
            found[buffer, stream.offset, strides] = number, number >= first
    return dict(found.values())


def _moved(offsets: Offsets, index: Value | int, dim: Dim) -> list[Value | int]:
    """The offsets `index` steps along an axis."""
    return [plus(at, index, stride) for at, stride in zip(offsets, dim.strides, strict=True)]
