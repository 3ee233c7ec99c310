"""Schedules that lower the step size: in steps, by a law, or along a cosine.

eps0 is a group's "initial_lr" and t = 0, 1, 2, ... the step. Sources, where not given: deck 000,
"How to choose the step size", and PyTorch's schedules of the same names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import tensor
from thalweg.optim.lr_scheduler.base import FactorLR, LRScheduler
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import listed, nonnegative, positive, whole

__all__ = [
    "CosineAnnealingLR",
    "DiminishingLR",
    "ExponentialDecayLR",
    "ExponentialLR",
    "InverseTimeLR",
    "MultiStepLR",
    "PolynomialLR",
    "StepLR",
]


class StepLR(FactorLR):
    """Step decay, eps0 gamma^floor(t / step_size): times `gamma` every `step_size` steps.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> StepLR(optimizer, step_size=2, gamma=0.5).values(5).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = whole("StepLR: step_size", step_size, 1)
        self.gamma = positive("StepLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """gamma^floor(t / step_size)."""
        return self.gamma ** (t // self.step_size)


class MultiStepLR(FactorLR):
    """Step decay at chosen steps: eps0 gamma^(number of `milestones` that are not after t).

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5).values(5).tolist()
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        name = "MultiStepLR: milestones"
        self.milestones = sorted(whole(name, step) for step in listed(name, milestones))
        self.gamma = positive("MultiStepLR: gamma", gamma)
        self._milestones = tensor(self.milestones, dtype=dtypes.float64)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """gamma^(milestones passed)."""
        passed = (t.unsqueeze(-1) >= self._milestones).sum(-1)
        return self.gamma ** passed.to(t.dtype)


class ExponentialLR(FactorLR):
    """eps0 gamma^t: exponential decay by its factor a step. See `ExponentialDecayLR`.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> ExponentialLR(optimizer, gamma=0.5).values(4).tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = positive("ExponentialLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """gamma^t."""
        return self.gamma**t


class ExponentialDecayLR(FactorLR):
    """eps0 exp(-alpha t): exponential decay by its rate, `ExponentialLR` with gamma = e^-alpha.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> [round(lr, 4) for lr in ExponentialDecayLR(optimizer, alpha=1.0).values(3).tolist()]
    [1.0, 0.3679, 0.1353]
    """

    def __init__(self, optimizer: Optimizer, alpha: float, last_epoch: int = -1) -> None:
        self.alpha = nonnegative("ExponentialDecayLR: alpha", alpha)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """exp(-alpha t)."""
        return (-self.alpha * t).exp()


class InverseTimeLR(FactorLR):
    """1/t decay: eps0 / (1 + alpha t). Deck 000 prints eps0 / (1 + alpha), a slip: no t, no decay.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> InverseTimeLR(optimizer, alpha=1.0).values(4).tolist()
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    def __init__(self, optimizer: Optimizer, alpha: float, last_epoch: int = -1) -> None:
        self.alpha = nonnegative("InverseTimeLR: alpha", alpha)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """1 / (1 + alpha t)."""
        return 1 / (1 + self.alpha * t)


class DiminishingLR(FactorLR):
    """Nonsummable diminishing: eps0 / (t + 1)^power, 0 < power <= 1; by default eps0 / sqrt(t + 1).

    Deck 000's conditions: the step sizes tend to 0, and so does the noise of the steps, but their
    sum is infinite, so no point is out of reach. (t + 1)^-p tends to 0 for p > 0 and has an
    infinite sum for p <= 1. Deck 000 counts t from 1; here it begins at 0, hence t + 1.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=6.0)
    >>> DiminishingLR(optimizer, power=1.0).values(3).tolist()
    [6.0, 3.0, 2.0]
    """

    def __init__(self, optimizer: Optimizer, power: float = 0.5, last_epoch: int = -1) -> None:
        self.power = positive("DiminishingLR: power", power)
        if self.power > 1:
            raise ConfigError(
                f"DiminishingLR: power={power}; expected 1 or less: beyond, the step sizes have a "
                "finite sum, and training can stop short of a minimum that is further away"
            )
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """(t + 1)^-power."""
        return 1 / (t + 1) ** self.power


class PolynomialLR(FactorLR):
    """eps0 (1 - t / total_iters)^power, and 0 from t = total_iters on.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=4.0)
    >>> PolynomialLR(optimizer, total_iters=2, power=2.0).values(4).tolist()
    [4.0, 1.0, 0.0, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = whole("PolynomialLR: total_iters", total_iters, 1)
        self.power = positive("PolynomialLR: power", power)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: Tensor) -> Tensor:
        """(1 - min(t, total_iters) / total_iters)^power."""
        return (1 - t.minimum(self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """Half a cosine: eta_min + (eps0 - eta_min) (1 + cos(pi t / T_max)) / 2.

    From eps0 at t = 0 to `eta_min` at t = `T_max`; beyond, as in PyTorch, it rises again.
    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> [round(lr, 4) for lr in CosineAnnealingLR(optimizer, T_max=4).values(5).tolist()]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = whole("CosineAnnealingLR: T_max", T_max, 1)
        self.eta_min = nonnegative("CosineAnnealingLR: eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """The equation above, with `lr` as eps0."""
        height = (1 + (t * (math.pi / self.T_max)).cos()) / 2
        return self.eta_min + (lr - self.eta_min) * height
