"""Where a classifier errs, in the terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thalweg.train.answers import _confusion


def confusion(said: Any, truth: Any, names: list[str]) -> list[str]:
    data: Any = SimpleNamespace(classes=names)
    return _confusion((np.array(truth), said), data).splitlines()


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_table_of_few_classes() -> None:
    shown = confusion(np.array([0, 1, 1]), [0, 1, 0], ["cat", "dog"])
    assert shown[1:] == ["    cat dog", "cat   1   1", "dog   .   1"]


def test_names_above_columns_are_cut_to_the_room_there_is() -> None:
    names = [f"{n}_a_long_name_of_a_class" for n in range(10)]
    shown = confusion(np.arange(10), range(10), names)
    assert len(shown) == 12
    assert max(map(len, shown[1:])) <= 80
    assert shown[2].startswith("0_a_long_na…")


def test_of_many_classes_what_was_mistaken() -> None:
    truth = np.arange(40).repeat(5)
    said = truth.copy()
    said[:3] = 7
    said[5] = 39
    names = [f"class {n}" for n in range(40)]
    shown = confusion(said, truth, names)
    assert shown == [
        "test set, what was mistaken most often, of 40 classes",
        "true class  taken for  times",
        "class 0     class 7    3 of 5",
        "class 1     class 39   1 of 5",
    ]
    right = confusion(truth, truth, names)
    assert right == ["test set: all of 40 classes right"]


def test_one_class() -> None:
    shown = confusion(np.zeros(3, int), [0, 0, 0], ["only"])
    assert shown[1:] == ["     only", "only    3"]
