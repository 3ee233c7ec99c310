"""What a search found: its trials, the best, and what mattered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.errors import ConfigError
from thalweg.files import write_atomically
from thalweg.search.study import Study, finished

__all__ = ["Outcome", "Results"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial that ended.

    value    of the objective; None where there is none
    state    "complete", "pruned", or why it failed, such as "diverged"
    steps    values reported on the way, by step
    """

    number: int
    params: Mapping[str, Any]
    value: float | None
    state: str
    seconds: float
    steps: Mapping[int, float]


class Results:
    """The trials of a search that ended, in order; `best`, `importances()`, `table()`, `draw()`.

    >>> import tempfile
    >>> import thalweg as tw
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = tw.search.search(
    ...         lambda trial: trial.params["x"] ** 2, {"x": [0, 1, 2]},
    ...         sampler="grid", folder=folder,
    ...     )
    >>> [trial.params["x"] for trial in found.ranked()], found.best.value
    ([0, 1, 2], 0.0)
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.direction = study.direction
        self.trials = [_outcome(trial, study) for trial in study.trials() if finished(trial)]

    def __repr__(self) -> str:
        best = f", best {self.best.value:.6g}: {dict(self.best.params)}" if self.complete else ""
        return f"<Results of {len(self.trials)} trials{best}>"

    @property
    def complete(self) -> list[Outcome]:
        """The trials that ran to their end."""
        return [trial for trial in self.trials if trial.state == "complete"]

    @property
    def best(self) -> Outcome:
        """The complete trial with the best value; of equal ones the first."""
        if not self.complete:
            raise ConfigError(f"none of {len(self.trials)} trials was completed")
        return self.ranked()[0]

    def ranked(self) -> list[Outcome]:
        """Complete trials, the best first."""
        sign = -1 if self.direction == "maximize" else 1
        return sorted(self.complete, key=lambda trial: sign * (trial.value or 0.0))

    def importances(self) -> dict[str, float]:
        """The share of the variation among good trials that each parameter explains."""
        return self.study.importances()

    def table(self, rows: int = 10) -> str:
        """The best trials as text, in columns; then how the others ended."""
        names = list(self.study.space)
        shown = [
            [str(t.number), f"{t.value:.5g}", *(_spoken(t.params[n]) for n in names)]
            for t in self.ranked()[:rows]
        ]
        lines = list(_columns([["trial", "value", *names], *shown]))
        others = [t.state for t in self.trials if t.state != "complete"]
        counts = [f"{others.count(s)} {s}" for s in dict.fromkeys(others)]
        summary = f"{len(self.trials)} trials: {len(self.complete)} complete"
        return "\n".join([*lines, "", ", ".join([summary, *counts])])

    def draw(self, path: str | Path) -> Path:
        """Write a picture of the search, an SVG: its course, what mattered, each parameter."""
        from thalweg.search.picture import picture

        path = Path(path)
        write_atomically(path, picture(self).encode())
        return path


def _outcome(trial: Any, study: Study) -> Outcome:
    state = trial.state.name.lower()
    return Outcome(
        trial.number,
        {name: p.value(trial.params[name]) for name, p in study.space.items()},
        trial.value if state == "complete" else None,
        trial.user_attrs["failure"] if state == "fail" else state,
        trial.duration.total_seconds() if trial.duration else 0.0,
        dict(trial.intermediate_values),
    )


def _spoken(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _columns(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)).rstrip()
