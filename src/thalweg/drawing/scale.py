"""From values to places on an axis, and the round numbers to write beside it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Final

__all__ = ["Scale", "scale_for"]

_DECADES: Final = 1.3  # a positive quantity may span as many on an even axis
_BOTTOM: Final = 0.1
_SAME: Final = 1e-13  # of values that differ by less, relatively, there is one
_TINY: Final = 1e-300
_LARGEST: Final = sys.float_info.max
_LEAST: Final = 5e-324  # of positive numbers
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, laid over the places from `start` to `end`."""

    low: float
    high: float
    start: float = 0.0
    end: float = 1.0
    is_log: bool = False

    def over(self, start: float, end: float) -> Scale:
        """The same axis, laid over other places."""
        return replace(self, start=start, end=end)

    def __call__(self, value: float) -> float:
        """The place of a value."""
        # Halves, because the whole difference of two large numbers may be no number.
        low, high, value = (self._bent(v) / 2 for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * ((value - low) / (high - low))

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round numbers on the axis.

        >>> Scale(0.0, 1.0).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> Scale(0.002, 1.0, is_log=True).ticks()
        [0.01, 0.1, 1.0]
        """
        return self._log_ticks(count) if self.is_log else self._even_ticks(count)

    def _even_ticks(self, count: int) -> list[float]:
        step = _round_step(self.high / count - self.low / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, 2 - math.floor(math.log10(step)))
        return [round(n * step, digits) + 0.0 for n in range(first, last + 1)]

    def _log_ticks(self, count: int) -> list[float]:
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        stride = max(1, -(-(last - first + 1) // (count + 1)))
        decades = range(first, last + 1, stride)
        if last - first >= 2:
            return [float(f"1e{n}") for n in decades]
        every = [float(f"{m}e{n}") for n in range(first - 1, last + 1) for m in (1, 2, 5)]
        return [value for value in every if self.low <= value <= self.high]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * 0.999)


def scale_for(
    values: Iterable[float],
    *,
    is_log: bool | None = None,
    room: float = 0.06,
    ceiling: float = math.inf,
) -> Scale:
    """An axis that holds the finite `values` up to `ceiling` with `room`, a share, around them.

    It is logarithmic if `is_log`, then for positive values only; with None where they are positive,
    span decades, and most of them would lie at the bottom else. Without values it is 0 to 1.

    >>> scale_for([0.9, 0.97, float("nan")], ceiling=1.0).high <= 1.0
    True
    """
    finite = [v for v in values if math.isfinite(v) and v <= ceiling and (v > 0 or not is_log)]
    low, high = min(finite, default=1.0 if is_log else 0.0), max(finite, default=1.0)
    if is_log is None:
        wide = low > 0 and math.log10(high) - math.log10(low) > _DECADES
        is_log = wide and median_low(finite) < _BOTTOM * high
    if is_log:
        decades = math.log10(high) - math.log10(low)
        wide = 10.0 ** max(room * decades, 0.01 if decades else 0.3)
        return Scale(max(low / wide, _LEAST), min(high * wide, _LARGEST), is_log=True)
    span = high / 2 - low / 2
    is_one = span <= _SAME * max(abs(low), abs(high)) or span < _TINY
    around = max(0.1 * abs(high), 0.5 * (high == 0), _TINY) if is_one else 2 * room * span
    bottom = 0.0 if 0 <= low < around else max(low - around, -_LARGEST)
    return Scale(bottom, min(high + around, _LARGEST, ceiling))
