"""The one call."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from thalweg.errors import ConfigError, nearest
from thalweg.minimize.methods import Method, find
from thalweg.minimize.objective import Objective
from thalweg.minimize.real import Real, as_domain
from thalweg.minimize.result import MinimizeResult
from thalweg.minimize.running import Callback, Stop, Task, Track, run
from thalweg.ops.random import randint
from thalweg.settings import function, whole

__all__ = ["minimize"]


def minimize(
    g: Callable[..., Any],
    theta0: Any = None,
    method: str = "l-bfgs",
    *,
    bounds: Any = None,
    domain: Any = None,
    seed: int | None = None,
    max_iterations: int | None = None,
    callback: Callback | None = None,
    compile: bool | None = None,
    **options: Any,
) -> MinimizeResult:
    """A theta that makes g(theta) small, found by one of many methods.

    Parameters
    ----------
    g
        The function: theta to one number, a tensor () or a Python number. Methods with gradients
        ask for tensor operations. Some methods ask for a structure, such as `SumOfSquares`.
    theta0
        The start: a tensor, a number, an array (real domains), a value of the domain (others).
        Methods that search need none where there are bounds or a domain.
    method
        A name of `METHODS`, an optimizer of `tw.optim` ("adam"), or "scipy:bfgs" and its kin.
    bounds
        (low, high) for every element of theta, or a pair for each; None in a pair is no bound.
    domain
        Where theta may be, if it is not real: a list of values, a range, `Permutations(n)`,
        `Simplex(n)`, `Ball(shape)`, or a tuple or dict of domains for a mixed one.
    seed
        Of the method's random numbers; without it, one drawn from Thalweg's own generator.
    max_iterations
        Unless given, what the method's row says.
    callback
        Called with a `Progress` after each iteration; what is true stops the method.
    compile
        Whether derivatives run as compiled programs. By default they do where g can be traced, and
        the result says which it was.
    options
        Of the method; see its function.

    Returns a `MinimizeResult`: the best point visited, the whole way there, and why it ended.

    Raises `ConfigError` for a method, an option, bounds or a domain that do not fit, with what
    would; `ShapeError` where g gives more than one number; `ObjectiveError` where g is NaN, with
    the point.

    >>> import thalweg as tw
    >>> result = tw.minimize(lambda x: (x - 3).square().sum(), [0.0, 0.0], compile=False)
    >>> result.theta, result.success
    (tensor([3., 3.], dtype=thalweg.float64), True)
    >>> tw.minimize(lambda n: (n - 7) ** 2, domain=range(20), method="brute-force").theta
    7

    Source: deck 001, "How to minimize a function?".
    """
    row = find(method)
    where = as_domain(theta0, bounds, domain if domain is not None else getattr(g, "domain", None))
    if not callable(g):
        raise ConfigError(f"g is expected to be a function of theta, got {g!r}")
    if seed is not None:
        whole("minimize: seed", seed)
    if callback is not None:
        function("minimize: callback", callback)
    row.check(where, g)
    _check_options(row, options)
    limit = _limit(row, max_iterations)
    seed = int(randint(2**31, ()).item()) if seed is None else seed
    start = None if theta0 is None else where.point(theta0)
    if start is not None and isinstance(where, Real):
        where = copy(where)  # which may be the caller's
        where.centre = start
    objective, track = Objective(g, where, compile), Track(where, callback)
    task = Task(objective, where, start, np.random.default_rng(seed), limit, track)
    if row.home.endswith((".gradient_descent", ".scipy_minimize")):
        options = {"name": row.name, **options}
    stop = run(row.function(), task, options)
    return _result(row, task, stop, seed)


def _check_options(row: Method, options: dict[str, Any]) -> None:
    known = row.options()
    if "options" in known:  # handed on
        return
    for name in options:
        if name not in known:
            has = nearest(name, known) if known else "it has none"
            raise ConfigError(f"method {row.name!r} has no option {name!r}: {has}")


def _limit(row: Method, given: int | None) -> int:
    if given is None:
        return row.iterations
    if type(given) is not int or given < 0:
        raise ConfigError(f"max_iterations: a whole number from 0 on expected, got {given!r}")
    return given


def _result(row: Method, task: Task, stop: Stop, seed: int) -> MinimizeResult:
    track, objective = task.track, task.objective
    if not track.values:
        raise ConfigError(f"method {row.name!r} visited no point: the domain is empty")
    best = track.best
    return MinimizeResult(
        theta=task.domain.theta(track.points[best]),
        value=track.values[best],
        success=stop.converged,
        reason=stop.reason,
        method=row.name,
        iterations=track.iterations,
        evaluations=objective.values,
        gradients=objective.gradients,
        derivatives=objective.how,
        seed=seed,
        values=np.array(track.values),
        details=task.notes,
        function=objective.g,
        domain=task.domain,
        visited=track.points,
    )
