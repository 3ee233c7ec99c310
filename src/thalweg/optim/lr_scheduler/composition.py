"""Schedules made of schedules: one after another, or all at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.optim.groups import ParamGroup
from thalweg.optim.lr_scheduler.base import LRScheduler
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import listed, whole

__all__ = ["ChainedScheduler", "SequentialLR"]

_MIXED = "mixed"  # units: the parts have different ones


class _Composed(LRScheduler):
    """A schedule that applies others. From then on it is the one to step."""

    def __init__(
        self, optimizer: Optimizer, schedulers: Iterable[LRScheduler], last_epoch: int
    ) -> None:
        self.schedulers = list(schedulers)
        for position, part in enumerate(self.schedulers):
            self._check_part(f"{type(self).__name__}: schedulers[{position}]", part, optimizer)
        self.is_function = all(part.is_function for part in self.schedulers)
        units = {part._unit for part in self.schedulers}
        self._unit = units.pop() if len(units) == 1 else _MIXED
        super().__init__(optimizer, last_epoch)
        for part in self.schedulers:
            optimizer.detach(part)
            part.master = self

    @property
    def unit(self) -> str:
        """That of the parts, unless `per` said another.

        Raises `ConfigError` for parts that differ.
        """
        if self._unit == _MIXED:
            listed = ", ".join(f"{type(p).__name__} {p.unit!r}" for p in self.schedulers)
            raise ConfigError(
                f"{type(self).__name__}: its parts count t in different units: {listed}. Say which "
                "it is for all: schedule.per('step'), with their lengths in that unit"
            )
        return self._unit

    @staticmethod
    def _check_part(name: str, part: LRScheduler, optimizer: Optimizer) -> None:
        if not isinstance(part, LRScheduler):
            raise ConfigError(
                f"{name} is a {type(part).__name__}; expected a schedule that is a function of t. "
                "A ReduceLROnPlateau stands on its own beside the others: their factors multiply"
            )
        if part.optimizer is not optimizer:
            raise ConfigError(f"{name} is attached to another optimizer; make all with the same")
        if part.master is not None:
            raise ConfigError(f"{name} is part of a {type(part.master).__name__} already")
        if part.last_epoch != 0:
            raise ConfigError(f"{name} has made {part.last_epoch} steps; compose fresh schedules")

    def has_momentum(self) -> bool:
        """Whether a part changes the momentum."""
        return any(part.has_momentum() for part in self.schedulers)

    def joined(self, group: ParamGroup, index: int) -> None:
        """Each part may refuse the group."""
        for part in self.schedulers:
            part.joined(group, index)


class SequentialLR(_Composed):
    """One schedule after another: the next takes over at each of `milestones`, from its own t = 0.

    `milestones` are the steps at which a schedule gives way to the next, one fewer than schedules.

    Raises `ConfigError` if there are not as many, if they do not grow, or if a schedule belongs to
    another optimizer or has been stepped.

    >>> import thalweg as tw
    >>> from thalweg.optim.lr_scheduler import ExponentialLR, LinearLR
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = ExponentialLR(optimizer, gamma=0.5)
    >>> SequentialLR(optimizer, [warm_up, decay], milestones=[2]).values(5).tolist()
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Iterable[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        schedulers = listed("SequentialLR: schedulers", schedulers)
        name = "SequentialLR: milestones"
        self.milestones = [whole(name, step, 1) for step in listed(name, milestones)]
        if not schedulers or len(schedulers) != len(self.milestones) + 1:
            raise ConfigError(
                f"SequentialLR: {len(self.milestones)} milestones, {len(schedulers)} schedulers; "
                "expected one fewer than schedulers"
            )
        if any(later <= earlier for earlier, later in pairwise(self.milestones)):
            raise ConfigError(f"SequentialLR: milestones={self.milestones}; expected growing ones")
        super().__init__(optimizer, schedulers, last_epoch)

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """The `rate` of the schedule whose turn it is; none is asked outside its turn."""
        return self._in_turn(t, [part.rate(own, lr, index) for part, own in self._turns(t)])

    def momentum(self, t: Tensor, now: Tensor, index: int) -> Tensor:
        """The `momentum` of the schedule whose turn it is."""
        found = [part.momentum(own, now, index) for part, own in self._turns(t)]
        return self._in_turn(t, found)

    def _turns(self, t: Tensor) -> Iterator[tuple[LRScheduler, Tensor]]:
        """Each schedule with its own t, which stays below the length of its turn."""
        starts = [0, *self.milestones]
        for position, part in enumerate(self.schedulers):
            own = (t - starts[position]).maximum(0)
            if position < len(self.milestones):
                length = self.milestones[position] - starts[position]
                own = own.minimum(math.nextafter(length, 0.0))
            yield part, own

    def _in_turn(self, t: Tensor, values: Sequence[Tensor]) -> Tensor:
        now = values[0]
        for start, value in zip(self.milestones, values[1:], strict=True):
            now = value.where(t >= start, now)
        return now


class ChainedScheduler(_Composed):
    """Several schedules at once, as one: each is given what those before it make of the step size.

    Attaching them one by one and stepping each does the same; as one, they can be drawn together,
    and be part of a `SequentialLR`.

    Raises `ConfigError` for an empty list, or schedules of several optimizers.

    >>> import thalweg as tw
    >>> from thalweg.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=1.0)
    >>> both = [ConstantLR(optimizer, 0.1, total_iters=2), ExponentialLR(optimizer, gamma=0.5)]
    >>> ChainedScheduler(both).values(4).tolist()
    [0.1, 0.05, 0.25, 0.125]
    """

    def __init__(
        self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        schedulers = listed("ChainedScheduler: schedulers", schedulers)
        if not schedulers:
            raise ConfigError("ChainedScheduler: no schedulers; expected one or more")
        first = optimizer or getattr(schedulers[0], "optimizer", None)
        super().__init__(first, schedulers, -1)  # type: ignore[arg-type]  # None is refused there

    def rate(self, t: Tensor, lr: Tensor, index: int) -> Tensor:
        """Each schedule's `rate`, one after another."""
        for part in self.schedulers:
            lr = part.rate(t, lr, index)
        return lr

    def momentum(self, t: Tensor, now: Tensor, index: int) -> Tensor:
        """Each schedule's `momentum`, one after another."""
        for part in self.schedulers:
            now = part.momentum(t, now, index)
        return now
