"""How a chart fills its picture: margins that follow from what is written into them.

The numbers beside the axes do not touch; the name of a line stands at its end, in the line's own
colour; what a vertical line marks stands above it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from thalweg.drawing.axis import Axis, Tick
from thalweg.drawing.frame import Frame, rows_of, spread
from thalweg.drawing.scale import Scale
from thalweg.drawing.svg import Point, element, path, shortened, text, text_width, wrapped

if TYPE_CHECKING:
    from thalweg.drawing.chart import Chart

__all__ = ["body"]

Flag = tuple[float, str, float, int]  # a mark's value, its name, where that begins, in which row

_PAD: Final = 14.0
_LINE: Final = 16.0  # between lines of text
_HEAD: Final = 17.0  # between lines of the title
_NEAR: Final = 14.0  # between names beside one another
_FEW: Final = 8  # names of lines that always have room
_SHORT: Final = 40.0  # pixels that a name below an axis gets at least
_WIDEST: Final = 0.32  # of the chart's width for the names on one side


def body(chart: Chart) -> str:
    """What is inside the picture of a chart."""
    width, height = chart.size
    pad = _PAD if chart.heading else 2.0
    x, y = chart.x.scale(chart.xs, 0.02), chart.y.scale(chart.ys, 0.06)
    up = chart.y.ticks(y, chart.ys, max(2, round((height - 80) / 40)))
    up = [(value, shortened(said, _WIDEST * width)) for value, said in up]
    names = [(shortened(name, _WIDEST * width), kind, at) for name, kind, at in chart.names]
    left = pad + max((text_width(said) for _, said in up), default=0.0) + 8
    x = x.over(left, width - pad - _room([name for name, *_ in names]))
    flags = _flags(chart.marks, x, width)
    head = wrapped(chart.title, width - left - pad) if chart.heading else []
    low = _beneath(chart.x.title(x), chart.lost, x.end - x.start)
    has_x = bool(chart.xs or chart.x.ends or chart.x.labels) and not chart.x.is_bare
    above = _LINE * (1 + max((row for *_, row in flags), default=-1))
    title = chart.y.title(y)
    top = pad + _HEAD * len(head) + _LINE * bool(title) + above
    frame = Frame(x, y.over(height - pad - 6 - _LINE * (len(low) + has_x), top + 4))
    parts = [text(left, pad + 9 + _HEAD * n, line, "title") for n, line in enumerate(head)]
    parts.append(text(left, top - 4 - above, title) if title else "")
    parts += _vertical(frame, up, chart)
    if has_x:
        parts += _horizontal(frame, _across(chart.x, x, chart.xs), width)
    parts += _lowest(frame, low, _LINE * has_x)
    parts += _flagged(frame, flags)
    for layer in chart.layers:
        parts += layer(frame)
    parts += _named(frame, names)
    return "\n".join(filter(None, parts))


def _room(names: Sequence[str]) -> float:
    """How wide the names of lines are, with a line that says how many more there are."""
    written = [*names, "and 99 more"] if len(names) > _FEW else names
    return max((text_width(name) + 14 for name in written), default=0.0)


# --- the axes ------------------------------------------------------------------------------------


def _vertical(frame: Frame, ticks: Sequence[Tick], chart: Chart) -> Iterator[str]:
    left, top, right, bottom = frame.box
    named = bool(chart.y.labels)
    for value, said in _some(ticks, frame.y, _NEAR) if named else ticks:
        at = frame.y(value)
        if not named:
            begin, end = (left, right) if chart.grid else (left - 4, left)
            yield _ruled("grid" if chart.grid else "axis", begin, at, end, at)
        yield text(left - 7, at + 4, said, anchor="end")
    if not chart.grid:
        yield _ruled("axis", left, top, left, bottom)


def _horizontal(frame: Frame, ticks: Sequence[Tick], width: float) -> Iterator[str]:
    left, _, right, bottom = frame.box
    yield _ruled("axis", left, bottom, right, bottom)
    for value, said in ticks:
        at, half = frame.x(value), text_width(said) / 2
        yield _ruled("axis", at, bottom, at, bottom + 4)
        yield text(min(max(at, half + 2), width - half - 2), bottom + 17, said, anchor="middle")


def _across(axis: Axis, x: Scale, values: Sequence[float]) -> Sequence[Tick]:
    """As many numbers as do not touch; names are shortened until they fit."""
    if axis.labels:
        need = min(max(map(text_width, axis.labels)), _SHORT) + 6
        room = max(abs(x(1) - x(0)), need) - 6
        named = [(float(n), shortened(said, room)) for n, said in enumerate(axis.labels)]
        return _some(named, x, need)
    for count in range(8, 0, -1):
        ticks = axis.ticks(x, values, count)
        if all(
            x(a) + text_width(one) / 2 + 10 <= x(b) - text_width(two) / 2
            for (a, one), (b, two) in pairwise(ticks)
        ):
            return ticks
    return ticks[:1]


def _some(ticks: Sequence[Tick], scale: Scale, need: float) -> Sequence[Tick]:
    """Of names that stand closer than they `need`, in pixels, every so many."""
    return ticks[:: math.ceil(need / abs(scale(1) - scale(0)))]


def _beneath(name: str, notes: Sequence[str], room: float) -> list[tuple[str, str]]:
    """The lines of text under the numbers: an axis' name to the right, a note to the left."""
    note = "".join(notes)
    if name and note and text_width(name) + text_width(note) + 10 > room:
        return [(name, ""), ("", note)]
    return [(name, note)] if name or note else []


def _lowest(frame: Frame, lines: Sequence[tuple[str, str]], down: float) -> Iterator[str]:
    left, _, right, bottom = frame.box
    for n, (name, note) in enumerate(lines):
        at = bottom + 17 + down + _LINE * n
        yield text(right, at, name, anchor="end") if name else ""
        yield text(left, at, note, "s3") if note else ""


def _ruled(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return element("line", kind=kind, x1=x1, y1=y1, x2=x2, y2=y2)


# --- names of lines and marks --------------------------------------------------------------------


def _flags(marks: Sequence[Tick], x: Scale, width: float) -> list[Flag]:
    """The names of marks, in rows above the frame.

    A name stands to the right of its line, from the right to the left ever higher, so that no line
    runs through another's name.
    """
    placed = []
    for value, name in sorted(marks, reverse=True):
        said = shortened(name, x.end - x.start)
        at, wide = x(value), text_width(said)
        begin = at + 5 if at + 5 + wide <= width else max(at - 5 - wide, 2.0)
        placed.append((value, said, begin, begin + wide))
    rows = rows_of([(begin, end) for *_, begin, end in placed])
    return [(v, said, at, row) for (v, said, at, _), row in zip(placed, rows, strict=True)]


def _flagged(frame: Frame, flags: Sequence[Flag]) -> Iterator[str]:
    _, top, _, bottom = frame.box
    for value, said, begin, row in flags:
        at, height = frame.x(value), top - 4 - _LINE * row
        yield _ruled("mark", at, height - 12, at, bottom)
        yield text(begin, height - 2, said, "flag")


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
