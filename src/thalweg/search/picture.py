"""A search as one picture: its course, how much each parameter mattered, and each one's trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from thalweg.search.space import Range
from thalweg.train.scale import Scale, scale_for

if TYPE_CHECKING:
    from thalweg.search.results import Outcome, Results

__all__ = ["picture"]

_WIDTH, _HEIGHT = 340, 230  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 326, 34, 188
_COLUMNS: Final = 2
_MOST_PARAMETERS: Final = 8

_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #38424d; font-variant-numeric: tabular-nums }
text.title { font-weight: 600; fill: #16324f } .axis { stroke: #9aa5b1 } .grid { stroke: #e6eaee }
circle { fill: #5b8dc9; fill-opacity: .6 } circle.best { fill: #d9781c; fill-opacity: 1 }
path { fill: none; stroke: #d9781c; stroke-width: 2 } rect.bar { fill: #5b8dc9 }
@media (prefers-color-scheme: dark) {
  svg { background: #14181d } text { fill: #c9d2da } text.title { fill: #eaf3ff }
  .grid { stroke: #2b3138 } .axis { stroke: #7b8794 }
}
""".strip()


def picture(results: Results) -> str:
    """The SVG's text."""
    shares = results.importances()
    order = sorted(results.study.space, key=lambda name: -shares.get(name, 0.0))
    panels = [_course(results)]
    if shares:
        panels.append(_shares(shares))
    panels += [_parameter(results, name) for name in order[:_MOST_PARAMETERS]]
    rows = math.ceil(len(panels) / _COLUMNS)
    placed = "".join(
        f'<g transform="translate({i % _COLUMNS * _WIDTH} {i // _COLUMNS * _HEIGHT})">{panel}</g>\n'
        for i, panel in enumerate(panels)
    )
    view = f"0 0 {_COLUMNS * _WIDTH} {rows * _HEIGHT}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" role="img" '
        f'aria-label="{len(results.trials)} trials of a search">\n'
        f"<style>{_STYLE}</style>\n{placed}</svg>\n"
    )


def _course(results: Results) -> str:
    """Every complete trial's value, and the best so far."""
    trials = results.complete
    y = scale_for([_value(t) for t in trials], _BOTTOM, _TOP)
    last = max((t.number for t in results.trials), default=0)
    x = Scale(-0.5, last + 0.5, _LEFT, _RIGHT)
    keep = max if results.direction == "maximize" else min
    best = list(accumulate((_value(t) for t in trials), keep))
    steps = "".join(
        f"{'M' if i == 0 else f'H{x(t.number):.1f}V'}"
        f"{f'{x(t.number):.1f} ' if i == 0 else ''}{y(value):.1f}"
        for i, (t, value) in enumerate(zip(trials, best, strict=True))
    )
    line = f'<path d="{steps}H{x(last):.1f}"/>' if trials else ""
    ticks = [(x(n), str(n)) for n in dict.fromkeys(map(round, x.ticks(6))) if 0 <= n <= last]
    dots = _dots([(x(t.number), t) for t in trials], y, results)
    return _panel("value of each trial, and the best so far", y, ticks, f"{dots}{line}")


def _shares(shares: dict[str, float]) -> str:
    """A bar for each parameter's importance."""
    parts = [_title("what mattered (share of the variation)")]
    height = min(26.0, (_BOTTOM - _TOP) / len(shares))
    for row, (name, share) in enumerate(sorted(shares.items(), key=lambda item: -item[1])):
        top = _TOP + row * height
        width = share * (_RIGHT - _LEFT - 110)
        parts += [
            _text(_LEFT + 50, top + height / 2 + 4, "end", name),
            _bar(_LEFT + 56, top + 3, width, height - 6),
            _text(_LEFT + 62 + width, top + height / 2 + 4, "start", f"{share:.0%}"),
        ]
    return "".join(parts)


def _parameter(results: Results, name: str) -> str:
    """Each complete trial's value over one parameter."""
    parameter, trials = results.study.space[name], results.complete
    y = scale_for([_value(t) for t in trials], _BOTTOM, _TOP)
    if isinstance(parameter, Range):
        room = 1.15 if parameter.log else (parameter.high - parameter.low) * 0.04
        low = parameter.low / room if parameter.log else parameter.low - room
        high = parameter.high * room if parameter.log else parameter.high + room
        x = Scale(low, high, _LEFT, _RIGHT, is_log=parameter.log)
        places = [x(float(t.params[name])) for t in trials]
        ticks = [(x(v), f"{v:g}") for v in x.ticks(5) if low <= v <= high]
    else:
        labels = list(map(str, parameter.labels))
        x = Scale(-0.5, len(labels) - 0.5, _LEFT, _RIGHT)
        seen = [labels.index(str(t.params[name])) for t in trials]
        places = [x(k + 0.3 * _spread(n)) for n, k in enumerate(seen)]
        ticks = [
            (x(k), label if len(label) < 14 else f"{label[:12]}..")
            for k, label in enumerate(labels)
        ]
    dots = _dots(list(zip(places, trials, strict=True)), y, results)
    return _panel(name, y, ticks, dots)


def _spread(number: int) -> float:
    """Numbers between -0.5 and 0.5 that fill it evenly, so that equal choices do not overlap."""
    return (number * 0.6180339887) % 1 - 0.5


# --- parts of a panel ----------------------------------------------------------------------------


def _panel(title: str, y: Scale, ticks: Sequence[tuple[float, str]], inside: str) -> str:
    return "".join([_title(title), *_axes(y, ticks), inside])


def _axes(y: Scale, ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
    for value in y.ticks():
        yield _line("grid", _LEFT, y(value), _RIGHT, y(value))
        yield _text(_LEFT - 6, y(value) + 4, "end", f"{value:.4g}")
    for at, label in ticks:
        yield _text(at, _BOTTOM + 16, "middle", label)
    yield _line("axis", _LEFT, _BOTTOM, _RIGHT, _BOTTOM)


def _dots(places: Sequence[tuple[float, Outcome]], y: Scale, results: Results) -> str:
    best = results.best if results.complete else None
    return "".join(_dot(x, y(_value(trial)), trial, trial is best) for x, trial in places)


def _dot(x: float, y: float, trial: Outcome, is_best: bool) -> str:
    said = "\n".join([f"trial {trial.number}: {trial.value:.6g}", *_facts(trial.params)])
    style = ' class="best"' if is_best else ""
    return (
        f'<circle{style} cx="{x:.1f}" cy="{y:.1f}" r="{5 if is_best else 3.5}">'
        f"<title>{escape(said)}</title></circle>"
    )


def _facts(params: Any) -> Iterator[str]:
    return (f"{name} = {value}" for name, value in params.items())


def _value(trial: Outcome) -> float:
    assert trial.value is not None  # complete
    return trial.value


def _title(text: str) -> str:
    return f'<text class="title" x="{_LEFT}" y="20">{escape(text)}</text>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _bar(x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="bar" {place}/>'


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
