"""`tw.cuda`: what a program asks before it chooses a device. There is no GPU here."""

from __future__ import annotations

__all__ = ["device_count", "is_available", "manual_seed", "manual_seed_all"]


def is_available() -> bool:
    """Whether there is a GPU to compute on: False.

    >>> import thalweg as tw
    >>> tw.cuda.is_available()
    False
    """
    return False


def device_count() -> int:
    """How many GPUs there are: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: `tw.manual_seed` begins the one stream of random numbers."""


manual_seed_all = manual_seed
