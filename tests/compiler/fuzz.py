"""`make fuzz`: random programs, compiled, against the interpreter, for as long as it is told.

    python -m tests.compiler.fuzz [--seconds 60] [--programs N] [--seed S]

It prints how many ran clean. The first that does not is shrunk and printed with its graph and
its kernels; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.compiler.fuzzing import check
from tests.compiler.looped import Looped, check_looped
from tests.compiler.making import recipes
from tests.compiler.recipes import Recipe

__all__ = ["main"]

# The sorts of program that take turns: their strategy, and how each is run; with `rounds` as the
# body of a loop.
SORTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"most": 10, "largest": 3000}, {}),
    ({"most": 16, "largest": 400}, {"plans": True}),
    (
        {"most": 10, "largest": 3000, "rows": True},
        {"chained": True, "plans": True, "threads": (2, 3, 8)},
    ),
    ({"most": 4, "largest": 3000}, {}),
    ({"most": 30, "largest": 3000}, {}),
    ({"most": 6, "largest": 300_000}, {"threads": (2, 3)}),
    ({"most": 12, "largest": 400}, {"rounds": 3, "threads": (2, 3)}),
]
BATCH = 25


class Count:
    """How many programs ran, and until when there is time."""

    def __init__(self, seconds: float, programs: int) -> None:
        self.clean = 0
        self.wanted = programs
        self.start = time.monotonic()
        self.end = self.start + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end or self.clean >= self.wanted

    def __str__(self) -> str:
        return f"{self.clean} programs ran clean in {time.monotonic() - self.start:.0f} s"


def batch(seed: int, count: Count) -> Callable[[], None]:
    """A test of some programs that `seed` decides."""
    shapes, ways = SORTS[seed % len(SORTS)]

    @hypothesis.seed(seed)
    @settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(recipes(**shapes))
    def run(recipe: Recipe) -> None:
        if "rounds" in ways:
            check_looped(Looped(recipe, ways["rounds"], bool(seed % 2)), ways["threads"])
        else:
            check(recipe, **ways)
        count.clean += 1

    return run


def main() -> int:
    """Run until the time is over, the number is reached, or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--programs", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="where to begin")
    wanted = parser.parse_args()
    count = Count(wanted.seconds, wanted.programs)
    seed = wanted.seed
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            while not count.is_over:
                batch(seed, count)()
                seed += 1
        except KeyboardInterrupt:
            pass
        except Exception:
            traceback.print_exc()
            print(f"\n{count}; then the one above, of --seed {seed}")
            return 1
    print(f"{count} (seeds {wanted.seed} to {seed - 1})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
