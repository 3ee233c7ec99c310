"""What all schedules share: a counter, a place at the optimizer, the step size as a function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import arange, tensor
from thalweg.ops.joining import stack
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lr_scheduler.sparks import sparkline
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import Configured, choice, nonnegative, refuse_unknown, whole
from thalweg.tape import mode

__all__ = ["FactorLR", "LRScheduler", "Scheduler", "UNITS", "called", "counting", "of_group"]

T = TypeVar("T")
_HIDDEN = ("is_function", "schedulers", "_fresh", "_marks", "_unit", "total_size", "step_ratio")
UNITS = ("step", "epoch", "fraction")


def of_group(setting: T | list[T], index: int) -> T:
    """The value of a setting for group `index`: the one for all, or the group's own."""
    return setting[index] if isinstance(setting, list) else setting


def called(function: Callable[[int], Any], t: Tensor) -> Tensor:
    """A Python function of the step, at `t` of rank 0 or 1. Under a trace `t` has no value."""
    steps = t.tolist()
    if isinstance(steps, list):
        return tensor([float(function(int(step))) for step in steps], dtype=dtypes.float64)
    return tensor(float(function(int(steps))), dtype=dtypes.float64)


@contextmanager
def counting(schedules: Sequence[Scheduler], counts: Sequence[Tensor]) -> Iterator[None]:
    """The schedules' t are these in this block; of rank 1, many at once."""
    before = [schedule.count for schedule in schedules]
    for schedule, count in zip(schedules, counts, strict=True):
        schedule.count = count
    try:
        yield
    finally:
        for schedule, count in zip(schedules, before, strict=True):
            schedule.count = count


class Scheduler(Configured, ABC):
    """Anything that changes an optimizer's step sizes: a function of t, or of a metric.

    Making one attaches it to `optimizer` and sets the step sizes. From then on each group's "lr" is
    its "initial_lr" as the optimizer's schedules change it, in the order they were made: factors
    multiply. `step()` moves one schedule on, once an epoch or once a batch as you choose.

    A schedule that is stepped no more goes on multiplying by its last factor, until
    `optimizer.detach(schedule)` takes it off. A change of group["lr"] by hand lasts until the next
    `step()`; change group["initial_lr"] to scale all that follows.

    In a loop of your own a schedule counts what you call `step()` for. A `Trainer` goes by `unit`,
    which `per` sets: "step", t counts updates; "epoch", t counts epochs, and changes between them;
    "fraction", t counts epochs as well, but grows with every update by its share of an epoch.
    """

    _unit = "epoch"

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise ConfigError(
                f"{name}: optimizer is a {type(optimizer).__name__}; expected one of thalweg.optim"
            )
        whole(f"{name}: last_epoch", last_epoch, -1)
        if last_epoch >= 0 and any("initial_lr" not in group for group in optimizer.param_groups):
            raise ConfigError(
                f'{name}: last_epoch={last_epoch}, but the groups have no "initial_lr"; '
                "load the optimizer's state first, or begin with last_epoch=-1"
            )
        self.optimizer = optimizer
        self.count = tensor(last_epoch + 1, dtype=dtypes.float64)
        optimizer.attach(self)

    @abstractmethod
    def scheduled(self, lr: Tensor, index: int) -> Tensor:
        """The step size of group `index` now; `lr` is what it is without this schedule."""

    def has_momentum(self) -> bool:
        """Whether this schedule changes the momentum as well."""
        return False

    def scheduled_momentum(self, momentum: Tensor, index: int) -> Tensor:
        """The momentum of group `index` now; `momentum` is what it was."""
        return momentum

    def joined(self, group: ParamGroup, index: int) -> None:
        """Called for each group of the optimizer, also for those that are added later."""

    def _by_group(self, setting: str, given: Any, rule: Callable[[str, Any], T]) -> T | list[T]:
        """A setting that is one for all groups, or a sequence with one for each."""
        name = f"{type(self).__name__}: {setting}"
        if isinstance(given, Sequence) and not isinstance(given, str):
            return [rule(name, x) for x in given]
        return rule(name, given)

    def _one_each(self, setting: str, given: int, groups: int) -> None:
        if given != groups:
            raise ConfigError(
                f"{type(self).__name__}: {given} values of {setting} for {groups} groups; "
                "give one for each group of the optimizer, or a single one for all"
            )

    @property
    def unit(self) -> str:
        """What a `Trainer` counts t in: "step", "epoch" or "fraction"."""
        return self._unit

    def per(self, unit: str) -> Self:
        """Say what a `Trainer` is to count t in; gives the schedule itself.

        Unless told, OneCycleLR and CyclicLR count updates ("step"), CosineAnnealingWarmRestarts
        fractions of epochs ("fraction"), the others epochs ("epoch"): as PyTorch's pages call them.

        >>> import thalweg as tw
        >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.5)
        >>> warm_up = tw.optim.lr_scheduler.LinearLR(optimizer, total_iters=500).per("step")
        >>> warm_up.unit
        'step'
        """
        self._unit = choice(*UNITS)(f"{type(self).__name__}: unit", unit)
        return self

    def updated(self, updates: int) -> None:
        """Go on by one update, of which an epoch has so many: what a `Trainer` calls after each.

        Nothing happens where t counts epochs.
        """

    @property
    def last_epoch(self) -> int:
        """The steps made: t."""
        return int(self.count)

    @property
    def base_lrs(self) -> list[float]:
        """Each group's step size without schedules."""
        return [float(group["initial_lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Each group's step size now."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What changes in training, in plain numbers. Unlike PyTorch's it holds no settings."""
        t = float(self.count)
        return {"last_epoch": int(t) if t.is_integer() else t}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave, and set the step sizes. Load the optimizer first.

        Raises `ConfigError` if a name is missing or unknown.
        """
        where, known = f"a state of {type(self).__name__}", list(self.state_dict())
        refuse_unknown(where, state_dict, known)
        missing = [name for name in known if name not in state_dict]
        if missing:
            raise ConfigError(f"{where} lacks {', '.join(map(repr, missing))}")
        self._load(state_dict)
        self.optimizer.reschedule()

    def _load(self, saved: Mapping[str, Any]) -> None:
        rule: Callable[[str, Any], float] = nonnegative if self._unit == "fraction" else whole
        self.count.fill_(rule(f"{type(self).__name__}: last_epoch", saved["last_epoch"]))


class LRScheduler(Scheduler):
    """A schedule that is a function: in step t = 0, 1, ... the step size is `rate(t, lr, index)`.

    Call `step()` after `optimizer.step()`. Called before, it skips the step size of t = 0; PyTorch
    warns of that, but a compiled step does not count calls, so there is no warning here.

    `last_epoch` = t - 1 begins with another t; the groups must hold "initial_lr" then. To resume,
    prefer `load_state_dict`.

    Raises `ConfigError` for settings out of range, and for what is no optimizer.
    """

    master: LRScheduler | None = None  # the schedule that this one is a part of
    is_function = True  # of t alone, defined for every t: it can be drawn any time

    @abstractmethod
    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """The step size of group `index` in step `t`; `lr` is what it is without this schedule.

        `t` is float64, of rank 0 or, for many at once, 1: a rate that cannot do with that is asked
        for one after another. Written with operations on tensors, it can be traced as well.
        """

    def momentum(self, t: Tensor, now: Tensor, index: int) -> Tensor:
        """The momentum of group `index` in step `t`; `now` is what it was, and stays here."""
        return now

    def scheduled(self, lr: Tensor, index: int) -> Tensor:
        """`rate` now."""
        return self.rate(self.count, lr, index)

    def scheduled_momentum(self, momentum: Tensor, index: int) -> Tensor:
        """`momentum` now."""
        return self.momentum(self.count, momentum, index)

    def step(self) -> None:
        """Go on to the next t, and set the step sizes.

        Raises `ConfigError` if this schedule is part of another: step that one.
        """
        if self.master is not None:
            raise ConfigError(
                f"this {type(self).__name__} is part of a {type(self.master).__name__}: step that"
            )
        self.count += 1
        self.optimizer.reschedule()

    def updated(self, updates: int) -> None:
        """Go on by one update: by 1, or by its share of an epoch."""
        if self.unit == "step":
            self.step()
        elif self.unit == "fraction":
            self.count._assign(self.advanced(1, updates))
            self.optimizer.reschedule()

    def advanced(self, more: int | Tensor, updates: int) -> Tensor:
        """t after so many more updates, of which an epoch has `updates`. Nothing changes by it."""
        if self.unit == "step":
            return self.count + more
        # Whole numbers of updates: no rounding adds up.
        return ((self.count * updates).round() + more) / updates

    def values(self, n: int, index: int = 0) -> Tensor:
        """The step sizes of t = 0 to n - 1 under this schedule alone, float64 of shape (n,).

        To draw them before training: nothing changes by it. `index` is the group that counts.

        >>> import thalweg as tw
        >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=8.0)
        >>> schedule = tw.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> schedule.values(5).tolist()
        [8.0, 8.0, 4.0, 4.0, 2.0]
        """
        t = arange(whole("values: n", n), dtype=dtypes.float64)
        return self.rates(t, self.optimizer.param_groups[index]["initial_lr"].expand(n), index)

    def rates(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """`rate` at each of `t`, (n,), and each of `lr`: all at once or, where the Python of a
        schedule wants one number, one by one."""
        try:
            with counting([self], [t]):
                found = self.rate(t, lr, index)
            if found.shape == t.shape:
                return found
        except Exception:  # what is wrong with the schedule itself is raised again below
            pass
        each = []
        for now, before in zip(t, lr, strict=True):
            with counting([self], [now]):
                each.append(self.rate(now, before, index))
        return stack(each)

    def sparkline(self, n: int = 40, index: int = 0) -> str:
        """The step sizes of t = 0 to n - 1 as a line of text; `inspect.schedule` draws them.

        >>> import thalweg as tw
        >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=8.0)
        >>> schedule = tw.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
        >>> schedule.sparkline(12)
        '████▅▅▅▅▃▃▃▃'
        """
        return sparkline(self.values(n, index).tolist())

    def __repr__(self) -> str:
        settings = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if name not in _HIDDEN and isinstance(value, bool | int | float | str | list)
        ]
        is_drawn = self.is_function and mode.trace is None
        curve = f" {self.sparkline()}" if is_drawn else ""
        return f"<{type(self).__name__}({', '.join(settings)}){curve}>"

    def momentum_values(self, n: int, index: int = 0) -> Tensor:
        """The momentum of t = 0 to n - 1 under this schedule, float64 of shape (n,).

        Raises `ConfigError` if this schedule does not change the momentum.
        """
        if not self.has_momentum():
            raise ConfigError(f"{type(self).__name__} does not change the momentum")
        t = arange(whole("momentum_values: n", n), dtype=dtypes.float64)
        now = self.optimizer.param_groups[index].changing_momentum()
        return self.momentum(t, now.expand(n), index)


class FactorLR(LRScheduler):
    """A schedule that is a factor on the step size. To write one, give its `factor`:

    >>> import thalweg as tw
    >>> class Wave(FactorLR):
    ...     def factor(self, t):
    ...         return 1 + 0.5 * t.sin()
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.1)
    >>> wave = Wave(optimizer)
    >>> wave.step()
    >>> f"{optimizer.param_groups[0]['lr']:.4f}"
    '0.1421'
    """

    @abstractmethod
    def factor(self, t: Tensor) -> Tensor:
        """The factor in step `t`, of the shape of `t`: rank 0 or, for many at once, 1."""

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """lr * factor(t)."""
        return lr * self.factor(t)
