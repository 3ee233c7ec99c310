"""The measuring itself: turns, limits, the requirement tree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from benchmarks.cases import CLASSIFIERS
from benchmarks.chains import CHAINS, measure
from benchmarks.footprint import megabytes, requirement_tree
from benchmarks.report import Row, table, write_json
from benchmarks.timing import Timing, interleaved
from benchmarks.training import in_thalweg
from benchmarks.training.known import GPT, ResNet
from benchmarks.training.suite import Process, check_losses
from benchmarks.training.works import WORKS, Work, data, windows


def test_turns_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.timing.SETTLE", 0)
    order: list[str] = []
    interleaved([lambda: order.append("a"), lambda: order.append("b")], rounds=2, seconds=0)
    turns = [x for x, before in zip(order, [None, *order], strict=False) if x != before]
    assert turns == ["a", "b", "a"]  # the second round starts with b, which had the last turn


def test_timings_stay_with_their_function() -> None:
    slow, fast = interleaved([lambda: sum(range(20_000)), lambda: None], rounds=1, seconds=0.01)
    assert slow.best > fast.best


@pytest.mark.parametrize("name", CHAINS)
def test_chains_are_one_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the small ones, that add up the parts of sums over rows and the like."""
    monkeypatch.setattr("benchmarks.timing.SETTLE", 0)
    chain = CHAINS[name]
    assert measure(chain, rows=256, columns=512, seconds=0).kernels == chain.kernels


def test_best_and_median() -> None:
    timing = Timing([3.0, 1.0, 2.0])
    assert (timing.best, timing.median) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("row", "missed"),
    [
        (Row("step", "us", thalweg=13.0, torch=10.0, limit=1.3), False),
        (Row("step", "us", thalweg=14.0, torch=10.0, limit=1.3), True),
        (Row("step", "us", thalweg=14.0, torch=10.0), False),
        (Row("step", "us", torch=10.0, limit=1.3), True),
        (Row("import", "ms", thalweg=59.0, torch=700.0, limit=60, limited="thalweg"), False),
        (Row("import", "ms", thalweg=61.0, torch=700.0, limit=60, limited="thalweg"), True),
    ],
)
def test_limits(row: Row, missed: bool) -> None:
    assert row.missed is missed
    assert ("MISSED" in table([row])) is missed


def test_results_carry_ratios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.report.LIBRARIES", ("numpy",))
    write_json([Row("step", "us", 1, thalweg=3.0, torch=2.0)], tmp_path / "results.json")
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert (row["what"], row["ratio"]) == ("step", 1.5)


def test_flop_of_a_step() -> None:
    # forward and weight gradient of both layers, input gradient of the second only
    assert CLASSIFIERS[0].flop == 2 * 32 * (2 * (784 * 30 + 30 * 10) + 30 * 10)


def test_footprint_follows_requirements() -> None:
    assert {"numpy", "safetensors", "rich", "pygments", "cyclopts"} <= requirement_tree("thalweg")
    assert "pytest" not in requirement_tree("thalweg")
    assert megabytes("thalweg") > megabytes("numpy") > 10


# -- trainings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "missed"),
    [
        (Row("epoch", "ms", thalweg=5.0, jax=10.0, jax_limit=0.5), False),
        (Row("epoch", "ms", thalweg=6.0, jax=10.0, jax_limit=0.5), True),
        (Row("epoch", "ms", thalweg=6.0, torch=60.0, limit=0.15, jax=10.0, jax_limit=0.5), True),
    ],
)
def test_limits_beside_jax(row: Row, missed: bool) -> None:
    assert row.missed is missed


def test_flop_of_a_training_step() -> None:
    first, *_, convolutions, _, gpt, resnet, lstm = WORKS
    assert first.flop == 2 * 32 * (2 * 784 * 30 + 3 * 30 * 10)
    assert convolutions.flop == pytest.approx(44e9, rel=0.02)  # 78 ms at 564 GFLOP/s
    assert gpt.flop == 6 * 32 * 64 * (4 * (12 * 128**2 + 2 * 64 * 128) + 65 * 128)
    assert resnet.flop == pytest.approx(16 * 3 * 2 * 149e6, rel=0.05)
    assert lstm.flop == 64 * (128 * 5 * 2 * 256 * 1024 + 6 * 256 * 10)


def test_an_epoch_sees_each_example_at_most_once() -> None:
    rows = WORKS[1].rows(np.random.default_rng(0))
    assert rows.shape == (937, 64)
    assert len(np.unique(rows)) == rows.size


@pytest.mark.parametrize("work", WORKS[:1], ids=str)
def test_thalweg_trains_what_is_asked(work: Work) -> None:
    small = replace(work, examples=4 * work.batch, steps=4)
    losses = in_thalweg.build(small, *data(small), "")(small.rows(np.random.default_rng(0)))
    assert losses.shape == (4,)
    assert np.isfinite(losses).all()
    assert small.network.parameters()["0.weight"].shape == (30, 784)


@pytest.mark.parametrize(
    "network", [GPT(5, 7, 1, 2, 8), ResNet((3, 32, 32), (1, 1, 1, 1), 4)], ids=str
)
def test_known_networks_begin_alike(network: GPT | ResNet) -> None:
    model, begun = network.module(tw), network.parameters()
    named = dict(model.named_parameters(remove_duplicate=False))
    assert {name: tuple(p.shape) for name, p in named.items()} == {
        name: x.shape for name, x in begun.items()
    }


def test_a_text_in_windows() -> None:
    x, y = windows(np.arange(50), 6, 8)
    assert x.shape == y.shape == (6, 8)
    assert (x[:, 1:] == y[:, :-1]).all()
    assert (y == x + 1).all()


def test_frameworks_must_agree() -> None:
    check_losses("work", {("thalweg", ""): [2.3, 2.2], ("jax", ""): [2.3001, 2.2]})
    with pytest.raises(RuntimeError, match="jax"):
        check_losses("work", {("thalweg", ""): [2.3, 2.2], ("jax", ""): [2.3, 2.1]})


def test_a_worker_answers_or_says_why_not() -> None:
    with Process("thalweg", 1) as process:
        assert process.ask("call") > 0
        with pytest.raises(RuntimeError, match="StopIteration"):
            process.ask("build", work="no such work", variant="")
        assert len(process.ask("roof", threads=1)) == 2
