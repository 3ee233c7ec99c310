"""The training loop: keeping the best, stopping, resuming to the bit, being interrupted."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.data import Splits
from thalweg.errors import CheckpointError, ConfigError, OutOfRangeError, ThalwegError
from thalweg.nn import functional as F
from thalweg.train import Progress, RunFolder, Trainer, Watcher


def some_splits(seed: int = 0, n: int = 120, features: int = 4) -> Splits:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)).astype(np.float32)
    y = (x[:, 0] + 0.5 * x[:, 1] > 0).astype(np.int64)
    return Splits.from_arrays(x, y, dev=24, test=24, classes=("no", "yes"))


def some_trainer(seed: int = 0, dropout: float = 0.2, **options: Any) -> Trainer:
    tw.manual_seed(seed)
    model = tw.nn.Sequential(
        tw.nn.Linear(4, 8), tw.nn.Tanh(), tw.nn.Dropout(dropout), tw.nn.Linear(8, 2)
    )
    optimizer = tw.optim.Adam(model.parameters(), lr=0.02)
    schedule = tw.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=2)
    return Trainer(
        model, F.cross_entropy, optimizer, **{"batch_size": 16, "schedule": schedule, **options}
    )


def bits(model: tw.nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


class StopAfter(Watcher):
    """Presses Ctrl-C after so many chunks."""

    def __init__(self, chunks: int) -> None:
        self.left = chunks

    def on_chunk(self, progress: Progress, steps: int) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def one_step_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thalweg.train.loop._CHUNK_SECONDS", -1.0)


def test_it_learns_and_reports_every_epoch() -> None:
    trainer = some_trainer()
    result = trainer.fit(some_splits(), epochs=15)
    assert result.status == "finished"
    assert [row["epoch"] for row in result.history] == list(range(1, 16))
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert {"loss", "train_accuracy", "dev_loss", "dev_accuracy", "lr", "seconds", "best"} <= set(
        result.history[0]
    )
    assert result.test is not None
    assert result.test["accuracy"] > 0.8


def test_the_best_parameters_are_put_back() -> None:
    splits = some_splits()
    trainer = some_trainer()
    result = trainer.fit(splits, epochs=12)
    best = max(row["dev_accuracy"] for row in result.history)
    assert trainer.evaluate(splits.dev, tw.train.Accuracy())["accuracy"] == best
    first = next(row["epoch"] for row in result.history if row["dev_accuracy"] == best)
    assert result.best == first


def test_the_mean_loss_is_over_examples_not_batches() -> None:
    splits = some_splits(n=90)  # 42 training examples: batches of 16, 16, 10
    trainer = some_trainer(dropout=0.0)
    trainer.optimizer.param_groups[0]["lr"] = 1e-30
    row = trainer.fit(splits, epochs=1).history[0]
    whole = trainer.evaluate(splits.train, tw.train.Accuracy())
    assert row["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert row["train_accuracy"] == pytest.approx(whole["accuracy"])


def test_the_same_seed_gives_the_same_bits() -> None:
    runs = []
    for _ in range(2):
        trainer = some_trainer(seed=3)
        trainer.fit(some_splits(), epochs=3)
        runs.append(bits(trainer.model))
    assert runs[0] == runs[1]


def test_early_stopping() -> None:
    trainer = some_trainer(patience=2)
    trainer.optimizer.param_groups[0]["lr"] = 1e-30
    result = trainer.fit(some_splits(), epochs=50)
    assert result.status == "stopped early"
    assert len(result.history) == result.best + 2


def test_accumulation_equals_the_larger_batch() -> None:
    weights = []
    for batch_size, accumulate in ((32, 1), (16, 2)):
        tw.manual_seed(1)
        model = tw.nn.Sequential(tw.nn.Linear(4, 2)).double()
        trainer = Trainer(
            model,
            lambda out, y: F.cross_entropy(out, y),
            tw.optim.SGD(model.parameters(), lr=0.1),
            batch_size=batch_size,
            accumulate=accumulate,
        )
        splits = some_splits(n=112)  # 64 training examples
        doubled = [
            tw.data.Split(part.x.double(), part.y, part.name)
            for part in (splits.train, splits.dev, splits.test)
        ]
        trainer.fit(Splits(*doubled, splits.encoding), epochs=1)
        weights.append(model.state_dict()["0.weight"].numpy())
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, {16: 1, 8: 1}),
        ({"batch_size": 24}, {24: 1}),
        ({"batch_size": 500}, {72: 1}),
        # the first gradient, one more, and the update, which the smaller batch makes too
        ({"accumulate": 3}, {16: 3, 8: 1}),
    ],
)
def test_every_batch_of_a_compiled_training_runs_natively(
    options: dict[str, Any], sizes: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from thalweg.train.steps import Steps

    traced: list[int] = []
    real = Steps._forward

    def forward(self: Steps, parts: Any) -> Any:
        traced.append(len(parts[0]))
        return real(self, parts)

    monkeypatch.setattr(Steps, "_forward", forward)
    result = some_trainer(**options).fit(some_splits(), epochs=3)  # 72 examples an epoch
    assert {size: traced.count(size) for size in set(traced)} == sizes
    eager = some_trainer(**options, compile=False).fit(some_splits(), epochs=3)
    losses = [[row["loss"] for row in each.history] for each in (result, eager)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_bits_are_the_same_on_any_number_of_threads(accumulate: int) -> None:
    before, found = tw.get_num_threads(), []
    splits = some_splits(n=3000, features=64)  # wide enough for two
    try:
        for threads in (1, 2, 3):
            tw.set_num_threads(threads)
            tw.manual_seed(0)
            model = tw.nn.Sequential(tw.nn.Linear(64, 256), tw.nn.ReLU(), tw.nn.Linear(256, 2))
            optimizer = tw.optim.Adam(model.parameters())
            trainer = Trainer(
                model, F.cross_entropy, optimizer, batch_size=500, accumulate=accumulate
            )
            trainer.fit(splits, epochs=1)  # 2952 examples: the last batch has 452
            found.append(bits(model))
    finally:
        tw.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_several_evaluations_an_epoch_keep_the_best_of_them() -> None:
    seen = []

    class Count(Trainer):
        def evaluate(self, split: Any, measures: Any) -> dict[str, float]:
            seen.append(split.name)
            return super().evaluate(split, measures)

    plain = some_trainer()
    schedule = plain.schedules
    trainer = Count(plain.model, plain.loss, plain.optimizer, schedule=schedule, batch_size=16)
    trainer.fit(some_splits(), epochs=2, evaluations=3)
    assert seen.count("dev") == 6
    assert seen.count("test") == 1


def test_regression_measures_and_scheduling() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    y = (x @ [1.0, -2.0, 0.5]).astype(np.float32)
    splits = Splits.from_arrays(x, y)
    model = tw.nn.Linear(3, 1)
    trainer = Trainer(model, F.mse_loss, tw.optim.SGD(model.parameters(), lr=0.1), batch_size=8)
    result = trainer.fit(splits, epochs=20)
    assert result.test is not None
    assert result.test["rmse"] < 0.01
    assert result.test["r2"] > 0.999


def test_a_diverging_run_says_so_and_keeps_the_best() -> None:
    trainer = some_trainer()

    def exploding(outputs: tw.Tensor, targets: tw.Tensor) -> tw.Tensor:
        loss = F.cross_entropy(outputs, targets)
        return loss * math.nan if trainer_is_late() else loss

    calls = iter(range(10**6))

    def trainer_is_late() -> bool:
        return next(calls) > 20

    trainer.loss, trainer.compile = exploding, False  # a Python counter cannot be traced
    result = trainer.fit(some_splits(), epochs=10)
    assert result.status == "diverged"
    assert result.best >= 1
    assert all(np.isfinite(v.numpy()).all() for v in trainer.model.state_dict().values())


def test_ctrl_c_keeps_a_checkpoint_and_resume_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = some_trainer()
    expected = whole.fit(some_splits(), epochs=6)
    one_step_chunks(monkeypatch)
    for chunks in (1, 3, 5, 13):  # within the first epoch, at its end, within a later one
        folder = tmp_path / str(chunks)
        broken = some_trainer().fit(some_splits(), epochs=6, run=folder, watcher=StopAfter(chunks))
        assert broken.status == "interrupted"
        trainer = some_trainer(seed=99)  # nothing of its own survives
        result = trainer.fit(some_splits(), epochs=6, run=folder, resume=True)
        assert result.status == "finished"
        assert bits(trainer.model) == bits(whole.model)
        assert result.test == expected.test
        timeless = [{**row, "seconds": 0} for row in result.history]
        assert timeless == [{**row, "seconds": 0} for row in expected.history]


def test_interrupted_accumulation_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = some_trainer(accumulate=3)
    whole.fit(some_splits(), epochs=2)
    one_step_chunks(monkeypatch)
    some_trainer(accumulate=3).fit(
        some_splits(), epochs=2, run=tmp_path / "run", watcher=StopAfter(2)
    )
    trainer = some_trainer(accumulate=3)
    trainer.fit(some_splits(), epochs=2, run=tmp_path / "run", resume=True)
    assert bits(trainer.model) == bits(whole.model)


def test_a_run_folder_holds_what_it_should(tmp_path: Path) -> None:
    result = some_trainer().fit(some_splits(), epochs=3, run=tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "config.toml",
        "metrics.jsonl",
        "best.safetensors",
        "last.safetensors",
        "last.json",
        "report.html",
    } <= names
    run = RunFolder.open(tmp_path / "run")
    assert run.read_metrics() == result.history


def test_more_epochs_for_a_finished_run(tmp_path: Path) -> None:
    whole = some_trainer()
    whole.fit(some_splits(), epochs=5)
    some_trainer().fit(some_splits(), epochs=2, run=tmp_path / "run")
    trainer = some_trainer()
    result = trainer.fit(some_splits(), epochs=5, run=tmp_path / "run", resume=True)
    assert len(result.history) == 5
    assert bits(trainer.model) == bits(whole.model)


def test_resume_without_a_schedule_is_refused(tmp_path: Path) -> None:
    some_trainer().fit(some_splits(), epochs=1, run=tmp_path / "run")
    trainer = some_trainer()
    trainer.schedules.clear()
    with pytest.raises(CheckpointError, match="schedule"):
        trainer.fit(some_splits(), epochs=2, run=tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"accumulate": 0}, "accumulate=0; expected a whole number, 1 or more"),
        ({"accumulate": 0.5}, "accumulate=0.5"),
        ({"patience": 0}, "patience=0"),
        ({"batch_size": "8"}, "batch_size='8'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ThalwegError, match=said):
        some_trainer(**options)


def test_what_would_train_nothing_is_refused() -> None:
    model, other = tw.nn.Linear(4, 2), tw.nn.Linear(4, 2)
    with pytest.raises(ConfigError, match="none of the model's parameters"):
        Trainer(model, F.cross_entropy, tw.optim.SGD(other.parameters()))
    with pytest.raises(ConfigError, match="model is a int; expected a Module"):
        Trainer(3, F.cross_entropy, tw.optim.SGD(model.parameters()))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"optimizer is a str; expected one of thalweg\.optim"):
        Trainer(model, F.cross_entropy, "adam")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="loss is a NoneType"):
        Trainer(model, None, tw.optim.SGD(model.parameters()))  # type: ignore[arg-type]


@pytest.mark.parametrize("compile", [True, False])
def test_a_label_without_an_output_is_named(compile: bool) -> None:
    model = tw.nn.Linear(4, 1)
    trainer = Trainer(model, F.cross_entropy, tw.optim.SGD(model.parameters()), compile=compile)
    with pytest.raises(OutOfRangeError, match="cross_entropy: label 1 at .*: there are 1 classes"):
        trainer.fit(some_splits(), 1)


def test_wrong_epochs_and_resume_without_a_folder() -> None:
    with pytest.raises(ConfigError, match="epochs=0"):
        some_trainer().fit(some_splits(), epochs=0)
    with pytest.raises(ConfigError, match="run=FOLDER"):
        some_trainer().fit(some_splits(), epochs=1, resume=True)


def test_a_diverged_run_names_the_operation_that_made_the_first_bad_value() -> None:
    tw.manual_seed(0)
    model = tw.nn.Sequential(tw.nn.Linear(4, 8), tw.nn.ReLU(), tw.nn.Linear(8, 2))
    optimizer = tw.optim.SGD(model.parameters(), lr=1e30)
    result = Trainer(model, F.cross_entropy, optimizer).fit(some_splits(), epochs=5)
    assert result.status == "diverged"
    assert result.diagnosis is not None
    assert "made" in result.diagnosis
    assert "infinity" in result.diagnosis


class _Trap(tw.nn.Module):
    """Its derivative is NaN where a unit is 0, its outputs are numbers, also of NaN parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tw.nn.Linear(4, 2)

    def forward(self, x: tw.Tensor) -> tw.Tensor:
        z = self.inner(x).relu()
        return tw.where(z > 0, z.sqrt() * z.log(), 0.0)


@pytest.mark.parametrize("compile", [True, False])
def test_parameters_that_become_nan_end_a_run_whose_loss_is_a_number(compile: bool) -> None:
    tw.manual_seed(0)
    model = _Trap()
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, F.cross_entropy, optimizer, compile=compile)
    result = trainer.fit(some_splits(), epochs=5)
    assert result.status == "diverged"
    assert "log made" in str(result.diagnosis)
    assert __file__ in str(result.diagnosis)
