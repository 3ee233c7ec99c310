"""What every method gives back."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.files import write_atomically
from thalweg.minimize.domain import Domain
from thalweg.minimize.real import spelled

__all__ = ["MinimizeResult"]


@dataclass(frozen=True)
class MinimizeResult:
    """The lowest point a method visited, and how it got there.

    theta        the best point, as the function takes it
    value        the function there
    success      whether the method met its own test of convergence, or did all it set out to do
    reason       why it stopped, in words
    method       its name
    iterations   how many were done
    evaluations  how often the function was evaluated without its gradient
    gradients    how often with it (a Hessian counts as one for each of its rows)
    derivatives  "compiled", "eager: ..." with the reason, or "none"
    seed         what its random numbers began with
    details      what only this method tells, by name
    points, values  every point that was visited, as theta, and its value; the start is the first
    """

    theta: Any
    value: float
    success: bool
    reason: str
    method: str
    iterations: int
    evaluations: int
    gradients: int
    derivatives: str
    seed: int
    values: npt.NDArray[np.float64] = field(repr=False)
    details: dict[str, Any] = field(repr=False)
    function: Any = field(repr=False)
    domain: Domain = field(repr=False)
    visited: list[Any] = field(repr=False)

    @property
    def points(self) -> list[Any]:
        """Every point that was visited, as the function takes it."""
        return [self.domain.theta(point) for point in self.visited]

    @property
    def trajectory(self) -> list[tuple[Any, float]]:
        """(theta, value) for each iteration."""
        return list(zip(self.points, map(float, self.values), strict=True))

    def summary(self) -> str:
        """The result in a few lines.

        >>> import thalweg as tw
        >>> result = tw.minimize(lambda x: (x - 3) ** 2, 0.0, method="newton", compile=False)
        >>> print(result.summary())
        newton: converged after 1 iteration
          theta        [3]
          value        0
          why          the gradient is 0, at most 1e-08
          evaluations  1 of g, 4 with derivatives (eager: asked for)
          kind         minimum
        """
        ended = "converged" if self.success else "stopped"
        count = f"{self.iterations} iteration{'' if self.iterations == 1 else 's'}"
        lines = {
            "theta": self.spelled(),
            "value": f"{self.value:.6g}",
            "why": self.reason,
            "evaluations": f"{self.evaluations} of g",
        }
        if self.gradients:
            lines["evaluations"] += f", {self.gradients} with derivatives ({self.derivatives})"
        for name, value in self.details.items():
            if isinstance(value, str | int | float):
                lines[name] = f"{value:.6g}" if isinstance(value, float) else str(value)
        body = [f"  {name:<11}  {text}" for name, text in lines.items()]
        return "\n".join([f"{self.method}: {ended} after {count}", *body])

    def spelled(self) -> str:
        """theta in one line."""
        return spelled(self.domain.point(self.theta), self.domain)

    def draw(self, path: str | os.PathLike[str] | None = None) -> str:
        """A picture as SVG text, and in the file `path` where one is given.

        Of one real number the function and the points on it; of two its level lines and the path;
        else the values over the iterations.
        """
        from thalweg.minimize.drawing import picture

        text = picture(self)
        if path is not None:
            write_atomically(Path(path), text.encode())
        return text
