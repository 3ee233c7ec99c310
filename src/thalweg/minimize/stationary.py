"""What kind of point a zero of the gradient is: by the eigenvalues of the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.objective import Objective
from thalweg.minimize.real import Array, Real, as_domain, spelled

__all__ = ["Kind", "StationaryPoint", "classify_stationary_point", "kind_of"]

Kind = Literal["minimum", "maximum", "saddle", "undecided"]


@dataclass(frozen=True)
class StationaryPoint:
    """A stationary point: its kind, the Hessian's eigenvalues (rising), the gradient's norm."""

    kind: Kind
    eigenvalues: tuple[float, ...]
    gradient_norm: float

    def __str__(self) -> str:
        return self.kind


def classify_stationary_point(
    g: Callable[..., Any], theta: Any, tolerance: float = 1e-4, singular: float = 1e-8
) -> StationaryPoint:
    """Whether a zero of the gradient is a minimum, a maximum or a saddle of g.

    From the eigenvalues of the Hessian: all positive, all negative, of both signs; "undecided"
    where it is singular, that is, where an eigenvalue is at most `singular` times the largest (or
    all are 0): there the second derivatives do not tell.

    Raises `ConfigError` where the gradient's largest element is above `tolerance`: no zero.

    >>> import thalweg as tw
    >>> classify = tw.minimize.classify_stationary_point
    >>> print(classify(lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0]))
    saddle
    >>> print(classify(lambda x: x[0] ** 2 + x[1] ** 4, [0.0, 0.0]))
    undecided

    Source: deck 001, "Calculating zeroes of the gradient".
    """
    domain = as_domain(theta)
    assert isinstance(domain, Real)
    point = domain.point(theta)
    objective = Objective(g, domain, compile=False)
    _, slope = objective.gradient(point)
    size = float(np.abs(slope).max(initial=0.0))
    if size > tolerance:
        raise ConfigError(
            f"theta = {spelled(point)} is no stationary point: the gradient has an element of size "
            f"{size:.3g}, above tolerance={tolerance:g}. Find one first: tw.minimize(g, theta, "
            'method="newton", zero=True)'
        )
    eigenvalues: Any = np.linalg.eigvalsh(objective.hessian(point))
    kind = kind_of(eigenvalues, singular)
    return StationaryPoint(kind, tuple(map(float, eigenvalues)), float(np.linalg.norm(slope)))


def kind_of(eigenvalues: Array, singular: float = 1e-8) -> Kind:
    """The kind that a Hessian's eigenvalues tell."""
    sizes = np.abs(eigenvalues)
    if not sizes.size or sizes.min() <= singular * sizes.max() or sizes.max() == 0:
        return "undecided"
    if (eigenvalues > 0).all():
        return "minimum"
    return "maximum" if (eigenvalues < 0).all() else "saddle"
