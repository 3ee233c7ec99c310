"""Whether numbers follow a distribution: by Kolmogorov and Smirnov, by counts, and by moments.

Seeds are fixed, so a test passes always or never; the thresholds only say how surprising a sample
may be. They are generous: what they are to find (a wrong bound, variance or fan) is far beyond.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["COUNT", "assert_counts", "assert_moments", "assert_same_distribution"]

COUNT = 200_000  # numbers a sample
SURPRISE = 1e-3  # the smallest p-value that passes
ERRORS = 4.5  # how many standard errors a moment may be off


def _kolmogorov(x: float) -> float:
    """The probability that sqrt(n) times the distance exceeds x, for large n."""
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(max(sum(terms), 0.0), 1.0) if x > 0.2 else 1.0


def distance(ours: Any, theirs: Any) -> float:
    """The largest difference between two empirical distribution functions."""
    ours, theirs = np.sort(np.ravel(ours)), np.sort(np.ravel(theirs))
    places = np.concatenate([ours, theirs])
    below = [np.searchsorted(x, places, side="right") / len(x) for x in (ours, theirs)]
    return float(np.abs(below[0] - below[1]).max())


def assert_same_distribution(ours: Any, theirs: Any) -> None:
    """The Kolmogorov-Smirnov distance of two samples is no surprise; and they are two samples."""
    assert not np.array_equal(ours, theirs)
    n, m = np.size(ours), np.size(theirs)
    p = _kolmogorov(distance(ours, theirs) * math.sqrt(n * m / (n + m)))
    assert p > SURPRISE, f"p = {p:.2g}, distance {distance(ours, theirs):.4f}"


def assert_counts(counts: Any, probabilities: Any) -> None:
    """Chi-squared of counts is within `ERRORS` standard deviations of its mean."""
    counts, expected = np.asarray(counts), np.asarray(probabilities) * np.sum(counts)
    assert (counts[expected == 0] == 0).all()
    used = expected > 0
    chi = float((np.square(counts[used] - expected[used]) / expected[used]).sum())
    freedom = int(used.sum()) - 1
    assert abs(chi - freedom) < ERRORS * math.sqrt(2 * freedom) + 3, f"{chi=:.1f}, {freedom=}"


def assert_moments(x: Any, mean: float, std: float) -> None:
    """Mean and standard deviation are as they should be, and neighbours do not depend."""
    x = np.ravel(x).astype(np.float64)
    root = math.sqrt(len(x))
    scaled = (x - mean) / std
    assert abs(scaled.mean()) < ERRORS / root
    fourth = float((scaled**4).mean())
    assert abs((scaled**2).mean() - 1) < ERRORS * math.sqrt(max(fourth - 1, 0.01)) / root
    for lag in (1, 2, 7):
        assert abs((scaled[lag:] * scaled[:-lag]).mean()) < ERRORS / root, f"{lag=}"
