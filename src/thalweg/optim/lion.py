"""Lion: the sign of a running mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.ops.creation import zeros_like
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, fractions

__all__ = ["Lion", "RunningMean"]


@dataclass(slots=True)
class RunningMean:
    """A running mean of the gradients, of the parameter's shape."""

    exp_avg: Tensor


class Lion(Optimizer):
    """Evolved sign momentum. With eta = `lr`, (beta1, beta2) = `betas` and lambda = `weight_decay`:

        theta <- theta - eta (sign(beta1 m + (1 - beta1) g) + lambda theta)
        m <- beta2 m + (1 - beta2) g

    Every element moves by eta, so `lr` is about a tenth of what Adam is given, and lambda, which is
    decoupled from the gradient as in `AdamW`, ten times as large. One mean to hold, where Adam has
    two. `maximize` ascends: g becomes -g.

    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023. PyTorch has
    no Lion.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0, 1.0], requires_grad=True)
    >>> optimizer = Lion([w], lr=0.1)
    >>> w.grad = tw.tensor([100.0, -0.01, 0.0])
    >>> optimizer.step()
    >>> w
    tensor([0.9000, 1.1000, 1.0000], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {**Optimizer.rules, "betas": fractions}

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> RunningMean:
        """A mean of 0."""
        return RunningMean(zeros_like(p))

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta; beta1, 1 - beta1; the share 1 - eta lambda that decay leaves."""
        beta1 = group["betas"][0]
        return lr, beta1, 1 - beta1, 1 - lr * group["weight_decay"]

    def update(
        self, p: Tensor, g: Tensor, state: RunningMean, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        lr, beta1, weight, kept = numbers
        m, beta2 = state.exp_avg, group["betas"][1]
        move = lr * (beta1 * m + weight * g).sign()
        m *= beta2
        m += (1 - beta2) * g
        if group["weight_decay"]:
            p *= kept
        p -= move
