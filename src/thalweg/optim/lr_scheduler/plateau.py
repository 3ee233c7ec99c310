"""Lower the step size when a metric has stopped to improve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import as_tensor, tensor
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lr_scheduler.base import Scheduler, of_group
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import choice, nonnegative, positive, whole

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(Scheduler):
    """Decay on a plateau: after more than `patience` steps without a better metric, times `factor`.

    Call `step(metric)` once an epoch, with a number or a tensor of one element. A metric is better
    than the best so far if it is, in `mode` "min" and `threshold_mode` "rel", below
    best (1 - threshold), or, in "abs", below best - threshold; in `mode` "max" above
    best (1 + threshold) or best + threshold. NaN is never better.

    After a reduction, `cooldown` steps do not count as bad. No step size goes below `min_lr` (one
    number, or one for each group), and changes of no more than `eps` are not made.

    The counts are tensors and so is every decision: in a compiled step nothing is traced again. The
    other schedules of the optimizer multiply with the reductions made here.

    Source: deck 000, "Simple neural network heuristic": if the accuracy on the development set did
    not improve during the last N epochs, eps <- alpha eps; here alpha = `factor`, N = patience + 1.

    Raises `ConfigError` for settings out of range, such as a factor that does not reduce.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=1)
    >>> for accuracy in 0.5, 0.7, 0.7, 0.7, 0.8:
    ...     schedule.step(accuracy)
    ...     print(schedule.get_last_lr())
    [1.0]
    [1.0]
    [1.0]
    [0.5]
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = type(self).__name__
        self.mode = choice("min", "max")(f"{name}: mode", mode)
        self.threshold_mode = choice("rel", "abs")(f"{name}: threshold_mode", threshold_mode)
        self.factor = positive(f"{name}: factor", factor)
        if self.factor >= 1:
            raise ConfigError(f"{name}: factor={factor}; expected below 1, to reduce the step size")
        self.patience = whole(f"{name}: patience", patience)
        self.threshold = nonnegative(f"{name}: threshold", threshold)
        self.cooldown = whole(f"{name}: cooldown", cooldown)
        self.eps = nonnegative(f"{name}: eps", eps)
        self.min_lr = self._by_group("min_lr", min_lr, nonnegative)
        self.best = tensor(math.inf if self.mode == "min" else -math.inf, dtype=dtypes.float64)
        self.num_bad_epochs = tensor(0.0, dtype=dtypes.float64)
        self.cooldown_counter = tensor(0.0, dtype=dtypes.float64)
        self.scales: list[Tensor] = []  # by group: the product of the reductions
        super().__init__(optimizer)

    def per(self, unit: str) -> Self:
        """It is given a metric once an epoch. Raises `ConfigError` for another unit."""
        if unit != "epoch":
            raise ConfigError(f"ReduceLROnPlateau: unit={unit!r}; a metric comes once an epoch")
        return self

    def joined(self, group: ParamGroup, index: int) -> None:
        """The group has had no reduction yet. There must be a `min_lr` for it."""
        if isinstance(self.min_lr, list):
            groups = max(index + 1, len(self.optimizer.param_groups))
            self._one_each("min_lr", len(self.min_lr), groups)
        self.scales[index:] = [tensor(1.0, dtype=dtypes.float64)]

    def scheduled(self, lr: Tensor, index: int) -> Tensor:
        """lr times the reductions so far."""
        return lr * self.scales[index]

    def step(self, metrics: float | Tensor) -> None:
        """Take note of an epoch's metric, and reduce the step sizes if it is time."""
        metric = as_tensor(metrics, dtype=dtypes.float64).detach().reshape(())
        better = self._better(metric)
        self.best._assign(metric.where(better, self.best))
        cooling = self.cooldown_counter > 0
        bad = (self.num_bad_epochs + 1).where(~(better | cooling), 0)
        reduce = bad > self.patience
        left = (self.cooldown_counter - 1).where(cooling, 0)
        self.num_bad_epochs._assign(bad.where(~reduce, 0))
        self.cooldown_counter._assign(left.where(~reduce, self.cooldown))
        self._reduce(reduce)
        self.count += 1
        self.optimizer.reschedule()

    def _better(self, metric: Tensor) -> Tensor:
        best, margin = self.best, self.threshold
        match self.mode, self.threshold_mode:
            case "min", "rel":
                return metric < best * (1 - margin)
            case "min", _:
                return metric < best - margin
            case _, "rel":
                return metric > best * (1 + margin)
            case _:
                return metric > best + margin

    def _reduce(self, now: Tensor) -> None:
        """Where `now` holds: times `factor`, or what leads to `min_lr`, if that changes enough."""
        for index, group in enumerate(self.optimizer.param_groups):
            limit, lr = of_group(self.min_lr, index), group["lr"]
            shrink = (limit / lr).maximum(self.factor)
            enough = lr - (lr * self.factor).maximum(limit) > self.eps
            self.scales[index] *= shrink.where(now & enough, 1)

    def state_dict(self) -> dict[str, Any]:
        """What changes in training, in plain numbers."""
        return {
            "last_epoch": self.last_epoch,
            "best": float(self.best),
            "num_bad_epochs": int(self.num_bad_epochs),
            "cooldown_counter": int(self.cooldown_counter),
            "scales": [float(scale) for scale in self.scales],
        }

    def _load(self, saved: Mapping[str, Any]) -> None:
        self._one_each("scales", len(saved["scales"]), len(self.scales))
        super()._load(saved)
        self.best.fill_(float(saved["best"]))
        self.num_bad_epochs.fill_(whole("num_bad_epochs", saved["num_bad_epochs"]))
        self.cooldown_counter.fill_(whole("cooldown_counter", saved["cooldown_counter"]))
        for scale, value in zip(self.scales, saved["scales"], strict=True):
            scale.fill_(nonnegative("scales", value))
