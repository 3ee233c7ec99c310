"""Stationary points by their Hessian's eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.minimize.problems import PROBLEMS, himmelblau

CASES: list[tuple[str, Callable[[tw.Tensor], tw.Tensor], Any, str]] = [
    ("bowl", lambda x: x.square().sum(), [0.0, 0.0], "minimum"),
    ("hill", lambda x: -x.square().sum(), [0.0, 0.0, 0.0], "maximum"),
    ("pass", lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0], "saddle"),
    ("monkey", lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, [0.0, 0.0], "undecided"),
    ("trough", lambda x: x[0] ** 2 + 0 * x[1], [0.0, 5.0], "undecided"),
    ("flat", lambda x: (x**4).sum(), [0.0], "undecided"),
    ("a number", lambda x: x.cos(), 0.0, "maximum"),
    ("between the minima", himmelblau, [-0.270845, -0.923039], "maximum"),
]


@pytest.mark.parametrize(("g", "theta", "kind"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_kinds(g: Callable[..., Any], theta: Any, kind: str) -> None:
    found = tw.minimize.classify_stationary_point(g, theta)
    assert (found.kind, str(found)) == (kind, kind)
    assert list(found.eigenvalues) == sorted(found.eigenvalues)


def test_eigenvalues_are_the_hessians() -> None:
    found = tw.minimize.classify_stationary_point(PROBLEMS["rosenbrock"].g, [1.0, 1.0])
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh([[802, -400], [-400, 200]]))
    assert found.gradient_norm == 0


def test_the_known_minima_are_minima() -> None:
    for name in ("sphere", "rosenbrock", "himmelblau", "beale", "rastrigin"):
        for theta in PROBLEMS[name].minima:
            assert PROBLEMS[name].solved(PROBLEMS[name].g(tw.tensor(theta)).item())
            found = tw.minimize.classify_stationary_point(PROBLEMS[name].g, theta, tolerance=0.01)
            assert found.kind == "minimum", (name, theta)


def test_elsewhere_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[1, 2\] is no stationary point.*size 4"):
        tw.minimize.classify_stationary_point(lambda x: x.square().sum(), [1.0, 2.0])
