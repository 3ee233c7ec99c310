"""Where a data set's files are: `$THALWEG_DATA`, then the cache folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["cache_folder", "find_folder", "folders"]


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/thalweg/data`, or `~/.cache/thalweg/data`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "thalweg" / "data"


def folders() -> list[Path]:
    """The folders that are searched, in order; each holds one sub-folder a data set."""
    own = os.environ.get("THALWEG_DATA")
    return [*([Path(own)] if own else []), cache_folder()]


def find_folder(name: str, files: Sequence[str]) -> Path | None:
    """The first sub-folder `name` of the `folders()` that holds all `files`, or None."""
    for folder in folders():
        if all((folder / name / file).is_file() for file in files):
            return folder / name
    return None
