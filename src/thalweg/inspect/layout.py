"""Where the boxes of a drawing go: layers, an order in each, and coordinates.

The method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", IEEE Trans. SMC 11 (1981): a box stands a layer below the last of those it hangs from;
a wire that runs past several layers gets a point in each; the order in a layer follows the
barycentre of the neighbours. Where in its layer each item stands is worked out in `coordinates`.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from thalweg.inspect.coordinates import Link, Neighbours, across, neighbours

__all__ = ["Drawn", "Layout", "Point", "Wire", "layered"]

Point = tuple[float, float]

GAP = 26.0  # between boxes side by side
DROP = 38.0  # between layers
BEND = 14.0  # the width a wire keeps free where it passes a layer
SWEEPS = 12


@dataclass
class Wire:
    """What runs from one box to those that read it: a trunk through the layers, with branches.

    `trunk` maps a layer to the item that stands for the wire there, the box itself in its own.
    """

    source: int
    label: str
    trunk: dict[int, int]
    targets: list[int]

    def links(self, layer: Sequence[int]) -> list[Link]:
        """The wire from item to item, layer by layer."""
        along = list(pairwise(self.trunk.values()))
        return along + [(self.trunk[layer[target] - 1], target) for target in self.targets]


@dataclass(frozen=True)
class Drawn:
    """A wire on the page: the points its trunk and branches pass through, and where they end."""

    label: str
    lines: list[list[Point]]
    ends: list[Point]


@dataclass(frozen=True)
class Layout:
    """The centre of each box, the wires, and the size of it all."""

    centres: list[Point]
    wires: list[Drawn]
    width: float
    height: float


def layered(
    sizes: Sequence[tuple[float, float]], edges: Sequence[Link], labels: Sequence[str]
) -> Layout:
    """Lay out boxes of `sizes` (width, height) joined by `edges`, each from lower to higher.

    Edges run downwards. Those from one box with one label share a wire.
    """
    layer = _layers(len(sizes), edges)
    widths = [width for width, _ in sizes]
    wires = _wires(edges, labels, layer, widths)
    rows = _rows(layer)
    links = [link for wire in wires for link in wire.links(layer)]
    _order(rows, links, layer)
    centre = across(rows, links, widths, GAP, len(sizes))
    left = min((x - w / 2 for x, w in zip(centre, widths, strict=True)), default=0.0)
    right = max((x + w / 2 for x, w in zip(centre, widths, strict=True)), default=0.0)
    return _Page(sizes, [x - left for x in centre], rows, layer).layout(wires, right - left)


# --- layers ------------------------------------------------------------------------------------


def _layers(count: int, edges: Sequence[Link]) -> list[int]:
    """The longest path to each box; a leaf stands just above the first that reads it."""
    above, below = neighbours(edges, count)
    layer = [0] * count
    for box in range(count):
        layer[box] = max((layer[source] + 1 for source in above[box]), default=0)
    for box in range(count):
        if not above[box] and below[box]:
            layer[box] = min(layer[target] for target in below[box]) - 1
    return layer


def _wires(
    edges: Sequence[Link], labels: Sequence[str], layer: list[int], widths: list[float]
) -> list[Wire]:
    """The edges as wires; `layer` and `widths` learn of the items in the layers they pass."""
    wires: dict[tuple[int, str], Wire] = {}
    for (source, target), label in zip(edges, labels, strict=True):
        new = Wire(source, label, {layer[source]: source}, [])
        wires.setdefault((source, label), new).targets.append(target)
    for wire in wires.values():
        last = max(layer[target] for target in wire.targets)
        for between in range(layer[wire.source] + 1, last):
            wire.trunk[between] = len(layer)
            layer.append(between)
            widths.append(BEND)
    return list(wires.values())


def _rows(layer: Sequence[int]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for item, depth in enumerate(layer):
        rows[depth].append(item)
    return rows


# --- the order in each layer ---------------------------------------------------------------------


def _order(rows: list[list[int]], links: Sequence[Link], layer: Sequence[int]) -> None:
    """Sort the rows, down and up by turns, by the mean place of the neighbours; keep the best."""
    above, below = neighbours(links, len(layer))
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        ordered = rows if down else rows[::-1]
        for fixed, free in pairwise(ordered):
            _sort(free, fixed, above if down else below)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _sort(free: list[int], fixed: Sequence[int], near: Neighbours) -> None:
    """Order `free` by barycentre; an item without neighbours in `fixed` keeps its place."""
    place = {item: position for position, item in enumerate(fixed)}
    centre = {}
    for position, item in enumerate(free):
        places = [place[n] for n in near[item]]
        centre[item] = sum(places) / len(places) if places else position
    free.sort(key=centre.__getitem__)


def _crossings(rows: Sequence[Sequence[int]], below: Neighbours) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {item: position for position, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(place[n] for n in below[item])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


class _Page:
    """Turns places in layers into points, from the upper left corner."""

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        across: Sequence[float],
        rows: Sequence[Sequence[int]],
        layer: Sequence[int],
    ) -> None:
        self.sizes, self.across, self.layer = sizes, across, layer
        self.tops, self.bottoms, at = [], [], 0.0
        for row in rows:
            tall = max((sizes[item][1] for item in row if item < len(sizes)), default=0.0)
            self.tops.append(at)
            self.bottoms.append(at + tall)
            at += tall + DROP

    def layout(self, wires: Sequence[Wire], width: float) -> Layout:
        centres = [(self.across[box], self._middle(box)) for box in range(len(self.sizes))]
        return Layout(centres, [self._drawn(wire) for wire in wires], width, self.bottoms[-1])

    def _middle(self, box: int) -> float:
        return (self.tops[self.layer[box]] + self.bottoms[self.layer[box]]) / 2

    def _drawn(self, wire: Wire) -> Drawn:
        items = iter(wire.trunk.values())
        trunk = [self._foot(next(items))]
        for item in items:
            trunk += [(self.across[item], self.tops[self.layer[item]]), self._foot(item)]
        ends = [(self.across[t], self._middle(t) - self.sizes[t][1] / 2) for t in wire.targets]
        starts = [self._foot(wire.trunk[self.layer[t] - 1]) for t in wire.targets]
        branches = [[start, end] for start, end in zip(starts, ends, strict=True)]
        return Drawn(wire.label, [trunk, *branches] if len(trunk) > 1 else branches, ends)

    def _foot(self, item: int) -> Point:
        """Where a wire leaves an item: below a box, or at the lower edge of the layer it passes."""
        if item < len(self.sizes):
            return self.across[item], self._middle(item) + self.sizes[item][1] / 2
        return self.across[item], self.bottoms[self.layer[item]]
