"""The step sizes of the updates to come, in numbers: what a compiled training step goes by.

In a program that is traced t has no value, and a schedule may be any Python: a lambda, a table that
is looked up, an `if`. So schedules are not part of the program. What the step sizes will be after
each of the next updates is computed before them, by the schedules themselves, and the step is
given its own as it is given its batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.ops.creation import arange, full
from thalweg.ops.joining import stack
from thalweg.optim.lr_scheduler.base import LRScheduler, Scheduler, counting
from thalweg.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts
from thalweg.optim.optimizer import Optimizer
from thalweg.tape import no_grad

__all__ = ["Ahead"]

# How the schedules that are known here go on.
_UPDATES = (Scheduler.updated, LRScheduler.updated)
_STEPS = (LRScheduler.step, CosineAnnealingWarmRestarts.step)


class Ahead:
    """Step sizes, and momentums where schedules change them, after each of the updates to come.

    `schedules` are those that a training moves on, `updates` how many updates an epoch has. Those
    whose t counts epochs stay as they are.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=8.0)
    >>> by_hand = [1.0, 0.5, 0.25]
    >>> schedule = tw.optim.lr_scheduler.LambdaLR(optimizer, lambda t: by_hand[t]).per("step")
    >>> ahead = Ahead(optimizer, [schedule], updates=2)
    >>> coming = ahead.coming(2)
    >>> coming, schedule.last_epoch
    ((tensor([[4.], [2.]], dtype=thalweg.float64),), 0)
    >>> ahead.take(tuple(each[0] for each in coming))
    >>> optimizer.param_groups[0]["lr"], schedule.last_epoch
    (tensor(4., dtype=thalweg.float64), 1)
    """

    def __init__(self, optimizer: Optimizer, schedules: Sequence[Scheduler], updates: int) -> None:
        self.optimizer, self.updates = optimizer, updates
        found = [each for each in schedules if isinstance(each, LRScheduler)]
        self.moving = [each for each in found if each.unit != "epoch"]

    @classmethod
    def of(cls, optimizer: Optimizer, schedules: Sequence[Scheduler], updates: int) -> Ahead | None:
        """None where no schedule moves with updates, or one has a way of its own to do it."""
        ahead = cls(optimizer, schedules, updates)
        are_known = all(type(each).updated in _UPDATES for each in schedules)
        are_known &= all(type(each).step in _STEPS for each in ahead.moving)
        return ahead if ahead.moving and are_known else None

    @no_grad()
    def coming(self, n: int) -> tuple[Tensor, ...]:
        """After each of the next `n` updates: step sizes and, where they change, momentums.

        float64, (n, groups) each. Nothing changes by it.
        """
        after = arange(n) + 1
        counts = [each.advanced(after, self.updates) for each in self.moving]
        try:
            return self._at_once(counts, n)
        except Exception:  # some Python wants one number: what is wrong with it is raised here
            return self._one_by_one(counts, n)

    def take(self, row: Sequence[Tensor]) -> None:
        """Go on by one update: `row` is that of `coming`, (groups,) each."""
        for schedule in self.moving:
            schedule.count._assign(schedule.advanced(1, self.updates))
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = row[0][index]
            if len(row) > 1:
                group.changing_momentum()._assign(row[1][index])

    def _at_once(self, counts: Sequence[Tensor], n: int) -> tuple[Tensor, ...]:
        """The schedules, asked for many t as they are to draw a curve."""
        unknown = full((n,), math.nan, dtype=dtypes.float64)
        with counting(self.moving, counts):
            rows = self._now(lambda x: x.expand(n), [unknown for _ in self.optimizer.param_groups])
        if any(x.shape != (n,) for row in rows for x in row):
            raise ShapeError("one number for many t")
        if any(bool(momentum.isnan().any()) for row in rows[1:] for momentum in row):
            raise ShapeError("a momentum that stays what it was")
        return tuple(stack(row, 1) for row in rows)

    def _one_by_one(self, counts: Sequence[Tensor], n: int) -> tuple[Tensor, ...]:
        """The schedules, asked for one t after another as in a loop."""
        momentums, found = None, []
        for k in range(n):
            with counting(self.moving, [count[k] for count in counts]):
                found.append(self._now(lambda x: x, momentums))
            momentums = found[-1][-1]
        return tuple(stack([stack(row) for row in rows]) for rows in zip(*found, strict=True))

    def _now(
        self, many: Callable[[Tensor], Tensor], before: Sequence[Tensor] | None
    ) -> list[list[Tensor]]:
        """What the schedules make of each group's first step size, and of the momentums `before`:
        by default those that there are."""
        optimizer, groups = self.optimizer, self.optimizer.param_groups
        lrs = [optimizer.scheduled(many(g["initial_lr"]), k) for k, g in enumerate(groups)]
        if not optimizer.has_momentum():
            return [lrs]
        before = before or [group.changing_momentum() for group in groups]
        return [lrs, [optimizer.scheduled_momentum(x, k) for k, x in enumerate(before)]]
