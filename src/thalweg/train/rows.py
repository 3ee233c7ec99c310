"""Rows of plain values as JSON that every program reads, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from thalweg.errors import CheckpointError

__all__ = ["from_json", "read_text", "to_json"]

_SPELLINGS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(row: Mapping[str, Any], indent: int | None = None) -> str:
    """A dict of plain values as JSON. NaN and the infinities, which JSON does not have, become the
    texts "NaN", "Infinity" and "-Infinity"; finite floats keep every bit.

    Raises `CheckpointError` for a value that is not plain.

    >>> to_json({"epoch": 1, "loss": math.nan, "lr": 0.1})
    '{"epoch": 1, "loss": "NaN", "lr": 0.1}'
    """
    try:
        return json.dumps(_spelled(row), indent=indent, allow_nan=False)
    except TypeError as error:
        raise CheckpointError(f"{row!r:.200} cannot be written as JSON: {error}") from error


def from_json(text: str, where: str) -> dict[str, Any]:
    """The dict that `to_json` was given; `where` says in messages where the text stands.

    Raises `CheckpointError` for a text that is not a JSON object.
    """
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise CheckpointError(f"{where}: expected a JSON object, got {row!r:.40}")
    return {name: _read_back(value) for name, value in row.items()}


def read_text(path: Path) -> str:
    """The text of a file, "" if there is none. Raises `CheckpointError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


def _spelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _spelled(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(entry) for entry in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _read_back(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _read_back(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_read_back(entry) for entry in value]
    return _SPELLINGS.get(value, value) if isinstance(value, str) else value
