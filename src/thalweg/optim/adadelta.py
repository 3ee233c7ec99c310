"""Adadelta: steps in the parameter's own units, without a step size to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.ops.creation import zeros, zeros_like
from thalweg.optim.decay import penalized
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, fraction, nonnegative

__all__ = ["Adadelta", "Squares"]


@dataclass(slots=True)
class Squares:
    """The step count, and running means of the squared gradients and of the squared moves."""

    step: Tensor
    square_avg: Tensor
    acc_delta: Tensor


class Adadelta(Optimizer):
    """The ratio of two running root mean squares in place of a step size. With RMS[x] =
    sqrt(E[x^2] + eps):

        E[g^2] <- rho E[g^2] + (1 - rho) g^2
        Delta = RMS[Delta] / RMS[g] g
        E[Delta^2] <- rho E[Delta^2] + (1 - rho) Delta^2
        theta <- theta - lr Delta

    where RMS[Delta] is the one of the step before. Both means start at 0, so the first moves are of
    the size sqrt(eps): `eps` says how fast training sets out. `lr` is 1 in the paper.

    `weight_decay` = lambda adds lambda theta to g. `maximize` ascends: g becomes -g, before that.

    Sources: Zeiler, "ADADELTA: an adaptive learning rate method", 2012; deck 000, "Adadelta"; deck
    004, "Adadelta (and RMSprop)", which writes RMS[x] = sqrt(x^2 + eps) where sqrt(E[x^2] + eps) is
    meant.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = Adadelta([w], rho=0.75, eps=1e-2)
    >>> w.grad = tw.tensor([100.0, 1.0])
    >>> optimizer.step()  # by about sqrt(eps / (1 - rho)) = 0.2, whatever the scale
    >>> w
    tensor([0.8000, 0.8039], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "rho": fraction,
        "eps": nonnegative,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Squares:
        """Means of 0, after 0 steps."""
        return Squares(zeros(dtype=dtypes.float64), zeros_like(p), zeros_like(p))

    def update(
        self, p: Tensor, g: Tensor, state: Squares, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        rho, eps = group["rho"], group["eps"]
        g = penalized(p, g, group)
        state.square_avg *= rho
        state.square_avg += (1 - rho) * g * g
        move = (state.acc_delta + eps).sqrt() / (state.square_avg + eps).sqrt() * g
        state.acc_delta *= rho
        state.acc_delta += (1 - rho) * move * move
        p -= numbers[0] * move
