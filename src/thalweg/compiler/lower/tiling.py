"""How a contraction is walked: loops over tiles, packing, blocks.

A tile is chosen by `tile_model`; here its loops are put in order and cut into blocks, and long
inner axes into parts, between which sums rest in memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.compiler.lower.axes import Dim, Form, Role
from thalweg.compiler.lower.tile_model import (
    TileModel,
    TileShape,
    inner_part,
    long_inner,
    still_operand,
)
from thalweg.compiler.machine import Machine

__all__ = ["InnerBlock", "Level", "Tiling", "choose"]

BLOCK_FLOP = 40_000  # a block is at least this much work
MOST_BLOCKS = 64
SHORT_SUM = 64  # products; below, storing a sum takes as long as making it
CHOICES = 6  # tilings that are compared by how evenly they share out the work
LONG_SUM = 4096  # blocks of sums of more products are as few as cores can use


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

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return math.prod(level.chunks for level in self.levels)

    @property
    def tiles(self) -> int:
        """About the number of register tiles."""
        return math.prod(-(-level.dim.size // level.tile) for level in self.levels)

    def slowest_first(self) -> list[int]:
        """The numbers of the levels as blocks are numbered, the last one fastest: what stands
        outside of packing, packed lanes, all others. Of a layer's outputs the features are packed,
        or columns: so a thread reads the weights that it has changed in the step before."""

        def place(number: int) -> tuple[bool, bool]:
            dim = self.levels[number].dim
            is_other = dim is not self.lane if self.packed is not None else self._is_row(dim)
            return number >= self.fixed, is_other

        return sorted(range(len(self.levels)), key=place)

    def _is_row(self, dim: Dim) -> bool:
        return self.lane.role == "inner" and dim.role == "row"

    @property
    def panel_depth(self) -> int:
        """How many inner points a packed panel holds."""
        if self.cut is None or self.whole:
            return math.prod(d.size for d in self.inner)
        within = math.prod(d.size for d in self.inner[self.cut.axis + 1 :])
        return self.cut.count * within


def choose(form: Form, dtype: np.dtype[np.generic], machine: Machine, effort: float) -> Tiling:
    """The cheapest tiling; `effort` is the epilogue's, in instructions a vector."""
    if dtype.kind != "f":
        return _plain(form)
    model = TileModel(form, dtype.itemsize, machine, effort)
    best = [(cycles, _tiling(form, shape, model)) for cycles, shape in model.cheapest()[:CHOICES]]
    return min(best, key=lambda pair: pair[0] * _imbalance(pair[1]))[1]


def _imbalance(tiling: Tiling) -> float:
    """How much longer two and four threads take, at least, than if all had the same to do."""
    sizes = [1]
    for level in (tiling.levels[number] for number in tiling.slowest_first()):
        ends = [min(level.dim.size, n * level.chunk) for n in range(level.chunks + 1)]
        sizes = [size * (high - low) for size in sizes for low, high in itertools.pairwise(ends)]
    worst = []
    for threads in (2, 4):
        cuts = [len(sizes) * thread // threads for thread in range(threads + 1)]
        most = max(sum(sizes[low:high]) for low, high in itertools.pairwise(cuts))
        worst.append(most * threads / sum(sizes))
    return sum(worst) / len(worst)


def _plain(form: Form) -> Tiling:
    """Integers: one element at a time."""
    levels = tuple(Level(dim, 1, dim.size) for dim in form.outer)
    lane = Dim("column", 1, (0,) * len(form.streams))
    whole = Level(lane, 1, 1)
    return Tiling((*levels, whole), 0, form.inner, lane, 1, None, None, True)


# -- levels and blocks ---------------------------------------------------------------------------


def _tiling(form: Form, shape: TileShape, model: TileModel) -> Tiling:
    """The loops in order, cut into blocks."""
    extents = {
        dim: extent * (model.width if dim is shape.lane else 1) for dim, extent in shape.extents
    }
    outer = list(form.outer)
    if shape.lane.role != "inner" and shape.lane not in outer:
        outer.append(shape.lane)
    pieces = _passes(outer, shape, extents, model)
    place = _places(form, shape, model, extents, pieces > 0)
    outer.sort(key=place)
    around = (1, 1) if shape.packed is not None and not pieces else (1, 0)
    fixed = len(list(itertools.takewhile(lambda d: place(d) < around and d not in extents, outer)))
    inner = _inner_order(form.inner, shape)
    moving = sum(1 for d in outer if place(d) < (2, 0))
    least = {shape.lane: pieces} if pieces else {}
    chunks = _chunks(outer, extents, moving, model, least)
    levels = [Level(d, extents.get(d, 1), chunk) for d, chunk in zip(outer, chunks, strict=True)]
    lanes = max((level.chunk for level in levels if level.dim is shape.lane), default=0)
    whole = lanes * model.depth * model.itemsize <= model.machine.l2
    cut = None if pieces and whole else _cut(inner, shape.lane, model)
    whole = whole or cut is None
    return Tiling(
        tuple(levels), fixed, tuple(inner), shape.lane, model.width, shape.packed, cut, whole
    )


def _passes(
    outer: Sequence[Dim], shape: TileShape, extents: Mapping[Dim, int], model: TileModel
) -> int:
    """Into how many pieces the lanes are cut so that the panels of one stay in the second cache
    while loops over what does not occur in them stand outside; 0: these loops stand inside.

    That is for panels that are too long for the first cache, and so come from the second for
    every tile in any case: then the other operand comes from afar once for all of them.
    """
    packed = shape.packed
    if packed is None or all(d in extents for d in outer):
        return 0
    if any(d.strides[packed] for d in outer if d is not shape.lane):
        return 0
    panel = extents[shape.lane] * model.depth * model.itemsize
    beside = model.moving_bytes(shape, [extent for _, extent in shape.extents])
    together = model.machine.l2 * 5 // 8 // panel
    if model.fits_first_cache(panel) or not model.fits_first_cache(beside) or not together:
        return 0
    return math.ceil(math.ceil(shape.lane.size / extents[shape.lane]) / together)


def _places(
    form: Form, shape: TileShape, model: TileModel, extents: Mapping[Dim, int], around: bool
) -> Callable[[Dim], tuple[int, int]]:
    """Where the loop over an axis stands: batches, the first role, the other; of each role the
    axes of the tile last, and where nothing is packed, the axes that step within lines of a
    large result last of all. With `around` the lanes stand between the other's loops."""
    if around:
        order = {"batch": 0, shape.lane.role: 2}
        return lambda dim: (order.get(dim.role, 3 if dim in extents else 1), int(dim in extents))
    first = _outer_role(form, shape, model)
    order = {"batch": 0, first: 1}
    near = model.within_lines(shape) if shape.packed is None else []

    def place(dim: Dim) -> tuple[int, int]:
        return (3, 0) if dim in near else (order.get(dim.role, 2), int(dim in extents))

    return place


def _inner_order(inner: Sequence[Dim], shape: TileShape) -> list[Dim]:
    """The inner axes in the order in which what is read in place lies; panels lie in any."""
    if shape.packed is None:
        return sorted(inner, key=lambda d: d is shape.lane)
    other = 1 - shape.packed
    return sorted(inner, key=lambda d: -abs(d.strides[other]))


def _outer_role(form: Form, shape: TileShape, model: TileModel) -> Role:
    """The axes of the outer loops: those of the operand whose panels stay while the other's pass.

    With short sums storing counts more, which is better done along the lanes: one panel after
    another, if all of them stay near.
    """
    still = still_operand(shape)
    roles: tuple[Role, Role] = ("row", "column")
    elements = model.depth * math.prod(d.size for d in form.outer if d.strides[still])
    near = elements * model.itemsize <= model.machine.l2 // 4
    along = shape.packed is None and shape.lane.role == roles[still]
    short = along and near and model.depth <= SHORT_SUM
    return roles[1 - still] if short else roles[still]


def _cut(inner: Sequence[Dim], lane: Dim, model: TileModel) -> InnerBlock | None:
    """Where long inner axes are cut so that about `_part` points lie inside."""
    if model.depth < long_inner(lane):
        return None
    within, wanted = 1, inner_part(lane)
    for axis in reversed(range(len(inner))):
        size = inner[axis].size
        if within * size >= wanted or axis == 0:
            count = max(1, min(size, wanted // within))
            unit = model.width if inner[axis] is lane else 1
            return InnerBlock(axis, -(-count // unit) * unit)
        within *= size
    return None


def _chunks(
    outer: Sequence[Dim],
    extents: Mapping[Dim, int],
    moving: int,
    model: TileModel,
    least: Mapping[Dim, int],
) -> list[int]:
    """Elements of each axis in a block: blocks as equal as can be, enough of them, none too small.
    Axes in `least` are cut into so many pieces.

    Long sums are cut into few blocks, for each of them reads long operands. That the number of
    cores decides here changes no sum: blocks are parts of the result.
    """
    tiles = [extents.get(dim, 1) for dim in outer]
    counts = [-(-dim.size // tile) for dim, tile in zip(outer, tiles, strict=True)]
    flop = 2.0 * model.points * model.depth
    few = max(4, min(16, 2 * model.machine.cores))
    most = MOST_BLOCKS if model.depth < LONG_SUM else few
    budget = max(1, min(most, int(flop // BLOCK_FLOP)), math.prod(least.values()))
    splits = [
        split
        for split in _splits(counts, budget)
        if all(least.get(dim, n) == n for dim, n in zip(outer, split, strict=True))
    ]
    pieces = _best_split(counts, splits, moving)
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
    choices = [
        (math.prod(s[moving:]), u, tuple(-n for n in s))
        for s, u in zip(splits, uneven, strict=True)
    ]
    return tuple(-n for n in min(choice for choice in choices if choice[1] <= fair)[2])


def _unevenness(counts: Sequence[int], pieces: Sequence[int]) -> float:
    """How much longer several threads take than if all had the same to do."""
    blocks = math.prod(pieces)
    share = math.prod(
        -(-count // piece) / count for count, piece in zip(counts, pieces, strict=True)
    )
    return sum(-(-blocks // threads) * threads * share for threads in (2, 3, 4, 8, 16))
