"""Adamax: Adam with the largest gradient in place of the root mean square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.ops.creation import zeros, zeros_like
from thalweg.optim.adam import Adaptive, followed
from thalweg.optim.decay import penalized
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers

__all__ = ["Adamax", "Extremes"]


@dataclass(slots=True)
class Extremes:
    """The step count, a running mean of the gradient and its fading largest size."""

    step: Tensor
    exp_avg: Tensor
    exp_inf: Tensor


class Adamax(Adaptive):
    """Adam in the infinity norm. With eta = `lr` and (beta1, beta2) = `betas`, in step t:

        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        theta <- theta - eta / (1 - beta1^t) m / u

    u needs no correction: it starts at 0, which the first gradient replaces.
    `weight_decay` = lambda adds lambda theta to g. `maximize` ascends: g becomes -g, before that.

    Sources: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1; named
    in deck 000, "Adam".

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = Adamax([w], lr=0.1)
    >>> w.grad = tw.tensor([100.0, -0.01])
    >>> optimizer.step()
    >>> w
    tensor([0.9000, 1.1000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Extremes:
        """A mean and a largest of 0, after 0 steps."""
        return Extremes(zeros(dtype=dtypes.float64), zeros_like(p), zeros_like(p))

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta / (1 - beta1^t); beta1 and 1 - beta1."""
        assert step is not None  # `Extremes` counts
        beta1 = group["betas"][0]
        return lr / (1 - beta1**step), beta1, 1 - beta1

    def update(
        self, p: Tensor, g: Tensor, state: Extremes, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        size, beta1, weight = numbers
        g = penalized(p, g, group)
        m, u = followed(state.exp_avg, g, beta1, weight), state.exp_inf
        u._assign((u * group["betas"][1]).maximum(g.abs() + group["eps"]))
        p -= size * m / u
