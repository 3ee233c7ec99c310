"""A schedule's step sizes as a picture, before any training."""

from __future__ import annotations

from thalweg import dtypes
from thalweg.errors import ConfigError
from thalweg.inspect.lines import Lines
from thalweg.ops.creation import arange
from thalweg.optim.lr_scheduler import LRScheduler
from thalweg.optim.optimizer import Optimizer
from thalweg.settings import whole

__all__ = ["schedule"]


def schedule(
    of: LRScheduler | Optimizer, steps: int, *, steps_per_epoch: int | None = None
) -> Lines:
    """Draw the step sizes of t = 0 to `steps` - 1: of one schedule alone or, given an optimizer,
    of all that are attached to it, stepped together.

    With `steps_per_epoch` it is what a `Trainer` does in the first `steps` updates: each schedule
    counts what its `unit` says, updates, epochs or fractions of epochs. `Trainer.plan` draws that.

    A curve for each group whose step sizes differ from those before. A notebook shows the result,
    `save("schedule.svg")` writes it, `curves` holds the values. Nothing changes by it.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.5)
    >>> cosine = tw.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    >>> warm_up = tw.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5)
    >>> tw.inspect.schedule(optimizer, 20)
    step size of SGD: CosineAnnealingLR, LinearLR
    lr ▂▃▅▆▇██▇▆▆▅▄▄▃▃▂▂▁▁▁ 0.05 to 0.003078

    Raises `ConfigError` for a schedule that is no function of t, such as ReduceLROnPlateau.
    """
    whole("schedule: steps", steps, 2)
    update = arange(steps, dtype=dtypes.float64)
    fraction = update / whole("schedule: steps_per_epoch", steps_per_epoch or 1, 1)
    counts = {"step": update, "fraction": fraction, "epoch": fraction.floor()}
    optimizer = of if isinstance(of, Optimizer) else of.optimizer
    attached: list[object] = [*of.schedules] if isinstance(of, Optimizer) else [of]
    used = [each for each in attached if isinstance(each, LRScheduler)]
    if len(used) < len(attached):
        odd = next(each for each in attached if not isinstance(each, LRScheduler))
        raise ConfigError(
            f"schedule: a {type(odd).__name__} depends on what training gives; expected schedules "
            "that are functions of t"
        )
    names = ", ".join(type(each).__name__ for each in used) or "constant"
    title = f"step size of {type(optimizer).__name__}: {names}"
    drawn: dict[str, list[float]] = {}
    for index, group in enumerate(optimizer.param_groups):
        now = group.get("initial_lr", group["lr"]).detach().expand(steps)
        for each in used:
            t = update if steps_per_epoch is None else counts[each.unit]
            now = each.rates(t, now, index)
        values = [float(lr) for lr in now.tolist()]
        if values not in drawn.values():
            drawn[f"group {index}" if len(optimizer.param_groups) > 1 else "lr"] = values
    x_label = "step t" if steps_per_epoch is None else "update"
    return Lines(title, range(steps), drawn, x_label=x_label)
