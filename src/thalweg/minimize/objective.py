"""The function that is minimized, watched: counted, checked, differentiated, compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.autodiff.backward import grad
from thalweg.errors import GradientError, ObjectiveError, ShapeError, TraceError, TransformError
from thalweg.func import hessian, jacfwd, jacrev
from thalweg.minimize.domain import Domain
from thalweg.minimize.real import Array, spelled
from thalweg.ops.creation import zeros_like
from thalweg.ops.joining import stack
from thalweg.tape import enable_grad, no_grad

__all__ = ["Objective", "Residuals", "scalar"]

_NEAR = {"float32": 1e-4, "float64": 1e-9}  # compiled and eager values, rounded differently


class Residuals(NamedTuple):
    """Residuals r (m,) at a point and their Jacobian dr_i / d theta_j (m, n)."""

    values: Array
    jacobian: Array


class Objective:
    """g on the points of a domain.

    values, gradients  how often g and its derivatives were evaluated
    """

    def __init__(self, g: Callable[..., Any], domain: Domain, compile: bool | None) -> None:
        self.g, self.domain = g, domain
        self.values = self.gradients = 0
        slope = _slope_of(g)
        self.slope = _Derivative(slope, slope, "value and gradient", compile)
        self.curve = _Derivative(_hessian_of(g), _all_rows(g), "Hessian", compile)
        rows = _jacobian_of(g), _whole_jacobian(g)
        self.residual = _Derivative(*rows, "residuals and Jacobian", compile)

    @property
    def how(self) -> str:
        """How derivatives were evaluated: "compiled", "eager: ..." with the reason, or "none"."""
        used = [d for d in (self.slope, self.curve, self.residual) if d.how]
        odd = next((d for d in used if d.how != used[0].how), None)
        if odd is not None:
            return f"{used[0].what} {used[0].how}, {odd.what} {odd.how}"
        return used[0].how if used else "none"

    def value(self, point: Any, trial: bool = False) -> float:
        """g there. NaN is an error; where a method only tries a point (`trial`), infinity."""
        self.values += 1
        with no_grad():
            found = scalar(self.g(self.domain.theta(point)))
        return self._checked(found, point, trial)

    def gradient(self, point: Array, trial: bool = False) -> tuple[float, Array]:
        """g and its gradient there, (n,)."""
        self.gradients += 1
        value, slope = self.slope(self.domain.theta(point))
        found = self._checked(float(value), point, trial)
        flat: Array = slope.reshape(-1).astype(np.float64)
        if not np.isfinite(flat).all() and math.isfinite(found) and not trial:
            raise ObjectiveError(
                f"the gradient is not finite at theta = {spelled(point)}, where g = {found:.6g}: "
                f"{spelled(flat)}"
            )
        return found, flat

    def hessian(self, point: Array) -> Array:
        """The second derivatives there, (n, n), made symmetric."""
        self.gradients += point.size
        (raw,) = self.curve(self.domain.theta(point))
        found: Array = raw.reshape(point.size, point.size).astype(np.float64)
        if not np.isfinite(found).all():
            raise ObjectiveError(f"the Hessian is not finite at theta = {spelled(point)}")
        return (found + found.T) / 2

    def residuals(self, point: Array) -> Residuals:
        """The residuals there and their Jacobian."""
        self.values += 1
        self.gradients += 1
        values, jacobian = self.residual(self.domain.theta(point))
        flat = values.reshape(-1).astype(np.float64)
        return Residuals(flat, jacobian.reshape(flat.size, point.size).astype(np.float64))

    def _checked(self, value: float, point: Any, trial: bool) -> float:
        if not math.isnan(value):
            return value
        if trial:
            return math.inf
        raise ObjectiveError(
            f"g is NaN at theta = {spelled(point, self.domain)}, at evaluation "
            f"{self.values + self.gradients}. Keep theta where g is a number (bounds, a smaller "
            "step), or let g be infinity there"
        )


def scalar(value: Any) -> float:
    """g's result as a number."""
    if isinstance(value, Tensor | np.ndarray) and tuple(value.shape) != ():
        raise ShapeError(
            f"g gives a tensor of shape {tuple(value.shape)}, expected one number: take its sum "
            "or mean"
        )
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ObjectiveError(f"g gives {value!r}, expected one number") from None


class _Derivative:
    """A function of theta that gives tensors, compiled where it traces.

    Eager, `function` takes whatever Python g is made of. `traced` is what is compiled: the rows of
    a Hessian or a Jacobian in one calculation, so that the program does not grow with theta.

    The first point is evaluated both ways: a function whose compiled value is another one, since it
    looks at the time or counts its calls, stays eager. `how` says what is used, and why.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Any],
        traced: Callable[[Tensor], Any],
        what: str,
        compile: bool | None,
    ) -> None:
        self.function, self.traced, self.what, self.wanted = function, traced, what, compile
        self.compiled: Any = None
        self.how = ""

    def __call__(self, theta: Tensor) -> list[npt.NDArray[Any]]:
        if self.how == "compiled":
            return _arrays(self.compiled(theta))
        eager = _arrays(self.function(theta))
        if not self.how:
            self._decide(theta, eager)
        return eager

    def _decide(self, theta: Tensor, eager: list[npt.NDArray[Any]]) -> None:
        if self.wanted is False:
            self.how = "eager: asked for"
            return
        from thalweg.compiler.function import compile

        try:
            self.compiled = compile(self.traced)
            found = _arrays(self.compiled(theta))
        except (TraceError, TransformError) as error:
            if self.wanted:
                raise
            self.how = f"eager: {error.message.splitlines()[0]}"
            return
        near = _NEAR.get(theta.dtype.name, 1e-9)
        same = [
            np.allclose(a, b, near, near, equal_nan=True) for a, b in zip(found, eager, strict=True)
        ]
        self.how = "compiled" if all(same) else f"eager: the compiled {self.what} differ"


def _arrays(results: Any) -> list[npt.NDArray[Any]]:
    return [np.asarray(x.detach().numpy()) for x in results]


def _leaf(theta: Tensor) -> Tensor:
    return theta.detach().requires_grad_()


def _differentiable(value: Any, what: str) -> Tensor:
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise GradientError(
            f"{what} of theta is {type(value).__name__} without a derivative: compute it from "
            "theta with tensor operations, or use a method without gradients"
        )
    return value


def _slope_of(g: Callable[..., Any]) -> Callable[[Tensor], Any]:
    @no_grad()
    def slope(theta: Tensor) -> Any:
        with enable_grad():
            leaf = _leaf(theta)
            value = _differentiable(g(leaf), "g")
            if value._value.shape != ():
                _refuse_shape(value)
            (found,) = grad(value, leaf)
        return value.detach(), found

    return slope


def _refuse_shape(value: Tensor) -> None:
    raise ShapeError(
        f"g gives a tensor of shape {tuple(value._value.shape)}, expected one number: take its "
        "sum or mean"
    )


def _hessian_of(g: Callable[..., Any]) -> Callable[[Tensor], Any]:
    @no_grad()
    def curve(theta: Tensor) -> Any:
        with enable_grad():
            leaf = _leaf(theta)
            value = _differentiable(g(leaf), "g")
            if value._value.shape != ():
                _refuse_shape(value)
            (slope,) = grad(value, leaf, create_graph=True)
            assert slope is not None
            rows = [_row(element, leaf) for element in slope.reshape(-1).unbind(0)]
        return (stack(rows) if rows else zeros_like(theta),)

    return curve


def _jacobian_of(g: Any) -> Callable[[Tensor], Any]:
    @no_grad()
    def jacobian(theta: Tensor) -> Any:
        with enable_grad():
            leaf = _leaf(theta)
            values = _differentiable(g.residual(leaf), "the residual").reshape(-1)
            rows = [_row(element, leaf) for element in values.unbind(0)]
        return values.detach(), stack(rows)

    return jacobian


def _all_rows(g: Callable[..., Any]) -> Callable[[Tensor], Any]:
    @no_grad()
    def rows(theta: Tensor) -> Any:
        with enable_grad():
            return (hessian(g)(theta).detach(),)

    return rows


def _whole_jacobian(g: Any) -> Callable[[Tensor], Any]:
    @no_grad()
    def whole(theta: Tensor) -> Any:
        values = g.residual(theta)
        make = jacfwd if theta.numel() <= values.numel() else jacrev
        with enable_grad():
            return values, make(g.residual)(theta).detach()

    return whole


def _row(element: Tensor, leaf: Tensor) -> Tensor:
    """The gradient of one number, 0 where it does not depend on the leaf."""
    if not element.requires_grad:
        return zeros_like(leaf)
    (found,) = grad(element, leaf, retain_graph=True, allow_unused=True)
    return zeros_like(leaf) if found is None else found.reshape(-1).reshape(leaf.shape)
