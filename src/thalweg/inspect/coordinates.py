"""Where the items of each layer stand across the page, so that lines run straight.

The method of Brandes and Koepf, "Fast and simple horizontal coordinate assignment", Graph Drawing
2001: each item is stacked on a middle neighbour of the layer before it where no such line crosses
another; stacks are packed from one side; of the four ways to do so (from above or below, from the
left or the right) the mean of the two middle results counts. What stands in one line then moves,
as one, as near to what it is linked to as there is room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["Link", "Neighbours", "across", "neighbours"]

Link = tuple[int, int]
Neighbours = list[list[int]]
Rows = Sequence[Sequence[int]]

SETTLE = 4


def neighbours(links: Sequence[Link], count: int) -> tuple[Neighbours, Neighbours]:
    """For each of `count` items those it is linked to above it, and those below it."""
    above: Neighbours = [[] for _ in range(count)]
    below: Neighbours = [[] for _ in range(count)]
    for source, target in links:
        above[target].append(source)
        below[source].append(target)
    return above, below


def across(
    rows: Rows, links: Sequence[Link], widths: Sequence[float], gap: float, boxes: int
) -> list[float]:
    """The centre of each item, in rows from left to right, at least `gap` between neighbours.

    Items from `boxes` on are points that wires pass.
    """
    above, below = neighbours(_lines(links, len(widths)), len(widths))
    place = {item: position for row in rows for position, item in enumerate(row)}
    crossed = _crossed(rows, above, place, boxes)
    candidates = []
    for upper, turned in ((above, rows), (below, rows[::-1])):
        for side in (1, -1):
            ordered = [list(row)[::side] for row in turned]
            where = {item: position for row in ordered for position, item in enumerate(row)}
            root = _stacks(ordered, upper, where, crossed)
            candidates.append([side * x for x in _packed(ordered, root, widths, gap)])
    x = _balanced(candidates, widths)
    for _ in range(SETTLE):
        _settle(x, rows, links, widths, gap)
    return x


def _lines(links: Sequence[Link], count: int) -> list[Link]:
    """The links that wish to be straight: a leaf gives way to the line of operations it joins."""
    above, _ = neighbours(links, count)
    inner = {target for source, target in links if above[source]}
    return [(source, target) for source, target in links if above[source] or target not in inner]


def _crossed(
    rows: Rows, above: Neighbours, place: dict[int, int], boxes: int
) -> set[tuple[int, int]]:
    """Links that cross a wire where it passes two layers: the wire stays straight."""
    found = set()
    for lower in rows[1:]:
        inside = [(place[above[i][0]], place[i]) for i in lower if _within(i, above, boxes)]
        for item in lower:
            for source in above[item]:
                a, b = place[source], place[item]
                if not (item >= boxes and source >= boxes) and any(
                    (a - c) * (b - d) < 0 for c, d in inside
                ):
                    found |= {(source, item), (item, source)}
    return found


def _within(item: int, above: Neighbours, boxes: int) -> bool:
    return item >= boxes and bool(above[item]) and above[item][0] >= boxes


def _stacks(
    rows: Rows, upper: Neighbours, place: dict[int, int], crossed: set[tuple[int, int]]
) -> list[int]:
    """Stack each item on the first of its middle neighbours that is free; gives each its root."""
    root = list(range(len(upper)))
    topped: set[int] = set()
    for row in rows:
        limit = -1  # lines of one layer must not cross
        for item in row:
            near = sorted(upper[item], key=place.__getitem__)
            for m in near[(len(near) - 1) // 2 : len(near) // 2 + 1]:
                if m not in topped and (m, item) not in crossed and place[m] > limit:
                    topped.add(m)
                    root[item] = root[m]
                    limit = place[m]
                    break
    return root


def _packed(rows: Rows, root: list[int], widths: Sequence[float], gap: float) -> list[float]:
    """Stacks as far to the left as they go, then each as near to its right neighbour as it can."""
    right_of: dict[int, dict[int, float]] = {r: {} for r in root}
    for row in rows:
        for a, b in pairwise(row):
            apart = (widths[a] + widths[b]) / 2 + gap
            right_of[root[a]][root[b]] = max(apart, right_of[root[a]].get(root[b], 0.0))
    order = _from_left(right_of)
    x = dict.fromkeys(order, 0.0)
    for stack in order:
        for other, apart in right_of[stack].items():
            x[other] = max(x[other], x[stack] + apart)
    for stack in reversed(order):
        if right_of[stack]:
            x[stack] = min(x[other] - apart for other, apart in right_of[stack].items())
    return [x[r] for r in root]


def _from_left(right_of: dict[int, dict[int, float]]) -> list[int]:
    """The stacks in an order in which each stands before those to its right."""
    waiting = dict.fromkeys(right_of, 0)
    for others in right_of.values():
        for other in others:
            waiting[other] += 1
    order = [stack for stack, count in waiting.items() if not count]
    for stack in order:
        for other in right_of[stack]:
            waiting[other] -= 1
            if not waiting[other]:
                order.append(other)
    return order


def _balanced(candidates: list[list[float]], widths: Sequence[float]) -> list[float]:
    """The candidates laid over the narrowest, by their left or right edge; the middle counts."""
    edges = [
        (
            min((c - w / 2 for c, w in zip(xs, widths, strict=True)), default=0.0),
            max((c + w / 2 for c, w in zip(xs, widths, strict=True)), default=0.0),
        )
        for xs in candidates
    ]
    left, right = min(edges, key=lambda edge: edge[1] - edge[0])
    moved = []
    for number, (xs, (low, high)) in enumerate(zip(candidates, edges, strict=True)):
        shift = left - low if number % 2 == 0 else right - high
        moved.append([x + shift for x in xs])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*moved, strict=True)]


def _settle(
    x: list[float], rows: Rows, links: Sequence[Link], widths: Sequence[float], gap: float
) -> None:
    """Move each vertical line of items towards the mean of its links, within the room it has."""
    above, below = neighbours(links, len(x))
    beside = [pair for row in rows for pair in pairwise(row)]
    left_of, right_of = {b: a for a, b in beside}, dict(beside)

    def apart(a: int, b: int) -> float:
        return (widths[a] + widths[b]) / 2 + gap

    for line in _straight(x, links):
        inside = set(line)
        pulls = [x[n] for i in line for n in (*above[i], *below[i]) if n not in inside]
        if not pulls:
            continue
        rooms_left = [x[left_of[i]] + apart(left_of[i], i) for i in line if i in left_of]
        rooms_right = [x[right_of[i]] - apart(i, right_of[i]) for i in line if i in right_of]
        wish = sum(pulls) / len(pulls)
        for i in line:
            x[i] = min(max(wish, *rooms_left, -math.inf), *rooms_right, math.inf)


def _straight(x: Sequence[float], links: Sequence[Link]) -> list[list[int]]:
    """The items, gathered into lines: those that are linked and stand exactly below each other."""
    line_of = {item: [item] for item in range(len(x))}
    for a, b in links:
        if abs(x[a] - x[b]) < 0.01 and line_of[a] is not line_of[b]:
            line_of[a] += line_of[b]
            line_of.update(dict.fromkeys(line_of[b], line_of[a]))
    return list({id(line): line for line in line_of.values()}.values())
