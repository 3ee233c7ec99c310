"""The choice of a register tile, a packing and blocks for a contraction, by a small cost model.

A register tile holds `extent[axis]` elements along up to two outer axes, and vectors along one
axis, the lanes:

    lanes along a column axis   B is read as vectors, A as scalars that are spread      (x @ W)
    lanes along a row axis      the same with A and B exchanged                         (x.T @ W.T)
    lanes along an inner axis   both are read as vectors, the lanes summed at the end   (x @ W.T)
    lanes along a batch axis    both are read as vectors                                (depthwise)

The model counts cycles of a core with two vector multiply-adds and two loads a cycle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.compiler.lower.axes import A, B, Dim, Form
from thalweg.compiler.machine import Machine

__all__ = ["InnerBlock", "Level", "Tiling", "choose"]

LATENCY = 4  # cycles until the sum of a multiply-add can be added to
NEAR = 32.0  # bytes a cycle from the second cache
FAR = 12.0  # bytes a cycle from beyond
BLOCK_FLOP = 100_000  # a block is at least this much work
INNER_BLOCK = 256  # products summed in registers before partial sums are put away
LONG_INNER = 1024  # from here on the inner axes are cut
INNER_LANES = 4  # both are so much longer where the lanes lie along an inner axis


@dataclass(frozen=True, slots=True)
class Level:
    """One loop over an outer axis: elements a register tile spans, and elements a block spans."""

    dim: Dim
    tile: int
    chunk: int

    @property
    def chunks(self) -> int:
        """Blocks along this axis."""
        return -(-self.dim.size // self.chunk)


@dataclass(frozen=True, slots=True)
class InnerBlock:
    """The inner axes are cut at `axis`: `count` of its elements at a time."""

    axis: int
    count: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a contraction is walked.

    levels    loops over the outer axes, from the outside in
    fixed     the first `fixed` levels stand outside of packing and of the cut inner axis
    inner     the inner axes, from the outside in
    lane      the axis of the vectors, one of the levels' or the last of `inner`
    width     lanes of a vector
    packed    the operand copied to panels: A, B or None
    cut       how the inner axes are cut, or None
    whole     panels hold all inner points, not those of one part of the cut axes
    """

    levels: tuple[Level, ...]
    fixed: int
    inner: tuple[Dim, ...]
    lane: Dim
    width: int
    packed: int | None
    cut: InnerBlock | None
    whole: bool
    cycles: float

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return math.prod(level.chunks for level in self.levels)

    @property
    def panel_depth(self) -> int:
        """How many inner points a packed panel holds."""
        if self.cut is None or self.whole:
            return math.prod(d.size for d in self.inner)
        within = math.prod(d.size for d in self.inner[self.cut.axis + 1 :])
        return self.cut.count * within


@dataclass(frozen=True, slots=True)
class _Shape:
    """A register tile: extents along outer axes (in vectors along the lanes)."""

    lane: Dim
    extents: tuple[tuple[Dim, int], ...]
    packed: int | None


def choose(form: Form, dtype: np.dtype[np.generic], machine: Machine, effort: float) -> Tiling:
    """The cheapest tiling; `effort` is the epilogue's, in instructions a vector."""
    if dtype.kind != "f":
        return _plain(form)
    model = _Model(form, dtype.itemsize, machine, effort)
    return _tiling(form, _cheapest(model), model)


def _cheapest(model: _Model) -> _Shape:
    return min(model.shapes(), key=model.cycles)


def _plain(form: Form) -> Tiling:
    """Integers: one element at a time."""
    levels = tuple(Level(dim, 1, dim.size) for dim in form.outer)
    lane = Dim("column", 1, (0,) * len(form.streams))
    whole = Level(lane, 1, 1)
    return Tiling((*levels, whole), 0, form.inner, lane, 1, None, None, True, 0.0)


class _Model:
    """What register tiles cost, for one contraction on one machine."""

    def __init__(self, form: Form, itemsize: int, machine: Machine, effort: float) -> None:
        self.form = form
        self.itemsize = itemsize
        self.machine = machine
        self.width = machine.vector_bits // (8 * itemsize)
        self.effort = effort
        self.depth = form.count("inner")
        self.points = form.count("batch", "row", "column")

    # -- candidates --------------------------------------------------------------------------

    def shapes(self) -> Iterator[_Shape]:
        """Every register tile worth a thought."""
        for lane in self._lanes():
            others = [d for d in self.form.outer if d is not lane and self._tiles_along(lane, d)]
            for packed in self._packings(lane):
                for extents in self._extents(lane, others):
                    yield _Shape(lane, extents, packed)

    def _lanes(self) -> list[Dim]:
        lanes = [dim for dim in (*self.form.outer, *self.form.inner) if dim.size > 1]
        return lanes or [Dim("column", 1, (0,) * len(self.form.streams))]

    @staticmethod
    def _tiles_along(lane: Dim, dim: Dim) -> bool:
        """Whether a tile may span `dim`: along it, something that is read must be used again."""
        return dim.role not in ("batch", lane.role)

    def _packings(self, lane: Dim) -> list[int | None]:
        operand = {"row": A, "column": B}.get(lane.role)
        return [None] if operand is None else [None, operand]

    def _extents(self, lane: Dim, others: Sequence[Dim]) -> Iterator[tuple[tuple[Dim, int], ...]]:
        room = self.machine.registers
        most = 4 if math.prod(dim.size for dim in others) > 3 else 8
        vectors = 1 if lane.role == "inner" else min(-(-lane.size // self.width), most)
        for count in range(1, vectors + 1):
            along = () if lane.role == "inner" else ((lane, count),)
            most = (room - 1 - count) // count
            for rest in _tiles(lane, others, most, room):
                yield (*along, *rest)

    # -- cost --------------------------------------------------------------------------------

    def cycles(self, shape: _Shape) -> float:
        """Cycles of the whole contraction on one core."""
        parts = [_parts(self._size(shape, dim), extent) for dim, extent in shape.extents]
        total = 0.0
        for combination in itertools.product(*parts):
            extents = [extent for extent, _ in combination]
            count = math.prod(n for _, n in combination)
            total += count * self._tile_cycles(shape, extents)
        spanned = math.prod(self._size(shape, dim) for dim, _ in shape.extents)
        covered = math.prod(self._size(shape, dim) for dim in self.form.outer)
        return total * covered / max(spanned, 1) + self._packing_cycles(shape)

    def _size(self, shape: _Shape, dim: Dim) -> int:
        return -(-dim.size // self.width) if dim is shape.lane else dim.size

    def _tile_cycles(self, shape: _Shape, extents: Sequence[int]) -> float:
        tile = math.prod(extents)
        loads = [self._loads(shape, extents, operand) for operand in (A, B)]
        streams = self._stream_cycles(shape, loads)
        steps = self.depth
        if shape.lane.role == "inner":
            steps = max(1, self.depth // shape.lane.size) * -(-shape.lane.size // self.width)
        issue = sum(n * self._load_cost(shape, operand) for operand, n in enumerate(loads)) / 2
        step = max(tile / 2, issue, LATENCY, streams) + 0.05 * sum(loads) + 0.5
        return steps * step + self._finish_cycles(shape, tile)

    def _loads(self, shape: _Shape, extents: Sequence[int], operand: int) -> int:
        return math.prod(
            extent
            for (dim, _), extent in zip(shape.extents, extents, strict=True)
            if dim.strides[operand] or (dim is shape.lane and self._is_vector(shape, operand))
        )

    def _is_vector(self, shape: _Shape, operand: int) -> bool:
        return shape.packed == operand or shape.lane.strides[operand] != 0

    def _load_cost(self, shape: _Shape, operand: int) -> float:
        stride = shape.lane.strides[operand]
        return 1 if shape.packed == operand or stride in (0, 1) else 2 * self.width

    def _stream_cycles(self, shape: _Shape, loads: Sequence[int]) -> float:
        """Cycles a step in which the still operand and the moving one come from far caches."""
        still = _still(shape)
        size = [self.itemsize * (self.width if self._is_vector(shape, o) else 1) for o in (A, B)]
        depth = self.depth
        if depth >= _long(shape.lane):
            depth = min(depth, _part(shape.lane))
        if shape.lane.role == "inner":
            depth //= self.width
        cycles = loads[1 - still] * size[1 - still] / NEAR
        scattered = self._is_scattered(shape, still)
        if scattered or loads[still] * size[still] * depth > self.machine.l1 * 3 // 4:
            rate = NEAR / 2 if scattered else NEAR
            cycles += loads[still] * size[still] / (FAR / 2 if scattered == "far" else rate)
        return cycles

    def _is_scattered(self, shape: _Shape, still: int) -> Literal["", "near", "far"]:
        """Whether steps along the inner axes are so long that the panel crowds into few places of
        the first cache, and of the second."""
        if shape.packed is not None or shape.lane.role == "inner" or not self.form.inner:
            return ""
        steps = [abs(d.strides[still]) * self.itemsize for d in self.form.inner]
        if min(steps) < 1024 or self.depth < 64:
            return ""
        reach = max(s * d.size for s, d in zip(steps, self.form.inner, strict=True))
        return "near" if reach < 2 * self.machine.l2 else "far"

    def _finish_cycles(self, shape: _Shape, tile: int) -> float:
        stores = shape.lane.strides[2:]
        cost = 2.0 + self.effort
        if shape.lane.role == "inner":
            return 25 + tile * (2.5 + cost / 2)
        if any(stride not in (0, 1) for stride in stores):
            cost += 2 * self.width
        return 15 + tile * cost

    def _packing_cycles(self, shape: _Shape) -> float:
        if shape.packed is None:
            return 0.0
        mine = math.prod(d.size for d in self.form.outer if d.strides[shape.packed])
        elements = mine * self.depth
        if shape.lane.strides[shape.packed] == 1:
            return elements / self.width * 2.5
        deepest = self.form.inner[-1:] or (shape.lane,)
        if any(d.strides[shape.packed] == 1 and d.size >= self.width for d in deepest):
            return elements * 0.3
        return elements * 2.0


def _tiles(
    lane: Dim, others: Sequence[Dim], most: int, registers: int
) -> Iterator[tuple[tuple[Dim, int], ...]]:
    """Extents along one or two axes other than the lanes, at most `most` together."""
    if lane.role == "inner":
        yield from _pairs(others, registers)
        return
    yield ()
    for dim in others:
        for extent in range(2, min(dim.size, most, 14) + 1):
            yield ((dim, extent),)
    for first, second in itertools.permutations(others, 2):
        if 2 <= first.size <= 7:
            for extent in range(2, min(second.size, most // first.size) + 1):
                yield ((second, extent), (first, first.size))


def _pairs(others: Sequence[Dim], registers: int) -> Iterator[tuple[tuple[Dim, int], ...]]:
    """Rows times columns, both read as vectors."""
    yield ()
    for dim in others:
        for extent in range(2, min(dim.size, 12) + 1):
            yield ((dim, extent),)
    for first, second in itertools.combinations(others, 2):
        for one, two in itertools.product(
            range(2, min(first.size, 8) + 1), range(2, min(second.size, 8) + 1)
        ):
            if one * two + min(one, two) + 1 <= registers:
                yield ((first, one), (second, two))


def _parts(size: int, extent: int) -> list[tuple[int, int]]:
    """(extent, how many) of the full tiles and of what remains."""
    parts = [(extent, size // extent)] if size >= extent else []
    return parts + ([(size % extent, 1)] if size % extent else [])


def _still(shape: _Shape) -> int:
    """The operand whose panel stays while tiles of the other pass by."""
    if shape.lane.role in ("row", "column"):
        return A if shape.lane.role == "row" else B
    spans = {dim.role: extent for dim, extent in shape.extents}
    return B if spans.get("column", 1) >= spans.get("row", 1) else A


# -- levels and blocks ---------------------------------------------------------------------------


def _tiling(form: Form, shape: _Shape, model: _Model) -> Tiling:
    """The loops in order, cut into blocks."""
    extents = {
        dim: extent * (model.width if dim is shape.lane else 1) for dim, extent in shape.extents
    }
    still = "row" if _still(shape) == A else "column"
    order = {"batch": 0, still: 1}

    def place(dim: Dim) -> tuple[int, int]:
        return (order.get(dim.role, 2), 1 if dim in extents else 0)

    outer = list(form.outer)
    if shape.lane.role != "inner" and shape.lane not in outer:
        outer.append(shape.lane)
    outer.sort(key=place)
    fixed = len(list(itertools.takewhile(lambda d: place(d) < (1, 1) and d not in extents, outer)))
    inner = sorted(form.inner, key=lambda d: d is shape.lane)
    moving = sum(1 for d in outer if place(d) < (2, 0))
    chunks = _chunks(outer, [extents.get(d, 1) for d in outer], moving, model)
    levels = [Level(d, extents.get(d, 1), chunk) for d, chunk in zip(outer, chunks, strict=True)]
    cut = _cut(inner, shape.lane, model)
    lanes = max((level.chunk for level in levels if level.dim is shape.lane), default=0)
    whole = lanes * model.depth * model.itemsize <= model.machine.l2
    return Tiling(
        tuple(levels), fixed, tuple(inner), shape.lane, model.width, shape.packed, cut, whole,
        model.cycles(shape),
    )  # fmt: skip


def _long(lane: Dim) -> int:
    """How many inner points are cut into parts."""
    return LONG_INNER * (INNER_LANES if lane.role == "inner" else 1)


def _part(lane: Dim) -> int:
    """About how many inner points a part has."""
    return INNER_BLOCK * (INNER_LANES if lane.role == "inner" else 1)


def _cut(inner: Sequence[Dim], lane: Dim, model: _Model) -> InnerBlock | None:
    """Where long inner axes are cut so that about `_part` points lie inside."""
    if model.depth < _long(lane):
        return None
    within, wanted = 1, _part(lane)
    for axis in reversed(range(len(inner))):
        size = inner[axis].size
        if within * size >= wanted or axis == 0:
            count = max(1, min(size, wanted // within))
            unit = model.width if inner[axis] is lane else 1
            return InnerBlock(axis, -(-count // unit) * unit)
        within *= size
    return None


def _chunks(outer: Sequence[Dim], tiles: Sequence[int], moving: int, model: _Model) -> list[int]:
    """Elements of each axis in a block: blocks as equal as can be, enough of them, none too small.

    Long sums are cut into few blocks, for each of them reads long operands. That the number of
    cores decides here changes no sum: blocks are parts of the result.
    """
    counts = [-(-dim.size // tile) for dim, tile in zip(outer, tiles, strict=True)]
    flop = 2.0 * model.points * model.depth
    most = 64 if model.depth < 4 * LONG_INNER else max(4, min(16, 2 * model.machine.cores))
    budget = max(1, min(most, int(flop // BLOCK_FLOP)))
    pieces = _best_split(counts, list(_splits(counts, budget)), moving)
    return [
        min(dim.size, -(-count // piece) * tile)
        for dim, count, piece, tile in zip(outer, counts, pieces, tiles, strict=True)
    ]


def _splits(counts: Sequence[int], budget: int) -> Iterator[tuple[int, ...]]:
    """Ways to cut the axes into at most `budget` pieces together."""
    if not counts:
        yield ()
        return
    lengths = {-(-counts[0] // piece) for piece in range(1, budget + 1)}
    for piece in sorted({-(-counts[0] // length) for length in lengths}):
        for rest in _splits(counts[1:], budget // piece):
            yield (piece, *rest)


def _best_split(
    counts: Sequence[int], splits: Sequence[tuple[int, ...]], moving: int
) -> tuple[int, ...]:
    """Of splits that are about as even as the best, the one that cuts the levels from `moving` on
    least: along these a panel is used again."""
    uneven = [_unevenness(counts, split) for split in splits]
    fair = 1.1 * min(uneven)
    choices = [(math.prod(s[moving:]), u, s) for s, u in zip(splits, uneven, strict=True)]
    return min(choice for choice in choices if choice[1] <= fair)[2]


def _unevenness(counts: Sequence[int], pieces: Sequence[int]) -> float:
    """How much longer several threads take than if all had the same to do."""
    blocks = math.prod(pieces)
    share = math.prod(
        -(-count // piece) / count for count, piece in zip(counts, pieces, strict=True)
    )
    return sum(-(-blocks // threads) * threads * share for threads in (2, 3, 4, 8, 16))
