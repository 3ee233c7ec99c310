"""Gradient descent with every optimizer of `thalweg.optim`."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import Any

import numpy as np

from thalweg import optim
from thalweg._tensor import Tensor
from thalweg.minimize.real import Array
from thalweg.minimize.running import Steps, Stop, Task
from thalweg.ops.creation import tensor

__all__ = ["gradient_descent", "lbfgs", "optimizers"]

_ELSEWHERE = frozenset({"lbfgs"})  # "l-bfgs", a row of the table


@cache
def optimizers() -> dict[str, type[optim.Optimizer]]:
    """The optimizers by the names of methods: "adam" for `optim.Adam`.

    >>> optimizers()["adam"].__name__
    'Adam'
    """
    found = {name.lower(): getattr(optim, name) for name in optim.__all__}
    return {
        name: kind
        for name, kind in sorted(found.items())
        if isinstance(kind, type) and issubclass(kind, optim.Optimizer)
        if kind is not optim.Optimizer and name not in _ELSEWHERE
        if "params" in inspect.signature(kind).parameters  # not one made of others
    }


def gradient_descent(
    task: Task, name: str = "gradient-descent", tolerance: float | None = None, **options: Any
) -> Steps:
    """Steps of an optimizer with the whole gradient: theta <- theta - eps grad g(theta), or what
    Adam and the others make of it.

    `options` are the optimizer's: lr, momentum, betas, ... "gradient-descent" is `optim.SGD`. It
    converges where the largest element of the gradient is at most `tolerance` (1e-8, in float32
    1e-4); it stops where g is no longer finite, and where a step changes nothing. Raises
    `ConfigError` for options that the optimizer does not have.

    Source: deck 001, "Gradient Descent".
    """
    kind = optimizers()[name] if name != "gradient-descent" else optim.SGD
    return (yield from _steps(task, kind, task.flat(tolerance), options))


def lbfgs(task: Task, tolerance: float | None = None, history: int = 10) -> Steps:
    """Newton's method with an inverse Hessian made of the latest `history` gradients, and steps of
    the strong Wolfe conditions: `optim.LBFGS`, an iteration at a time.

    It converges where the largest element of the gradient is at most `tolerance` (1e-8, in float32
    1e-4); it stops where rounding hides any further descent.
    """
    options = {
        "max_iter": 1,
        "max_eval": 40,
        "tolerance_grad": 0.0,
        "tolerance_change": 0.0,
        "history_size": history,
        "line_search_fn": "strong_wolfe",
    }
    return (yield from _steps(task, optim.LBFGS, task.flat(tolerance), options))


def _steps(
    task: Task,
    kind: type[optim.Optimizer],
    tolerance: float,
    options: dict[str, Any],
) -> Steps:
    start = np.asarray(task.begin(), np.float64)
    place = _Place(task, task.real.theta(start).requires_grad_())
    optimizer = kind([place.theta], **options)
    still = 0
    while True:
        value, slope = place.evaluate()
        if not math.isfinite(value) or not np.isfinite(slope).all():
            return Stop(False, "it diverges: g is no longer finite. Use a smaller lr")
        yield place.now(), value
        size = float(np.abs(slope).max(initial=0.0))
        if size <= tolerance:
            return Stop(True, f"the gradient is {size:.3g}, at most {tolerance:g}")
        before = place.now()
        optimizer.step(place.closure)
        still = still + 1 if np.array_equal(place.now(), before) else 0
        far = max(1.0, float(np.abs(before).max(initial=0.0)))
        is_flat = size <= 1e-5 * max(1.0, abs(value) / far)  # as far as rounding tells
        if still and (is_flat or still > 1):  # Rprop rests for a step where the slope turns
            return Stop(is_flat, f"a step changes nothing; the gradient is {size:.3g}")


class _Place:
    """Where an optimizer stands: the last point is evaluated once, however often it is asked."""

    def __init__(self, task: Task, theta: Tensor) -> None:
        self.objective, self.shape, self.theta = task.objective, task.real.shape, theta
        self.point: Array | None = None
        self.known = (math.inf, np.zeros(0))

    def now(self) -> Array:
        """The elements of theta."""
        found: Array = self.theta.detach().numpy().reshape(-1).astype(np.float64)
        return found

    def evaluate(self) -> tuple[float, Array]:
        """The function and its gradient here."""
        point = self.now()
        if self.point is None or not np.array_equal(point, self.point):
            is_trial = self.point is not None
            self.point, self.known = point, self.objective.gradient(point, trial=is_trial)
        return self.known

    def closure(self) -> Tensor:
        """What an optimizer calls: the loss, with the gradient in place."""
        value, slope = self.evaluate()
        self.theta.grad = tensor(slope.reshape(self.shape), dtype=self.theta.dtype)
        return tensor(value, dtype=self.theta.dtype)
