"""The command line as a person meets it: a run, a wrong flag, a wrong name, an interrupted run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thalweg as tw

QUICK = ("--epochs", "2", "--hidden", "12")


def thalweg(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thalweg", *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the digits."""
    folder = tmp_path_factory.mktemp("cli")
    done = thalweg("train", *QUICK, "--out", "run", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file whose price follows from age and fuel."""
    path = tmp_path_factory.mktemp("table") / "cars.csv"
    rng = np.random.default_rng(0)
    rows = ["age,fuel,price"]
    for _ in range(300):
        age, fuel = int(rng.integers(0, 20)), rng.choice(["petrol", "diesel"])
        price = 20_000 - 700 * age + (1500 if fuel == "diesel" else 0) + rng.normal(0, 100)
        rows.append(f"{age},{fuel},{price:.2f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_run_shows_its_epochs_its_test_and_pictures(tmp_path: Path) -> None:
    done = thalweg("train", *QUICK, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "64-12-10 network, sigmoid, 910 parameters" in done.stdout
    assert re.search(r"1/2 +\d\.\d{4} +\d+\.\d\d % +\d+\.\d\d % +[\d.]+ +\d+\.\d+ m?s", done.stdout)
    assert re.search(r"Test accuracy \d+\.\d\d % \(\d+ of 360 right\)", done.stdout)
    assert "Right:" in done.stdout
    assert "Wrong:" in done.stdout
    assert " is " in done.stdout
    assert {p.name for p in (tmp_path / "runs" / "digits-1").iterdir()} >= {
        "config.toml", "metrics.jsonl", "best.safetensors", "last.safetensors", "last.json",
        "report.html",
    }  # fmt: skip


def test_every_run_gets_a_folder_of_its_own(run: Path) -> None:
    folder = run.parent / "again"
    folder.mkdir()
    for number in (1, 2):
        assert thalweg("train", *QUICK, folder=folder).returncode == 0
        assert (folder / "runs" / f"digits-{number}").is_dir()


def test_a_run_does_not_overwrite_another(run: Path) -> None:
    done = thalweg("train", *QUICK, "--out", str(run), folder=run.parent)
    assert done.returncode == 1
    assert "--resume" in done.stderr


def test_evaluate_repeats_the_test_result(run: Path) -> None:
    done = thalweg("evaluate", str(run), folder=run.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    assert f"accuracy {100 * result['test']['accuracy']:.2f} %" in done.stdout
    assert "predicted by column" in done.stdout


def test_predict_a_test_example_an_array_and_numbers(run: Path, tmp_path: Path) -> None:
    done = thalweg("predict", str(run), "test:3", folder=tmp_path)
    assert re.fullmatch(r"\d  \(\d+\.\d %\)\n", done.stdout), done.stderr
    np.save(tmp_path / "some.npy", np.zeros((2, 8, 8)))
    done = thalweg("predict", str(run), "some.npy", folder=tmp_path)
    assert len(done.stdout.splitlines()) == 2, done.stderr
    numbers = ",".join(["0"] * 64)
    assert thalweg("predict", str(run), numbers, folder=tmp_path).stdout.splitlines() == [
        done.stdout.splitlines()[0]
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("test:360", "test:0 to test:359"),
        ("1,2,3", r"\(64,\)"),
        ("1,two", "is no input"),
        ("none.npy", "no such file"),
    ],
)
def test_predict_names_what_is_wrong(run: Path, given: str, said: str) -> None:
    done = thalweg("predict", str(run), given, folder=run.parent)
    assert done.returncode == 1
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_picture_from_file_to_answer(tmp_path: Path) -> None:
    for name, value in (("day", 220), ("night", 30)):
        (tmp_path / "sky" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.full((5, 6, 3), value + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "sky" / name / f"{number}.png")
    done = thalweg("train", "sky", "--size", "4", "--epochs", "3", "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("day", "night"):
        done = thalweg("predict", "run", f"sky/{name}/3.png", folder=tmp_path)
        assert re.fullmatch(rf"{name}  \(\d+\.\d %\)\n", done.stdout), done.stderr


def test_a_run_of_a_program_of_its_own(tmp_path: Path) -> None:
    splits = tw.data.load("mnist1d")
    model = tw.nn.Linear(40, 10)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    trainer = tw.train.Trainer(model, tw.nn.CrossEntropyLoss(), optimizer, batch_size=100)
    trainer.fit(splits, epochs=1, run=tmp_path / "run")
    assert tw.train.RunFolder.open(tmp_path / "run").encoding == splits.encoding
    for command in (["evaluate", "run"], ["predict", "run", "test:0"], ["explain", "run"]):
        done = thalweg(*command, folder=tmp_path)
        assert done.returncode == 1
        assert "was not trained by thalweg train" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_table_from_file_to_answer(table: Path, tmp_path: Path) -> None:
    done = thalweg(
        "train", str(table), "--target", "price", "--hidden", "8", "--lr", "0.05", "--epochs", "20",
        "--activation", "tanh", "--out", "cars", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.search(r"Test of price: rmse ([\d.e+]+), mae [\d.e+]+, R\^2 (0\.9\d+)", done.stdout)
    assert found, done.stdout
    assert float(found[1]) < 500
    done = thalweg("predict", "cars", "age=5,fuel=diesel", folder=tmp_path)
    price = re.fullmatch(r"price ([\d.]+)\n", done.stdout)
    assert price, done.stderr
    assert float(price[1]) == pytest.approx(18_000, abs=500)
    assert "R^2" not in thalweg("evaluate", "cars", folder=tmp_path).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("train", "--hiden", "3"), 2, "--hidden"),
        (("trian",), 2, "train"),
        (("train", "--epochs", "many"), 2, "--epochs"),
        (("train", "mnst"), 1, "did you mean 'mnist'"),
        (("train", "--optimizer", "adamm"), 1, "did you mean 'adam'"),
        (("train", "--activation", "sigmoide"), 1, "did you mean 'sigmoid'"),
        (("train", "--schedule", "cosin"), 1, "did you mean 'cosine'"),
        (("train", "--lr", "-1"), 1, "lr = -1"),
        (("train", "--batch-size", "0"), 1, "batch_size = 0"),
        (("train", "--resume"), 1, "--out"),
        (("train", "none.csv", "--target", "x"), 1, "none.csv"),
        (("train", "--config", "none.toml"), 1, "none.toml"),
        (("evaluate", "nowhere"), 1, "nowhere"),
        (("predict", "nowhere", "1,2"), 1, "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = thalweg(*arguments, folder=tmp_path)
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists(), "nothing is made for a run that cannot begin"


def test_a_toml_file_and_flags_over_it(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("hidden = [9]\nepochs = 1\n", encoding="utf-8")
    done = thalweg("train", "--config", "run.toml", "--hidden", "7", folder=tmp_path)
    assert "64-7-10 network" in done.stdout, done.stderr
    assert "1/1" in done.stdout


def test_a_resumed_run_keeps_its_options(run: Path) -> None:
    done = thalweg("train", "--out", str(run), "--resume", "--lr", "0.25", folder=run.parent)
    assert done.returncode == 1
    assert "begun with" in done.stderr


def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thalweg", "train", "--epochs", "500", "--out", "run"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "3/500" in line:
            break
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    rest, errors = process.communicate(timeout=30)
    assert time.monotonic() - pressed < 10
    assert process.returncode == 130, errors
    assert "To go on: thalweg train --out run --resume" in rest
    done = thalweg("train", "--out", "run", "--resume", "--epochs", "8", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    epochs = [json.loads(row)["epoch"] for row in rows]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 8


def test_help_is_quick_and_loads_no_training() -> None:
    program = (
        "import sys, thalweg.cli\n"
        "try: thalweg.cli.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('thalweg.')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "train" in done.stdout
    for heavy in ("thalweg.nn", "thalweg.optim", "thalweg.data", "thalweg.train.trainer"):
        assert f"'{heavy}'" not in done.stderr


def test_explain_shows_the_kernels_of_a_step(run: Path) -> None:
    done = thalweg("explain", str(run), "--threads", "1", folder=run.parent)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "kernel", "loops", "MFLOP", "MB", "us", "share", "of", "roof", "thr", "lines",
    ]  # fmt: skip
    assert re.search(r"contraction\S* +10x12 sum 64 ", done.stdout)
    assert "trainer.optimizer.step()" in done.stdout
    assert "the roof: 1 thread: " in done.stdout
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("flag", "value", "loops"),
    [("--accumulate", "2", "10x12 sum 64"), ("--batch-size", "9999", "1257x12 sum 64")],
)
def test_explain_of_an_update_and_of_a_whole_set(
    flag: str, value: str, loops: str, tmp_path: Path
) -> None:
    done = thalweg("train", *QUICK, flag, value, "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = thalweg("explain", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert loops in done.stdout


def test_explain_says_what_it_cannot_show(tmp_path: Path) -> None:
    more = ("--optimizer", "line-search", "--out", "run")
    done = thalweg("train", *QUICK, *more, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = thalweg("explain", "run", folder=tmp_path)
    assert done.returncode == 1
    assert "line-search looks for each of its steps" in done.stderr


def test_bench_machine_measures_the_roof(tmp_path: Path) -> None:
    done = thalweg("bench", "machine", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert "of cache a core" in first
    assert re.match(r"1 thread: \d+ GFLOP/s of multiply-adds, \d+ GB/s copied", rest[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_full_disk_behind_the_output_is_said_in_a_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-u", "-m", "thalweg", "train", *QUICK],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
