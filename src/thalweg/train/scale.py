"""From values to places on an axis, and the round numbers to write beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Scale", "scale_for"]

_DECADES: Final = 1.3  # a positive quantity that spans more is drawn on a logarithmic axis
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, laid over the places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, value = self._bent(self.low), self._bent(self.high), self._bent(value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round numbers on the axis.

        >>> Scale(0.0, 1.0, 0.0, 100.0).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> Scale(0.002, 1.0, 0.0, 100.0, is_log=True).ticks()
        [0.01, 0.1, 1.0]
        """
        return self._log_ticks(count) if self.is_log else self._even_ticks(count)

    def _even_ticks(self, count: int) -> list[float]:
        step = _round_step((self.high - self.low) / count)
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
    values: Iterable[float], start: float, end: float, ceiling: float = math.inf
) -> Scale:
    """An axis that holds the finite `values` with a little room, at most up to `ceiling`.

    It is logarithmic where they are positive and span decades. Without finite values it is 0 to 1.

    >>> scale_for([0.9, 0.97, float("nan")], 0.0, 100.0, ceiling=1.0).high <= 1.0
    True
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low > 0 and math.log10(high) - math.log10(low) > _DECADES:
        return Scale(low * 0.8, high * 1.25, start, end, is_log=True)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.5
    return Scale(
        0.0 if 0 <= low < room else low - room, min(high + room, max(ceiling, high)), start, end
    )
