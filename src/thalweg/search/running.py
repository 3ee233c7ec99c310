"""Running a search: workers that take trials from one study until there are enough."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.compiler.native.runtime import available_cores
from thalweg.errors import ConfigError, ThalwegError
from thalweg.search.objective import Failed, Interrupted, Objective, Pruned, Trial
from thalweg.search.results import Results
from thalweg.search.space import Space, parse_space
from thalweg.search.study import Study

__all__ = ["Plan", "run", "search"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A search, as every worker is told it.

    trials    how many there are to be at the end, those of earlier runs counted
    workers   processes; each has its share of the cores
    others    what `Study` takes by name: direction, sampler, pruner, seed, storage
    """

    space: Space
    folder: Path
    objective: Objective
    trials: int
    workers: int
    others: Mapping[str, Any]

    def study(self, worker: int = 0) -> Study:
        """The study, opened; workers choose by seeds of their own."""
        seed = self.others.get("seed", 0) + worker
        return Study(self.space, self.folder, **{**self.others, "seed": seed})


def search(
    objective: Objective,
    space: Mapping[str, Any],
    *,
    trials: int = 50,
    folder: str | Path = "search",
    direction: str = "minimize",
    sampler: str = "bayesian",
    pruner: str = "none",
    workers: int = 1,
    seed: int = 0,
    storage: str = "",
) -> Results:
    """Search `space` for the parameters with the best objective(trial).

    objective  gets a `Trial`, whose `params` are the values to try, and gives a number; it may
               `trial.report(value, step)` on the way, so that the pruner can end hopeless trials
    space      for each parameter a list of choices or a range {"low": .., "high": .., "log": ..}
    trials     how many there are to be at the end; a grid has as many as it has points
    folder     holds the journal; a search that was stopped or killed goes on when called again
    sampler    "bayesian" (TPE), "random" or "grid"
    pruner     "none", "median", "halving" (successive halving) or "hyperband"
    workers    processes that share the trials; objective must then be importable
    storage    the address of a database instead of the journal, for workers on many machines

    With one worker, the same seed tries the same parameters. Raises `ConfigError` for what does not
    fit. The trials, samplers and pruners are those of Optuna (Akiba et al., KDD 2019).

    >>> import tempfile
    >>> import thalweg as tw
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = tw.search.search(
    ...         lambda trial: (trial.params["x"] - 2) ** 2, {"x": [0, 1, 2, 3]},
    ...         sampler="grid", folder=folder,
    ...     )
    >>> found.best.params, found.best.value, len(found.trials)
    ({'x': 2}, 0.0, 4)
    """
    if trials < 1 or workers < 1:
        raise ConfigError(f"trials = {trials}, workers = {workers}: expected 1 or more")
    others = {
        "direction": direction, "sampler": sampler, "pruner": pruner, "seed": seed,
        "storage": storage,
    }  # fmt: skip
    plan = Plan(parse_space(space), Path(folder), objective, trials, workers, others)
    return run(plan)


def run(plan: Plan, watch: Callable[[Study], None] | None = None) -> Results:
    """Run what is left of a plan; `watch` is called with the study as trials end.

    Raises KeyboardInterrupt after Ctrl-C, when the trials that were running have been put back.
    """
    if plan.workers > 1:
        _check_importable(plan)
    study = plan.study()
    try:
        study.reclaim()
        trials = study.plan() or plan.trials
        left = max(0, trials - study.counted())
        if plan.workers == 1:
            _work(plan, iter(range(left)), study, watch)
        elif left:
            _work_together(plan, min(plan.workers, left), left, study, watch)
    finally:
        study.close()
    return Results(study)


# --- one worker --------------------------------------------------------------------------------


def _work(
    plan: Plan, tickets: Iterator[int], study: Study, watch: Callable[[Study], None] | None = None
) -> None:
    """A trial for every ticket."""
    for _ in tickets:
        trial = study.begin()
        try:
            _try(plan, study, trial)
        except (Interrupted, KeyboardInterrupt):
            study.put_back(trial)
            raise KeyboardInterrupt from None
        except BaseException:
            study.put_back(trial)
            raise
        if watch is not None:
            watch(study)


def _try(plan: Plan, study: Study, trial: Any) -> None:
    try:
        value = float(plan.objective(Trial(trial, plan.space)))
    except Pruned:
        study.prune(trial)
    except Failed as failure:
        study.fail(trial, str(failure))
    else:
        if value != value:
            study.fail(trial, "not a number")
        else:
            study.end(trial, value)


# --- several -----------------------------------------------------------------------------------


def _check_importable(plan: Plan) -> None:
    try:
        pickle.dumps(plan)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"workers = {plan.workers}: the objective must be a function that another process can "
            f"import, at the top level of a file ({error})"
        ) from None


def _work_together(
    plan: Plan, workers: int, left: int, study: Study, watch: Callable[[Study], None] | None
) -> None:
    """`left` trials by so many processes."""
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", left)
    failures = context.SimpleQueue()
    with _threads_each(max(1, available_cores() // workers)):
        processes = [
            context.Process(target=_worker, args=(plan, n, counter, failures), daemon=True)
            for n in range(workers)
        ]
        for process in processes:
            process.start()
    try:
        while any(process.is_alive() for process in processes):
            for process in processes:
                process.join(0.5 / workers)
            if watch is not None:
                watch(study)
    except KeyboardInterrupt:
        for process in processes:
            process.join(30)
        raise
    finally:
        for process in processes:
            process.terminate()
    if not failures.empty():
        raise failures.get()
    lost = [p.exitcode for p in processes if p.exitcode]
    if lost:
        back = study.reclaim()
        raise ThalwegError(
            f"{len(lost)} of {workers} workers died (exit status {lost[0]}); {back} trials were "
            "put back. The same call goes on with them"
        )


def _worker(plan: Plan, number: int, counter: Any, failures: Any) -> None:
    def tickets() -> Iterator[int]:
        parent = multiprocessing.parent_process()
        while parent is None or parent.is_alive():
            with counter.get_lock():
                if counter.value <= 0:
                    return
                counter.value -= 1
            yield number

    try:
        _work(plan, tickets(), plan.study(number))
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:
        with counter.get_lock():
            counter.value = 0  # the others end after what they are doing
        failures.put(error if _travels(error) else ThalwegError(f"{type(error).__name__}: {error}"))


def _travels(error: Exception) -> bool:
    try:
        return isinstance(pickle.loads(pickle.dumps(error)), type(error))
    except Exception:
        return False


@contextmanager
def _threads_each(count: int) -> Iterator[None]:
    """New processes compute with so many threads."""
    name = "THALWEG_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, str(count))
    yield
    if before is None:
        del os.environ[name]
