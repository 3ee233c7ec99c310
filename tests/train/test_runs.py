"""Run folders: what goes in comes out, what is damaged is named, what was good stays."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import CheckpointError, ConfigError
from thalweg.interop.safetensors import load_file_with_metadata, save_file
from thalweg.train.checkpoint import read_checkpoint
from thalweg.train.runs import RunFolder

MODEL = {"0.weight": tw.arange(6.0).reshape(2, 3), "0.bias": tw.zeros(2).half()}
TRAINING: dict[str, Any] = {
    "epoch": 4,
    "step": 17,
    "optimizer": {
        "state": {0: {"step": tw.tensor(9), "exp_avg": tw.ones(2, 3)}, 1: {}},
        "param_groups": [{"lr": tw.tensor(0.1, dtype=tw.float64), "betas": (0.9, 0.999)}],
    },
    "generator": tw.tensor([1, 2**62]),
    "history": [{"epoch": 1, "loss": math.nan, "lr": 0.1 + 0.2}],
    "best": -math.inf,
    "schedule": None,
}


def listed(value: Any) -> Any:
    """Nested state with tensors as dtype and list, to compare."""
    if isinstance(value, tw.Tensor):
        return repr(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: listed(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(listed, value))
    return repr(value)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"}


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """A run with two checkpoints, of epochs 3 and 4, and best parameters of epoch 2."""
    with RunFolder.create(tmp_path / "runs" / "first", {"lr": 0.5, "hidden": [30, 30]}) as run:
        run.save_best(MODEL, {"epoch": 2, "score": 0.9})
        run.save_last(MODEL, {**TRAINING, "epoch": 3})
        run.save_last(MODEL, TRAINING)
        yield run


# -- in and out ------------------------------------------------------------------------------------


def test_last(run: RunFolder) -> None:
    model, training = RunFolder.open(run.path).load_last()
    assert listed(model) == listed(MODEL)
    assert listed(training) == listed(TRAINING)
    assert list(training) == list(TRAINING)


def test_best(run: RunFolder) -> None:
    model, info = RunFolder.open(run.path).load_best()
    assert listed(model) == listed(MODEL)
    assert info == {"epoch": 2, "score": 0.9}


def test_best_is_a_safetensors_file_with_the_models_names(run: RunFolder) -> None:
    tensors, metadata = load_file_with_metadata(run.path / "best.safetensors")
    assert list(tensors) == list(MODEL)
    assert metadata["format"] == "pt"


def test_what_lies_in_the_folder(run: RunFolder) -> None:
    run.write_metrics([])
    run.write_result({"accuracy": 0.5}, "finished")
    assert names(run.path) == {
        "config.toml",
        "metrics.jsonl",
        "best.safetensors",
        "last.safetensors",
        "previous.safetensors",
        "last.json",
        "result.json",
        "report.html",
    }


def test_config(run: RunFolder) -> None:
    assert run.config == {"lr": 0.5, "hidden": [30, 30]}
    assert (run.path / "config.toml").read_text().startswith("# A run of Thalweg")


def test_an_encoding_that_was_not_kept(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match=r"config\.toml: does not say what inputs"):
        _ = run.encoding


def test_metrics(run: RunFolder) -> None:
    rows = [{"epoch": 1, "loss": 0.1 + 0.2, "best": True}, {"epoch": 2, "loss": math.inf}]
    rows.append({"epoch": 3, "loss": -math.inf, "note": None})
    assert run.read_metrics() == []
    run.write_metrics(rows)
    assert run.read_metrics() == rows
    run.write_metrics([{"loss": math.nan}])
    assert math.isnan(run.read_metrics()[0]["loss"])
    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_damaged_metrics_are_named_by_line(run: RunFolder) -> None:
    (run.path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch"\n')
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: line 2: not JSON"):
        run.read_metrics()
    (run.path / "metrics.jsonl").write_text("[1]\n")
    with pytest.raises(CheckpointError, match=r"line 1: expected a JSON object, got \[1\]"):
        run.read_metrics()


def test_metrics_that_are_not_plain(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="cannot be written as JSON: .*Tensor"):
        run.write_metrics([{"loss": tw.tensor(1.0)}])


def test_result(run: RunFolder) -> None:
    assert run.read_result() == {}
    run.write_result({"accuracy": 0.5, "loss": math.inf}, "finished", parameters=20)
    test = {"accuracy": 0.5, "loss": math.inf}
    assert run.read_result() == {"status": "finished", "test": test, "parameters": 20}
    run.write_result(None, "interrupted")
    assert run.read_result() == {"status": "interrupted", "test": None}


def test_sidecar_is_readable_and_not_trusted(run: RunFolder) -> None:
    sidecar = json.loads((run.path / "last.json").read_text())
    assert sidecar["epoch"] == 4
    assert sidecar["generator"] == "<int64, 2: training/generator>"
    (run.path / "last.json").write_text("nonsense")
    assert run.load_last()[1]["epoch"] == 4
    (run.path / "last.json").unlink()
    assert run.load_last()[1]["epoch"] == 4


def test_the_former_checkpoint_is_kept(run: RunFolder) -> None:
    (run.path / "last.safetensors").unlink()
    assert run.has_checkpoint
    assert run.load_last()[1]["epoch"] == 3  # as after a kill where there are no hard links


def test_model_names_that_clash(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="the model's 'training/w' begins with 'training/'"):
        run.save_last({"training/w": tw.ones(1)}, {})


def test_state_that_cannot_be_saved_leaves_the_checkpoint(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="training/rate: a builtins.complex cannot be saved"):
        run.save_last(MODEL, {"rate": 1j})
    assert run.load_last()[1]["epoch"] == 4


# -- begin, go on, open ----------------------------------------------------------------------------


def test_a_run_is_not_overwritten(run: RunFolder) -> None:
    run.close()
    message = r"first: holds a run already \(config\.toml, best\.safetensors, .*--resume.*--out"
    with pytest.raises(CheckpointError, match=message):
        RunFolder.create(run.path, {"lr": 1})
    assert run.config["lr"] == 0.5
    assert run.load_last()[1]["epoch"] == 4


def test_resume_lays_the_options_over(run: RunFolder) -> None:
    run.close()
    with RunFolder.create(run.path, {"epochs": 9}, resume=True) as again:
        assert again.config == {"lr": 0.5, "hidden": [30, 30], "epochs": 9}
        assert again.load_last()[1]["epoch"] == 4


@pytest.mark.parametrize("left", [None, (), (".lock",), (".config.toml.0badcafe.thalweg-tmp",)])
def test_resume_of_nothing_begins(tmp_path: Path, left: tuple[str, ...] | None) -> None:
    """No folder, an empty one, and what a kill may leave before the options were there."""
    path = tmp_path / "run"
    if left is not None:
        path.mkdir()
    for name in left or ():
        (path / name).touch()
    assert not RunFolder.is_run(path)
    with RunFolder.create(path, {"lr": 1}, resume=True) as run:
        assert not run.has_checkpoint
        assert not run.has_best
        assert names(path) == {"config.toml"}
        assert RunFolder.is_run(path)


def test_resume_of_a_run_without_checkpoint_begins(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {"lr": 1}).close()
    with RunFolder.create(tmp_path / "run", {"lr": 2}, resume=True) as run:
        assert run.config == {"lr": 2}
        with pytest.raises(CheckpointError, match="nothing was saved yet"):
            run.load_last()
        with pytest.raises(CheckpointError, match="holds no parameters yet"):
            run.load_best()


@pytest.mark.parametrize("resume", [False, True])
def test_somebody_elses_config_is_not_touched(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "config.toml").write_text("mine = true\n")
    with pytest.raises(CheckpointError, match="--out"):
        RunFolder.create(tmp_path, {"lr": 1}, resume=resume)
    assert (tmp_path / "config.toml").read_text() == "mine = true\n"
    assert names(tmp_path) == {"config.toml"}
    assert not RunFolder.is_run(tmp_path)


def test_options_that_toml_cannot_hold_make_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="optimizer = "):
        RunFolder.create(tmp_path / "run", {"optimizer": object()})
    assert names(tmp_path) == set()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file: no folder can be made there: it is a file"):
        RunFolder.create(tmp_path / "file", {})
    with pytest.raises(CheckpointError, match="no folder can be made there"):
        RunFolder.create(tmp_path / "file" / "run", {})
    with pytest.raises(CheckpointError, match="is a file; expected the folder of a run"):
        RunFolder.open(tmp_path / "file")


def test_open_of_what_is_no_run(run: RunFolder) -> None:
    runs = run.path.parent
    with pytest.raises(CheckpointError, match=r"no such run\. Runs in .*: did you mean 'first'\?"):
        RunFolder.open(runs / "frist")
    with pytest.raises(
        CheckpointError, match=r"config\.toml, best.* not there\. There are runs in it: first$"
    ):
        RunFolder.open(runs)


def test_damaged_config(run: RunFolder) -> None:
    (run.path / "config.toml").write_text("lr = = 1")
    with pytest.raises(CheckpointError, match=r"config\.toml: cannot be read: .*line 1"):
        _ = run.config


def test_name_and_repr(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path)
    assert RunFolder(".").name == "first"
    assert repr(RunFolder("a")) == "RunFolder('a')"


# -- damage ----------------------------------------------------------------------------------------


def test_every_flipped_byte_is_noticed(run: RunFolder) -> None:
    """In header and data alike: nothing else is ever trained on."""
    path = run.path / "last.safetensors"
    content = path.read_bytes()
    expected = listed(read_checkpoint(path, "last"))
    padding = unnoticed = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        padding += content[place] == ord(" ")
        try:
            assert listed(read_checkpoint(path, "last")) == expected
            unnoticed += 1
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017 -- the other outcome is fine as well
    assert unnoticed <= padding


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_cut_checkpoint_names_the_good_one(run: RunFolder, keep: float) -> None:
    path = run.path / "last.safetensors"
    os.truncate(path, int(keep * path.stat().st_size))
    with pytest.raises(CheckpointError) as caught:
        run.load_last()
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "previous.safetensors (epoch 3) is whole: to go on from it, rename it to " in message
    os.replace(run.path / "previous.safetensors", path)  # as the message says
    assert run.load_last()[1]["epoch"] == 3


def test_when_only_the_best_is_whole(run: RunFolder) -> None:
    for name in ("last.safetensors", "previous.safetensors"):
        (run.path / name).write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(CheckpointError, match=r"zip archive.*best\.safetensors \(epoch 2\) is who"):
        run.load_last()
    flip(run.path / "best.safetensors", -1)
    with pytest.raises(CheckpointError, match="No other checkpoint here is whole: begin anew"):
        run.load_last()


def test_damaged_best_names_what_is_whole(run: RunFolder) -> None:
    flip(run.path / "best.safetensors", -1)
    with pytest.raises(CheckpointError, match=r"best.*checksum.*last\.safetensors \(epoch 4\) is"):
        run.load_best()


def test_epoch_within_progress_is_named_too(run: RunFolder) -> None:
    run.save_last(MODEL, {"progress": {"epoch": 7}})
    run.save_last(MODEL, {})
    flip(run.path / "last.safetensors", -1)
    with pytest.raises(CheckpointError, match=r"previous\.safetensors \(epoch 7\)"):
        run.load_last()


def test_a_foreign_safetensors_file(run: RunFolder) -> None:
    save_file(MODEL, run.path / "last.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="a safetensors file, but no checkpoint of a run"):
        run.load_last()


def test_a_renamed_checkpoint(run: RunFolder) -> None:
    os.replace(run.path / "best.safetensors", run.path / "last.safetensors")
    with pytest.raises(CheckpointError, match="a checkpoint of kind 'best', expected 'last'"):
        run.load_last()


def test_another_version(run: RunFolder) -> None:
    path = run.path / "last.safetensors"
    tensors, metadata = load_file_with_metadata(path)
    save_file(tensors, path, {**metadata, "thalweg.version": "2"})
    with pytest.raises(CheckpointError, match="of version '2'; this Thalweg reads version '1'"):
        run.load_last()


# -- full disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "replace"])
def test_no_room_at_any_call(run: RunFolder, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whichever call of a save fails, a whole checkpoint stays, and saving works again later."""
    real = getattr(os, call)
    for works in range(100):
        left = iter([True] * works)

        def limited(*arguments: Any, left: Iterator[bool] = left, **keywords: Any) -> Any:
            if next(left, False):
                return real(*arguments, **keywords)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, limited)
            try:
                run.save_last(MODEL, {**TRAINING, "epoch": 5})
            except CheckpointError as error:
                assert "no space left on device" in str(error).lower()  # noqa: PT017
                failed = True
            else:
                failed = False
        assert run.load_last()[1]["epoch"] in (4, 5)
        assert not [name for name in names(run.path) if name.endswith("-tmp")]
        if not failed:
            break
        run.save_last(MODEL, TRAINING)
    assert 0 < works < 100


# -- one writer ------------------------------------------------------------------------------------


def test_two_writers_in_one_process(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="this process trains into it already"):
        RunFolder.create(run.path, {}, resume=True)
    other = RunFolder.open(run.path)
    assert other.load_last()[1]["epoch"] == 4  # reading needs no lock
    with pytest.raises(CheckpointError, match="this process trains into it already"):
        other.save_last(MODEL, {})
    run.close()
    other.write_metrics([])
    other.close()


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {})
    del run
    RunFolder.create(tmp_path / "run", {}, resume=True).close()


def test_two_processes(run: RunFolder) -> None:
    script = (
        "import sys; from thalweg.train.runs import RunFolder\n"
        "RunFolder.create(sys.argv[1], {}, resume=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(run.path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert f"CheckpointError: {run.path}: process {os.getpid()} trains into it" in done.stderr


def test_another_owner_is_named(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("4711\n")
    with (tmp_path / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CheckpointError, match="process 4711 trains into it. Wait for it or"):
            RunFolder.create(tmp_path, {})
        (tmp_path / ".lock").write_text("")
        with pytest.raises(CheckpointError, match="another process trains into it"):
            RunFolder.create(tmp_path, {})


def test_file_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="cannot be locked here .*: take care yourself"):
        RunFolder.create(tmp_path / "run", {}).close()


def test_a_folder_that_cannot_be_written(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*arguments: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    run.close()
    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(CheckpointError, match="cannot be written into: Read-only file system"):
        run.save_last(MODEL, {})
    assert RunFolder.open(run.path).load_last()[1]["epoch"] == 4


def test_leftovers_go_when_the_next_writer_comes(run: RunFolder) -> None:
    left = run.path / ".last.safetensors.0badcafe.thalweg-tmp"
    left.touch()
    RunFolder.open(run.path).load_last()
    assert left.exists()  # a reader clears nothing: it may be another's file in the making
    run.close()
    run.write_metrics([])
    assert not left.exists()
