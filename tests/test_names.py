"""The page of names from elsewhere: every name of ours on it is there."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

import thalweg

PAGE = Path(__file__).parent.parent / "docs" / "names.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
OURS = sorted({name for row in ROWS for name in re.findall(r"`tw\.([\w.]+)", row)})


def test_every_row_names_something_of_ours() -> None:
    assert len(ROWS) > 60
    assert [row for row in ROWS if "`tw." not in row] == []


@pytest.mark.parametrize("name", OURS)
def test_it_is_there(name: str) -> None:
    assert functools.reduce(getattr, name.split("."), thalweg) is not None
