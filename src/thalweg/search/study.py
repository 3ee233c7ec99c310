"""The trials of a search, kept in a journal or a database that several workers share.

The sampler that chooses, the pruner that ends hopeless trials, and the storage are Optuna's. What
is added: a trial whose worker died is put back, so that a search that was killed goes on; and a
grid is all its points, waiting.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thalweg.errors import ConfigError, nearest
from thalweg.search.journal import JournalLock
from thalweg.search.space import Choice, Parameter, Space, grid
from thalweg.search.worker import Worker, is_dead

__all__ = ["PRUNERS", "SAMPLERS", "Study", "finished"]

SAMPLERS = ("bayesian", "random", "grid")
PRUNERS = ("none", "median", "halving", "hyperband")
_JOURNAL = "journal.log"
_WARM_UP = 5  # trials that run to their end before the median is asked


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            'search needs Optuna, which is not installed: pip install "thalweg[search]"'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


class Study:
    """The trials of one search.

    folder     where the journal stands, unless
    storage    is the address of a database (sqlite:///trials.db, postgresql://..), shared by
               workers on several machines
    direction  "maximize" or "minimize"
    """

    def __init__(
        self,
        space: Space,
        folder: Path,
        *,
        direction: str,
        sampler: str = "bayesian",
        pruner: str = "none",
        seed: int = 0,
        storage: str = "",
    ) -> None:
        self.space, self.folder = space, folder
        self.optuna = _optuna()
        if direction not in ("maximize", "minimize"):
            raise ConfigError(f"direction = {direction!r}: expected 'maximize' or 'minimize'")
        self.direction = direction
        self.kinds = {name: self._distribution(p) for name, p in space.items()}
        self.points = list(grid(space)) if sampler == "grid" else []
        options = {"sampler": self._sampler(sampler, seed), "pruner": self._pruner(pruner)}
        folder.mkdir(parents=True, exist_ok=True)
        self.study = self.optuna.create_study(
            study_name=folder.resolve().name if storage else "search",
            storage=self._storage(storage, folder),
            direction=direction,
            load_if_exists=True,
            **options,
        )
        self.worker = Worker(folder)

    # --- from names to Optuna's objects ---

    def _storage(self, address: str, folder: Path) -> Any:
        storages = self.optuna.storages
        if address:
            try:
                return storages.RDBStorage(address)
            except Exception as error:
                raise ConfigError(f"storage = {address!r} cannot be opened: {error}") from error
        path = folder / _JOURNAL
        backend = storages.journal.JournalFileBackend(str(path), JournalLock(path))
        return storages.JournalStorage(backend)

    def _sampler(self, name: str, seed: int) -> Any:
        samplers = self.optuna.samplers
        if name not in SAMPLERS:
            raise ConfigError(f"unknown sampler {name!r}: {nearest(name, SAMPLERS)}")
        if name == "bayesian":
            return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        return samplers.RandomSampler(seed=seed)

    def _pruner(self, name: str) -> Any:
        pruners = self.optuna.pruners
        if name not in PRUNERS:
            raise ConfigError(f"unknown pruner {name!r}: {nearest(name, PRUNERS)}")
        if name == "median":
            return pruners.MedianPruner(n_startup_trials=_WARM_UP)
        if name == "halving":
            return pruners.SuccessiveHalvingPruner()
        return pruners.HyperbandPruner() if name == "hyperband" else pruners.NopPruner()

    def _distribution(self, parameter: Parameter) -> Any:
        kinds = self.optuna.distributions
        if isinstance(parameter, Choice):
            return kinds.CategoricalDistribution(parameter.labels)
        kind = kinds.IntDistribution if parameter.is_whole else kinds.FloatDistribution
        step = {} if parameter.step is None else {"step": parameter.step}
        return kind(parameter.low, parameter.high, log=parameter.log, **step)

    # --- trials ---

    def trials(self) -> list[Any]:
        """All of them, in order of their numbers."""
        return list(self.study.get_trials(deepcopy=False))

    def plan(self) -> int:
        """Let the points of a grid wait for workers, once; gives how many there are, else 0."""
        points = self.points
        if points and self.study.user_attrs.get("planned") != len(points):
            for point in points:
                self.study.enqueue_trial(point, skip_if_exists=True)
            self.study.set_user_attr("planned", len(points))
        return len(points)

    def begin(self) -> Any:
        """The next trial, with parameters chosen."""
        trial = self.study.ask(self.kinds)
        trial.set_user_attr("worker", self.worker.name)
        return trial

    def end(self, trial: Any, value: float) -> None:
        """The trial is complete."""
        self.study.tell(trial, value)

    def prune(self, trial: Any) -> None:
        """The trial was ended early: it would not have been good."""
        self.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Any, why: str) -> None:
        """The trial gave no value."""
        trial.set_user_attr("failure", why)
        self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)

    def put_back(self, trial: Any) -> None:
        """The trial was interrupted: its parameters wait to be tried again."""
        state = self.optuna.trial.TrialState.FAIL
        with contextlib.suppress(Exception):  # another command may have put it back already
            self.study.tell(trial.number, state=state)
            self.study.enqueue_trial(trial.params, user_attrs={"again": trial.number})

    def reclaim(self) -> int:
        """Put back the trials whose workers, with this folder, are no more; gives how many."""
        lost = [t for t in self._running() if is_dead(self.folder, t.user_attrs.get("worker", ""))]
        for trial in lost:
            self.put_back(trial)
        return len(lost)

    def close(self) -> None:
        """This worker takes no more trials."""
        self.worker.close()

    def _running(self) -> Iterator[Any]:
        running = self.optuna.trial.TrialState.RUNNING
        return (trial for trial in self.trials() if trial.state == running)

    def counted(self) -> int:
        """Trials that are done or being done; those that wait, or were put back, do not count."""
        waiting = self.optuna.trial.TrialState.WAITING
        return sum(t.state != waiting and not _was_put_back(t) for t in self.trials())

    def importances(self) -> dict[str, float]:
        """How much of the variation among good trials each parameter explains; adds up to 1.

        By PED-ANOVA (Watanabe, Bansal, Hutter, IJCAI 2023). Empty after few complete trials.
        """
        evaluator = self.optuna.importance.PedAnovaImportanceEvaluator()
        complete = [t for t in self.trials() if t.state.name == "COMPLETE"]
        varied = [n for n in self.space if len({t.params.get(n) for t in complete}) > 1]
        if len(complete) < 4 or not varied:
            return {}
        found = self.optuna.importance.get_param_importances(
            self.study, evaluator=evaluator, params=varied
        )
        return {name: float(share) for name, share in found.items()}


def finished(trial: Any) -> bool:
    """Whether a trial belongs into the table: it ended, and was not put back."""
    return bool(trial.state.is_finished()) and not _was_put_back(trial)


def _was_put_back(trial: Any) -> bool:
    return trial.state.name == "FAIL" and "failure" not in trial.user_attrs
