"""The choice of a register tile for a contraction, by a small model of what tiles cost.

A register tile holds some elements along up to two outer axes, and vectors along one axis, the
lanes:

    lanes along a column axis   B is read as vectors, A as scalars that are spread      (x @ W)
    lanes along a row axis      the same with A and B exchanged                         (x.T @ W.T)
    lanes along an inner axis   both are read as vectors, the lanes summed at the end   (x @ W.T)
    lanes along a batch axis    both are read as vectors                                (depthwise)

The operand that is read as vectors along a row or column axis may be packed: copied to panels.
The model counts cycles of a core with two vector multiply-adds and two loads a cycle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from thalweg.compiler.lower.axes import A, B, Dim, Form
from thalweg.compiler.machine import Machine

__all__ = ["TileModel", "TileShape", "inner_part", "long_inner", "still_operand"]

LATENCY = 4  # cycles until the sum of a multiply-add can be added to
NEAR = 32.0  # bytes a cycle from the second cache
FAR = 12.0  # bytes a cycle from beyond
INNER_BLOCK = 256  # products summed in registers before partial sums are put away
LONG_INNER = 1024  # from here on the inner axes are cut
INNER_LANES = 4  # both are so much longer where the lanes lie along an inner axis


@dataclass(frozen=True, slots=True)
class TileShape:
    """A register tile: extents along outer axes (in vectors along the lanes)."""

    lane: Dim
    extents: tuple[tuple[Dim, int], ...]
    packed: int | None


class TileModel:
    """What register tiles cost, for one contraction on one machine."""

    def __init__(self, form: Form, itemsize: int, machine: Machine, effort: float) -> None:
        self.form = form
        self.itemsize = itemsize
        self.machine = machine
        self.width = machine.vector_bits // (8 * itemsize)
        self.effort = effort
        self.depth = form.count("inner")
        self.points = form.count("batch", "row", "column")

    def cheapest(self) -> TileShape:
        """The register tile that takes the fewest cycles."""
        return min(self.shapes(), key=self.cycles)

    # -- candidates --------------------------------------------------------------------------

    def shapes(self) -> Iterator[TileShape]:
        """Every register tile worth a thought."""
        for lane in self._lanes():
            others = [d for d in self.form.outer if d is not lane and self._tiles_along(lane, d)]
            for packed in self._packings(lane):
                for extents in self._extents(lane, others):
                    yield TileShape(lane, extents, packed)

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
        wide = 4 if math.prod(dim.size for dim in others) > 3 else 8
        vectors = 1 if lane.role == "inner" else min(-(-lane.size // self.width), wide)
        for count in range(1, vectors + 1):
            along = () if lane.role == "inner" else ((lane, count),)
            most = (room - 1 - count) // count
            for rest in _tiles(lane, others, most, room):
                yield (*along, *rest)

    # -- cost --------------------------------------------------------------------------------

    def cycles(self, shape: TileShape) -> float:
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

    def _size(self, shape: TileShape, dim: Dim) -> int:
        return -(-dim.size // self.width) if dim is shape.lane else dim.size

    def _tile_cycles(self, shape: TileShape, extents: Sequence[int]) -> float:
        tile = math.prod(extents)
        loads = [self._loads(shape, extents, operand) for operand in (A, B)]
        streams = self._stream_cycles(shape, loads)
        steps = self.depth
        if shape.lane.role == "inner":
            steps = max(1, self.depth // shape.lane.size) * -(-shape.lane.size // self.width)
        issue = sum(n * self._load_cost(shape, operand) for operand, n in enumerate(loads)) / 2
        step = max(tile / 2, issue, LATENCY, streams) + 0.05 * sum(loads) + 0.5
        return steps * step + self._finish_cycles(shape, tile)

    def _loads(self, shape: TileShape, extents: Sequence[int], operand: int) -> int:
        return math.prod(
            extent
            for (dim, _), extent in zip(shape.extents, extents, strict=True)
            if dim.strides[operand] or (dim is shape.lane and self._is_vector(shape, operand))
        )

    def _is_vector(self, shape: TileShape, operand: int) -> bool:
        return shape.packed == operand or shape.lane.strides[operand] != 0

    def _load_cost(self, shape: TileShape, operand: int) -> float:
        stride = shape.lane.strides[operand]
        return 1 if shape.packed == operand or stride in (0, 1) else 2 * self.width

    def _stream_cycles(self, shape: TileShape, loads: Sequence[int]) -> float:
        """Cycles a step in which the still operand and the moving one come from far caches."""
        still = still_operand(shape)
        size = [self.itemsize * (self.width if self._is_vector(shape, o) else 1) for o in (A, B)]
        depth = self.depth
        if depth >= long_inner(shape.lane):
            depth = min(depth, inner_part(shape.lane))
        if shape.lane.role == "inner":
            depth //= self.width
        cycles = loads[1 - still] * size[1 - still] / NEAR
        scattered = self._scattered(shape, still)
        panel = loads[still] * size[still] * depth
        if scattered or panel > self.machine.l1 * 3 // 4:
            rate = {"": NEAR, "near": NEAR / 2, "far": FAR / 2}[scattered]
            cycles += loads[still] * size[still] / rate
        return cycles

    def _scattered(self, shape: TileShape, still: int) -> Literal["", "near", "far"]:
        """Whether steps along the inner axes are so long that the panel crowds into few places of
        the first cache, and of the second."""
        if shape.packed is not None or shape.lane.role == "inner" or not self.form.inner:
            return ""
        steps = [abs(d.strides[still]) * self.itemsize for d in self.form.inner]
        if min(steps) < 1024 or self.depth < 64:
            return ""
        reach = max(s * d.size for s, d in zip(steps, self.form.inner, strict=True))
        return "near" if reach < 2 * self.machine.l2 else "far"

    def _finish_cycles(self, shape: TileShape, tile: int) -> float:
        stores = shape.lane.strides[2:]
        cost = 2.0 + self.effort
        if shape.lane.role == "inner":
            return 25 + tile * (2.5 + cost / 2)
        if any(stride not in (0, 1) for stride in stores):
            cost += 2 * self.width
        return 15 + tile * cost

    def _packing_cycles(self, shape: TileShape) -> float:
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


def still_operand(shape: TileShape) -> int:
    """The operand whose panel stays while tiles of the other pass by."""
    if shape.lane.role in ("row", "column"):
        return A if shape.lane.role == "row" else B
    spans = {dim.role: extent for dim, extent in shape.extents}
    return B if spans.get("column", 1) >= spans.get("row", 1) else A


def long_inner(lane: Dim) -> int:
    """How many inner points are cut into parts."""
    return LONG_INNER * (INNER_LANES if lane.role == "inner" else 1)


def inner_part(lane: Dim) -> int:
    """About how many inner points a part has."""
    return INNER_BLOCK * (INNER_LANES if lane.role == "inner" else 1)
