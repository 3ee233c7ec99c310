"""The measuring itself: turns, limits, the requirement tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cases import CLASSIFIERS
from benchmarks.footprint import megabytes, requirement_tree
from benchmarks.report import Row, table, write_json
from benchmarks.timing import Timing, interleaved


def test_turns_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.timing.SETTLE", 0)
    order: list[str] = []
    interleaved([lambda: order.append("a"), lambda: order.append("b")], rounds=2, seconds=0)
    turns = [x for x, before in zip(order, [None, *order], strict=False) if x != before]
    assert turns == ["a", "b", "a"]  # the second round starts with b, which had the last turn


def test_timings_stay_with_their_function() -> None:
    slow, fast = interleaved([lambda: sum(range(20_000)), lambda: None], rounds=1, seconds=0.01)
    assert slow.best > fast.best


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
