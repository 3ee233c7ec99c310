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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from thalweg.compiler.lower.axes import A, B, Dim, Form
from thalweg.compiler.machine import Machine

__all__ = ["TileModel", "TileShape", "inner_part", "long_inner", "still_operand"]

NEARLY = 1.05  # register tiles that take so much longer than the best are looked at too
LATENCY = 4  # cycles until the sum of a multiply-add can be added to
NEAR = 32.0  # bytes a cycle from the second cache
FAR = 12.0  # bytes a cycle from beyond
LINE, PAGE = 64, 4096  # bytes
LARGE = 4  # second caches; such a result does not stay near from one pass to the next
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

    def cheapest(self) -> list[tuple[float, TileShape]]:
        """The register tiles that take few cycles, with these, fewest first."""
        costs = sorted(((self.cycles(s), n, s) for n, s in enumerate(self.shapes())))
        return [(cycles, shape) for cycles, _, shape in costs if cycles <= NEARLY * costs[0][0]]

    # -- candidates --------------------------------------------------------------------------

    def shapes(self) -> Iterator[TileShape]:
        """Every register tile worth a thought."""
        for lane in self._lanes():
            others = [d for d in self.form.outer if d is not lane and self._tiles_along(lane, d)]
            for packed in self._packings(lane):
                for extents in self._extents(lane, others):
                    yield TileShape(lane, extents, packed)

    def _lanes(self) -> list[Dim]:
        every = (*self.form.outer, *self.form.inner)
        lanes = [dim for dim in every if dim.size > 1 and not dim.placed]
        return lanes or [Dim("column", 1, (0,) * len(self.form.streams))]

    @staticmethod
    def _tiles_along(lane: Dim, dim: Dim) -> bool:
        """Whether a tile may span `dim`: along it, something that is read must be used again."""
        return dim.role not in ("batch", lane.role)

    def _packings(self, lane: Dim) -> list[int | None]:
        operand = {"row": A, "column": B}.get(lane.role)
        return [None] if operand in (None, self.form.placed) else [None, operand]

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
        total *= covered / max(spanned, 1)
        return total + self._packing_cycles(shape) + self._line_cycles(shape)

    def _size(self, shape: TileShape, dim: Dim) -> int:
        return -(-dim.size // self.width) if dim is shape.lane else dim.size

    def _tile_cycles(self, shape: TileShape, extents: Sequence[int]) -> float:
        tile = math.prod(extents)
        loads = [self._loads(shape, extents, operand) for operand in (A, B)]
        steps = self.depth
        if shape.lane.role == "inner":
            steps = max(1, self.depth // shape.lane.size) * -(-shape.lane.size // self.width)
        issue = sum(n * self._load_cost(shape, operand) for operand, n in enumerate(loads)) / 2
        computing = max(tile / 2, issue, LATENCY)
        step = self._step_cycles(shape, extents, loads, computing) + 0.05 * sum(loads) + 0.5
        return steps * step + self._finish_cycles(shape, extents)

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

    def moving_bytes(self, shape: TileShape, extents: Sequence[int]) -> int:
        """Bytes of the lines of the moving operand that a tile reads, each once."""
        moving = 1 - still_operand(shape)
        steps = Counter[int]()
        for (dim, _), extent in zip(shape.extents, extents, strict=True):
            lanes = self.width if dim is shape.lane else 1
            steps[abs(dim.strides[moving])] += min(extent * lanes, dim.size) - 1
        for dim in self.form.inner:
            steps[abs(dim.strides[moving])] += dim.size - 1
        run, runs = 1, 1  # neighbouring elements, and how often there are so many
        for stride, count in sorted(steps.items()):
            if stride <= run:
                run += stride * count
            else:
                runs *= count + 1
        return runs * -(-run * self.itemsize // LINE) * LINE

    def _operand_bytes(self, operand: int, lane: Dim) -> int:
        """Bytes of an operand, of as many inner points as are summed at a time."""
        points = math.prod(d.size for d in self.form.outer if d.strides[operand])
        return points * self._part(lane) * self.itemsize

    def _part(self, lane: Dim) -> int:
        """Inner points that are summed at a time."""
        return self.depth if self.depth < long_inner(lane) else min(self.depth, inner_part(lane))

    def fits_first_cache(self, bytes: int) -> bool:
        """Whether so much stays in the first cache, beside what passes by."""
        return bytes <= self.machine.l1 * 3 // 4

    def _step_cycles(
        self, shape: TileShape, extents: Sequence[int], loads: Sequence[int], computing: float
    ) -> float:
        """Cycles of a step that computes for so long, and waits for what comes from far caches.

        In long sums nothing is near for long: both operands compete for the way from the second
        cache, and vectors that lie apart from each other come late.
        """
        still = still_operand(shape)
        size = [self.itemsize * (self.width if self._is_vector(shape, o) else 1) for o in (A, B)]
        panel = self._panel_cycles(shape, still, loads[still] * size[still])
        moving = loads[1 - still] * size[1 - still] / NEAR
        if shape.lane.role == "inner":
            if self._operand_bytes(1 - still, shape.lane) > self.machine.l2 * 3 // 4:
                moving *= NEAR / FAR
            return max(computing * self._crowding(shape), panel + moving)
        lines = self.moving_bytes(shape, extents) / NEAR / max(self.depth, 1)
        if self.depth < long_inner(shape.lane):
            return max(computing, panel + moving) + lines / 2
        apart = self._apart(shape, still, loads[still] * size[still])
        return _both(computing, panel + lines) + lines / 2 + apart / 8

    def _apart(self, shape: TileShape, still: int, width: int) -> float:
        """Of how many rows of `width` bytes a panel that is read in place holds one, at most 4."""
        if shape.packed is not None or not self.form.inner:
            return 0.0
        step = min(abs(d.strides[still]) for d in self.form.inner) * self.itemsize
        return min(4.0, step / width)

    def _crowding(self, shape: TileShape) -> float:
        """How much longer it takes where all rows of a tile compete for one place of the first
        cache, since they lie whole pages apart, and not all of them stay there."""
        rows = [(d, extent) for d, extent in shape.extents if extent > 1]
        apart = [abs(d.strides[o]) * self.itemsize for d, _ in rows for o in (A, B) if d.strides[o]]
        alike = self.depth >= long_inner(shape.lane) and any(step % PAGE == 0 for step in apart)
        return 1.4 if alike else 1.0

    def _panel_cycles(self, shape: TileShape, still: int, width: int) -> float:
        """Cycles a step in which the panel of the still operand comes from far caches."""
        depth = self._part(shape.lane)
        if shape.lane.role == "inner":
            depth //= self.width
        scattered = self._scattered(shape, still)
        if not scattered and self.fits_first_cache(width * depth):
            return 0.0
        return width / {"": NEAR, "near": NEAR / 2, "far": FAR / 2}[scattered]

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

    def _finish_cycles(self, shape: TileShape, extents: Sequence[int]) -> float:
        tile = math.prod(extents)
        stores = shape.lane.strides[2:]
        cost = 2.0 + self.effort
        if shape.lane.role == "inner":  # sums are added up, then finished as vectors along an axis
            return 20 + 1.5 * tile + tile / max(extents, default=1) * cost
        cost += 2 * self.width * sum(stride not in (0, 1) for stride in stores)
        return 15 + tile * cost

    def _packing_cycles(self, shape: TileShape) -> float:
        if shape.packed is None:
            return 0.0
        mine = math.prod(d.size for d in self.form.outer if d.strides[shape.packed])
        elements = mine * self.depth
        if shape.lane.strides[shape.packed] == 1:
            return elements / self.width * (2.5 if self.depth < long_inner(shape.lane) else 5.0)
        deepest = self.form.inner[-1:] or (shape.lane,)
        if any(d.strides[shape.packed] == 1 and d.size >= self.width for d in deepest):
            return elements * 0.3
        return elements * 2.0

    def _line_cycles(self, shape: TileShape) -> float:
        """Cycles in which lines of the result come and go for each of their elements: the loops
        over what steps within them stand outside of packing.
        """
        if shape.packed is None or not self.within_lines(shape):
            return 0.0
        return 2.0 * LINE * self.points / FAR

    def within_lines(self, shape: TileShape) -> list[Dim]:
        """Axes that step within a line of what is loaded or stored at the end, where the lanes do
        not lie side by side, such as the taps of a convolution's weight: of a large result each
        line is to be there once, so the loops over these belong inside.
        """
        if self.points * self.itemsize < LARGE * self.machine.l2:
            return []
        spanned = [shape.lane, *(dim for dim, _ in shape.extents)]
        streams = [n for n, s in enumerate(self.form.streams) if n > B and s.buffer is not None]
        return [
            dim
            for dim in self.form.outer
            if dim not in spanned
            and any(
                0 < abs(dim.strides[n]) * self.itemsize < LINE and abs(shape.lane.strides[n]) > 1
                for n in streams
            )
        ]


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


def _both(computing: float, fetching: float) -> float:
    """Cycles of what goes on at the same time, and seldom without any waiting."""
    return float((computing**8 + fetching**8) ** 0.125)


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
