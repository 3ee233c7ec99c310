"""A function of one number beside its first-order Taylor approximation, as a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from thalweg.autodiff.taylor import Approximation, taylor
from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import Chart
from thalweg.drawing.numbers import number
from thalweg.drawing.picture import Picture
from thalweg.drawing.scale import scale_for
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.creation import as_tensor, tensor
from thalweg.ops.lift import floating
from thalweg.tape import no_grad

__all__ = ["Tangent", "tangent"]

_SIZE: Final = (480.0, 320.0)
_POINTS: Final = 201
_POLE: Final = 5.0  # a range so many times that of nine tenths of the values has a pole in it


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


class Tangent(Picture):
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
        return self._spelled("{:.4g}".format).replace("−", "-")

    def _spelled(self, number: Callable[[float], str]) -> str:
        at = f"{'−' if self.at >= 0 else '+'} {number(abs(self.at))}"
        sign = "+" if self.slope >= 0 else "−"
        return f"{number(self.value)} {sign} {number(abs(self.slope))} (x {at})"

    __repr__ = __str__

    def svg(self) -> str:
        """The picture as SVG text."""
        y = scale_for([*_without_poles(self._ys), self.value], is_log=False)
        up = Axis(ends=(y.low, y.high))
        title = f"f(x) and its tangent {self._spelled(number)}"
        chart = Chart(title, Axis("x"), up, size=_SIZE, counts_gaps=False)
        chart.line(self._xs, self._ys, "s1", name="f(x)")
        chart.line(self._xs, [self(x) for x in self._xs], "s2")
        chart.point(self.at, self.value, "", "s2")
        return chart.svg()


def _without_poles(ys: Sequence[float]) -> list[float]:
    """The finite values; near a pole only as far as the others reach."""
    finite = sorted(filter(math.isfinite, ys))
    if not finite:
        return finite
    low, high = (finite[int(share * (len(finite) - 1))] for share in (0.05, 0.95))
    if finite[-1] - finite[0] <= _POLE * (high - low):
        return finite
    room = (high - low) / 2
    return [y for y in finite if low - room <= y <= high + room]
