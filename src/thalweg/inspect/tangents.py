"""A function of one number beside its first-order Taylor approximation, as a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, Final

from thalweg.autodiff.taylor import Approximation, taylor
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.creation import as_tensor, tensor
from thalweg.ops.lift import floating
from thalweg.tape import no_grad
from thalweg.train.scale import Scale, scale_for

__all__ = ["Tangent", "tangent"]

_WIDTH: Final = 480
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 464, 34, 282
_POINTS: Final = 201
# On a light page, on a dark page.
_COLOURS: Final = {
    "paper": ("#fbfcfd", "#14181d"),
    "grid": ("#e3e8ee", "#2a323b"),
    "axis": ("#94a1b0", "#6b7785"),
    "text": ("#66727f", "#a3aebb"),
    "curve": ("#2463b0", "#7fb2f0"),
    "line": ("#c2410c", "#f0a070"),
}


def tangent(
    func: Callable[..., Any], at: Any, low: float | None = None, high: float | None = None
) -> Tangent:
    """Draw `func`, of one number, and its tangent at `at`: f(a) + f'(a) (x - a).

    From `low` to `high`; unless given, 2 to either side. A notebook shows the result, and
    `save("tangent.svg")` writes it.

    >>> import thalweg as tw
    >>> print(tw.inspect.tangent(lambda x: x**2, at=1.5))
    2.25 + 3 (x - 1.5)

    Raises `ShapeError` where `func` is not of one number to one, `ConfigError` for an interval
    without `at`.

    Source: deck 000, "Taylor approximation".
    """
    point = floating(as_tensor(at)).detach()
    if point.numel() != 1:
        raise ShapeError(
            f"tangent: a function of one number can be drawn; `at` has shape {tuple(point.shape)}"
        )
    near = taylor(func, point)
    if getattr(near.value, "numel", lambda: 0)() != 1:
        raise ShapeError("tangent: a function that gives one number can be drawn")
    where = point.item()
    low, high = where - 2 if low is None else low, where + 2 if high is None else high
    if not low < high or not low <= where <= high:
        raise ConfigError(f"tangent: low <= at <= high expected, got {low}, {where}, {high}")
    xs = [low + (high - low) * k / (_POINTS - 1) for k in range(_POINTS)]
    with no_grad():
        ys = [float(func(tensor(x, dtype=point.dtype).reshape(point.shape)).item()) for x in xs]
    return Tangent(near, xs, ys)


class Tangent:
    """The picture that `tangent` draws.

    value, slope   f(a) and f'(a)
    """

    def __init__(self, near: Approximation, xs: Sequence[float], ys: Sequence[float]) -> None:
        (point,) = near.at
        self.at = float(point.item())
        self.value = float(near.value.item())
        self.slope = float(near.slope(point.new_ones(point.shape)).item())
        self._xs, self._ys = xs, ys

    def __call__(self, x: float) -> float:
        """The approximation at a number."""
        return self.value + self.slope * (x - self.at)

    def __str__(self) -> str:
        at = f"- {self.at:.4g}" if self.at >= 0 else f"+ {-self.at:.4g}"
        sign = "+" if self.slope >= 0 else "-"
        return f"{self.value:.4g} {sign} {abs(self.slope):.4g} (x {at})"

    __repr__ = __str__

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture, an .svg."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ConfigError(
                f"tangent.save: {path.name!r} has the suffix {path.suffix!r}, expected .svg"
            )
        path.write_text(self.svg() + "\n", encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def svg(self) -> str:
        """The picture as SVG text."""
        x = Scale(self._xs[0], self._xs[-1], _LEFT, _RIGHT)
        y = self._scale()
        line = [(v, self(v)) for v in (self._xs[0], self._xs[-1])]
        parts = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" class="thalweg-tangent" role="img" '
                f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
                'font-family="system-ui, sans-serif" font-size="13">'
            ),
            f"<title>f(x) and its tangent {escape(str(self))}</title>",
            _style(),
            f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}" rx="9"/>',
            (
                f'<clipPath id="inside"><rect x="{_LEFT}" y="{_TOP}" width="{_RIGHT - _LEFT}" '
                f'height="{_BOTTOM - _TOP}"/></clipPath>'
            ),
            *_axes(x, y),
            '<g clip-path="url(#inside)">',
            _path("curve", zip(self._xs, self._ys, strict=True), x, y),
            _path("line", line, x, y),
            f'<circle class="line" cx="{x(self.at):.1f}" cy="{y(self.value):.1f}" r="4.5"/>',
            "</g>",
            _text(_LEFT, 20, "start", "f(x)", "curve"),
            _text(_RIGHT, 20, "end", str(self), "line"),
            "</svg>",
        ]
        return "\n".join(parts)

    def _scale(self) -> Scale:
        """The vertical axis: what the function does, with the point; never logarithmic."""
        found = scale_for([*self._ys, self.value], _BOTTOM, _TOP)
        if not found.is_log:
            return found
        finite = [v for v in self._ys if math.isfinite(v)]
        return Scale(0.0, max(finite) * 1.06, _BOTTOM, _TOP)


def _style() -> str:
    def rules(shade: int) -> str:
        c = {name: pair[shade] for name, pair in _COLOURS.items()}
        return (
            f".thalweg-tangent .paper{{fill:{c['paper']}}}"
            f".thalweg-tangent .grid{{stroke:{c['grid']}}}"
            f".thalweg-tangent .axis{{stroke:{c['axis']}}}"
            f".thalweg-tangent text{{fill:{c['text']}}}"
            + "".join(
                f".thalweg-tangent path.{name}{{stroke:{c[name]}}}"
                f".thalweg-tangent text.{name},.thalweg-tangent circle.{name}{{fill:{c[name]}}}"
                for name in ("curve", "line")
            )
        )

    dark = f"@media (prefers-color-scheme:dark){{{rules(1)}}}"
    return f"<style>.thalweg-tangent path{{fill:none;stroke-width:2.2}}{rules(0)}{dark}</style>"


def _axes(x: Scale, y: Scale) -> Iterator[str]:
    for value in y.ticks():
        at = y(value)
        yield f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{_RIGHT}" y2="{at:.1f}"/>'
        yield _text(_LEFT - 8, at + 4.5, "end", f"{value:g}")
    for value in x.ticks(6):
        yield _text(x(value), _BOTTOM + 20, "middle", f"{value:g}")
    yield f'<line class="axis" x1="{_LEFT}" y1="{_BOTTOM}" x2="{_RIGHT}" y2="{_BOTTOM}"/>'


def _path(style: str, points: Any, x: Scale, y: Scale) -> str:
    out, pen = [], "M"
    for at, value in points:
        if not math.isfinite(value):
            pen = "M"
            continue
        out.append(f"{pen}{x(at):.1f} {y(value):.1f}")
        pen = "L"
    return f'<path class="{style}" d="{"".join(out)}"/>'


def _text(x: float, y: float, anchor: str, text: str, style: str = "") -> str:
    name = f' class="{style}"' if style else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
