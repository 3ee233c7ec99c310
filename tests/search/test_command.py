"""`thalweg search`, as it is called; killed and called again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thalweg.errors import ConfigError
from thalweg.search.command import run_search
from thalweg.search.space import parse_space
from thalweg.search.study import Study, finished
from thalweg.train.config import Config
from thalweg.train.runs import RunFolder

SPACE = """
dataset = "mnist1d"
epochs = 2
batch_size = 100

[search]
hidden = [[8], [16]]
lr = { low = 0.01, high = 1.0, log = true }
"""


def written(folder: Path, text: str = SPACE, name: str = "space.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_training_is_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    assert run_search(file, {"trials": 5}, out=out, resume=False) == 0
    told = capsys.readouterr().out
    assert told.count("\ntrial  ") == 6, "and the head of the table"
    assert "5 trials: 5 complete" in told
    best = Config.from_toml(out / "best.toml")
    assert best.dataset == "mnist1d"
    assert best.epochs == 2
    runs = [RunFolder.open(path) for path in sorted((out / "trials").iterdir())]
    assert len(runs) == 5
    assert any(Config.from_dict(_options(run)) == best for run in runs)
    assert (out / "search.svg").read_text(encoding="utf-8").startswith("<svg")


def _options(run: RunFolder) -> dict[str, object]:
    return {key: value for key, value in run.config.items() if key != "encoding"}


def test_a_python_file_has_its_own_objective(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        'space = {"x": {"low": -1.0, "high": 1.0}}\ndirection = "maximize"\n'
        'def objective(trial):\n    return -trial.params["x"] ** 2\n'
    )
    file = written(tmp_path, text, "space.py")
    out = tmp_path / "out"
    assert run_search(file, {"trials": 4, "workers": 2}, out=out, resume=False) == 0
    assert "4 trials: 4 complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("hidden =", "hiden ="), "did you mean 'hidden'"),
        (("epochs =", "epoch ="), "did you mean 'epochs'"),
        (("[[8], [16]]", "[[0]]"), "at least 1 unit"),
        (("[search]", "[serch]"), "no table"),
        (("low = 0.01", "low = "), "not valid TOML"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    file = written(tmp_path, SPACE.replace(*change))
    with pytest.raises(ConfigError, match=words):
        run_search(file, {}, out=tmp_path / "out", resume=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_not_searched_into(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    with pytest.raises(ConfigError, match="leave --resume out"):
        run_search(file, {}, out=out, resume=True)
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(ConfigError, match="holds a search already"):
        run_search(file, {}, out=out, resume=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_search_goes_on_and_loses_no_trial(tmp_path: Path, workers: int) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    command = [
        sys.executable, "-m", "thalweg", "search", str(file), "--out", str(out),
        "--trials", "6", "--workers", str(workers), "--pruner", "none",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and len(list((out / "trials").glob("*"))) < 3:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert run_search(file, {"trials": 6, "workers": workers}, out=out, resume=True) == 0
    space = parse_space({"hidden": [[8], [16]], "lr": {"low": 0.01, "high": 1.0, "log": True}})
    study = Study(space, out, direction="maximize")
    states = [trial.state.name for trial in study.trials()]
    assert sum(map(finished, study.trials())) == 6
    assert "RUNNING" not in states
    assert "WAITING" not in states


def test_ctrl_c_puts_back_what_was_running(tmp_path: Path) -> None:
    text = SPACE.replace("epochs = 2", "epochs = 100000")
    file, out = written(tmp_path, text), tmp_path / "out"
    command = [sys.executable, "-m", "thalweg", "search", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not list((out / "trials").glob("*/metrics.jsonl")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate()
    assert process.returncode == 130
    assert f"--out {out} --resume" in told
    space = parse_space({"hidden": [[8], [16]], "lr": {"low": 0.01, "high": 1.0, "log": True}})
    states = [t.state.name for t in Study(space, out, direction="maximize").trials()]
    assert states == ["FAIL", "WAITING"]
