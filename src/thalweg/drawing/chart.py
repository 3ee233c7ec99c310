"""A chart: two axes, and what is drawn between them.

It is told what there is, lines, dots, marks, level lines, bars, cells, in the values' own units.
The margins follow from what is written into them: numbers beside the axes that do not touch, the
name of each line at its end, what a vertical line marks above it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from thalweg.drawing.frame import Frame, rows_of, spread
from thalweg.drawing.numbers import labels, number, percent
from thalweg.drawing.palette import COLOURS, sheet
from thalweg.drawing.scale import Scale, scale_for
from thalweg.drawing.svg import Point, element, path, shortened, text, text_width, whole, wrapped

__all__ = ["Axis", "Chart", "STYLE"]

_PAD: Final = 14.0
_LINE: Final = 16.0  # between lines of text
_NEAR: Final = 14.0  # between names beside one another
_MOST_POINTS: Final = 1200  # more than a curve has pixels
_FEW: Final = 8  # names of lines that always have room
_SHORT: Final = 40.0  # pixels that a name below an axis gets at least
_WIDEST_NAME: Final = 0.32  # of the chart's width

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


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart.

    name        what is measured, and its unit
    is_log      None: where positive values span decades
    ends        where it begins and ends; None: where the values do, with a little room
    ceiling     values above it are left out
    is_whole    numbers beside it are whole ones
    is_percent  they are shares, written in percent
    labels      names in their place, at 0, 1, ..
    is_bare     nothing is written beside it
    """

    name: str = ""
    is_log: bool | None = False
    ends: tuple[float, float] | None = None
    ceiling: float = math.inf
    is_whole: bool = False
    is_percent: bool = False
    labels: Sequence[str] = ()
    is_bare: bool = False

    def scale(self, values: Iterable[float], room: float) -> Scale:
        """The scale for `values`."""
        if self.labels:
            return Scale(-0.5, len(self.labels) - 0.5)
        if self.ends is not None:
            return Scale(*self.ends, is_log=bool(self.is_log))
        return scale_for(values, is_log=self.is_log, room=room, ceiling=self.ceiling)

    def spoken(self, value: float) -> str:
        """One value of it."""
        return percent(value) if self.is_percent else number(value)

    def ticks(self, scale: Scale, values: Iterable[float], count: int) -> list[tuple[float, str]]:
        """About `count` places with what is written there; a value that is the only one is it."""
        if self.labels:
            return list(enumerate(self.labels))
        every = {v for v in values if math.isfinite(v) and (v > 0 or not scale.is_log)}
        if not every and self.ends is None:
            return []
        ticks = list(every) if len(every) == 1 and self.ends is None else scale.ticks(count)
        if self.is_whole:
            ticks = [t for t in ticks if t == round(t)]
        if self.is_percent:
            return [(t, f"{said} %") for t, said in zip(ticks, labels([100 * t for t in ticks]),
                                                        strict=True)]  # fmt: skip
        return list(zip(ticks, labels(ticks, scale.is_log), strict=True))


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
        self._xs: list[float] = []
        self._ys: list[float] = []
        self._layers: list[Callable[[Frame], Iterable[str]]] = []
        self._ends: list[tuple[str, str, Point]] = []
        self._marks: list[tuple[float, str]] = []
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
    ) -> None:
        """A line; its name stands at its end. What is not finite leaves a gap."""
        xs, ys = self._seen(xs, ys)
        finite = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
        if finite:
            values = [y for _, y in finite]
            first, last, low, high = (
                self.y.spoken(v) for v in (values[0], values[-1], min(values), max(values))
            )
            self._told.append(f"{name or 'line'}: {first} to {last}, between {low} and {high}")
        if finite and name:
            self._ends.append((name, kind, finite[-1]))

        def draw(frame: Frame) -> Iterator[str]:
            points = frame.places(xs, ys)
            frame.keep(points, joined=True)
            inside = (element("title", escape(name)),) if name else ()
            yield path(_thinned(points), f"{weight} {kind}", *inside)
            for px, py in _alone(points):
                yield element("circle", kind=kind, cx=px, cy=py, r=3)

        self._layers.append(draw)

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

        self._layers.append(draw)

    def point(self, x: float, y: float, name: str, kind: str = "s3", radius: float = 4.5) -> None:
        """One point with its name beside it, where that covers least of what is drawn before."""
        self._seen([x], [y])
        if name:
            self._told.append(f"{name}: {self.y.spoken(y)} at {self.x.spoken(x)}")

        def draw(frame: Frame) -> Iterator[str]:
            ((px, py),) = frame.places([x], [y])
            if math.isfinite(px) and math.isfinite(py):
                yield element("circle", kind=kind, cx=px, cy=py, r=radius)
                frame.taken.append((px - radius, py - radius, px + radius, py + radius))
                yield frame.beside((px, py), name, kind) if name else ""

        self._layers.append(draw)

    def mark(self, x: float, name: str) -> None:
        """A vertical line, with its name above it."""
        self._marks.append((x, name))
        self._told.append(f"{name} at {self.x.spoken(x)}")

    def bars(self, values: Sequence[float]) -> None:
        """Bars from 0 to the right, one for each of the vertical axis' labels from the top."""
        self._seen([0.0, *values], [])

        def draw(frame: Frame) -> Iterator[str]:
            thick = abs(frame.y(1) - frame.y(0)) * 0.7
            for n, value in enumerate(values):
                at, end = frame.y(len(values) - 1 - n), frame.x(value)
                left = frame.x.start
                yield element("rect", kind="s1", x=left, y=at - thick / 2,
                              width=max(0.0, end - left), height=thick)  # fmt: skip
                yield text(end + 6, at + 4, self.x.spoken(value))

        self._layers.append(draw)

    def draw(self, layer: Callable[[Frame], Iterable[str]]) -> None:
        """Anything else, from the frame's places."""
        self._layers.append(layer)

    def tell(self, about: str) -> None:
        """Add to the description, for those who do not see the picture."""
        self._told.append(about)

    def _seen(self, xs: Iterable[float], ys: Iterable[float]) -> tuple[list[float], list[float]]:
        """Values that the axes have to hold."""
        across, up = list(map(float, xs)), list(map(float, ys))
        self._xs += across
        self._ys += up
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
        return "; ".join([*filter(None, [", ".join(named)]), *self._told, *self._lost()])

    def _lost(self) -> list[str]:
        """What could not be drawn, where there is such."""
        most = self.y.ceiling
        lost = sum(not (math.isfinite(v) and v <= most) for v in self._ys)
        if not lost or not self.counts_gaps:
            return []
        what = "not finite" + (f", or above {self.y.spoken(most)}" if most < math.inf else "")
        if lost == len(self._ys):
            return [f"all values are {what}"]
        return [f"{lost} value{'s are' if lost > 1 else ' is'} {what}: left out"]

    def body(self) -> str:
        """What is inside the picture."""
        width, height = self.size
        x = self.x.scale(self._xs, 0.02)
        y = self.y.scale(self._ys, 0.06)
        up = self.y.ticks(y, self._ys, max(2, round((height - 80) / 40)))
        widest = max((text_width(said) for _, said in up), default=0.0)
        pad = _PAD if self.heading else 2.0
        left = pad + min(widest, _WIDEST_NAME * width) + 8
        ends = [(shortened(name, _WIDEST_NAME * width), kind, at) for name, kind, at in self._ends]
        written = [name for name, *_ in ends] + ["and 99 more"] * (len(ends) > _FEW)
        names = max((text_width(name) + 14 for name in written), default=0.0)
        x = x.over(left, width - pad - names)
        flags = self._flags(x)
        head = wrapped(self.title, width - left - pad) if self.heading else []
        top = pad + 17 * len(head) + _LINE * (bool(self._upward(y)) + _count(flags))
        low = _beneath(self._name(self.x, x.is_log), self._lost(), x.end - x.start)
        bottom = height - pad - 6 - _LINE * (len(low) + self._has_x)
        frame = Frame(x, y.over(bottom, top + 4))
        parts = [text(left, _PAD + 9 + 17 * n, line, "title") for n, line in enumerate(head)]
        parts += self._vertical(frame, up, _count(flags))
        parts += self._horizontal(frame, low)
        parts += _flagged(frame, flags)
        for layer in self._layers:
            parts += layer(frame)
        parts += _named(frame, ends)
        return "\n".join(filter(None, parts))

    @property
    def _has_x(self) -> bool:
        return bool(self._xs or self.x.ends or self.x.labels) and not self.x.is_bare

    def _name(self, axis: Axis, is_log: bool) -> str:
        return ", ".join(filter(None, [axis.name, "logarithmic" if is_log else ""]))

    def _upward(self, y: Scale) -> str:
        return self._name(self.y, y.is_log)

    def _vertical(
        self, frame: Frame, ticks: Sequence[tuple[float, str]], rows: int
    ) -> Iterator[str]:
        left, top, right, bottom = frame.box
        for value, said in _thinned_out(self.y, frame.y, _NEAR, ticks):
            at = frame.y(value)
            if self.grid and not self.y.labels:
                yield _ruled("grid", left, at, right, at)
            elif not self.y.labels:
                yield _ruled("axis", left - 4, at, left, at)
            shown = shortened(said, _WIDEST_NAME * self.size[0])
            yield text(left - 7, at + 4, shown, anchor="end")
        if not self.grid:
            yield _ruled("axis", left, top, left, bottom)
        name = self._upward(frame.y)
        if name:
            yield text(left if self.grid else left - 4, top - 8 - _LINE * rows, name)

    def _horizontal(self, frame: Frame, below: Sequence[tuple[str, str]]) -> Iterator[str]:
        left, _, right, bottom = frame.box
        if not self._has_x:
            return
        yield _ruled("axis", left, bottom, right, bottom)
        for value, said in self._across(frame.x):
            at, half = frame.x(value), text_width(said) / 2
            yield _ruled("axis", at, bottom, at, bottom + 4)
            yield text(min(max(at, half + 2), self.size[0] - half - 2), bottom + 17, said,
                       anchor="middle")  # fmt: skip
        for n, (name, note) in enumerate(below, start=1):
            if name:
                yield text(right, bottom + 17 + _LINE * n, name, anchor="end")
            if note:
                yield text(left, bottom + 17 + _LINE * n, note, "s3")

    def _across(self, x: Scale) -> list[tuple[float, str]]:
        """As many numbers as do not touch; names are shortened until they fit."""
        if self.x.labels:
            need = min(max(map(text_width, self.x.labels)), _SHORT) + 6
            named = _thinned_out(self.x, x, need, list(enumerate(self.x.labels)))
            room = max(abs(x(1) - x(0)), need) - 6
            return [(n, shortened(said, room)) for n, said in named]
        for count in range(8, 0, -1):
            ticks = self.x.ticks(x, self._xs, count)
            if all(
                x(a) + text_width(one) / 2 + 10 <= x(b) - text_width(two) / 2
                for (a, one), (b, two) in pairwise(ticks)
            ):
                return ticks
        return ticks[:1]

    def _flags(self, x: Scale) -> list[tuple[float, str, float, int]]:
        """Each mark: its value, its name, where that begins, and in which row above the frame.

        A name stands to the right of its line, from the right to the left ever higher, so that no
        line runs through another's name.
        """
        placed = []
        for value, name in sorted(self._marks, reverse=True):
            said = shortened(name, x.end - x.start)
            wide = text_width(said)
            fits = x(value) + 5 + wide <= self.size[0]
            placed.append(
                (value, said, x(value) + 5 if fits else max(x(value) - 5 - wide, 2), wide)
            )
        rows = rows_of([(begin, begin + wide) for _, _, begin, wide in placed])
        return [(v, said, at, row) for (v, said, at, _), row in zip(placed, rows, strict=True)]


def _flagged(frame: Frame, flags: Sequence[tuple[float, str, float, int]]) -> Iterator[str]:
    _, top, _, bottom = frame.box
    for value, said, begin, row in flags:
        at, height = frame.x(value), top - 4 - _LINE * row
        yield _ruled("mark", at, height - 12, at, bottom)
        yield text(begin, height - 2, said, "flag")


def _count(flags: Sequence[tuple[float, str, float, int]]) -> int:
    return 1 + max((row for *_, row in flags), default=-1)


def _thinned_out(
    axis: Axis, scale: Scale, need: float, ticks: Sequence[tuple[float, str]]
) -> Sequence[tuple[float, str]]:
    """Of names that stand closer than they `need`, in pixels, some."""
    return ticks[:: math.ceil(need / abs(scale(1) - scale(0)))] if axis.labels else ticks


def _beneath(name: str, notes: Sequence[str], room: float) -> list[tuple[str, str]]:
    """The lines of text under the numbers: an axis' name to the right, a note to the left."""
    note = "".join(notes)
    if name and note and text_width(name) + text_width(note) + 10 > room:
        return [(name, ""), ("", note)]
    return [(name, note)] if name or note else []


def _ruled(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return element("line", kind=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def _named(frame: Frame, ends: Sequence[tuple[str, str, Point]]) -> Iterator[str]:
    """The lines' names to the right of the frame, as near to their ends as they can be."""
    _, top, right, bottom = frame.box
    most = int((bottom - top) / _NEAR) + 1
    if len(ends) > most:
        ends = [*ends[: most - 1], (f"and {len(ends) - most + 1} more", "", ends[-1][2])]
    points = frame.places([x for *_, (x, _) in ends], [y for *_, (_, y) in ends])
    wanted = [y if math.isfinite(y) else top for _, y in points]
    places = spread(wanted, _NEAR, top, bottom)
    for (name, kind, _), (x, y), at in zip(ends, points, places, strict=True):
        if kind and abs(at - y) > 3 and right - x < 30:
            yield path([(right + 1, y), (right + 9, at)], f"thin {kind}")
        yield text(right + 11, at + 4, name, kind or None)


def _alone(points: Sequence[Point]) -> Iterator[Point]:
    """Those between two gaps: no line shows them."""
    gap = (math.nan, math.nan)
    for before, (x, y), after in zip([gap, *points], points, [*points[1:], gap], strict=False):
        if (
            math.isfinite(x + y)
            and not math.isfinite(sum(before))
            and not math.isfinite(sum(after))
        ):
            yield x, y


def _thinned(points: list[Point]) -> list[Point]:
    """Of many points, the lowest and the highest of each stretch: no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-2 * len(points) // _MOST_POINTS)
    kept: list[Point] = []
    for i in range(0, len(points), size):
        stretch = sorted(points[i : i + size], key=lambda p: (not math.isfinite(p[1]), p[1]))
        kept += sorted({stretch[0], stretch[-1]})
    return kept
