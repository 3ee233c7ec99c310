"""Minimizing any function with one call: `tw.minimize(g, theta0, method="newton")`.

The module is the function: `tw.minimize(...)` runs a method, and `tw.minimize.Lasso`,
`tw.minimize.problems` and the others are found in it. A method is a file.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from thalweg.minimize.call import minimize
from thalweg.minimize.domain import Choice, Domain, Integers, Permutations, Product
from thalweg.minimize.methods import METHODS
from thalweg.minimize.problems import PROBLEMS
from thalweg.minimize.real import Ball, Real, Simplex
from thalweg.minimize.result import MinimizeResult
from thalweg.minimize.running import Progress
from thalweg.minimize.stationary import StationaryPoint, classify_stationary_point
from thalweg.minimize.structures import GaussianMixture, Lasso, MatrixFactorization, SumOfSquares

__all__ = [
    "Ball",
    "Choice",
    "Domain",
    "GaussianMixture",
    "Integers",
    "Lasso",
    "METHODS",
    "MatrixFactorization",
    "MinimizeResult",
    "PROBLEMS",
    "Permutations",
    "Product",
    "Progress",
    "Real",
    "Simplex",
    "StationaryPoint",
    "SumOfSquares",
    "classify_stationary_point",
    "minimize",
]


class _Callable(ModuleType):
    """A module that is called as the function of its name."""

    def __call__(self, *args: Any, **kwargs: Any) -> MinimizeResult:
        return minimize(*args, **kwargs)


_Callable.__call__.__doc__ = minimize.__doc__
sys.modules[__name__].__class__ = _Callable
