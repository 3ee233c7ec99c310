"""A chart: two axes, and what is drawn between them.

It is told what there is, lines, dots, points, marks, bars, in the values' own units; where all of
it goes, `layout` works out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Final

from thalweg.drawing.axis import Axis
from thalweg.drawing.frame import Frame
from thalweg.drawing.layout import body
from thalweg.drawing.palette import COLOURS, sheet
from thalweg.drawing.svg import Point, element, path, text, whole

__all__ = ["Chart", "STYLE"]

_MOST_POINTS: Final = 1200  # more than a curve has pixels
_THICKEST: Final = 18.0  # of bars

STYLE: Final = sheet(
    "thalweg-chart",
    ".thalweg-chart{font:12px system-ui,'Segoe UI',Roboto,Arial,sans-serif;"
    "font-variant-numeric:tabular-nums}"
    ".thalweg-chart text,.thalweg-chart circle,.thalweg-chart rect{fill:currentColor}"
    ".thalweg-chart path,.thalweg-chart line{fill:none;stroke:currentColor;"
    "stroke-linecap:round;stroke-linejoin:round}"
    ".thalweg-chart .line{stroke-width:2}.thalweg-chart .thin{stroke-width:1.2}"
    ".thalweg-chart .dashed{stroke-dasharray:7 5}.thalweg-chart .dotted{stroke-dasharray:1 5}"
    ".thalweg-chart .mark{stroke-dasharray:3 4}.thalweg-chart .title{font-weight:600}",
    {f"{'text' if name == 'quiet' else f'.{name}'}{{color": c for name, c in COLOURS.items()}
    | {".title{color": COLOURS["ink"], ".mark{color": COLOURS["quiet"]},
)  # fmt: skip


class Chart:
    """A chart to be filled, then drawn by `svg`, or by `body` as a part of another picture.

    >>> chart = Chart("halving", x=Axis("step"), y=Axis("lr"))
    >>> chart.line([0, 1, 2], [1.0, 0.5, 0.25], name="SGD")
    >>> chart.svg().startswith("<svg ")
    True
    """

    def __init__(
        self,
        title: str,
        x: Axis | None = None,
        y: Axis | None = None,
        *,
        size: tuple[float, float] = (560.0, 320.0),
        heading: bool = True,
        grid: bool = True,
        counts_gaps: bool = True,
    ) -> None:
        self.title, self.x, self.y = title, x or Axis(), y or Axis()
        self.size, self.heading, self.grid = size, heading, grid
        self.counts_gaps = counts_gaps
        self.xs: list[float] = []
        self.ys: list[float] = []
        self.layers: list[Callable[[Frame], Iterable[str]]] = []
        self.names: list[tuple[str, str, Point]] = []
        self.marks: list[tuple[float, str]] = []
        self._told: list[str] = []

    # --- what there is -----------------------------------------------------------------------

    def line(
        self,
        xs: Iterable[float],
        ys: Iterable[float],
        kind: str = "s1",
        *,
        name: str = "",
        weight: str = "line",
        dots: bool = False,
    ) -> None:
        """A line; its name stands at its end, its values are `dots` too where there are few.

        What is not finite leaves a gap.
        """
        xs, ys = self._seen(xs, ys)
        finite = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
        if finite:
            values = [y for _, y in finite]
            first, last, low, high = (
                self.y.spoken(v) for v in (values[0], values[-1], min(values), max(values))
            )
            self._told.append(f"{name or 'line'}: {first} to {last}, between {low} and {high}")
        if finite and name:
            self.names.append((name, kind, finite[-1]))

        def draw(frame: Frame) -> Iterator[str]:
            points = frame.places(xs, ys)
            line = _thinned(points)
            frame.keep(line, joined=True)
            inside = (element("title", escape(name)),) if name else ()
            yield path(line, f"{weight} {kind}", *inside)
            shown = _finite(points) if dots else _alone(points)
            for px, py in shown:
                yield element("circle", kind=kind, cx=px, cy=py, r=3)

        self.layers.append(draw)

    def dots(
        self,
        xs: Iterable[float],
        ys: Iterable[float],
        kind: str = "s1",
        *,
        radius: float = 2.6,
        opacity: str | None = None,
        apart: float = 0.0,
        tips: Sequence[str] = (),
    ) -> None:
        """Points, so many pixels `apart` from the one before; `tips` are under the pointer."""
        xs, ys = self._seen(xs, ys)
        self._told.append(f"{len(xs)} point{'' if len(xs) == 1 else 's'}")

        def draw(frame: Frame) -> Iterator[str]:
            points = frame.places(xs, ys)
            frame.keep(points)
            last = (-math.inf, -math.inf)
            for n, (x, y) in enumerate(points):
                if math.isfinite(x) and math.isfinite(y) and math.dist(last, (x, y)) >= apart:
                    last = x, y
                    tip = (element("title", escape(tips[n])),) if tips else ()
                    yield element("circle", *tip, kind=kind, cx=x, cy=y, r=radius,
                                  fill_opacity=opacity)  # fmt: skip

        self.layers.append(draw)

    def point(self, x: float, y: float, name: str, kind: str = "s3", radius: float = 4.5) -> None:
        """One point with its name beside it, where that covers least of what is drawn before."""
        if math.isfinite(y):
            self._seen([x], [y])
        if name:
            self._told.append(f"{name}: {self.y.spoken(y)} at {self.x.spoken(x)}")

        def draw(frame: Frame) -> Iterator[str]:
            ((px, py),) = frame.places([x], [y])
            if math.isfinite(px) and math.isfinite(py):
                yield element("circle", kind=kind, cx=px, cy=py, r=radius)
                frame.taken.append((px - radius, py - radius, px + radius, py + radius))
                yield frame.beside((px, py), name, kind) if name else ""

        self.layers.append(draw)

    def mark(self, x: float, name: str) -> None:
        """A vertical line, with its name above it."""
        self.marks.append((x, name))
        self._told.append(f"{name} at {self.x.spoken(x)}")

    def bars(self, values: Sequence[float]) -> None:
        """Bars from 0 to the right, one for each of the vertical axis' labels from the top."""
        self._seen([0.0, *values], [])
        named = zip(reversed(self.y.labels), values, strict=True)
        self._told += [f"{name}: {self.x.spoken(value)}" for name, value in named]

        def draw(frame: Frame) -> Iterator[str]:
            thick = min(abs(frame.y(1) - frame.y(0)) * 0.7, _THICKEST)
            for n, value in enumerate(values):
                at, end = frame.y(len(values) - 1 - n), frame.x(value)
                left = frame.x.start
                yield element("rect", kind="s1", x=left, y=at - thick / 2,
                              width=max(0.0, end - left), height=thick)  # fmt: skip
                yield text(end + 6, at + 4, self.x.spoken(value))

        self.layers.append(draw)

    def draw(self, layer: Callable[[Frame], Iterable[str]]) -> None:
        """Anything else, from the frame's places."""
        self.layers.append(layer)

    def tell(self, about: str) -> None:
        """Add to the description, for those who do not see the picture."""
        self._told.append(about)

    def _seen(self, xs: Iterable[float], ys: Iterable[float]) -> tuple[list[float], list[float]]:
        """Values that the axes have to hold."""
        across, up = list(map(float, xs)), list(map(float, ys))
        self.xs += across
        self.ys += up
        return across, up

    # --- the picture -------------------------------------------------------------------------

    def svg(self, style: str = STYLE) -> str:
        """The picture as SVG text; without a `style` it is for a page that holds `STYLE`."""
        title = self.title or "a chart"
        return whole(self.body(), *self.size, title, self.about, "thalweg-chart", style)

    @property
    def about(self) -> str:
        """What is in it, in words."""
        named = [f"{axis.name} {way}" for axis, way in ((self.y, "upwards"), (self.x, "across"))
                 if axis.name]  # fmt: skip
        return "; ".join([*filter(None, [", ".join(named)]), *self._told, *self.lost])

    @property
    def lost(self) -> list[str]:
        """What could not be drawn, where there is such."""
        most = self.y.ceiling
        lost = sum(not (math.isfinite(v) and v <= most) for v in self.ys)
        if not lost or not self.counts_gaps:
            return []
        what = "not finite" + (f", or above {self.y.spoken(most)}" if most < math.inf else "")
        if lost == len(self.ys):
            return [f"nothing to draw: {what}"]
        return [f"{lost} value{'s are' if lost > 1 else ' is'} {what}: left out"]

    def body(self) -> str:
        """What is inside the picture."""
        return body(self)


def _finite(points: Sequence[Point]) -> Iterator[Point]:
    return (point for point in points if all(map(math.isfinite, point)))


def _alone(points: Sequence[Point]) -> Iterator[Point]:
    """Those between two gaps: no line shows them."""
    is_there = [False, *(math.isfinite(x + y) for x, y in points), False]
    for n, point in enumerate(points, start=1):
        if is_there[n - 1 : n + 2] == [False, True, False]:
            yield point


def _thinned(points: list[Point]) -> list[Point]:
    """Of many points, the lowest and the highest of each stretch, and a gap: no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-2 * len(points) // _MOST_POINTS)
    kept: list[Point] = []
    for i in range(0, len(points), size):
        finite = sorted(
            (p for p in points[i : i + size] if math.isfinite(p[1])), key=lambda p: p[1]
        )
        kept += sorted({*finite[:1], *finite[-1:]})
        kept += [p for p in points[i : i + size] if not math.isfinite(p[1])][:1]
    return kept
