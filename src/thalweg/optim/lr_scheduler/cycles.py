"""Schedules that go up and down again: restarts, triangles, and one cycle for a whole training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import full_like, tensor
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lr_scheduler.base import FactorLR, LRScheduler, called, of_group
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import choice, flag, fraction, function, nonnegative, positive, whole

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]

PerGroup = float | Sequence[float]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines, one after another: eta_min + (eps0 - eta_min) (1 + cos(pi t' / T)) / 2.

    t' counts from the last restart. The first T is `T_0`; each is `T_mult` times the one before.
    `step(t)` goes to any t, which may lie between two whole numbers, as in PyTorch: to count
    epochs and still change the step size with every batch, which is what a `Trainer` does.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> [round(lr, 4) for lr in schedule.values(7).tolist()]
    [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0]
    """

    _unit = "fraction"

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = whole("CosineAnnealingWarmRestarts: T_0", T_0, 1)
        self.T_mult = whole("CosineAnnealingWarmRestarts: T_mult", T_mult, 1)
        self.eta_min = nonnegative("CosineAnnealingWarmRestarts: eta_min", eta_min)
        self._restarts = tensor(self._starts(), dtype=dtypes.float64)
        super().__init__(optimizer, last_epoch)

    def _starts(self) -> list[int]:
        """The restarts after the first, where they do not come evenly: as many as t can count."""
        starts, length = [self.T_0], self.T_0 * self.T_mult
        while self.T_mult > 1 and starts[-1] < 2**53:
            starts.append(starts[-1] + length)
            length *= self.T_mult
        return starts

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next t, or to `epoch`."""
        if epoch is None:
            super().step()
            return
        where = nonnegative("CosineAnnealingWarmRestarts: epoch", epoch)
        self.count.fill_(where - 1)
        super().step()

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """The equation above, with `lr` as eps0."""
        if self.T_mult == 1:
            share = t / self.T_0 - (t / self.T_0).floor()
        else:
            passed = (t.unsqueeze(-1) >= self._restarts).sum(-1).to(t.dtype)
            length = self.T_0 * float(self.T_mult) ** passed
            start = (length - self.T_0) / (self.T_mult - 1)
            share = (t - start) / length
        return self.eta_min + (lr - self.eta_min) * (1 + (share * math.pi).cos()) / 2


class _Cycling(LRScheduler):
    """A schedule that lowers the momentum while it raises the step size, if asked to."""

    _unit = "step"
    cycle_momentum: bool
    base_momentum: float | list[float]
    max_momentum: float | list[float]

    def _momentums(self, cycle_momentum: bool, base: PerGroup, max_: PerGroup) -> None:
        self.cycle_momentum = flag(f"{type(self).__name__}: cycle_momentum", cycle_momentum)
        self.base_momentum = self._by_group("base_momentum", base, fraction)
        self.max_momentum = self._by_group("max_momentum", max_, fraction)

    def has_momentum(self) -> bool:
        """Whether `cycle_momentum` asked for it."""
        return self.cycle_momentum

    def joined(self, group: ParamGroup, index: int) -> None:
        """There must be a momentum to change, and a value of each setting for the group."""
        if self.cycle_momentum and group.momentum_key is None:
            group.changing_momentum()  # says what is missing
        groups = max(index + 1, len(self.optimizer.param_groups))
        for setting in ("base_lr", "max_lr", "base_momentum", "max_momentum"):
            given = getattr(self, setting, None)
            if isinstance(given, list):
                self._one_each(setting, len(given), groups)


class CyclicLR(_Cycling):
    """Up from `base_lr` to `max_lr` in `step_size_up` steps, down in `step_size_down`, again and
    again:

        base_lr + (max_lr - base_lr) h(t) s

    h goes from 0 to 1 and back along straight lines. In cycle c = 1, 2, ... the height s is, by
    `mode`, "triangular" 1, "triangular2" 2^(1 - c), "exp_range" gamma^t, or what your `scale_fn`
    makes of c (`scale_mode` "cycle") or t ("iterations"), Python ints.

    With `cycle_momentum` the momentum (or beta1) goes the other way, from `max_momentum` to
    `base_momentum` and back. It is a tensor then: a compiled step needs not be compiled again.
    A custom `scale_fn` cannot be part of a compiled function; see `LambdaLR`.

    `base_lr` takes the place of the group's "lr". Each setting may be a list, with one for each
    group.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017.

    Raises `ConfigError` for settings out of range, and if there is no momentum to cycle.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], momentum=0.9)
    >>> schedule = CyclicLR(optimizer, base_lr=1.0, max_lr=3.0, step_size_up=2)
    >>> schedule.values(7).tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0]
    >>> [round(m, 4) for m in schedule.momentum_values(4).tolist()]
    [0.9, 0.85, 0.8, 0.85]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: PerGroup,
        max_lr: PerGroup,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[int], Any] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.8,
        max_momentum: PerGroup = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.base_lr = self._by_group("base_lr", base_lr, nonnegative)
        self.max_lr = self._by_group("max_lr", max_lr, nonnegative)
        up = down = whole("CyclicLR: step_size_up", step_size_up, 1)
        if step_size_down is not None:
            down = whole("CyclicLR: step_size_down", step_size_down, 1)
        self.total_size, self.step_ratio = up + down, up / (up + down)
        self.mode = choice("triangular", "triangular2", "exp_range")("CyclicLR: mode", mode)
        self.gamma = positive("CyclicLR: gamma", gamma)
        self.scale_fn = None if scale_fn is None else function("CyclicLR: scale_fn", scale_fn)
        self.is_function = scale_fn is None
        self.scale_mode = choice("cycle", "iterations")("CyclicLR: scale_mode", scale_mode)
        self._momentums(cycle_momentum, base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """The equation above, by the share that other schedules leave of the initial step size."""
        base, top = of_group(self.base_lr, index), of_group(self.max_lr, index)
        share: Tensor = lr / self.optimizer.param_groups[index]["initial_lr"]
        return share * (base + (top - base) * self._height(t))

    def momentum(self, t: Tensor, now: Tensor, index: int) -> Tensor:
        """From `max_momentum` down and back."""
        if not self.cycle_momentum:
            return now
        base, top = of_group(self.base_momentum, index), of_group(self.max_momentum, index)
        return top - (top - base) * self._height(t)

    def _height(self, t: Tensor) -> Tensor:
        """h(t) s."""
        cycle = (t / self.total_size).floor()
        x = t / self.total_size - cycle
        line = (x / self.step_ratio).minimum((1 - x) / (1 - self.step_ratio))
        return line * self._scale(t, cycle + 1)

    def _scale(self, t: Tensor, cycle: Tensor) -> Tensor | float:
        if self.scale_fn is not None:
            return called(self.scale_fn, cycle if self.scale_mode == "cycle" else t)
        if self.mode == "triangular":
            return 1.0
        return 2 ** (1 - cycle) if self.mode == "triangular2" else self.gamma**t


class OneCycleLR(_Cycling, FactorLR):
    """One cycle for a whole training: up from max_lr / div_factor to `max_lr` in the first
    `pct_start` of the steps, then down to max_lr / (div_factor final_div_factor).

    Along half cosines, or straight lines where `anneal_strategy` is "linear". With `three_phase`
    the way down leads to the initial step size in as many steps as the way up took, and from there
    to the last. There are `total_steps`, or `epochs` times `steps_per_epoch`; beyond them the step
    size stays what it was in the last.

    The group's "initial_lr" becomes max_lr / div_factor. With `cycle_momentum` the momentum (or
    beta1) goes the other way, from `max_momentum` to `base_momentum` and back. It is a tensor then:
    a compiled step needs not be compiled again.

    Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.

    Raises `ConfigError` for settings out of range, and if there is no momentum to cycle.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], momentum=0.9)
    >>> schedule = OneCycleLR(optimizer, 1.0, total_steps=9, pct_start=0.3333333333333333,
    ...                       anneal_strategy="linear", div_factor=4.0, final_div_factor=10.0)
    >>> [round(lr, 4) for lr in schedule.values(9).tolist()]
    [0.25, 0.625, 1.0, 0.8375, 0.675, 0.5125, 0.35, 0.1875, 0.025]
    >>> [round(m, 4) for m in schedule.momentum_values(4).tolist()]
    [0.95, 0.9, 0.85, 0.8667]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: PerGroup,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.85,
        max_momentum: PerGroup = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.max_lr = self._by_group("max_lr", max_lr, positive)
        self.total_steps = _steps(total_steps, epochs, steps_per_epoch)
        pct = fraction("OneCycleLR: pct_start", pct_start)
        strategies = choice("cos", "linear")
        self.anneal_strategy = strategies("OneCycleLR: anneal_strategy", anneal_strategy)
        self.div_factor = positive("OneCycleLR: div_factor", div_factor)
        last = 1 / positive("OneCycleLR: final_div_factor", final_div_factor)
        self._momentums(cycle_momentum, base_momentum, max_momentum)
        self._fresh = last_epoch == -1
        peak, end = pct * self.total_steps - 1, self.total_steps - 1.0
        # Where each phase ends, the step size there by the initial one, and whether it is the peak.
        self._marks = [(0.0, 1.0, False), (peak, self.div_factor, True), (end, last, False)]
        if flag("OneCycleLR: three_phase", three_phase):
            self._marks.insert(2, (2 * pct * self.total_steps - 2, 1.0, False))
        super().__init__(optimizer, last_epoch)

    def joined(self, group: ParamGroup, index: int) -> None:
        """The group begins with max_lr / div_factor."""
        super().joined(group, index)
        if self._fresh:
            group["initial_lr"] = of_group(self.max_lr, index) / self.div_factor

    def factor(self, t: Tensor) -> Tensor:
        """The step size by the initial one."""
        return self._along(t, [height for _, height, _ in self._marks])

    def momentum(self, t: Tensor, now: Tensor, index: int) -> Tensor:
        """From `max_momentum` down and back."""
        if not self.cycle_momentum:
            return now
        low, high = of_group(self.base_momentum, index), of_group(self.max_momentum, index)
        return self._along(t, [low if is_peak else high for _, _, is_peak in self._marks])

    def _along(self, t: Tensor, heights: Sequence[float]) -> Tensor:
        """From one height to the next, phase by phase; after the last it stays."""
        marks = [(end, height) for (end, *_), height in zip(self._marks, heights, strict=True)]
        now = full_like(t, heights[0])
        for (start, low), (end, high) in pairwise(marks):
            if end > start:
                share = ((t - start) / (end - start)).minimum(1)
                now = self._between(low, high, share).where(t > start, now)
            else:
                now = full_like(t, high).where(t > start, now)
        return now

    def _between(self, start: float, end: float, share: Tensor) -> Tensor:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + (share * math.pi).cos())


def _steps(total: int | None, epochs: int | None, per_epoch: int | None) -> int:
    if total is not None:
        return whole("OneCycleLR: total_steps", total, 1)
    if epochs is None or per_epoch is None:
        raise ConfigError("OneCycleLR: expected total_steps, or both epochs and steps_per_epoch")
    count = whole("OneCycleLR: epochs", epochs, 1)
    return count * whole("OneCycleLR: steps_per_epoch", per_epoch, 1)
