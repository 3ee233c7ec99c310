from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.data import Encoding, Split, Splits, split
from thalweg.errors import ConfigError, DataError

# -- rows ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(10, 300), st.floats(0.1, 0.4), st.integers(1, 4), st.integers(0, 2**40))
def test_every_row_is_in_one_set(count: int, dev: float, test: int, seed: int) -> None:
    rows = split(count, dev, test, seed)
    assert [len(part) for part in rows[1:]] == [round(dev * count), test]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(count))
    assert all((np.diff(part) > 0).all() for part in rows)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=20, max_size=200), st.integers(0, 99))
def test_labels_are_drawn_in_proportion(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    _, dev, test = split(len(y), 0.2, 0.1, seed, labels=y)
    for label in range(4):
        share = (y == label).sum() / len(y)
        assert abs((y[test] == label).sum() - share * len(test)) < 1.01
        assert abs((y[dev] == label).sum() - share * len(dev)) < 2.01


def test_the_seed_decides() -> None:
    rows = [split(50, seed=seed)[1].tolist() for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize(
    ("count", "dev", "test", "message"),
    [
        (2, 0.1, 0.1, "2 rows split into 2 train, 0 dev, 0 test"),
        (10, 0.0, 0.1, "0 dev"),
        (10, 5, 5, "0 train, 5 dev, 5 test"),
        (10, 0.9, 0.9, "-8 train"),
    ],
)
def test_a_set_that_would_be_empty(count: int, dev: float, test: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(count, dev, test)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), -3])
def test_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ConfigError, match="dev="):
        split(10, dev=share)


# -- one set ---------------------------------------------------------------------------------------


def test_a_split_knows_its_length_and_prints_in_a_line() -> None:
    part = Split(tw.zeros(3, 2), tw.tensor([0, 1, 1]), "train")
    assert len(part) == 3
    assert "train" in repr(part)
    assert "\n" not in repr(part)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 2), np.float32), np.zeros(0, np.int64), "dev is empty"),
        (np.zeros((3, 2), np.float32), np.zeros(2, np.int64), "dev: 3 inputs but 2 targets"),
        (np.full((3, 2), np.nan, np.float32), np.zeros(3, np.int64), "dev: inputs: nan"),
        (np.zeros((3, 2), np.float32), np.full((3, 1), np.inf, np.float32), "dev: targets: inf"),
        (np.zeros((3, 2), np.float32), np.array([0, -1, 0]), "dev: negative labels: -1 at index 1"),
        (np.zeros((3, 2), np.float32), np.zeros(3, np.int32), "dev: .*expected labels of int64"),
    ],
)
def test_a_set_that_cannot_be_used(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(tw.from_numpy(x), tw.from_numpy(y), "dev")


# -- three sets ------------------------------------------------------------------------------------

TWO = Encoding("two", "classification", (2,), classes=("a", "b"))
SUM = Encoding("sum", "regression", (2,), target_names=("sum",))


def part(y: list[Any], width: int = 2) -> Split:
    return Split(tw.zeros(len(y), width), tw.tensor(y))


@pytest.mark.parametrize(
    ("encoding", "odd", "message"),
    [
        (TWO, part([0, 2]), r"labels out of range: 2 at index 1, 1 of 2; with 2 classes"),
        (TWO, part([0, 1], 3), r"shape \(3,\); expected \(2,\)"),
        (TWO, part([0.0, 1.0]), "labels of float32 in a classification; expected int64"),
        (SUM, part([0, 1]), r"targets of int64 \(2,\) in a regression; .*\(2, 1\)"),
        (SUM, part([0.0, 1.0]), r"targets of float32 \(2,\) in a regression; .*\(2, 1\)"),
    ],
)
def test_sets_that_do_not_fit(encoding: Encoding, odd: Split, message: str) -> None:
    good = part([0, 1]) if encoding is TWO else part([[0.0], [1.0]])
    with pytest.raises(DataError, match=message):
        Splits(good, good, odd, encoding)


# -- from arrays -----------------------------------------------------------------------------------


def test_labels_from_arrays() -> None:
    x = np.arange(60.0).reshape(30, 2)
    splits = Splits.from_arrays(x, np.arange(30) % 3, dev=0.2, test=3)
    assert (splits.task, splits.classes, splits.output_size) == (
        "classification",
        ("0", "1", "2"),
        3,
    )
    assert [len(p) for p in (splits.train, splits.dev, splits.test)] == [21, 6, 3]
    assert sorted(splits.test.y.tolist()) == [0, 1, 2]
    assert splits.train.x.dtype is tw.float32
    assert splits.train.y.dtype is tw.int64
    for p in (splits.train, splits.dev, splits.test):  # every input still has its own label
        assert ((p.x[:, 0] / 2).numpy() % 3 == p.y.numpy()).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int16, np.bool_])
def test_labels_of_any_integer_type(dtype: type) -> None:
    splits = Splits.from_arrays(np.zeros((30, 2)), (np.arange(30) % 2).astype(dtype))
    assert splits.train.y.dtype is tw.int64


def test_labels_as_texts() -> None:
    splits = Splits.from_arrays(np.zeros((30, 1)), ["red", "blue", "green"] * 10)
    assert splits.classes == ("blue", "green", "red")
    objects = np.array(["red", "blue"] * 15, dtype=object)
    assert Splits.from_arrays(np.zeros((30, 1)), objects).classes == ("blue", "red")


def test_numbers_from_arrays() -> None:
    x = np.arange(30.0)
    splits = Splits.from_arrays(x, 2 * x)
    assert (splits.task, splits.input_shape, splits.output_size) == ("regression", (1,), 1)
    assert splits.train.y.shape == (24, 1)
    assert (splits.train.y == 2 * splits.train.x).all()
    assert Splits.from_arrays(x, np.zeros((30, 4))).output_size == 4
    assert Splits.from_arrays(x, np.arange(30), task="regression").train.y.dtype is tw.float32


def test_tensors_and_pictures() -> None:
    splits = Splits.from_arrays(tw.zeros(20, 1, 4, 4), tw.arange(20) % 2, image_shape=(1, 4, 4))
    assert splits.input_shape == splits.image_shape == (1, 4, 4)


def test_arrays_are_copied() -> None:
    x, y = np.zeros((20, 2), np.float32), np.arange(20) % 2
    splits = Splits.from_arrays(x, y)
    x[:] = 7
    y[:] = 7
    assert (splits.train.x == 0).all()
    assert splits.train.y.max() == 1


@pytest.mark.parametrize(
    ("x", "y", "task", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), None, "is empty"),
        (np.zeros((20, 2)), np.zeros(19, int), None, "20 inputs but 19 targets"),
        (np.full((20, 2), np.inf), np.zeros(20, int), None, r"inf at index \(0, 0\), 40 of 40"),
        (np.zeros((20, 2)), np.full(20, np.nan), None, r"targets: nan at index \(0,\)|\(0, 0\)"),
        (
            np.zeros((20, 2)),
            np.zeros(20),
            "classification",
            "labels are float64; expected integers",
        ),
        (np.zeros((20, 2)), ["a", "b"] * 10, "regression", "targets of a regression are <U1"),
        (np.zeros((20, 2)), np.array([None] * 20), None, "labels are object"),
        (np.zeros((20, 2)), np.full(20, 10**9), None, "label of 1000000000 in 20 rows"),
        (np.zeros((20, 2)), np.full(20, -1), None, "negative labels"),
        (np.zeros((20, 2)), np.zeros(20, int), None, r"1 class\(es\)"),
        (np.full((20, 2), 1e39), np.arange(20) % 2, None, "train: inputs: inf"),
        (np.array([["a"]] * 20), np.arange(20) % 2, None, "expected numbers"),
    ],
)
def test_arrays_that_cannot_be_used(x: Any, y: Any, task: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Splits.from_arrays(x, y, task=task)


def test_labels_beyond_the_given_classes() -> None:
    with pytest.raises(DataError, match="labels out of range: 2 at index 2"):
        Splits.from_arrays(np.zeros((20, 2)), np.arange(20) % 3, classes=["a", "b"])


def test_an_unknown_task() -> None:
    with pytest.raises(ConfigError, match="did you mean 'classification'"):
        Splits.from_arrays(np.zeros((20, 2)), np.zeros(20, int), task="clasification")  # type: ignore[arg-type]


def test_the_draw_stays_the_same_for_good() -> None:
    rows = np.concatenate(split(1000, seed=0, labels=np.arange(1000) % 7))
    assert hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16] == "f392ecc3d583d400"
