"""The pictures of a run's page: curves over epochs, with their values under the pointer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import Chart
from thalweg.drawing.frame import Frame
from thalweg.drawing.svg import element, text

__all__ = ["Curve", "HOVER", "curves"]

_SIZE: Final = (360.0, 220.0)
_MOST_HITS: Final = 200  # places under the pointer that answer

HOVER: Final = """
.thalweg-chart .hit rect { fill: transparent }
.thalweg-chart .hit .on { opacity: 0; pointer-events: none }
.thalweg-chart .hit:hover .on { opacity: 1 }
.thalweg-chart:hover .flag, .thalweg-chart:hover .mark { opacity: 0 }
""".strip()


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its label, a value an epoch (NaN where there is none), its colours' class."""

    label: str
    values: Sequence[float]
    style: str = "s1"


def curves(
    title: str, epochs: Sequence[int], lines: Sequence[Curve], y: Axis, *, best: int | None = None
) -> str:
    """An SVG of `lines` over `epochs`, for a page with the style of charts and `HOVER`.

    Values that are not finite leave a gap; `best` is the epoch to mark.
    """
    x = Axis("epoch", ends=(min(epochs) - 0.5, max(epochs) + 0.5), is_whole=True)
    count = f"{len(epochs)} epoch{'' if len(epochs) == 1 else 's'}"
    chart = Chart(f"{title} over {count}", x, y, size=_SIZE, heading=False)
    for line in lines:
        chart.line(epochs, line.values, line.style, name=line.label)
    if best is not None and best in epochs:
        chart.mark(best, "best")
        for line in lines:
            chart.point(best, line.values[epochs.index(best)], "", line.style, radius=3.5)
    chart.draw(lambda frame: _hits(frame, epochs, lines, y))
    return chart.svg(style="")


def _hits(frame: Frame, epochs: Sequence[int], lines: Sequence[Curve], y: Axis) -> Iterator[str]:
    """For each epoch (of many, for some) a stripe that shows its values under the pointer."""
    left, top, right, bottom = frame.box
    stride = -(-len(epochs) // _MOST_HITS)
    half = (frame.x(stride) - frame.x(0)) / 2
    for row in range(0, len(epochs), stride):
        values = [line.values[row] for line in lines]
        said = [f"{line.label} {y.spoken(v)}" for line, v in zip(lines, values, strict=True)]
        here = f"epoch {epochs[row]}"
        places = frame.places([epochs[row]] * len(lines), values)
        dots = [
            element("circle", kind=line.style, cx=px, cy=py, r=3.5)
            for line, (px, py) in zip(lines, places, strict=True)
            if math.isfinite(py)
        ]
        at = frame.x(epochs[row])
        begin, end = max(at - half, left), min(at + half, right)
        short = " · ".join([here, *map(y.spoken, values)])
        shown = element("line", kind="axis", x1=at, y1=top, x2=at, y2=bottom), *dots
        yield element(
            "g",
            element("title", escape("\n".join([here, *said]))),
            element("rect", x=begin, y=0, width=end - begin, height=bottom),
            element("g", *shown, text(left, top - 6, short, "ink"), kind="on"),
            kind="hit",
        )
