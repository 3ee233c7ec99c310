"""RMSprop: steps divided by a running root mean square of the gradient."""

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
from thalweg.settings import Rule, absent, flag, nonnegative

__all__ = ["RMSprop", "RunningSquares"]


@dataclass(slots=True)
class RunningSquares:
    """The step count and a running mean of g^2; the velocity and the mean of g where asked for."""

    step: Tensor
    square_avg: Tensor
    momentum_buffer: Tensor | None
    grad_avg: Tensor | None


class RMSprop(Optimizer):
    """Adagrad that forgets. With eta = `lr`:

        v <- alpha v + (1 - alpha) g^2
        theta <- theta - eta g / (sqrt(v) + eps)

    With `centered`, the variance stands in place of the mean square: with a running mean of the
    gradient, m <- alpha m + (1 - alpha) g, v - m^2 takes the place of v under the root.
    With `momentum` mu > 0 the scaled gradients add up to a velocity:

        gamma <- mu gamma + g / (sqrt(v) + eps)           theta <- theta - eta gamma

    `weight_decay` = lambda adds lambda theta to g. `maximize` ascends: g becomes -g, before that.

    v starts at 0 and is not corrected for it: the first steps are by 1 / sqrt(1 - alpha) larger
    than the later ones, unlike `Adam`'s.

    Sources: Tieleman, Hinton, "Neural networks for machine learning", lecture 6.5, 2012; centered:
    Graves, "Generating sequences with recurrent neural networks", 2013; deck 004, "Adadelta (and
    RMSprop)".

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = RMSprop([w], lr=0.1, alpha=0.75)
    >>> w.grad = tw.tensor([100.0, -0.01])
    >>> optimizer.step()  # by eta / sqrt(1 - alpha) = 0.2, whatever the scale
    >>> w
    tensor([0.8000, 1.2000], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "alpha": nonnegative,
        "eps": nonnegative,
        "momentum": nonnegative,
        "centered": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> RunningSquares:
        """Means and a velocity of 0, after 0 steps."""
        return RunningSquares(
            step=zeros(dtype=dtypes.float64),
            square_avg=zeros_like(p),
            momentum_buffer=None if absent(group["momentum"]) else zeros_like(p),
            grad_avg=zeros_like(p) if group["centered"] else None,
        )

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta and mu."""
        return lr, group["momentum"]

    def update(
        self,
        p: Tensor,
        g: Tensor,
        state: RunningSquares,
        group: Mapping[str, Any],
        numbers: Numbers,
    ) -> None:
        """The equations above."""
        (lr, mu), alpha = numbers, group["alpha"]
        g = penalized(p, g, group)
        state.square_avg *= alpha
        state.square_avg += (1 - alpha) * g * g
        spread = state.square_avg
        if state.grad_avg is not None:
            state.grad_avg += (1 - alpha) * (g - state.grad_avg)
            spread = spread - state.grad_avg * state.grad_avg
        scaled = g / (spread.sqrt() + group["eps"])
        if state.momentum_buffer is None:
            p -= lr * scaled
            return
        state.momentum_buffer *= mu
        state.momentum_buffer += scaled
        p -= lr * state.momentum_buffer
