"""How many threads, by measurement: a busy machine changes the answer from one moment to the next.

Threads that wait for each other many times in a short program lose more than they gain where other
processes take their cores away. Results do not depend on the number of threads, so it may change
from run to run: what was fastest of late is used, and the other numbers are tried now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["TRY", "Tempo"]

TRY: Final = 0.002  # seconds of a try, where one iteration is not longer
_LONG: Final = 0.02  # seconds of an iteration that threads are always worth it for
_PATIENCE: Final = 40  # a try may take a fortieth of the time until it is made again
_COLD: Final = 4  # the same of a first try, which finds caches and memory cold
_HOPELESS: Final = 1.5  # what is so much slower with fewer threads is slower still with fewer yet
_WEIGHT: Final = 0.5  # of a new measurement that is slower; a faster one is no accident


class Tempo:
    """The seconds that an iteration took with each number of threads.

    >>> tempo = Tempo()
    >>> tempo.pick(2, now=0.0)
    2
    >>> tempo.note(2, seconds=0.004, iterations=1, now=0.0)
    >>> tempo.pick(2, now=0.0)  # one thread has not been tried yet
    1
    >>> tempo.note(1, seconds=0.001, iterations=1, now=0.0)
    >>> tempo.pick(2, now=0.01), tempo.pick(2, now=0.02)  # two are tried again, after 4 times 4 ms
    (1, 2)
    >>> tempo.note(2, seconds=0.003, iterations=1, now=0.02)
    >>> tempo.pick(2, now=0.1), tempo.pick(2, now=0.2)  # and then after 40 times 3 ms
    (1, 2)
    """

    __slots__ = ("_due", "_each")

    def __init__(self) -> None:
        self._each: dict[int, float] = {}
        self._due: dict[int, float] = {}

    def pick(self, threads: int, now: float) -> int:
        """The number of threads, `threads` at most, to use at the time `now`."""
        each = self._each.get(threads)
        if threads < 2 or each is None or each > _LONG:
            return threads
        shortest = each
        for number in _halves(threads):
            if now >= self._due.get(number, now):
                return number
            if self._each[number] > _HOPELESS * shortest:
                break
            shortest = min(shortest, self._each[number])
        return self.best(threads)

    def best(self, threads: int) -> int:
        """The number, of those that were tried, that was fastest of late."""
        tried = [number for number in _halves(threads) if number in self._each]
        return min(tried, key=self._each.__getitem__, default=threads)

    def note(self, threads: int, seconds: float, iterations: int, now: float) -> None:
        """A number of iterations took some seconds, and ended at the time `now`."""
        new = seconds / max(1, iterations)
        old = self._each.get(threads)
        slower = old is not None and new > old
        self._each[threads] = old + _WEIGHT * (new - old) if slower and old else new
        patience = _COLD if old is None else _PATIENCE
        self._due[threads] = now + patience * min(seconds, max(TRY, new))


def _halves(threads: int) -> Iterator[int]:
    """threads, half of it, half of that, .., 1."""
    while threads:
        yield threads
        threads //= 2
