"""Data larger than memory, by name: what `thalweg train` makes of files and folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from thalweg.data import Splits
from thalweg.errors import ConfigError
from thalweg.train import Config, recipe
from thalweg.train.answers import run_evaluation, run_prediction
from thalweg.train.command import run_training


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(60):
        for name, level in (("dark", 40), ("light", 200)):
            folder = tmp_path / "pictures" / name
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.normal(level, 20, (6, 6, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ["a,b,y", *(f"{k},{k % 7},{3 * k}" for k in range(200))]
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "table.csv"


@pytest.mark.parametrize("stream", [False, True])
def test_a_folder_of_pictures_from_training_to_answer(
    pictures: Path, tmp_path: Path, stream: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"dataset": str(pictures), "stream": stream, "epochs": 6, "gray": True, "size": 5}
    status = run_training(given, out=tmp_path / "run", config=None, resume=False)
    assert status == 0
    assert "25-30-30-2 network" in capsys.readouterr().out
    status = run_training({"epochs": 8}, out=tmp_path / "run", config=None, resume=True)
    assert "8/8" in capsys.readouterr().out
    run_evaluation(tmp_path / "run")
    assert "test (12 examples): loss" in capsys.readouterr().out
    run_prediction(tmp_path / "run", "test:11")
    assert capsys.readouterr().out.startswith("light  (")


def test_a_table_is_streamed(table: Path, tmp_path: Path) -> None:
    given = {"dataset": str(table), "target": "y", "stream": True, "epochs": 2}
    assert run_training(given, out=tmp_path / "run", config=None, resume=False) == 0
    run_evaluation(tmp_path / "run")


def test_large_data_are_streamed_unasked(
    table: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kind(limit: int, **options: Any) -> bool:
        monkeypatch.setattr(recipe, "_MUCH", limit)
        return isinstance(recipe.load_splits(Config.from_dict(options)), Splits)

    size = table.stat().st_size
    assert kind(size, dataset=str(table), target="y")
    assert not kind(size - 1, dataset=str(table), target="y")
    assert kind(120 * 36 * 3, dataset=str(pictures))
    assert not kind(120 * 36 * 3 - 1, dataset=str(pictures))
    assert kind(120 * 36, dataset=str(pictures), gray=True)


def test_options_that_do_not_go_together(table: Path, pictures: Path) -> None:
    for options, said in (
        ({"dataset": "digits", "stream": True}, "digits is small"),
        ({"dataset": str(pictures), "target": "y"}, "is for CSV files"),
        ({"dataset": str(table)}, "--target COLUMN"),
    ):
        with pytest.raises(ConfigError, match=said):
            recipe.load_splits(Config.from_dict(options))
