"""CSV files larger than memory: what is streamed is what `load_csv` reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg.data import Encoding, load_csv
from thalweg.data.locate import cache_folder
from thalweg.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("thalweg.data.large_table._ROWS", 17)
    return tmp_path / "cache"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["age,fuel,one,price,kind"]
    for age in rng.integers(0, 20, 200):
        fuel = rng.choice(["petrol", '"die,sel"', "gas"])
        rows.append(f"{age},{fuel},7,{20_000 - 700 * age + rng.normal(0, 10):.2f},{age % 3}")
    path = tmp_path / "cars.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def everything(splits: Any) -> np.ndarray[Any, Any]:
    """All inputs and targets of the three parts in real units, sorted."""
    found = []
    for part in (splits.train, splits.dev, splits.test):
        for x, y in part.chunks(7):
            rows = x.flatten(0, 1).numpy()
            raw = splits.encoding.inputs.invert(rows)
            targets = splits.encoding.targets.invert(y.numpy().reshape(len(rows), -1))
            found.append(np.hstack([raw, targets]))
    joined = np.round(np.concatenate(found), 1)
    return joined[np.lexsort(joined.T)]


@pytest.mark.parametrize(
    "options",
    [
        {"target": "price"},
        {"target": ["price", "age"], "drop": ["one"]},
        {"target": "kind"},
        {"target": "fuel", "drop": ["price"]},
        {"target": "kind", "task": "regression"},
    ],
)
def test_it_is_the_table_that_is_read_whole(table: Path, options: dict[str, Any]) -> None:
    whole, streamed = load_csv(table, **options), load_csv(table, stream=True, **options)
    one, other = whole.encoding, streamed.encoding
    for name in ("name", "task", "input_shape", "classes", "columns", "target_names"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_allclose(everything(whole), everything(streamed), atol=0.11)
    x = np.concatenate([x.flatten(0, 1).numpy() for x, _ in streamed.train.chunks(5)])
    numeric = [k for k, is_number in enumerate(one.columns.numeric) if is_number]
    np.testing.assert_allclose(x[:, numeric].mean(0), 0, atol=1e-5)
    assert Encoding.from_dict(other.to_dict()) == other
    assert any("the same in every training row" in note for note in whole.notes) == any(
        "the same in every training row" in note for note in streamed.notes
    )


def test_the_binary_files_are_made_once_for_a_file_and_its_options(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_csv(table, "price", stream=True)
    folders = cache_folder() / "tables"
    (made,) = folders.iterdir()
    when = made.stat().st_mtime_ns
    load_csv(table, "price", stream=True, seed=5)
    assert made.stat().st_mtime_ns == when
    load_csv(table, "price", stream=True, drop=["one"])
    os.utime(table, ns=(1, 1))
    load_csv(table, "price", stream=True)
    assert len([*folders.iterdir()]) == 3

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thalweg.data.large_table._write", full)
    with pytest.raises(DataError, match=r"cannot be written: .*No space left.*XDG_CACHE_HOME"):
        load_csv(table, "age", stream=True)
    assert len([*folders.iterdir()]) == 3, "nothing half-made is left"


@pytest.mark.parametrize(
    ("line", "options", "error", "said"),
    [
        ("3,petrol,7,x,1", {"target": "price"}, DataError,
         "line 202, column 'price': 'x' is not a number. 1 missing or non-numeric cell"),
        (",petrol,7,1,1", {"target": "price"}, DataError, "column 'age': the cell is empty"),
        ("3,petrol,7", {"target": "price"}, DataError, "line 202: 3 cells, but the header has 5"),
        ("3,gas,7,1,1", {"target": "prise"}, ConfigError, "did you mean 'price'"),
        ("3,gas,7,1,1", {"target": "one"}, DataError, "nothing to learn"),
        ("3,gas,7,1,1", {"target": "fuel", "task": "regression"}, DataError, "holds text such as"),
        ("3,gas,7,1,1", {"target": "price", "missing": "dorp"}, ConfigError, "unknown missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    table: Path, line: str, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with table.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(error, match=said):
        load_csv(table, stream=True, **options)
    assert not (cache_folder() / "tables").exists()


def test_rows_may_be_left_out(table: Path) -> None:
    with table.open("a", encoding="utf-8") as file:
        file.write("NA,gas,7,1,1\n3,,7,1,1\n")
    streamed = load_csv(table, "price", missing="drop", stream=True)
    assert len(streamed.train) + len(streamed.dev) + len(streamed.test) == 200
    assert any("2 of 202 rows left out" in note for note in streamed.notes)
    names = load_csv(table, "price", missing="drop").encoding.columns.columns
    assert streamed.encoding.columns.columns == names


def test_free_text_and_files_that_are_not_there(table: Path, tmp_path: Path) -> None:
    text = "\n".join(["name,y", *(f"n{k},{k}" for k in range(90))])
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"'name' has more than 50 in 90 rows"):
        load_csv(table, "y", stream=True)
    with pytest.raises(DataError, match=r"none.csv: cannot be read"):
        load_csv(tmp_path / "none.csv", "y", stream=True)
