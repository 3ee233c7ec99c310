"""An axis of a chart: what is measured, and the numbers or names beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from thalweg.drawing.numbers import labels, number, percent
from thalweg.drawing.scale import Scale, scale_for

__all__ = ["Axis", "Tick"]

Tick = tuple[float, str]  # a value, and what is written there


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart.

    name        what is measured, and its unit
    is_log      None: where positive values span decades
    ends        where it begins and ends; None: where the values do, with a little room
    ceiling     values above it are left out
    is_whole    numbers beside it are whole ones
    is_percent  they are shares, written in percent
    labels      names in their place, at 0, 1, ..
    is_bare     nothing is written beside it
    """

    name: str = ""
    is_log: bool | None = False
    ends: tuple[float, float] | None = None
    ceiling: float = math.inf
    is_whole: bool = False
    is_percent: bool = False
    labels: Sequence[str] = ()
    is_bare: bool = False

    def scale(self, values: Iterable[float], room: float) -> Scale:
        """The scale for `values`."""
        if self.labels:
            return Scale(-0.5, len(self.labels) - 0.5)
        if self.ends is not None:
            return Scale(*self.ends, is_log=bool(self.is_log))
        return scale_for(values, is_log=self.is_log, room=room, ceiling=self.ceiling)

    def title(self, scale: Scale) -> str:
        """Its name, with what sort of axis it is."""
        return ", ".join(filter(None, [self.name, "logarithmic" if scale.is_log else ""]))

    def spoken(self, value: float) -> str:
        """One value of it."""
        return percent(value) if self.is_percent else number(value)

    def ticks(self, scale: Scale, values: Iterable[float], count: int) -> list[Tick]:
        """About `count` places with what is written there; a value that is the only one is it."""
        if self.labels:
            return list(enumerate(self.labels))
        every = {v for v in values if math.isfinite(v) and (v > 0 or not scale.is_log)}
        if not every and self.ends is None:
            return []
        ticks = list(every) if len(every) == 1 and self.ends is None else scale.ticks(count)
        if self.is_whole:
            ticks = [t for t in ticks if t == round(t)]
        said = labels([100 * t for t in ticks] if self.is_percent else ticks, scale.is_log)
        return [(t, f"{s} %" if self.is_percent else s) for t, s in zip(ticks, said, strict=True)]
