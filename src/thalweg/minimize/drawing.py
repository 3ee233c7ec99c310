"""A result as a picture: SVG text, readable in any browser and notebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import Chart
from thalweg.drawing.contours import Line, level_lines, levels_for, linked
from thalweg.drawing.frame import Frame
from thalweg.drawing.numbers import number
from thalweg.drawing.scale import scale_for
from thalweg.drawing.svg import element, path
from thalweg.minimize.domain import Permutations
from thalweg.minimize.objective import scalar
from thalweg.minimize.real import Array, Real
from thalweg.tape import no_grad

if TYPE_CHECKING:
    from thalweg.minimize.result import MinimizeResult

__all__ = ["picture"]

_SIZE: Final = (480.0, 360.0)
_GRID: Final = 101  # points along each side of a picture of level lines
_DECADES: Final = 20.0  # times the lowest value that the highest is on a logarithmic axis
_FEW: Final = 60  # values that are dots on their line
_CURVE: Final = 240  # points of a curve
_APART: Final = 8.0  # pixels between the dots of a path
_LEVELS: Final = (12, 6, 3)
_SHORTEST: Final = 12  # points: less than the grid can tell from a line that it cuts
_MOST_LINES: Final = 40  # of all levels: of a function with many valleys fewer levels
_UNJOINED: Final = ("random", "grid")  # methods whose points follow no path


def picture(result: MinimizeResult) -> str:
    """The drawing of a result: see `MinimizeResult.draw`."""
    count = f"{result.iterations} iteration{'' if result.iterations == 1 else 's'}"
    return _kind(result)(result, f"{result.method}: {number(result.value)} after {count}") + "\n"


def _kind(result: MinimizeResult) -> Callable[[MinimizeResult, str], str]:
    domain = result.domain
    if isinstance(domain, Real) and domain.count in (1, 2):
        return _of_one if domain.count == 1 else _of_two
    if isinstance(domain, Permutations) and hasattr(result.function, "cities"):
        return _tour
    return _values


def _of_one(result: MinimizeResult, title: str) -> str:
    """The function over the stretch that was visited, and the points on it."""
    points = np.array([point[0] for point in result.visited])
    low, high = _stretch(points, _bounds(result, 0))
    xs = np.linspace(low, high, _CURVE)
    across = Axis("θ", ends=(low, high))
    chart = Chart(title, across, Axis("g"), size=_SIZE, counts_gaps=False)
    chart.line(xs, [_value(result, np.array([x])) for x in xs], "s1")
    chart.dots(points, result.values, "s2", apart=_APART)
    best = int(np.nanargmin(result.values))
    chart.point(points[best], result.values[best], "best")
    return chart.svg()


def _of_two(result: MinimizeResult, title: str) -> str:
    """Level lines around the path, and the path."""
    points = np.stack(result.visited)
    ends = [_stretch(points[:, n], _bounds(result, n)) for n in (0, 1)]
    xs, ys = (np.linspace(low, high, _GRID) for low, high in ends)
    heights = np.array([[_value(result, np.array([x, y])) for y in ys] for x in xs])
    across, up = (Axis(name, ends=end) for name, end in zip(("θ₀", "θ₁"), ends, strict=True))
    chart = Chart(title, across, up, size=_SIZE, grid=False)
    levels = _levels(heights)
    if levels:
        chart.tell(f"level lines of g from {number(min(levels))} to {number(max(levels))}")
    chart.draw(lambda frame: _level_lines(frame, xs, ys, levels))
    best, is_path = int(np.nanargmin(result.values)), result.method not in _UNJOINED
    if is_path:
        chart.line(points[:, 0], points[:, 1], "s2", weight="thin")
    chart.dots(points[:, 0], points[:, 1], "s2", apart=_APART if is_path else 0.0)
    if is_path and best > 0:
        chart.point(points[0, 0], points[0, 1], "start", "s2")
    chart.point(points[best, 0], points[best, 1], "best")
    return chart.svg()


def _levels(heights: Array) -> dict[float, list[Line]]:
    """Level lines, in cells of the grid, by their levels."""
    for count in _LEVELS:
        found = {level: _lines(heights, level) for level in levels_for(heights, count)}
        if sum(map(len, found.values())) <= _MOST_LINES:
            break
    return found


def _lines(heights: Array, level: float) -> list[Line]:
    return [line for line in linked(level_lines(heights, level)) if len(line) >= _SHORTEST]


def _level_lines(
    frame: Frame, xs: Array, ys: Array, levels: Mapping[float, Sequence[Line]]
) -> Iterator[str]:
    """The fainter the higher; a line's level is shown under the pointer."""
    cells = np.arange(len(xs))
    for n, (level, lines) in enumerate(levels.items()):
        gap = (math.nan, math.nan)
        across, up = np.array([p for line in lines for p in (*line, gap)] or [gap]).T
        where = np.interp(across, cells, xs), np.interp(up, cells, ys)
        shade = f"{0.75 - 0.55 * n / len(levels):.2f}"
        tip = element("title", f"g = {number(level)}")
        yield path(frame.places(*where), "s1", tip, stroke_opacity=shade)


def _tour(result: MinimizeResult, title: str) -> str:
    """The cities and the best round trip through them, at one scale in both directions."""
    cities = result.function.cities
    ends = [(s.low, s.high) for s in (scale_for(cities[:, n], is_log=False) for n in (0, 1))]
    width, height = _SIZE[0] - 90, _SIZE[1] - 90
    unit = max((ends[0][1] - ends[0][0]) / width, (ends[1][1] - ends[1][0]) / height)
    across, up = (
        Axis(ends=((low + high - unit * pixels) / 2, (low + high + unit * pixels) / 2))
        for (low, high), pixels in zip(ends, (width, height), strict=True)
    )
    chart = Chart(title, across, up, size=_SIZE, grid=False)
    order = [*result.theta, result.theta[0]]
    chart.line(cities[order, 0], cities[order, 1], "s2", weight="thin")
    for n, (x, y) in enumerate(cities):
        chart.point(x, y, str(n), "s1", radius=3.5)
    return chart.svg()


def _values(result: MinimizeResult, title: str) -> str:
    """The values over the iterations."""
    values = [float(v) for v in result.values]
    finite = [v for v in values if math.isfinite(v)]
    up = Axis("g", is_log=0 < _DECADES * min(finite) < max(finite))  # the low ones are what counts
    chart = Chart(title, Axis("iteration", is_whole=True), up, size=_SIZE)
    chart.line(range(len(values)), values, "s2", weight="thin", dots=len(values) <= _FEW)
    best = int(np.nanargmin(values))
    chart.point(best, values[best], f"best {number(values[best])}")
    return chart.svg()


def _stretch(values: Array, bounds: tuple[float, float]) -> tuple[float, float]:
    """What an axis shows: all that was visited with room around it, within the bounds."""
    low, high = float(values.min()), float(values.max())
    room = 0.15 * (high - low) or max(1.0, 0.1 * abs(low))
    low, high = max(low - room, bounds[0]), min(high + room, bounds[1])
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _bounds(result: MinimizeResult, element: int) -> tuple[float, float]:
    assert isinstance(result.domain, Real)
    return float(result.domain.low[element]), float(result.domain.high[element])


def _value(result: MinimizeResult, point: Any) -> float:
    with no_grad():
        return scalar(result.function(result.domain.theta(point)))
