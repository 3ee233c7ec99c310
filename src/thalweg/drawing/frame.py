"""Where things go: the places of values between the axes, and labels that lie on nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from thalweg.drawing.scale import Scale
from thalweg.drawing.svg import SIZE, Point, text, text_width

__all__ = ["Box", "Frame", "rows_of", "spread"]

Box = tuple[float, float, float, float]  # left, top, right, bottom

_PACE: Final = 5.0  # pixels between the places that a line keeps busy
_LEAST: Final = 6.0  # pixels between texts side by side
_EDGE: Final = 1e-9


@dataclass
class Frame:
    """The rectangle between the axes.

    busy   places that something is drawn at
    taken  boxes of texts
    """

    x: Scale
    y: Scale
    busy: list[Point] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)

    @property
    def box(self) -> Box:
        """Its edges."""
        return self.x.start, self.y.end, self.x.end, self.y.start

    def places(self, xs: Iterable[float], ys: Iterable[float]) -> list[Point]:
        """The places of points; NaN where a value is not on its axis."""
        return [(_place(self.x, x), _place(self.y, y)) for x, y in zip(xs, ys, strict=True)]

    def keep(self, points: Sequence[Point], joined: bool = False) -> None:
        """Remember that something is drawn at `points`, and `joined` on the way between them."""
        self.busy += [p for p in points if all(map(math.isfinite, p))]
        for (x0, y0), (x1, y1) in pairwise(points) if joined else ():
            far = math.hypot(x1 - x0, y1 - y0)
            steps = int(far / _PACE) if math.isfinite(far) else 0
            self.busy += [(x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps)
                          for k in range(1, steps)]  # fmt: skip

    def beside(self, at: Point, said: str, kind: str) -> str:
        """A label next to a place: inside the frame, and where it covers least."""
        choices = list(_around(at, text_width(said)))
        best = min(choices, key=lambda box: self._covered(box, at))
        self.taken.append(best)
        return text(best[0], best[3] - 4, said, kind)

    def _covered(self, box: Box, at: Point) -> float:
        left, top, right, bottom = self.box
        outside = box[0] < left or box[1] < top or box[2] > right or box[3] > bottom
        texts = sum(_touch(box, other) for other in self.taken)
        inside = sum(box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in self.busy)
        return 1e6 * outside + 1e4 * texts + inside + 0.01 * math.dist(_centre(box), at)


def _place(scale: Scale, value: float) -> float:
    if not math.isfinite(value) or (scale.is_log and value <= 0):
        return math.nan
    place, ends = scale(value), sorted((scale.start, scale.end))
    return place if ends[0] - _EDGE <= place <= ends[1] + _EDGE else math.nan


def _around(at: Point, wide: float) -> Iterator[Box]:
    """Boxes of a text about a place: beside, above, below, near and far."""
    x, y = at
    for far in (8.0, 16.0, 28.0, 44.0, 64.0):
        for dx in (far, -far - wide, -wide / 2):
            for dy in (-far - SIZE / 2, far - SIZE / 2, -SIZE / 2):
                if dx != -wide / 2 or dy != -SIZE / 2:
                    yield x + dx, y + dy - 2, x + dx + wide, y + dy + SIZE + 2


def _centre(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least `gap` apart from `low` to `high`, in their order, near to those `wanted`.

    >>> spread([10.0, 12.0, 50.0], 10.0, 0.0, 60.0)
    [6.0, 16.0, 50.0]
    """
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    down, up = list(wanted), list(wanted)
    before, after = low - gap, high + gap
    for n in order:
        before = down[n] = max(wanted[n], before + gap)
    for n in reversed(order):
        after = up[n] = min(wanted[n], after - gap)
    middle = [(a + b) / 2 for a, b in zip(down, up, strict=True)]
    for k, n in enumerate(order):  # the room that the others need
        middle[n] = min(max(middle[n], low + k * gap), high - (len(order) - 1 - k) * gap)
    return middle


def rows_of(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each stretch from left to right a row, the first in which it touches no other.

    >>> rows_of([(0.0, 50.0), (40.0, 90.0), (60.0, 99.0)])
    [0, 1, 0]
    """
    ends: list[list[tuple[float, float]]] = []
    rows = []
    for left, right in spans:
        free = (
            k
            for k, row in enumerate(ends)
            if all(right + _LEAST <= a or b + _LEAST <= left for a, b in row)
        )
        row = next(free, len(ends))
        if row == len(ends):
            ends.append([])
        ends[row].append((left, right))
        rows.append(row)
    return rows
