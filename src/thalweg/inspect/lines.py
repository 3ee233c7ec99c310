"""Curves over one quantity, as a picture: SVG text, readable in any browser and notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import Chart
from thalweg.drawing.palette import series
from thalweg.drawing.picture import Picture
from thalweg.errors import ConfigError
from thalweg.optim.lr_scheduler.sparks import sparkline

__all__ = ["Lines"]


class Lines(Picture):
    """Curves over shared values of x. A notebook shows them; `save("curves.svg")` writes them.

    title    above the picture
    xs       the values of x, growing
    curves   the values of each curve by its label, at each of xs, or as {x: value} at places of its
             own; what is not finite leaves a gap
    x_label, y_label  what the axes are, with their units
    marks    labels by the x that each marks with a vertical line
    ceiling  values above it are left out, so that a few do not hide the others
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
        curves: Mapping[str, Sequence[float] | Mapping[float, float]],
        *,
        x_label: str = "",
        y_label: str = "",
        ceiling: float = math.inf,
        marks: Mapping[float, str] | None = None,
        x_log: bool = False,
    ) -> None:
        for label, ys in curves.items():
            if not isinstance(ys, Mapping) and len(ys) != len(xs):
                raise ConfigError(f"Lines: {len(ys)} values of {label!r} for {len(xs)} of x")
        if len(xs) < 2 or not curves:
            raise ConfigError("Lines: expected a curve of two values or more")
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.x_log, self.ceiling = x_log, ceiling
        self.xs = [float(x) for x in xs]
        self.curves: dict[str, list[float]] = {}
        self.places: dict[str, list[float]] = {}
        for label, ys in curves.items():
            at, values = (ys.keys(), ys.values()) if isinstance(ys, Mapping) else (xs, ys)
            self.places[label], self.curves[label] = [*map(float, at)], [*map(float, values)]
        self.marks = dict(marks or {})

    def __str__(self) -> str:
        width = max(map(len, self.curves))
        rows = [
            f"{label:{width}} {sparkline(ys)} {ys[0]:.4g} to {ys[-1]:.4g}"
            for label, ys in self.curves.items()
        ]
        return "\n".join([self.title, *rows])

    __repr__ = __str__

    def svg(self) -> str:
        """The picture as SVG text."""
        up = Axis(self.y_label, is_log=None, ceiling=self.ceiling)
        chart = Chart(self.title, Axis(self.x_label, is_log=self.x_log), up)
        for n, (label, ys) in reversed(list(enumerate(self.curves.items()))):  # the first on top
            at = self.places[label]
            chart.line(at, ys, series(n), name=label, dots=at != self.xs)
        for x, label in self.marks.items():
            chart.mark(x, label)
        return chart.svg()
