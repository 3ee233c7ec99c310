"""SciPy's minimizers under this call: `method="scipy:bfgs"`, where SciPy is installed."""

from __future__ import annotations

import importlib
from typing import Any, Final, Literal

import numpy as np

from thalweg.errors import ConfigError
from thalweg.minimize.real import Array, Real
from thalweg.minimize.running import Steps, Stop, Task

__all__ = ["SCIPY", "scipy_minimize", "scipy_takes"]

_GRADIENT: Final = ("bfgs", "cg", "l-bfgs-b", "newton-cg", "slsqp", "tnc", "trust-constr")
_VALUES: Final = ("cobyla", "nelder-mead", "powell")
_GLOBAL: Final = ("differential-evolution", "dual-annealing")
_FREE: Final = frozenset({"bfgs", "cg", "newton-cg"})  # they take no bounds
SCIPY: Final = tuple(sorted((*_GRADIENT, *_VALUES, *_GLOBAL)))


def scipy_takes(name: str) -> Literal["free", "real"]:
    """The domains that SciPy's method takes."""
    return "free" if name in _FREE else "real"


def scipy_minimize(
    task: Task, name: str = "", tolerance: float | None = None, **options: Any
) -> Steps:
    """scipy.optimize.minimize(method=...), differential_evolution or dual_annealing.

    `tolerance` is SciPy's `tol`, `options` are the method's. Gradients are Thalweg's. Raises
    `ConfigError` where SciPy is not installed, for domains other than boxes, and for options that
    SciPy refuses.
    """
    method = name.removeprefix("scipy:")
    try:
        library = importlib.import_module("scipy.optimize")
    except ImportError:
        raise ConfigError(
            f"method {name!r} needs SciPy: pip install thalweg[scipy]. l-bfgs, newton and cma-es "
            "need nothing"
        ) from None
    if type(task.domain) is not Real:
        raise ConfigError(
            f"method {name!r} takes bounds, not {task.domain!r}; use projected-gradient"
        )
    bounds = _bounds(task, name, method)
    start = np.asarray(task.begin(), np.float64)
    yield start, task.objective.value(start)
    found = _call(library, method, task, start, bounds, tolerance, options)
    visited = task.track.points[-1]
    if not np.array_equal(np.atleast_1d(found.x), visited):
        point = np.atleast_1d(np.asarray(found.x, np.float64))
        yield point, float(np.asarray(found.fun).reshape(-1)[0])
    said = found.message[0] if isinstance(found.message, list) else found.message
    return Stop(bool(found.success), f"SciPy: {said}")


def _bounds(task: Task, name: str, method: str) -> Any:
    real = task.real
    if method in _GLOBAL and not real.is_bounded:
        raise ConfigError(f"method {name!r} needs bounds for every element of theta")
    return None if real.is_free else list(zip(real.low, real.high, strict=True))


def _call(
    library: Any,
    method: str,
    task: Task,
    start: Array,
    bounds: Any,
    tolerance: float | None,
    options: dict[str, Any],
) -> Any:
    objective, track = task.objective, task.track

    def value(x: Array) -> float:
        return objective.value(np.array(x))

    def both(x: Array) -> tuple[float, Array]:
        return objective.gradient(np.array(x))

    def visit(*told: Any, **named: Any) -> bool:
        x = named.get("intermediate_result", told[0] if told else None)
        point = np.array(getattr(x, "x", x), np.float64)
        stop = track.visit(point, objective.value(point))
        if stop and method not in _GLOBAL:
            raise StopIteration
        return stop

    try:
        if method == "differential-evolution":
            return library.differential_evolution(
                value, bounds, x0=start, maxiter=task.limit, callback=visit,
                rng=task.generator, **_given("tol", tolerance), **options,
            )  # fmt: skip
        if method == "dual-annealing":
            return library.dual_annealing(
                value, bounds, x0=start, maxiter=task.limit, callback=visit,
                rng=task.generator, **options,
            )  # fmt: skip
        has_gradient = method in _GRADIENT
        return library.minimize(
            both if has_gradient else value, start, method=method, jac=has_gradient or None,
            bounds=bounds, tol=tolerance, callback=visit,
            options={_LIMIT.get(method, "maxiter"): task.limit, **options},
        )  # fmt: skip
    except TypeError as error:
        raise ConfigError(f"method 'scipy:{method}': {error}") from error


_LIMIT: Final = {"tnc": "maxfun"}


def _given(name: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {name: value}
