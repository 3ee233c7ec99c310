"""What `thalweg minimize` does."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from thalweg.errors import ConfigError, nearest
from thalweg.minimize.call import minimize
from thalweg.minimize.methods import METHODS, find, names
from thalweg.minimize.problems import PROBLEMS, Problem, find_problem
from thalweg.minimize.survey import SETTINGS, outcome, table

__all__ = ["run_minimization", "run_survey"]


def run_minimization(
    problem: str | None,
    method: str | None,
    *,
    start: str | None,
    bounds: str | None,
    seed: int,
    max_iterations: int | None,
    options: Sequence[str],
    out: Path | None,
) -> int:
    """Minimize a known problem, or FILE.py:NAME; prints the result; gives the exit status.

    Without a problem, the problems and the methods are listed.
    """
    if problem is None:
        print(_lists())
        return 0
    known = _from_file(problem) if ".py:" in problem else find_problem(problem)
    row = find(method or "l-bfgs")
    given = dict(map(_option, options))
    limits = None if bounds is None else _numbers("--bounds", bounds)
    if limits is not None and len(limits) != 2:
        raise ConfigError(f"--bounds: two numbers, low,high, expected, got {bounds!r}")
    theta0 = known.start if start is None else _numbers("--start", start)
    if limits is None and row.takes in ("any", "countable") and known.bounds is not None:
        limits = list(known.bounds)  # a search has to know where
    if limits is not None and theta0 is not None and start is None:
        theta0 = [min(max(x, limits[0]), limits[1]) for x in theta0]
    result = minimize(
        known.squares, theta0, row.name, bounds=limits, domain=known.domain, seed=seed,
        max_iterations=max_iterations, **given,
    )  # fmt: skip
    print(result.summary())
    picture = out or Path(f"{Path(known.name).stem}-{row.name.replace(':', '-')}.svg")
    result.draw(picture)
    print(f"Picture: {picture}")
    return 0 if result.success else 1


def run_survey(progress: Callable[[str], None]) -> None:
    """Print the table of every method on every problem."""
    found = []
    for name in SETTINGS:
        progress(name)
        found += [o for p in PROBLEMS.values() if (o := outcome(name, p)) is not None]
    print(table(found))


def _lists() -> str:
    problems = [f"  {p.name:<26} {p.about}" for p in PROBLEMS.values()]
    methods = [f"  {m.name:<26} {m.about}" for m in METHODS.values()]
    others = ", ".join(name for name in names() if name not in METHODS)
    return "\n".join(["Problems:", *problems, "", "Methods:", *methods, f"  and {others}"])


def _from_file(text: str) -> Problem:
    """The function NAME of FILE.py."""
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no file {file}: FILE.py:NAME names a function in a file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    g = getattr(module, name, None)
    if not callable(g):
        known = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
        raise ConfigError(f"{file} has no function {name!r}: {nearest(name, known)}")
    return Problem(name, g, None, None, 0.0)


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"{flag}: numbers with commas between them expected, got {text!r}"
        ) from None


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--option: NAME=VALUE expected, got {text!r}")
    try:
        return name.replace("-", "_"), json.loads(value)
    except json.JSONDecodeError:
        return name.replace("-", "_"), value
