"""Curves over epochs as SVG text: axes, a mark at the best epoch, values under the pointer.

The colours are left to the page: `line-1`, `line-2`, ... are classes of its style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from thalweg.train.scale import Scale, scale_for

__all__ = ["Curve", "STYLE", "curves"]

_WIDTH: Final = 400
_HEIGHT: Final = 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 388, 24, 214
_MOST_POINTS: Final = 1200  # more than a curve has pixels
_MOST_HITS: Final = 200  # places under the pointer that answer

STYLE: Final = """
svg.curves { display: block; width: 100%; height: auto; overflow: visible }
svg.curves text { font-size: 13px; fill: var(--muted); font-variant-numeric: tabular-nums }
svg.curves .grid { stroke: var(--grid); stroke-width: 1 }
svg.curves .axis { stroke: var(--axis); stroke-width: 1 }
svg.curves path { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round }
svg.curves .best { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 3 3 }
svg.curves .line-1 { stroke: var(--line-1) } svg.curves circle.line-1 { fill: var(--line-1) }
svg.curves .line-2 { stroke: var(--line-2) } svg.curves circle.line-2 { fill: var(--line-2) }
svg.curves .hit rect { fill: transparent }
svg.curves .hit .on { opacity: 0; pointer-events: none }
svg.curves .hit:hover .on { opacity: 1 }
svg.curves:hover .off { opacity: 0 }
svg.curves .hit line { stroke: var(--axis) }
svg.curves .hit text { fill: var(--ink) }
@media (max-width: 430px) { svg.curves text { font-size: 15.5px } }
""".strip()


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its label, a value an epoch (NaN where there is none), its colour's class."""

    label: str
    values: Sequence[float]
    style: str = "line-1"


def curves(
    title: str,
    epochs: Sequence[int],
    lines: Sequence[Curve],
    *,
    spoken: Callable[[float], str],
    best: int | None = None,
    ceiling: float = math.inf,
) -> str:
    """An SVG of `lines` over `epochs`. `spoken` writes a value, `best` is the epoch to mark.

    Values that are not finite leave a gap; `ceiling` is the most a value can be.
    """
    every = [value for line in lines for value in line.values]
    y = scale_for(every, _BOTTOM, _TOP, ceiling)
    x = Scale(min(epochs) - 0.5, max(epochs) + 0.5, _LEFT, _RIGHT)
    parts = [
        *_axes(x, y, spoken),
        *_best(x, y, epochs, lines, best),
        *(_curve(x, y, epochs, line) for line in lines),
        *_hits(x, y, epochs, lines, spoken),
    ]
    label = escape(f"{title} over {len(epochs)} epochs", quote=True)
    view = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="curves" role="img" aria-label="{label}" {view}>\n{"".join(parts)}</svg>'


def _axes(x: Scale, y: Scale, spoken: Callable[[float], str]) -> Iterator[str]:
    for value in y.ticks():
        at = y(value)
        yield _line("grid", _LEFT, at, _RIGHT, at)
        yield _text(_LEFT - 7, at + 4.5, "end", spoken(value))
    for epoch in sorted({round(value) for value in x.ticks(6)}):
        if x.low <= epoch <= x.high and epoch > 0:
            yield _text(x(epoch), _BOTTOM + 17, "middle", str(epoch))
    yield _line("axis", _LEFT, _BOTTOM, _RIGHT, _BOTTOM)
    yield _text(_RIGHT, _BOTTOM + 33, "end", "epoch")
    if y.is_log:
        yield _text(_LEFT, _BOTTOM + 33, "start", "logarithmic")


def _best(
    x: Scale, y: Scale, epochs: Sequence[int], lines: Sequence[Curve], best: int | None
) -> Iterator[str]:
    if best is None or best not in epochs:
        return
    at, row = x(best), epochs.index(best)
    yield _line("best", at, _TOP, at, _BOTTOM)
    yield f'<g class="off">{_text(min(at, _RIGHT - 12), 14, "middle", "best")}</g>'
    for line in lines:
        if math.isfinite(line.values[row]):
            yield _dot(line, at, y(line.values[row]), 4)


def _curve(x: Scale, y: Scale, epochs: Sequence[int], line: Curve) -> str:
    """The path; a value that stands alone between gaps is a dot, which a round cap draws."""
    out, pen = [], "M"
    for epoch, value in _thinned(list(zip(epochs, line.values, strict=True))):
        if not math.isfinite(value):
            pen = "M"
            continue
        place = f"{x(epoch):.1f} {y(value):.1f}"
        out.append(f"{pen}{place}" if pen == "L" else f"M{place}L{place}")
        pen = "L"
    return f'<path class="{line.style}" d="{"".join(out)}"/>\n' if out else ""


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Of many points, the lowest and the highest of each stretch: no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-2 * len(points) // _MOST_POINTS)
    kept = []
    for i in range(0, len(points), size):
        stretch = sorted(
            points[i : i + size], key=lambda point: (not math.isfinite(point[1]), point[1])
        )
        kept += sorted({stretch[0], stretch[-1]})
    return kept


def _hits(
    x: Scale,
    y: Scale,
    epochs: Sequence[int],
    lines: Sequence[Curve],
    spoken: Callable[[float], str],
) -> Iterator[str]:
    """For each epoch (of many, for some) a stripe that shows its values under the pointer."""
    stride = -(-len(epochs) // _MOST_HITS)
    for row in range(0, len(epochs), stride):
        epoch = epochs[row]
        values = [(line, line.values[row]) for line in lines]
        short = " · ".join([f"epoch {epoch}", *(spoken(value) for _, value in values)])
        long = "\n".join([f"epoch {epoch}", *(f"{c.label} {spoken(v)}" for c, v in values)])
        dots = "".join(_dot(c, x(epoch), y(v), 3.5) for c, v in values if math.isfinite(v))
        left, right = x(epoch - stride / 2), x(epoch + stride / 2)
        yield (
            f'<g class="hit"><title>{escape(long)}</title><rect x="{left:.1f}" y="0" '
            f'width="{right - left:.1f}" height="{_BOTTOM}"/><g class="on">'
            f"{_line('', x(epoch), _TOP, x(epoch), _BOTTOM)}{dots}"
            f"{_text(_RIGHT, 14, 'end', short)}</g></g>\n"
        )


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _dot(line: Curve, x: float, y: float, radius: float) -> str:
    return f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
