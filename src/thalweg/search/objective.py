"""What one trial does: train as the options say, or call the user's function."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.errors import ConfigError
from thalweg.search.space import Space
from thalweg.train.config import Config
from thalweg.train.metrics import measures_for
from thalweg.train.progress import Row, Watcher
from thalweg.train.recipe import check_names, load_splits, make_trainer
from thalweg.train.runs import RunFolder

__all__ = ["Failed", "Interrupted", "Objective", "Pruned", "PythonFile", "Training", "Trial"]


class Pruned(Exception):
    """The trial is to end here: others at this point were better."""


class Failed(Exception):
    """The trial has no value; the message says why."""


class Interrupted(Exception):
    """Ctrl-C ended the trial."""


class Trial:
    """One trial, as an objective sees it.

    number  from 0
    params  the values to try, by name

    >>> import tempfile
    >>> import thalweg as tw
    >>> def objective(trial):
    ...     error = 1.0
    ...     for epoch in range(3):
    ...         error *= trial.params["rate"]
    ...         trial.report(error, epoch)
    ...     return error
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = tw.search.search(
    ...         objective, {"rate": [0.5, 0.25]}, sampler="grid", folder=folder
    ...     )
    >>> found.best.value
    0.015625
    """

    def __init__(self, source: Any, space: Space) -> None:
        self._source = source
        self.number: int = source.number
        self.params: dict[str, Any] = {
            name: parameter.value(source.params[name]) for name, parameter in space.items()
        }

    def report(self, value: float, step: int) -> None:
        """Tell how good it is after `step` epochs or so; ends the trial where that is hopeless."""
        if math.isfinite(value):
            self._source.report(float(value), step)
            if self._source.should_prune():
                raise Pruned


Objective = Callable[[Trial], float]


@dataclass(slots=True)
class Training:
    """The objective of `thalweg search`: the best development measure of a training run.

    fixed   options of `thalweg train` that are the same in all trials
    folder  every trial's run folder goes into it
    """

    fixed: Mapping[str, Any]
    folder: Path

    def __call__(self, trial: Trial) -> float:
        """Train, and give the measure that chooses the best parameters."""
        config = Config.from_dict(self.fixed).updated(trial.params, f"trial {trial.number}")
        splits = load_splits(config)
        trainer = make_trainer(config, splits.encoding)
        measures = measures_for(splits.encoding)
        plain = {**config.to_dict(), "encoding": splits.encoding.to_dict()}
        watcher = _Reporting(trial, f"dev_{measures.key}")
        with RunFolder.create(self.folder / f"{trial.number:04}", plain) as run:
            result = trainer.fit(splits, config.epochs, run=run, watcher=watcher)
        if result.status == "interrupted":
            raise Interrupted
        values = [row[watcher.key] for row in result.history if math.isfinite(row[watcher.key])]
        if result.status == "diverged" or not values:
            raise Failed("diverged")
        return float(max(values) if measures.larger_is_better else min(values))

    def direction(self) -> str:
        """Whether its value is to be large or small. Raises `ConfigError` for wrong options."""
        config = Config.from_dict(self.fixed)
        check_names(config)
        larger = measures_for(load_splits(config).encoding).larger_is_better
        return "maximize" if larger else "minimize"

    def check(self, space: Space) -> None:
        """Raise `ConfigError` for a value that `thalweg train` would not take."""
        fixed = Config.from_dict(self.fixed)
        for name, parameter in space.items():
            either: Any = parameter
            given = getattr(parameter, "values", None) or (either.low, either.high)
            for value in given:
                check_names(fixed.updated({name: value}, "search"))


class _Reporting(Watcher):
    """Tells the trial how each epoch went."""

    def __init__(self, trial: Trial, key: str) -> None:
        self.trial, self.key = trial, key

    def on_epoch(self, row: Row) -> None:
        self.trial.report(row[self.key], row["epoch"])


class PythonFile:
    """A Python file with a `space`, and perhaps `fixed`, `direction` and objective(trial).

    It is its own objective: other processes read the file anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        spec = importlib.util.spec_from_file_location("thalweg_search_space", self.path)
        if spec is None or spec.loader is None or not path.exists():
            raise ConfigError(f"{path}: there is no such Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        space = getattr(module, "space", None)
        if not isinstance(space, Mapping):
            raise ConfigError(f'{path}: expected space = {{"lr": [0.1, 1.0], ...}} in it')
        self.space = dict(space)
        self.fixed = dict(getattr(module, "fixed", {}))
        self.direction: str = getattr(module, "direction", "minimize")
        self.objective: Objective | None = getattr(module, "objective", None)

    def __call__(self, trial: Trial) -> float:
        assert self.objective is not None
        return self.objective(trial)

    def __reduce__(self) -> Any:
        return PythonFile, (self.path,)
