"""Curves over one quantity, as a picture: SVG text, readable in any browser and notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Final

from thalweg.errors import ConfigError
from thalweg.optim.lr_scheduler.sparks import sparkline
from thalweg.train.scale import Scale, scale_for

__all__ = ["Lines"]

_WIDTH: Final = 560
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 544, 44, 266
# On a light page, on a dark page; the curves' colours are told apart without red and green, too.
_COLOURS: Final = {
    "paper": ("#fbfcfd", "#14181d"),
    "grid": ("#e3e8ee", "#2a323b"),
    "axis": ("#94a1b0", "#6b7785"),
    "text": ("#66727f", "#a3aebb"),
    "line-0": ("#2463b0", "#7fb2f0"),
    "line-1": ("#c07a16", "#e8ad4f"),
    "line-2": ("#a3246f", "#f19bcb"),
    "line-3": ("#3f7d58", "#7fc79b"),
}
_LINES: Final = 4


class Lines:
    """Curves over shared values of x. A notebook shows them; `save("curves.svg")` writes them.

    title    above the picture
    xs       the values of x, growing
    curves   the values of each curve by its label; what is not finite leaves a gap
    marks    labels by the x that each marks with a vertical line
    x_log    whether the x axis is logarithmic; the y axis is where the values span decades

    >>> picture = Lines("halving", [0, 1, 2], {"lr": [1.0, 0.5, 0.25]}, x_label="step")
    >>> picture
    halving
    lr █▅▃ 1 to 0.25
    """

    def __init__(
        self,
        title: str,
        xs: Sequence[float],
        curves: Mapping[str, Sequence[float]],
        *,
        x_label: str = "",
        marks: Mapping[float, str] | None = None,
        x_log: bool = False,
    ) -> None:
        for label, ys in curves.items():
            if len(ys) != len(xs):
                raise ConfigError(f"Lines: {len(ys)} values of {label!r} for {len(xs)} of x")
        if len(xs) < 2 or not curves:
            raise ConfigError("Lines: expected a curve of two values or more")
        self.title, self.x_label, self.x_log = title, x_label, x_log
        self.xs = [float(x) for x in xs]
        self.curves = {label: [float(y) for y in ys] for label, ys in curves.items()}
        self.marks = dict(marks or {})

    def __str__(self) -> str:
        width = max(map(len, self.curves))
        rows = [
            f"{label:{width}} {sparkline(ys)} {ys[0]:.4g} to {ys[-1]:.4g}"
            for label, ys in self.curves.items()
        ]
        return "\n".join([self.title, *rows])

    __repr__ = __str__

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture, an .svg."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ConfigError(f"save: {path.name!r} has the suffix {path.suffix!r}, expected .svg")
        path.write_text(self.svg() + "\n", encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def svg(self) -> str:
        """The picture as SVG text."""
        x = Scale(self.xs[0], self.xs[-1], _LEFT, _RIGHT, is_log=self.x_log)
        y = scale_for([v for ys in self.curves.values() for v in ys], _BOTTOM, _TOP)
        return "\n".join(
            [
                (
                    '<svg xmlns="http://www.w3.org/2000/svg" class="thalweg-lines" role="img" '
                    f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
                    'font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
                ),
                f"<title>{escape(self.title)}</title>",
                _style(),
                f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}" rx="9"/>',
                _text(_LEFT, 22, "start", self.title),
                *self._axes(x, y),
                *self._marks(x),
                *(
                    _path(f"line-{n % _LINES}", label, zip(self.xs, ys, strict=True), x, y)
                    for n, (label, ys) in enumerate(self.curves.items())
                ),
                *self._legend(),
                "</svg>",
            ]
        )

    def _axes(self, x: Scale, y: Scale) -> Iterator[str]:
        for value in y.ticks():
            at = y(value)
            yield f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{_RIGHT}" y2="{at:.1f}"/>'
            yield _text(_LEFT - 8, at + 4, "end", f"{value:g}")
        for value in x.ticks(7):
            yield _text(x(value), _BOTTOM + 18, "middle", f"{value:g}")
        yield f'<line class="axis" x1="{_LEFT}" y1="{_BOTTOM}" x2="{_RIGHT}" y2="{_BOTTOM}"/>'
        yield _text(_RIGHT, _BOTTOM + 38, "end", self.x_label)

    def _marks(self, x: Scale) -> Iterator[str]:
        for value, label in self.marks.items():
            at, far = x(value), x(value) > (_LEFT + _RIGHT) / 2
            yield (
                f'<line class="axis mark" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{_BOTTOM}"/>'
            )
            yield _text(at + (-6 if far else 6), _TOP + 10, "end" if far else "start", label)

    def _legend(self) -> Iterator[str]:
        at = float(_LEFT)
        for n, label in enumerate(self.curves):
            yield f'<circle class="line-{n % _LINES}" cx="{at + 4:.1f}" cy="{_BOTTOM + 34}" r="4"/>'
            yield _text(at + 13, _BOTTOM + 38, "start", label)
            at += 27 + 6.6 * len(label)


def _style() -> str:
    def rules(shade: int) -> str:
        c = {name: pair[shade] for name, pair in _COLOURS.items()}
        return (
            f".thalweg-lines .paper{{fill:{c['paper']}}}"
            f".thalweg-lines .grid{{stroke:{c['grid']}}}"
            f".thalweg-lines .axis{{stroke:{c['axis']}}}"
            f".thalweg-lines text{{fill:{c['text']}}}"
            + "".join(
                f".thalweg-lines path.line-{n}{{stroke:{c[f'line-{n}']}}}"
                f".thalweg-lines circle.line-{n}{{fill:{c[f'line-{n}']}}}"
                for n in range(_LINES)
            )
        )

    fixed = (
        ".thalweg-lines path{fill:none;stroke-width:2.2;stroke-linejoin:round}"
        ".thalweg-lines .mark{stroke-dasharray:4 3}"
    )
    return f"<style>{fixed}{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}</style>"


def _path(style: str, label: str, points: Iterator[tuple[float, float]], x: Scale, y: Scale) -> str:
    out, pen = [], "M"
    for at, value in points:
        if not math.isfinite(value) or (y.is_log and value <= 0):
            pen = "M"
            continue
        out.append(f"{pen}{x(at):.1f} {y(value):.1f}")
        pen = "L"
    return f'<path class="{style}" d="{"".join(out)}"><title>{escape(label)}</title></path>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
