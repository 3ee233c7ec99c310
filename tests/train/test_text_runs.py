"""A text by name: `thalweg train book.txt`, and what its network writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from thalweg.errors import ConfigError, DataError
from thalweg.train import Config, recipe
from thalweg.train.answers import run_evaluation, run_prediction
from thalweg.train.command import run_training

GIVEN = {"context": 8, "hidden": "16", "optimizer": "adamw", "lr": 0.01, "batch_size": 16}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text("to be or not to be: that is. " * 120, encoding="utf-8")
    return tmp_path / "book.txt"


@pytest.mark.parametrize("tokenizer", ["characters", "words"])
def test_a_text_from_training_to_writing(
    book: Path, tokenizer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = book.parent / "run"
    given = {**GIVEN, "dataset": str(book), "tokenizer": tokenizer, "epochs": 12}
    assert run_training(given, out=out, config=None, resume=False) == 0
    shown = capsys.readouterr().out
    assert "GPT of 1 blocks of width 16, which looks back on 8 tokens" in shown
    assert "nats a token" in shown
    assert run_training({"epochs": 13}, out=out, config=None, resume=True) == 0
    assert "It writes: '" in capsys.readouterr().out
    run_evaluation(out)
    assert "loss" in capsys.readouterr().out
    said = []
    for _ in range(2):
        run_prediction(out, "to be")
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].startswith("to be")
    assert "not" in said[0]
    if tokenizer == "characters":
        with pytest.raises(DataError, match="did not occur in the text"):
            run_prediction(out, "Ж")


def test_what_does_not_fit(book: Path) -> None:
    for options, said in (
        ({"target": "x"}, "not for a text"),
        ({"tokenizer": "wrods"}, "did you mean 'words'"),
    ):
        with pytest.raises(ConfigError, match=said):
            recipe.load_splits(Config.from_dict({"dataset": str(book), **options}))
    config = Config.from_dict({"dataset": str(book), "hidden": "16,8"})
    with pytest.raises(ConfigError, match="expected the same width for each"):
        recipe.make_model(config, recipe.load_splits(config).encoding)
    config = Config.from_dict({"dataset": str(book), "hidden": "16", "augment": "noise"})
    with pytest.raises(DataError, match="augment = 'noise' is for pictures"):
        recipe.make_trainer(config, recipe.load_splits(config).encoding)
