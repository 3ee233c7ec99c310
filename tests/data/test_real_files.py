"""The real files, where $THALWEG_DATA names a folder of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from thalweg.data import CATALOG, load, load_csv
from thalweg.data.idx import read_idx
from thalweg.errors import DataError


@pytest.mark.parametrize("name", [row.name for row in CATALOG.values() if row.files])
def test_the_known_checksums(real_data: Path, name: str) -> None:
    for file in CATALOG[name].files:
        content = (real_data / name / file.name).read_bytes()
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256


def test_mnist(real_data: Path) -> None:
    labels = read_idx(real_data / "mnist" / "train-labels-idx1-ubyte.gz")
    known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(labels).tolist() == known
    splits = load("mnist")
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [
        50_000,
        10_000,
        10_000,
    ]
    assert splits.train.x.shape == (50_000, 784)
    assert np.array_equal(np.concatenate([splits.train.y.numpy(), splits.dev.y.numpy()]), labels)
    assert (float(splits.train.x.min()), float(splits.train.x.max())) == (0, 1)


def test_fashion_mnist(real_data: Path) -> None:
    splits = load("fashion-mnist")
    assert np.bincount(splits.test.y.numpy()).tolist() == [1000] * 10
    assert splits.classes[int(splits.test.y[0])] == "Ankle boot"


def test_cars_without_horsepower(real_data: Path) -> None:
    path = real_data / "tabular" / "auto-mpg" / "mpg.csv"
    message = (
        r"mpg\.csv, line 34, column 'horsepower': the cell is empty\. 6 missing or non-numeric "
        r"cells \(6 in 'horsepower'\), in 6 of 398 rows\."
    )
    with pytest.raises(DataError, match=message):
        load_csv(path, "mpg", drop=["name"])
    splits = load_csv(path, "mpg", drop=["name"], missing="drop")
    assert sum(len(part) for part in (splits.train, splits.dev, splits.test)) == 392
    assert splits.input_shape == (9,)  # six numbers and three origins


def test_names_of_cars_are_free_text(real_data: Path) -> None:
    with pytest.raises(DataError, match=r"'name' has 305 in 398 rows"):
        load_csv(real_data / "tabular" / "auto-mpg" / "mpg.csv", "mpg", drop=["horsepower"])


def test_used_cars(real_data: Path) -> None:
    splits = load_csv(real_data / "tabular" / "toyota-uk-used" / "toyota.csv", "price")
    assert splits.task == "regression"
    assert splits.input_shape == (4 + 18 + 4 + 4,)  # numbers, models, gearboxes, fuels
    corolla = real_data / "tabular" / "toyota-corolla" / "ToyotaCorolla.csv"
    assert load_csv(corolla, "price", drop=["model"]).train.y.shape[1] == 1
    assert load_csv(corolla, "automatic", drop=["model"]).classes == ("0", "1")
