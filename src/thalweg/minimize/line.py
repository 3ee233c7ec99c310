"""A minimum along a line, without derivatives: bracketed, then narrowed down."""

from __future__ import annotations

import math
from collections.abc import Callable

from thalweg.optim.line_search import Point, brent

__all__ = ["along"]

_GROWTH = 1.618034


def along(
    f: Callable[[float], float],
    start: float,
    value: float,
    step: float,
    low: float = -math.inf,
    high: float = math.inf,
) -> tuple[float, float]:
    """A minimum of f near `start`, where it is `value`, between `low` and `high`: (x, f(x)).

    Steps grow from `step` on, up or down, until f rises; then Brent's method. Never higher than the
    start.

    >>> x, value = along(lambda x: (x - 3) ** 2, 0.0, 9.0, 0.1)
    >>> round(x, 6), round(value, 6)
    (3.0, 0.0)
    """
    a, x, b, fx = _bracket(f, start, value, step, low, high)
    if a == b:
        return x, fx
    found = brent(f, a, Point(x, fx), b)
    return (found.step, found.value) if found.value <= value else (start, value)


def _bracket(
    f: Callable[[float], float], start: float, value: float, step: float, low: float, high: float
) -> tuple[float, float, float, float]:
    """(a, x, b, f(x)) with f(x) at most f(a) and f(b), or a and b at the bounds."""

    def inside(x: float) -> float:
        return min(max(x, low), high)

    x, fx = start, value
    ahead = inside(start + step)
    reached = f(ahead) if ahead != start else math.inf
    if reached >= fx:
        back = inside(start - step)
        behind = f(back) if back != start else math.inf
        if behind >= fx:
            return min(back, ahead), x, max(back, ahead), fx
        x, fx, other, step = back, behind, start, -step
    else:
        x, fx, other = ahead, reached, start
    for _ in range(200):
        step *= _GROWTH
        further = inside(x + step)
        if further == x or not math.isfinite(further):
            return min(other, x), x, max(other, x), fx
        found = f(further)
        if found >= fx:
            return min(other, further), x, max(other, further), fx
        other, x, fx = x, further, found
    return min(other, x), x, max(other, x), fx
