from __future__ import annotations

import numpy as np
import pytest

from thalweg.data.checks import check_finite, check_inputs, check_label_range, check_targets
from thalweg.errors import DataError


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_bad_number_and_their_count_are_named(value: float) -> None:
    x = np.zeros((3, 4), np.float32)
    x[1, 2] = x[2, 0] = value
    with pytest.raises(DataError, match=r"train: .*inf|nan at index \(1, 2\), 2 of 12 values"):
        check_finite(x, "train")


def test_finite_and_whole_numbers_pass() -> None:
    check_finite(np.full(3, np.finfo(np.float32).max), "x")
    check_finite(np.zeros(0), "x")
    check_finite(np.array([1, 2]), "x")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 4)), r"train is empty: its inputs are float64 \(0, 4\)"),
        (np.zeros((4, 0)), "an example holds no numbers"),
        (np.float32(1), "one number"),
        (np.array(["a", "b"]), "expected numbers"),
        (np.array([[1.0, np.nan]]), r"nan at index \(0, 1\), 1 of 2"),
    ],
)
def test_unusable_inputs(x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_inputs(np.asarray(x), "train")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([0, 1]), "3 inputs but 2 targets"),
        (np.int64(1), "3 inputs but one target"),
        (np.array([0, -1, -2]), "negative labels: -1 at index 1, 2 of 3"),
        (np.array([0, 1, 1], np.int32), r"int32 \(3,\); expected labels of int64.*astype"),
        (np.array([True, False, True]), "bool"),
        (np.array([[1, 0], [0, 1], [0, 1]]), r"labels are int64 \(3, 2\).*argmax"),
        (np.array([1.0, np.inf, 2.0]), r"targets: inf at index \(1,\)"),
    ],
)
def test_unusable_targets(y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_targets(np.asarray(y), 3, "train")


def test_a_label_without_a_class() -> None:
    with pytest.raises(
        DataError, match=r"train: labels out of range: 12 at index 2, 1 of 3; .*0 to 9"
    ):
        check_label_range(np.array([0, 9, 12]), 10, "train")
