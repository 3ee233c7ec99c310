"""A result as a picture: SVG text, made here, readable in any browser and notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from thalweg.minimize.contours import level_lines, levels_for, linked
from thalweg.minimize.domain import Permutations
from thalweg.minimize.objective import scalar
from thalweg.minimize.real import Array, Real
from thalweg.tape import no_grad
from thalweg.train.scale import Scale, scale_for

if TYPE_CHECKING:
    from thalweg.minimize.result import MinimizeResult

__all__ = ["picture"]

WIDTH, HEIGHT = 480, 360
LEFT, RIGHT, TOP, BOTTOM = 58, 464, 40, 322
GRID: Final = 60  # points along each side of a picture of level lines
CURVE: Final = 240  # points of a curve
MOST_DOTS: Final = 400
# On a light page, on a dark page.
COLOURS: Final = {
    "paper": ("#fbfcfd", "#14181d"),
    "ink": ("#14181d", "#f2f5f8"),
    "quiet": ("#66727f", "#a3aebb"),
    "axis": ("#94a1b0", "#6b7785"),
    "level": ("#5b8dc9", "#5b8dc9"),
    "path": ("#d9661c", "#f08a3c"),
    "best": ("#a3246f", "#f19bcb"),
}
_FILLED: Final = frozenset({"paper", "ink", "quiet", "best", "dot"})


def picture(result: MinimizeResult) -> str:
    """The drawing of a result: see `MinimizeResult.draw`."""
    domain = result.domain
    if isinstance(domain, Real) and domain.count == 1:
        parts, what = _of_one(result), "function"
    elif isinstance(domain, Real) and domain.count == 2:
        parts, what = _of_two(result), "level lines"
    elif isinstance(domain, Permutations) and hasattr(result.function, "cities"):
        parts, what = _tour(result), "tour"
    else:
        parts, what = _values(result), "values"
    title = f"{result.method}: {result.value:.6g} after {result.iterations} iterations"
    return "\n".join([*_opening(title, what), *parts, "</svg>"]) + "\n"


def _opening(title: str, what: str) -> Iterator[str]:
    rules = "".join(
        f".thalweg-minimum .{name}{{{_property(name)}:{dark}}}"
        for name, (_, dark) in COLOURS.items()
    )
    dots = f".thalweg-minimum .dot{{fill:{COLOURS['path'][1]}}}"
    yield (
        '<svg xmlns="http://www.w3.org/2000/svg" class="thalweg-minimum" role="img" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
    )
    yield f"<title>{escape(title)}: {what}</title>"
    yield f"<style>@media (prefers-color-scheme:dark){{{rules}{dots}}}</style>"
    yield f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="9" fill="{_light("paper")}"/>'
    yield _text("ink", LEFT, 24, title)


# --- pictures --------------------------------------------------------------------------------


def _of_one(result: MinimizeResult) -> Iterator[str]:
    """The function over the stretch that was visited, and the points on it."""
    points = np.array([point[0] for point in result.visited])
    low, high = _stretch(points, _bounds(result, 0))
    xs = np.linspace(low, high, CURVE)
    ys = [_value(result, np.array([x])) for x in xs]
    x = Scale(low, high, LEFT, RIGHT)
    y = _linear([*ys, *result.values], BOTTOM, TOP)
    yield from _axes(x, y, "theta", "g")
    yield _path("level", [(x(a), y(b)) for a, b in zip(xs, ys, strict=True)], 2.0)
    places = [(x(a), y(b)) for a, b in zip(points, result.values, strict=True)]
    yield from _dots(places)
    yield from _ends(places, result)


def _of_two(result: MinimizeResult) -> Iterator[str]:
    """Level lines around the path, and the path."""
    points = np.stack(result.visited)
    (a, b), (c, d) = (_stretch(points[:, n], _bounds(result, n)) for n in (0, 1))
    xs, ys = np.linspace(a, b, GRID), np.linspace(c, d, GRID)
    heights = np.array([[_value(result, np.array([x, y])) for y in ys] for x in xs])
    x, y = Scale(a, b, LEFT, RIGHT), Scale(c, d, BOTTOM, TOP)
    yield from _axes(x, y, "theta 0", "theta 1")
    levels = levels_for(heights)
    for number, level in enumerate(levels):
        lines = linked(level_lines(heights, level))
        text = "".join(
            "M" + "L".join(f"{x(_at(xs, i)):.1f} {y(_at(ys, j)):.1f}" for i, j in line)
            for line in lines
        )
        shade = 1 - 0.75 * number / len(levels)
        yield (
            f'<path class="level" d="{text}" fill="none" stroke="{_light("level")}" '
            f'stroke-opacity="{shade:.2f}"><title>{level:.4g}</title></path>'
        )
    places = [(x(p[0]), y(p[1])) for p in points]
    if result.method not in ("random", "grid"):
        yield _path("path", places, 1.4)
    yield from _dots(places)
    yield from _ends(places, result)


def _tour(result: MinimizeResult) -> Iterator[str]:
    """The cities and the best round trip through them."""
    cities = result.function.cities
    (a, b), (c, d) = (_stretch(cities[:, n], None) for n in (0, 1))
    size = min((RIGHT - LEFT) / (b - a), (BOTTOM - TOP) / (d - c))  # pixels to a unit, both ways
    x = Scale(a, b, (LEFT + RIGHT - size * (b - a)) / 2, (LEFT + RIGHT + size * (b - a)) / 2)
    y = Scale(c, d, (TOP + BOTTOM + size * (d - c)) / 2, (TOP + BOTTOM - size * (d - c)) / 2)
    places = [(x(p[0]), y(p[1])) for p in cities]
    order = [*result.theta, result.theta[0]]
    yield _path("path", [places[i] for i in order], 1.6)
    for number, (px, py) in enumerate(places):
        yield _dot("dot", px, py, 4, "path")
        yield _text("quiet", px + 7, py - 6, str(number))


def _values(result: MinimizeResult) -> Iterator[str]:
    """The values over the iterations."""
    values = [float(v) for v in result.values]
    x = Scale(0, max(1, len(values) - 1), LEFT, RIGHT)
    y = scale_for(values, BOTTOM, TOP)
    yield from _axes(x, y, "iteration", "g")
    kept = [(n, v) for n, v in enumerate(values) if math.isfinite(v)]
    places = [(x(n), y(v)) for n, v in kept]
    if len(kept) <= CURVE:
        yield from _dots(places)
    yield _path("path", places, 1.6)
    best = min(kept, key=lambda pair: pair[1])
    yield _dot("best", x(best[0]), y(best[1]), 4)


def _ends(places: Sequence[tuple[float, float]], result: MinimizeResult) -> Iterator[str]:
    """The start and the best point."""
    best = places[int(np.nanargmin(result.values))]
    yield _dot("best", *best, 5)
    near = best[0] > (LEFT + RIGHT) / 2
    yield _text(
        "best", best[0] + (-9 if near else 9), best[1] - 8, "best", "end" if near else "start"
    )


# --- parts -----------------------------------------------------------------------------------


def _axes(x: Scale, y: Scale, across: str, up: str) -> Iterator[str]:
    for value in y.ticks():
        if y.low <= value <= y.high:
            yield _line(LEFT - 4, y(value), LEFT, y(value))
            yield _text("quiet", LEFT - 7, y(value) + 4, f"{value:.4g}", "end")
    for value in x.ticks():
        if x.low <= value <= x.high:
            yield _line(x(value), BOTTOM, x(value), BOTTOM + 4)
            yield _text("quiet", x(value), BOTTOM + 17, f"{value:.4g}", "middle")
    yield _line(LEFT, BOTTOM, RIGHT, BOTTOM)
    yield _line(LEFT, TOP, LEFT, BOTTOM)
    yield _text("quiet", RIGHT, BOTTOM + 32, across, "end")
    yield _text("quiet", LEFT, TOP - 4, f"{up}, logarithmic" if y.is_log else up)


def _dots(places: Sequence[tuple[float, float]]) -> Iterator[str]:
    step = -(-len(places) // MOST_DOTS)
    for px, py in places[::step]:
        yield _dot("dot", px, py, 2.4, "path")


def _path(name: str, places: Sequence[tuple[float, float]], width: float) -> str:
    finite = [(a, b) for a, b in places if math.isfinite(a) and math.isfinite(b)]
    text = "L".join(f"{a:.1f} {b:.1f}" for a, b in finite)
    return (
        f'<path class="{name}" d="M{text}" fill="none" stroke="{_light(name)}" '
        f'stroke-width="{width}" stroke-linejoin="round"/>'
    )


def _dot(name: str, x: float, y: float, radius: float, colour: str = "") -> str:
    fill = _light(colour or name)
    return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}"/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<path class="axis" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{_light("axis")}"/>'
    )


def _text(name: str, x: float, y: float, text: str, anchor: str = "start") -> str:
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'fill="{_light(name)}">{escape(text)}</text>'
    )


def _light(name: str) -> str:
    return COLOURS[name][0]


def _property(name: str) -> str:
    return "fill" if name in _FILLED else "stroke"


def _stretch(values: Array, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """What an axis shows: all that was visited with room around it, within the bounds."""
    low, high = float(values.min()), float(values.max())
    room = 0.15 * (high - low) or max(1.0, 0.1 * abs(low))
    low, high = low - room, high + room
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _bounds(result: MinimizeResult, element: int) -> tuple[float, float]:
    assert isinstance(result.domain, Real)
    return float(result.domain.low[element]), float(result.domain.high[element])


def _linear(values: Sequence[float], start: float, end: float) -> Scale:
    finite = [v for v in values if math.isfinite(v)] or [0.0]
    room = 0.06 * (max(finite) - min(finite)) or 0.5
    return Scale(min(finite) - room, max(finite) + room, start, end)


def _at(values: Array, place: float) -> float:
    """The value at a place between two grid points."""
    return float(np.interp(place, np.arange(len(values)), values))


def _value(result: MinimizeResult, point: Any) -> float:
    with no_grad():
        return scalar(result.function(result.domain.theta(point)))
