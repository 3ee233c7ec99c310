"""Objectives that other processes can import."""

from __future__ import annotations

from thalweg.search import Trial

__all__ = ["bowl", "fragile"]


def bowl(trial: Trial) -> float:
    """Lowest at x = 1, y = -1, of either kind; y weighs a tenth."""
    p = trial.params
    return float((p["x"] - 1) ** 2 + 0.1 * (p["y"] + 1) ** 2)


def fragile(trial: Trial) -> float:
    """Fails in its third trial."""
    if trial.number == 2:
        raise ZeroDivisionError("in a worker")
    return 0.0
