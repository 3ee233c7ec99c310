"""A curve as one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Block characters whose heights go from 0, or the least value, to the largest.

    More values than `width` are shown by the mean of each stretch; one that is not finite is a gap.

    >>> sparkline([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    '▁▂▃▄▅▆▇█'
    >>> sparkline([1.0, 1.0, float("nan"), 0.5])
    '██ ▅'
    """
    count = min(width, len(values))
    edges = [len(values) * k // count for k in range(count + 1)] if count else [0]
    shown = [
        math.fsum(values[a:b]) / (b - a) if all(map(math.isfinite, values[a:b])) else math.nan
        for a, b in pairwise(edges)
    ]
    finite = [x for x in shown if math.isfinite(x)]
    low, high = min(0.0, *finite, 0.0), max(0.0, *finite, 0.0)
    span = (high - low) or 1.0
    return "".join(
        _BLOCKS[round((x - low) / span * (len(_BLOCKS) - 1))] if math.isfinite(x) else " "
        for x in shown
    )
