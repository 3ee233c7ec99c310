"""ASGD: gradient descent, and beside it the average of where it has been."""

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
from thalweg.settings import Rule, nonnegative

__all__ = ["ASGD", "Average"]


@dataclass(slots=True)
class Average:
    """The step count, this step's eta and mu, and the average, of the parameter's shape."""

    step: Tensor
    eta: Tensor
    mu: Tensor
    ax: Tensor


class ASGD(Optimizer):
    """Averaged gradient descent. In step t, with l = `lambd`:

        theta <- (1 - l eta_t) theta - eta_t g
        ax <- ax + mu_t (theta - ax)
        eta_(t+1) = lr / (1 + l lr t)^alpha          mu_(t+1) = 1 / max(1, t - t0)

    from eta_1 = lr and mu_1 = 1. Up to `t0` steps the average is theta itself, from then on the
    mean of what follows. Training leaves theta in the parameter and the average in
    `optimizer.state[p].ax`. To evaluate and keep averages of a model, see `optim.swa_utils`.

    `weight_decay` = lambda adds lambda theta to g. `maximize` ascends: g becomes -g, before that.

    Source: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the
    equations of torch.optim.ASGD.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([0.0], requires_grad=True)
    >>> optimizer = ASGD([w], lr=1.0, lambd=0.0, t0=0.0)
    >>> for slope in 1.0, -2.0, 3.0:
    ...     w.grad = tw.tensor([slope])
    ...     optimizer.step()
    >>> w, optimizer.state[w].ax  # -1, 1, -2; the average of the last two
    (tensor([-2.], requires_grad=True), tensor([-0.5000]))
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **Optimizer.rules,
        "lambd": nonnegative,
        "alpha": nonnegative,
        "t0": nonnegative,
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Average:
        """mu_1 = 1; eta and the average, 0 here, are set in the first step."""
        step, eta, mu = (zeros(dtype=dtypes.float64) for _ in range(3))
        return Average(step, eta, mu.fill_(1), zeros_like(p))

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """What is added to eta: lr in the first step, then 0; eta and mu of the step after this."""
        assert step is not None  # `Average` counts
        eta = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]
        return lr.where(step == 1, 0), eta, 1 / (step - group["t0"]).maximum(1)

    def update(
        self, p: Tensor, g: Tensor, state: Average, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        g = penalized(p, g, group)
        start, *following = numbers
        eta = (state.eta + start).to(p.dtype)
        p *= 1 - group["lambd"] * eta
        p -= eta * g
        state.ax += (p - state.ax) * state.mu.to(p.dtype)
        for held, value in zip((state.eta, state.mu), following, strict=True):
            held.copy_(value)
