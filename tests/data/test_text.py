"""A text file in three parts, and stretches of it drawn inside a compiled step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from thalweg.data import Words, load_text, windows
from thalweg.errors import ConfigError, DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("abcdefghij" * 10, encoding="utf-8")
    return path


def test_parts_follow_one_another(file: Path) -> None:
    text = load_text(file, dev=0.2, test=0.1)
    assert [len(part) for part in (text.train, text.dev, text.test)] == [70, 20, 10]
    joined = "".join(text.tokenizer.decode(p) for p in (text.train, text.dev, text.test))
    assert joined == file.read_text(encoding="utf-8")
    assert "10 different characters; 70 train" in repr(text)


def test_other_tokenizers(file: Path) -> None:
    file.write_text("one two three four five six seven eight nine ten", encoding="utf-8")
    text = load_text(file, "words", most=4)
    assert len(text.tokenizer) == 4
    again = load_text(file, Words.fit("one two"))
    assert again.train.tolist()[:3] == [2, 3, 1]


def test_windows_are_every_stretch_alike_and_the_next_token(file: Path) -> None:
    tw.manual_seed(0)
    tokens = tw.arange(12)
    draw: Any = tw.compile(lambda: windows(tokens, 5, 700))
    x, y = draw()
    assert bool((y == x + 1).all())
    starts = [int((x[:, 0] == start).sum()) for start in range(12)]
    assert starts[7:] == [0] * 5
    assert min(starts[:7]) > 60
    assert not tw.equal(x, draw()[0])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"tokenizer": "word"}, ConfigError, "did you mean 'words'"),
        ({"dev": 0.6, "test": 0.5}, ConfigError, "below 1"),
    ],
)
def test_wrong_options(
    file: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load_text(file, **options)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_text(tmp_path / "none.txt")
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        load_text(tmp_path / "odd.txt")
    with pytest.raises(DataError, match="no stretch of 5"):
        windows(tw.arange(5), 5, 1)
