from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import SGD
from thalweg.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def optimizer_of(*lrs: float) -> SGD:
    return SGD([{"params": [tw.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs])


def test_parts_no_longer_act_on_their_own() -> None:
    optimizer = optimizer_of(1.0)
    parts = [ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.1)]
    chain = ChainedScheduler(parts)
    assert optimizer.schedules == [chain]
    with pytest.raises(
        ConfigError, match="this ConstantLR is part of a ChainedScheduler: step that"
    ):
        parts[0].step()
    chain.step()
    assert chain.get_last_lr() == [0.05]


def test_a_part_is_asked_within_its_turn_only() -> None:
    asked: dict[str, set[int]] = {"first": set(), "second": set()}

    def note(name: str) -> Callable[[int], float]:
        return lambda t: asked[name].add(t) or 1.0  # type: ignore[func-returns-value]  # to note t

    optimizer = optimizer_of(1.0)
    both = [LambdaLR(optimizer, note(name)) for name in asked]
    schedule = SequentialLR(optimizer, both, milestones=[3])
    for _ in range(6):
        schedule.step()
    schedule.values(10)
    assert asked == {"first": {0, 1, 2}, "second": set(range(7))}


def test_a_plateau_beside_a_warm_up_multiplies() -> None:
    optimizer = optimizer_of(1.0)
    warm_up = LinearLR(optimizer, 0.5, total_iters=2)
    plateau = ReduceLROnPlateau(optimizer, factor=0.1, patience=0)
    for metric in (1.0, 2.0, 3.0):
        warm_up.step()
        plateau.step(metric)
    assert warm_up.get_last_lr() == pytest.approx([0.01], rel=1e-14)


def test_a_group_added_later_joins_the_parts() -> None:
    optimizer = optimizer_of(1.0)
    chain = ChainedScheduler([LambdaLR(optimizer, [lambda t: 0.5]), ExponentialLR(optimizer, 0.5)])
    with pytest.raises(ConfigError, match="lr_lambda for 2 groups"):
        optimizer.add_param_group({"params": [tw.zeros(1, requires_grad=True)]})
    chain.step()
    assert chain.get_last_lr() == [0.25]


def stepped(optimizer: Any) -> StepLR:
    schedule = StepLR(optimizer, 1)
    schedule.step()
    return schedule


def taken(optimizer: Any) -> StepLR:
    schedule = StepLR(optimizer, 1)
    ChainedScheduler([schedule])
    return schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: ChainedScheduler([]), "no schedulers"),
        (lambda o: ChainedScheduler([StepLR(o, 1), None]), r"schedulers\[1\] is a NoneType"),
        (lambda o: ChainedScheduler([ReduceLROnPlateau(o)]), "ReduceLROnPlateau stands on its own"),
        (lambda o: ChainedScheduler([StepLR(optimizer_of(1.0), 1)], o), "another optimizer"),
        (lambda o: ChainedScheduler([stepped(o)]), "has made 1 steps"),
        (lambda o: ChainedScheduler([taken(o)]), "part of a ChainedScheduler already"),
        (lambda o: SequentialLR(o, [], []), "0 milestones, 0 schedulers"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)], [1]), "1 milestones, 1 schedulers"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)] * 3, [4, 4]), "expected growing ones"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)] * 2, [0]), "milestones=0"),
    ],
)
def test_refused(make: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(optimizer_of(1.0))
