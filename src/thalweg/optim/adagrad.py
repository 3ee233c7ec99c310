"""Adagrad: each element's step size falls with the gradients it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.ops.creation import full_like, zeros
from thalweg.optim.decay import penalized
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, nonnegative

__all__ = ["Adagrad", "SquaredSum"]


@dataclass(slots=True)
class SquaredSum:
    """The step count, and the sum of the squared gradients, of the parameter's shape."""

    step: Tensor
    sum: Tensor


class Adagrad(Optimizer):
    """A step size for each element, by all of its past gradients. With eta = `lr`, in step t:

        G <- G + g^2
        theta <- theta - eta_t g / (sqrt(G) + eps)        eta_t = eta / (1 + (t - 1) lr_decay)

    G starts at `initial_accumulator_value`. Elements with small or rare gradients keep a large step
    size. G only grows, so all step sizes tend to 0 and training can stall: `RMSprop` and `Adadelta`
    forget. Deck 004 writes sqrt(G + eps); here, as in PyTorch, eps stands outside the root.

    `weight_decay` = lambda adds lambda theta to g. `maximize` ascends: g becomes -g, before that.

    Sources: Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 2011; deck 000, "Adagrad"; deck 004, "Adagrad".

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = Adagrad([w], lr=0.1)
    >>> for _ in range(4):
    ...     w.grad = tw.tensor([100.0, 0.01])
    ...     optimizer.step()
    >>> w  # 1 - 0.1 (1 + 1 / sqrt(2) + 1 / sqrt(3) + 1 / sqrt(4)), whatever the scale
    tensor([0.7216, 0.7216], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "lr_decay": nonnegative,
        "initial_accumulator_value": nonnegative,
        "eps": nonnegative,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> SquaredSum:
        """The sum begins with `initial_accumulator_value`."""
        start = full_like(p, group["initial_accumulator_value"])
        return SquaredSum(zeros(dtype=dtypes.float64), start)

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """eta_t."""
        assert step is not None  # `SquaredSum` counts
        return (lr / (1 + (step - 1) * group["lr_decay"]),)

    def update(
        self, p: Tensor, g: Tensor, state: SquaredSum, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        g = penalized(p, g, group)
        state.sum += g * g
        p -= numbers[0] * g / (state.sum.sqrt() + group["eps"])
