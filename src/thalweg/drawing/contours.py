"""Level lines of a function on a grid, by marching squares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Line", "Segment", "level_lines", "levels_for", "linked"]

Array = npt.NDArray[np.float64]
Segment = tuple[float, float, float, float]  # from (x, y) to (x, y), in cells of the grid

Line = list[tuple[float, float]]

# For each of the 16 cases of corners below and above a level, the edges that the line joins.
# Corners count bits: 1 (i, j), 2 (i+1, j), 4 (i+1, j+1), 8 (i, j+1); edge n follows corner n.
_JOINED: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)), 6: ((0, 2),),
    7: ((3, 2),), 8: ((2, 3),), 9: ((2, 0),), 10: ((0, 1), (2, 3)), 11: ((2, 1),), 12: ((1, 3),),
    13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


def level_lines(values: Array, level: float) -> list[Segment]:
    """The pieces of the line where `values` (n, m), linear between grid points, equal `level`.

    Cells with a corner that is not finite are left out.

    >>> level_lines(np.array([[0.0, 0.0], [1.0, 1.0]]), 0.25)
    [(0.25, 0.0, 0.25, 1.0)]
    """
    corners = [values[di : di + values.shape[0] - 1, dj : dj + values.shape[1] - 1]
               for di, dj in _CORNERS]  # fmt: skip
    bits = [(corner >= level).astype(np.int64) << n for n, corner in enumerate(corners)]
    case = np.sum(bits, axis=0)
    whole = np.all([np.isfinite(corner) for corner in corners], axis=0)
    found = []
    for i, j in np.argwhere((case > 0) & (case < 15) & whole):
        around = [float(corner[i, j]) for corner in corners]
        for first, last in _JOINED[int(case[i, j])]:
            x1, y1 = _crossing(around, first, level)
            x2, y2 = _crossing(around, last, level)
            found.append((i + x1, j + y1, i + x2, j + y2))
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in found]


def _crossing(around: list[float], edge: int, level: float) -> tuple[float, float]:
    """Where on an edge of a cell the level is."""
    a, b = around[edge], around[(edge + 1) % 4]
    (xa, ya), (xb, yb) = _CORNERS[edge], _CORNERS[(edge + 1) % 4]
    t = (level - a) / (b - a)
    return xa + t * (xb - xa), ya + t * (yb - ya)


def linked(pieces: Sequence[Segment]) -> list[Line]:
    """The pieces joined, end to end, to as few lines as they make.

    >>> linked([(0.0, 0.0, 1.0, 0.0), (1.0, 1.0, 1.0, 0.0)])
    [[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]]
    """
    ends: defaultdict[tuple[float, float], list[int]] = defaultdict(list)
    for number, (a, b, c, d) in enumerate(pieces):
        ends[_rounded((a, b))].append(number)
        ends[_rounded((c, d))].append(number)
    free, lines = dict.fromkeys(range(len(pieces))), []
    while free:
        a, b, c, d = pieces[_taken(free, next(iter(free)))]
        lines.append([*_followed((a, b), pieces, ends, free)[::-1], (a, b), (c, d),
                      *_followed((c, d), pieces, ends, free)])  # fmt: skip
    return lines


def _followed(
    end: tuple[float, float],
    pieces: Sequence[Segment],
    ends: Mapping[tuple[float, float], list[int]],
    free: dict[int, None],
) -> Line:
    """The points that free pieces lead to from `end`."""
    line: Line = []
    while True:
        number = next((n for n in ends[_rounded(end)] if n in free), None)
        if number is None:
            return line
        a, b, c, d = pieces[_taken(free, number)]
        end = (c, d) if _rounded((a, b)) == _rounded(end) else (a, b)
        line.append(end)


def _taken(free: dict[int, None], number: int) -> int:
    del free[number]
    return number


def _rounded(point: tuple[float, float]) -> tuple[float, float]:
    return round(point[0], 9), round(point[1], 9)


def levels_for(values: Array, count: int = 12) -> list[float]:
    """Levels whose lines stand evenly: the k-th encloses the share (k / n)^2 of the area.

    So the lines of a bowl are circles at equal distances, however steep its sides are.

    >>> [round(level) for level in levels_for(np.arange(101.0)[:, None], 3)]
    [6, 25, 56]
    """
    finite = values[np.isfinite(values)]
    if not finite.size or finite.max() == finite.min():
        return []
    steps = np.arange(1, count + 1) / (count + 1)
    found = np.quantile(finite, steps**2)
    return [float(level) for level in np.unique(found) if finite.min() < level < finite.max()]
