"""Time several functions in turns, so that a machine's drift meets all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter

__all__ = ["Timing", "interleaved"]

# After a turn, the other library's worker threads spin for a while before they sleep.
SETTLE = 0.1
# A block of calls is timed as a whole; it must be long against the clock's resolution.
BLOCK = 0.002


@dataclass
class Timing:
    """Seconds that one call took: a sample for each block of calls."""

    samples: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The fastest block: what the code takes when nothing interferes."""
        return min(self.samples)

    @property
    def median(self) -> float:
        """The typical block."""
        return statistics.median(self.samples)


def interleaved(
    functions: Iterable[Callable[[], object]], rounds: int, seconds: float
) -> list[Timing]:
    """Time `functions` in turns, `rounds` each of `seconds`; every round reverses the order."""
    pairs = [(function, Timing()) for function in functions]
    timings = [timing for _, timing in pairs]
    for _ in range(rounds):
        for function, timing in pairs:
            timing.samples += turn(function, settle(function), seconds)
        pairs.reverse()
    return timings


def settle(function: Callable[[], object]) -> int:
    """Call `function` untimed for a moment; the number of calls that make a block."""
    calls = 0
    start = perf_counter()
    while calls < 2 or perf_counter() - start < SETTLE:
        function()
        calls += 1
    return max(1, round(BLOCK * calls / (perf_counter() - start)))


def turn(function: Callable[[], object], calls: int, seconds: float) -> list[float]:
    """Seconds a call, for each block of `calls` that fits in `seconds`."""
    samples: list[float] = []
    end = perf_counter() + seconds
    while not samples or perf_counter() < end:
        start = perf_counter()
        for _ in range(calls):
            function()
        samples.append((perf_counter() - start) / calls)
    return samples
