"""A search as one picture: its course, how much each parameter mattered, and each one's trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import STYLE, Chart
from thalweg.drawing.numbers import number
from thalweg.drawing.scale import scale_for
from thalweg.drawing.svg import element, text_width, whole
from thalweg.search.space import Range

if TYPE_CHECKING:
    from thalweg.search.results import Outcome, Results

__all__ = ["picture"]

_SIZE: Final = (360.0, 240.0)  # of a panel
_COLUMNS: Final = 2
_MOST_PARAMETERS: Final = 8


def picture(results: Results) -> str:
    """The SVG's text."""
    shares = results.importances()
    order = sorted(results.study.space, key=lambda name: -shares.get(name, 0.0))
    panels = [_course(results)]
    if shares:
        panels.append(_shares(shares))
    panels += [_parameter(results, name) for name in order[:_MOST_PARAMETERS]]
    width, height = _SIZE
    body = "\n".join(
        element("g", panel.body(), transform=f"translate({n % _COLUMNS * width:.0f} "
                                             f"{n // _COLUMNS * height:.0f})")
        for n, panel in enumerate(panels)
    )  # fmt: skip
    rows = -(-len(panels) // _COLUMNS)
    title = f"{len(results.trials)} trials of a search"
    about = ". ".join(f"{panel.title}: {panel.about}" for panel in panels)
    return whole(
        body, _COLUMNS * width, rows * height, title, about, "thalweg-chart", STYLE
    ) + "\n"  # fmt: skip


def _course(results: Results) -> Chart:
    """Every complete trial's value, and the best so far."""
    trials = results.complete
    last = max((t.number for t in results.trials), default=0)
    across = Axis("trial", ends=(-0.5, last + 0.5), is_whole=True)
    chart = Chart("value of each trial, and the best so far", across, _up(results), size=_SIZE)
    _dots(chart, [float(t.number) for t in trials], results)
    keep = max if results.direction == "maximize" else min
    best = list(accumulate(map(_value, trials), keep))
    ends = [*(t.number for t in trials[1:]), last]
    steps = [(n, value) for t, end, value in zip(trials, ends, best, strict=False)
             for n in (t.number, end)]  # fmt: skip
    chart.line([n for n, _ in steps], [v for _, v in steps], "s2", weight="thin")
    return chart


def _shares(shares: dict[str, float]) -> Chart:
    """A bar for each parameter's importance."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    names = Axis(labels=[name for name, _ in reversed(ordered)])
    most = max(shares.values()) or 1.0
    across = Axis(ends=(0.0, 1.25 * most), is_percent=True, is_bare=True)
    chart = Chart("what mattered: share of the variation", across, names, size=_SIZE)
    chart.bars([share for _, share in ordered])
    return chart


def _parameter(results: Results, name: str) -> Chart:
    """Each complete trial's value over one parameter."""
    parameter, given = results.study.space[name], [t.params[name] for t in results.complete]
    if isinstance(parameter, Range):
        across = Axis(name, ends=_ends(parameter), is_log=parameter.log)
        chart = Chart(name, across, _up(results), size=_SIZE)
        _dots(chart, list(map(float, given)), results)
        return chart
    labels = list(map(str, parameter.labels))
    places = [labels.index(str(v)) + 0.3 * _spread(n) for n, v in enumerate(given)]
    names, values = Axis(labels=labels), _up(results)
    lies = sum(text_width(label) + 8 for label in labels) > _SIZE[0] - 80  # no room below
    chart = Chart(name, *((values, names) if lies else (names, values)), size=_SIZE)
    _dots(chart, places, results, lies)
    return chart


def _ends(parameter: Range) -> tuple[float, float]:
    """A little beyond the range, for the dots at its ends."""
    if parameter.log:
        wide = (parameter.high / parameter.low) ** 0.04
        return parameter.low / wide, parameter.high * wide
    room = 0.04 * (parameter.high - parameter.low)
    return parameter.low - room, parameter.high + room


def _up(results: Results) -> Axis:
    """The values' axis, alike in all panels."""
    return Axis("value", is_log=scale_for(map(_value, results.complete)).is_log)


def _dots(chart: Chart, places: Sequence[float], results: Results, lies: bool = False) -> None:
    """The complete trials; the best stands out. Each says under the pointer what it is."""
    trials = results.complete
    values = list(map(_value, trials))
    xs, ys = (values, places) if lies else (places, values)
    chart.dots(xs, ys, "s1", radius=3.2, opacity="0.6", tips=list(map(_said, trials)))
    if trials:
        best = trials.index(results.best)
        chart.point(xs[best], ys[best], "")


def _said(trial: Outcome) -> str:
    facts = [f"{name} = {value}" for name, value in trial.params.items()]
    return "\n".join([f"trial {trial.number}: {number(_value(trial), 6)}", *facts])


def _spread(count: int) -> float:
    """Numbers between -0.5 and 0.5 that fill it evenly, so that equal choices do not overlap."""
    return (count * 0.6180339887) % 1 - 0.5


def _value(trial: Outcome) -> float:
    return math.nan if trial.value is None else trial.value
