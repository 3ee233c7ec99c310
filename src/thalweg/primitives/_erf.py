"""The error function on NumPy arrays, which NumPy itself does not have.

erf(x) = 2/sqrt(pi) int_0^x exp(-t^2) dt, to within a few ulp in float64.

Below 2.5 by the series erf(x) = 2/sqrt(pi) x exp(-x^2) sum_n (2 x^2)^n / (1 3 5 ... (2n+1)),
whose terms are all positive; above by the continued fraction of erfc,
erfc(x) = exp(-x^2)/sqrt(pi) 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + ...)))).
Both from Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.6 and 7.1.14.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["erf"]

_SPLIT = 2.5
_TERMS = 48
_FRACTIONS = 60


def erf(x: Any) -> Any:
    """erf of a float32 or float64 array of any shape, in its dtype."""
    wide = np.asarray(x, dtype=np.float64)
    size = np.minimum(np.abs(wide), 6.0)  # erf(6) is 1 in float64
    small = size < _SPLIT
    value = np.where(small, _series(np.where(small, size, 0.0)), 0.0)
    if not small.all():
        value = np.where(small, value, 1.0 - _tail(np.where(small, _SPLIT, size)))
    return np.copysign(value, wide).astype(x.dtype)


def _series(x: Any) -> Any:
    square = 2.0 * x * x
    total = np.zeros_like(x)
    for n in range(_TERMS, 0, -1):  # Horner: 1 + s/3 (1 + s/5 (1 + s/7 (...)))
        total = (total + 1.0) * square / (2 * n + 1)
    return 2.0 / np.sqrt(np.pi) * x * np.exp(-x * x) * (total + 1.0)


def _tail(x: Any) -> Any:
    fraction = x
    for n in range(_FRACTIONS, 0, -1):
        fraction = x + 0.5 * n / fraction
    return np.exp(-x * x) / np.sqrt(np.pi) / fraction
