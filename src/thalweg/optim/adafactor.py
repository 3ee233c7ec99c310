"""Adafactor: Adam's scaling with the squares of a matrix held as one row and one column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import zeros, zeros_like
from thalweg.optim.groups import Params
from thalweg.optim.norms import rms
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, nonnegative, real

__all__ = ["Adafactor", "FactoredSquares"]


@dataclass(slots=True)
class FactoredSquares:
    """The step count; means of g^2 over rows and columns, or, of a vector, of each element."""

    step: Tensor
    row_var: Tensor | None
    col_var: Tensor | None
    variance: Tensor | None


class Adafactor(Optimizer):
    """Adam without its memory. In step t, for a parameter of n elements, with RMS(x) =
    ||x|| / sqrt(n), (eps1, eps2) = `eps` and b = t^beta2_decay:

        R <- (1 - b) R + b mean of g^2 over each row       C <- (1 - b) C + b ... over each column
        v = R C / mean(R)                                  of a vector: v <- (1 - b) v + b g^2
        u = g / max(sqrt(v), eps1)
        theta <- (1 - eta lambda) theta - alpha u / max(1, RMS(u) / d)
        alpha = max(eps2, RMS(theta)) min(eta, 1 / sqrt(t))

    with eta = `lr` and lambda = `weight_decay`. So steps are relative to the parameter's size, and
    what is held for a matrix of shape (A, B) is A + B numbers. Of more than two axes the last two
    are the matrix. eps1 = None is the dtype's smallest difference from 1.

    `maximize` ascends: g becomes -g.

    Source: Shazeer, Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML
    2018; the equations of torch.optim.Adafactor.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.full((2, 3), 2.0, requires_grad=True)
    >>> optimizer = Adafactor([w], lr=0.1)
    >>> w.grad = tw.ones(2, 3)
    >>> optimizer.step()  # by a tenth of RMS(theta) = 2
    >>> w.detach()[0]
    tensor([1.8000, 1.8000, 1.8000])
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "beta2_decay": lambda name, value: _at_most_0(name, value),
        "eps": lambda name, value: _floors(name, value),
        "d": lambda name, value: _at_least_1(name, value),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> FactoredSquares:
        """Means of 0, after 0 steps."""
        step = zeros(dtype=dtypes.float64)
        if p.ndim < 2:
            return FactoredSquares(step, None, None, zeros_like(p))
        *others, rows, columns = p.shape
        return FactoredSquares(
            step,
            row_var=zeros(*others, rows, 1, dtype=p.dtype),
            col_var=zeros(*others, 1, columns, dtype=p.dtype),
            variance=None,
        )

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """b; min(eta, 1 / sqrt(t)); the share 1 - eta lambda that decay leaves."""
        assert step is not None  # `FactoredSquares` counts
        return step ** group["beta2_decay"], lr.minimum(step**-0.5), 1 - lr * group["weight_decay"]

    def update(
        self,
        p: Tensor,
        g: Tensor,
        state: FactoredSquares,
        group: Mapping[str, Any],
        numbers: Numbers,
    ) -> None:
        """The equations above."""
        (b, rho, kept), (eps1, eps2) = numbers, group["eps"]
        floor = float(np.finfo(p.dtype.numpy).eps) if eps1 is None else eps1
        alpha = rms(p).maximum(eps2) * rho
        if group["weight_decay"]:
            p *= kept
        u = self._scaled(g, state, b, floor)
        p -= alpha / (rms(u) / group["d"]).maximum(1) * u

    @staticmethod
    def _scaled(g: Tensor, state: FactoredSquares, b: Tensor | float, floor: float) -> Tensor:
        """u, after the means have seen `g`. Of a matrix, roots and quotients are taken of A + B
        numbers; each of its A B elements costs two products."""
        squares, row, column = g * g, state.row_var, state.col_var
        if row is None or column is None:
            assert state.variance is not None
            state.variance += b * (squares - state.variance)
            return g / state.variance.sqrt().maximum(floor)
        row += b * (squares.mean(-1, keepdim=True) - row)
        column += b * (squares.mean(-2, keepdim=True) - column)
        rows = (row / row.mean(-2, keepdim=True).maximum(floor)).sqrt()
        most = 1 / floor if floor else math.inf
        return g * ((1 / rows) * (1 / column.sqrt())).minimum(most)


def _at_most_0(name: str, value: Any) -> float:
    if real(name, value) > 0:
        raise ConfigError(f"{name}={value!r}; expected a number, 0 or less")
    return float(value)


def _at_least_1(name: str, value: Any) -> float:
    if real(name, value) < 1:
        raise ConfigError(f"{name}={value!r}; expected a number, 1 or more")
    return float(value)


def _floors(name: str, value: Any) -> tuple[float | None, float]:
    if not isinstance(value, Iterable) or len(pair := tuple(value)) != 2:
        raise ConfigError(f"{name}={value!r}; expected two numbers, 0 or more; the first or None")
    first = None if pair[0] is None else nonnegative(name, pair[0])
    return first, nonnegative(name, pair[1])
