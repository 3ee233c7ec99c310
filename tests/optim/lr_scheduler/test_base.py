from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import SGD, Adam
from thalweg.optim.lr_scheduler import (
    ExponentialLR,
    FactorLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    StepLR,
)


def optimizer_of(*lrs: float) -> SGD:
    return SGD([{"params": [tw.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs])


def lrs_of(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def test_making_a_schedule_sets_the_first_step_size() -> None:
    optimizer = optimizer_of(0.8)
    schedule = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    assert (lrs_of(optimizer), schedule.last_epoch) == ([0.2], 0)
    assert float(optimizer.param_groups[0]["initial_lr"]) == 0.8


def test_the_optimizer_uses_it() -> None:
    w = tw.tensor(0.0, dtype=tw.float64, requires_grad=True)
    optimizer = SGD([w], lr=1.0)
    schedule = StepLR(optimizer, step_size=1, gamma=0.5)
    seen = []
    for _ in range(4):
        w.grad = tw.tensor(-1.0, dtype=tw.float64)
        optimizer.step()
        schedule.step()
        seen.append(w.item())
    assert seen == [1.0, 1.5, 1.75, 1.875]


def test_several_schedules_multiply_whatever_their_rhythm() -> None:
    optimizer = optimizer_of(1.0)
    by_batch, by_epoch = LinearLR(optimizer, 0.25, total_iters=3), StepLR(optimizer, 1, gamma=0.5)
    seen = []
    for _ in range(2):
        for _ in range(2):
            seen += lrs_of(optimizer)
            by_batch.step()
        by_epoch.step()
    assert seen == [0.25, 0.5, 0.75 * 0.5, 1.0 * 0.5]


def test_a_second_schedule_begins_from_initial_lr() -> None:
    optimizer = optimizer_of(1.0)
    first = ExponentialLR(optimizer, 0.5)
    first.step()
    second = ExponentialLR(optimizer, 0.1)
    assert second.base_lrs == [1.0]
    assert lrs_of(optimizer) == [0.5]
    second.step()
    assert lrs_of(optimizer) == [0.05]
    optimizer.detach(first)
    assert lrs_of(optimizer) == [0.1]


def test_initial_lr_is_the_handle() -> None:
    optimizer = optimizer_of(1.0)
    schedule = StepLR(optimizer, 10)
    optimizer.param_groups[0]["lr"] = 0.3
    assert lrs_of(optimizer) == [0.3]
    schedule.step()
    assert lrs_of(optimizer) == [1.0]
    optimizer.param_groups[0]["initial_lr"] *= 0.5
    schedule.step()
    assert lrs_of(optimizer) == [0.5]


def test_a_group_that_is_added_later_joins() -> None:
    optimizer = optimizer_of(1.0)
    schedule = ExponentialLR(optimizer, 0.5)
    schedule.step()
    optimizer.add_param_group({"params": [tw.zeros(2, requires_grad=True)], "lr": 0.1})
    assert lrs_of(optimizer) == [0.5, 0.05]
    schedule.step()
    assert lrs_of(optimizer) == [0.25, 0.025]
    assert schedule.base_lrs == [1.0, 0.1]


def test_a_group_that_a_schedule_has_no_setting_for_is_refused_whole() -> None:
    optimizer = optimizer_of(1.0)
    plateau = ReduceLROnPlateau(optimizer)
    LambdaLR(optimizer, [lambda t: 1.0])
    late = tw.zeros(2, requires_grad=True)
    with pytest.raises(ConfigError, match="1 values of lr_lambda for 2 groups"):
        optimizer.add_param_group({"params": [late]})
    assert len(optimizer.param_groups) == 1
    assert late not in optimizer.state
    plateau.step(1.0)
    optimizer.detach(optimizer.schedules[1])
    optimizer.add_param_group({"params": [late]})
    assert len(optimizer.param_groups) == 2


def test_last_epoch_begins_later() -> None:
    optimizer = optimizer_of(1.0)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    schedule = ExponentialLR(optimizer, 0.5, last_epoch=2)
    assert (schedule.last_epoch, lrs_of(optimizer)) == (3, [0.125])


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_loading_sets_the_step_size_in_either_order(optimizer_first: bool) -> None:
    optimizer = Adam([tw.zeros(1, requires_grad=True)], lr=0.5)
    schedule = ExponentialLR(optimizer, 0.5)
    schedule.step()
    saved = optimizer.state_dict(), schedule.state_dict()
    other = Adam([tw.zeros(1, requires_grad=True)], lr=0.5)
    if optimizer_first:
        other.load_state_dict(saved[0])
    resumed = ExponentialLR(other, 0.5)
    resumed.load_state_dict(saved[1])
    if not optimizer_first:
        other.load_state_dict(saved[0])
    assert lrs_of(other) == [0.25]
    assert saved[1] == {"last_epoch": 1}
    resumed.step()
    assert lrs_of(other) == [0.125]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "a state of StepLR lacks 'last_epoch'"),
        ({"last_epoch": 1, "gamma": 0.1}, "has no 'gamma'"),
        ({"last_epoch": -3}, "last_epoch=-3"),
        ({"last_epoch": 1.5}, "last_epoch=1.5"),
    ],
)
def test_a_state_that_does_not_fit(state: dict[str, Any], message: str) -> None:
    schedule = StepLR(optimizer_of(1.0), 1)
    schedule.step()
    with pytest.raises(ConfigError, match=message):
        schedule.load_state_dict(state)
    assert schedule.last_epoch == 1


def test_a_schedule_of_ones_own() -> None:
    class Bump(FactorLR):
        def factor(self, t: tw.Tensor) -> tw.Tensor:
            return (-((t - 2) ** 2)).exp()

    optimizer = optimizer_of(1.0)
    bump = Bump(optimizer)
    assert bump.values(5).argmax().item() == 2
    bump.step()
    bump.step()
    assert lrs_of(optimizer) == [1.0]


def test_drawing_wants_a_number_of_steps() -> None:
    with pytest.raises(ConfigError, match="values: n=-1"):
        StepLR(optimizer_of(1.0), 1).values(-1)
