"""Searches from Python: what is tried, what is kept, what goes on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import thalweg as tw
from tests.drawing.seeing import looked_at
from tests.search.objectives import bowl, fragile
from thalweg.errors import ConfigError
from thalweg.search import Results, Trial, search
from thalweg.search.picture import picture

SPACE = {"x": {"low": -3.0, "high": 3.0}, "y": {"low": -3.0, "high": 3.0}, "kind": ["a", "b"]}


def values(results: Results) -> list[float | None]:
    return [trial.value for trial in results.trials]


def test_the_better_is_found_and_what_mattered_is_known(tmp_path: Path) -> None:
    found = search(bowl, SPACE, trials=60, folder=tmp_path)
    assert found.best.value is not None
    assert found.best.value < 0.05
    assert found.best.value == min(v for v in values(found) if v is not None)
    shares = found.importances()
    assert max(shares, key=lambda name: shares[name]) == "x", "y weighs a tenth, kind nothing"
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("sampler", ["random", "bayesian"])
def test_a_seed_tries_the_same(tmp_path: Path, sampler: str) -> None:
    def run(folder: str, seed: int) -> list[float | None]:
        return values(
            search(bowl, SPACE, trials=15, folder=tmp_path / folder, sampler=sampler, seed=seed)
        )

    assert run("a", 1) == run("b", 1)
    assert run("c", 2) != run("a", 1)


def test_a_grid_is_all_its_points_once_however_often_it_is_called(tmp_path: Path) -> None:
    space = {"x": [0, 1, 2], "y": {"low": 0, "high": 2}, "kind": ["a"]}
    with pytest.raises(ConfigError, match="give the range a step"):
        search(bowl, space, sampler="grid", folder=tmp_path)
    space["y"] = {"low": 0, "high": 2, "step": 1}
    tried: list[tuple[int, int]] = []

    def objective(trial: Trial) -> float:
        tried.append((trial.params["x"], trial.params["y"]))
        if len(tried) == 4:
            raise KeyboardInterrupt
        return bowl(trial)

    with pytest.raises(KeyboardInterrupt):
        search(objective, space, sampler="grid", folder=tmp_path)
    found = search(objective, space, sampler="grid", folder=tmp_path)
    assert len(found.trials) == 9
    assert len(tried) == 10, "the interrupted one again, the others once"
    assert sorted(set(tried)) == [(x, y) for x in range(3) for y in range(3)]
    search(objective, space, sampler="grid", folder=tmp_path)
    assert len(tried) == 10


def test_a_search_goes_on_to_more_trials(tmp_path: Path) -> None:
    assert len(search(bowl, SPACE, trials=4, folder=tmp_path).trials) == 4
    assert len(search(bowl, SPACE, trials=7, folder=tmp_path).trials) == 7
    assert len(search(bowl, SPACE, trials=5, folder=tmp_path).trials) == 7


def test_hopeless_trials_end_early_and_failed_ones_say_why(tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        for step in range(10):
            trial.report(trial.params["x"] ** 2, step)
        return math.nan if trial.number == 1 else float(trial.params["x"] ** 2)

    found = search(objective, {"x": {"low": -9.0, "high": 9.0}}, trials=30, pruner="median",
                   folder=tmp_path)  # fmt: skip
    states = [trial.state for trial in found.trials]
    assert states[1] == "not a number"
    assert "pruned" in states
    pruned = next(t for t in found.trials if t.state == "pruned")
    assert 0 < len(pruned.steps) < 10
    assert "1 not a number" in found.table()


def test_an_error_of_the_objective_is_the_users(tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        search(objective, SPACE, folder=tmp_path)
    assert len(search(bowl, SPACE, trials=3, folder=tmp_path).trials) == 3


def test_workers_share_the_trials_of_a_journal_or_a_database(tmp_path: Path) -> None:
    found = search(bowl, SPACE, trials=9, workers=2, folder=tmp_path / "journal")
    assert [trial.state for trial in found.trials] == ["complete"] * 9
    address = f"sqlite:///{tmp_path / 'trials.db'}"
    for trials in (2, 4):
        found = search(bowl, SPACE, trials=trials, storage=address, folder=tmp_path / "database")
        assert len(found.trials) == trials


def test_workers_need_an_objective_they_can_import(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at the top level of a file"):
        search(lambda trial: 0.0, SPACE, workers=2, folder=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_workers_error_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="in a worker"):
        search(fragile, SPACE, trials=6, workers=2, folder=tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "gird"}, "did you mean 'grid'"),
        ({"pruner": "medium"}, "did you mean 'median'"),
        ({"direction": "up"}, "'maximize' or 'minimize'"),
        ({"trials": 0}, "expected 1 or more"),
        ({"storage": "nothing://x"}, "cannot be opened"),
    ],
)
def test_wrong_options_leave_nothing_behind(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    folder = tmp_path / "search"
    with pytest.raises(ConfigError, match=words):
        search(bowl, SPACE, folder=folder, **options)  # type: ignore[arg-type]
    assert not folder.exists() or not any(folder.iterdir())


def test_the_picture_is_drawn_however_many_trials_there_are(tmp_path: Path) -> None:
    for trials in (1, 2, 30):
        found = search(bowl, SPACE, trials=trials, folder=tmp_path / "s")
        root = looked_at(found.draw(tmp_path / "search.svg").read_text(encoding="utf-8"))
        dots = [c for c in root.iter("{http://www.w3.org/2000/svg}circle") if len(c)]
        assert len(dots) == 4 * trials, "each trial in its course and over each parameter"
    assert tw.search.search is search


def test_a_search_in_which_nothing_was_completed_is_drawn(tmp_path: Path) -> None:
    found = search(bowl, SPACE, trials=2, folder=tmp_path / "s")
    found.trials = []
    root = looked_at(picture(found))
    assert not list(root.iter("{http://www.w3.org/2000/svg}circle"))
