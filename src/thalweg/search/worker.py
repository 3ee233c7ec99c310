"""Who works on a search: a name, and a lock that the system releases when its process ends."""

from __future__ import annotations

import secrets
from pathlib import Path

from thalweg.errors import CheckpointError
from thalweg.train.lock import Lock

__all__ = ["Worker", "is_dead"]

_WORKERS = "workers"


class Worker:
    """A worker's name, and the lock by which others see that it lives."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(4)
        self.place = folder / _WORKERS / self.name
        self.place.mkdir(parents=True)
        self.lock = Lock(self.place)

    def close(self) -> None:
        """It works no more."""
        self.lock.release()


def is_dead(folder: Path, name: str) -> bool:
    """Whether the worker of that name was here and is no more; of others nothing is known."""
    place = folder / _WORKERS / name
    if not name or not place.is_dir():
        return False
    try:
        Lock(place).release()
    except CheckpointError:
        return False
    return True
