"""What `thalweg search` does."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from thalweg.errors import ConfigError, nearest
from thalweg.files import write_atomically
from thalweg.search.objective import PythonFile, Training
from thalweg.search.results import Results
from thalweg.search.running import Plan, run
from thalweg.search.space import parse_space
from thalweg.search.study import Study, finished
from thalweg.train.config import Config
from thalweg.train.toml import to_toml

__all__ = ["run_search"]

_SETTINGS: Final = ("trials", "sampler", "pruner", "workers", "seed", "storage")
_DEFAULTS: Final[dict[str, Any]] = {
    "trials": 30, "sampler": "bayesian", "pruner": "median", "workers": 1, "seed": 0, "storage": "",
}  # fmt: skip


def run_search(file: Path, given: Mapping[str, Any], *, out: Path | None, resume: bool) -> int:
    """Search the space of a TOML or Python file; gives the exit status (130 after Ctrl-C)."""
    space, fixed, objective, direction, settings = _read(file)
    settings = {**_DEFAULTS, **settings, **{k: v for k, v in given.items() if v is not None}}
    folder = out or Path("searches") / file.stem
    _check_folder(folder, resume)
    parsed = parse_space(space, f"{file}: search")
    if objective is None:
        objective = Training(fixed, folder / "trials")
        objective.check(parsed)
        direction = objective.direction()
    others = {k: settings[k] for k in ("sampler", "pruner", "seed", "storage")}
    plan = Plan(
        parsed, folder, objective, settings["trials"], settings["workers"],
        {**others, "direction": direction},
    )  # fmt: skip
    print(
        f"{len(parsed)} parameters, {settings['sampler']}, {settings['workers']} workers: {folder}"
    )
    shown: set[int] = set()
    try:
        results = run(plan, lambda study: _show(study, shown))
    except KeyboardInterrupt:
        print(f"To go on: thalweg search {file} --out {folder} --resume")
        return 130
    _conclude(results, fixed, folder, isinstance(objective, Training))
    return 0


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any], Any, str, dict[str, Any]]:
    """The space, what is fixed, an objective or None, its direction, settings of the search."""
    if file.suffix == ".py":
        given = PythonFile(file)
        objective = None if given.objective is None else given
        return given.space, given.fixed, objective, given.direction, {}
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as a TOML file ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    space, settings = table.pop("search", None), table.pop("settings", {})
    if not isinstance(space, Mapping):
        raise ConfigError(
            f"{file}: no table [search] of what to try; for example\n"
            "[search]\nhidden = [[30], [100]]\nlr = { low = 1e-3, high = 1.0, log = true }"
        )
    for name in settings:
        if name not in _SETTINGS:
            raise ConfigError(f"{file}: [settings] has {name!r}: {nearest(name, _SETTINGS)}")
    Config.from_dict(table, str(file))  # raises for options that there are not
    return dict(space), table, None, "", settings


def _check_folder(folder: Path, resume: bool) -> None:
    begun = folder.is_dir() and any(folder.iterdir())
    if resume and not begun:
        raise ConfigError(f"{folder} holds no search to go on with: leave --resume out")
    if begun and not resume:
        raise ConfigError(
            f"{folder} holds a search already: --resume goes on with it, --out names another folder"
        )


def _show(study: Study, shown: set[int]) -> None:
    """A line for every trial that ended since the last time."""
    for trial in study.trials():
        if finished(trial) and trial.number not in shown:
            shown.add(trial.number)
            value = f"{trial.value:.5g}" if trial.state.name == "COMPLETE" else trial.state.name
            value = trial.user_attrs.get("failure", value.lower())
            params = ", ".join(f"{name} {_short(v)}" for name, v in trial.params.items())
            print(f"trial {trial.number:>3}  {value:>9}  {params}")
            sys.stdout.flush()


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _conclude(results: Results, fixed: Mapping[str, Any], folder: Path, trains: bool) -> None:
    print(f"\n{results.table()}")
    if not results.complete:
        return
    shares = results.importances()
    if shares:
        listed = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        print(f"What mattered: {listed}")
    print(f"\nPicture: {results.draw(folder / 'search.svg')}")
    if trains:
        best = Config.from_dict(fixed).updated(results.best.params)
        path = folder / "best.toml"
        write_atomically(path, to_toml(best.to_dict()).encode())
        print(f"Best options: {path}; its run: {folder / 'trials' / f'{results.best.number:04}'}")
