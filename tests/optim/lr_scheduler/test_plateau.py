from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, ShapeError
from thalweg.optim import SGD
from thalweg.optim.lr_scheduler import ReduceLROnPlateau


def optimizer_of(*lrs: float) -> SGD:
    return SGD([{"params": [tw.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs])


def rates(metrics: Any, *lrs: float, **options: Any) -> list[float]:
    """The first group's step size after each metric."""
    schedule = ReduceLROnPlateau(optimizer_of(*(lrs or (1.0,))), **options)
    seen = []
    for metric in metrics:
        schedule.step(metric)
        seen.append(schedule.get_last_lr()[0])
    return seen


def test_reduces_after_more_than_patience_bad_steps() -> None:
    assert rates([3, 2, 2, 2, 2, 1], factor=0.5, patience=1) == [1, 1, 1, 0.5, 0.5, 0.5]
    assert rates([3, 3, 3, 3], factor=0.5, patience=0) == [1, 0.5, 0.25, 0.125]


def test_a_better_metric_begins_the_count_anew() -> None:
    assert rates([3, 3, 3, 2, 2, 2, 2], factor=0.5, patience=2) == [1, 1, 1, 1, 1, 1, 0.5]


def test_cooldown() -> None:
    expected = [1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert rates([1, 1, 1, 1, 1, 1], factor=0.5, patience=0, cooldown=2) == expected


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "just_better", "not_better"),
    [
        ("min", "rel", 89.0, 90.0),
        ("min", "abs", 99.85, 99.9),
        ("max", "rel", 111.0, 110.0),
        ("max", "abs", 100.15, 100.1),
    ],
)
def test_what_is_better(
    mode: str, threshold_mode: str, just_better: float, not_better: float
) -> None:
    options = {"mode": mode, "threshold_mode": threshold_mode, "patience": 0, "factor": 0.5}
    assert rates([100.0, just_better], threshold=0.1, **options) == [1.0, 1.0]
    assert rates([100.0, not_better], threshold=0.1, **options) == [1.0, 0.5]


def test_nan_is_never_better() -> None:
    assert rates([math.nan, 1.0, math.nan], patience=0, factor=0.5) == [0.5, 0.5, 0.25]


def test_min_lr_is_reached_and_kept() -> None:
    assert rates([1.0] * 5, factor=0.5, patience=0, min_lr=0.2) == [1.0, 0.5, 0.25, 0.2, 0.2]


def test_min_lr_does_not_raise_a_smaller_step_size() -> None:
    assert rates([1.0] * 3, 0.1, factor=0.5, patience=0, min_lr=0.2) == [0.1] * 3


def test_min_lr_for_each_group() -> None:
    optimizer = optimizer_of(1.0, 1.0)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=[0.4, 0.0])
    for _ in range(4):
        schedule.step(1.0)
    assert schedule.get_last_lr() == [0.4, 0.125]


def test_eps_leaves_small_changes_out() -> None:
    assert rates([1.0] * 4, factor=0.5, patience=0, eps=0.2) == [1.0, 0.5, 0.25, 0.25]


def test_a_step_size_of_zero_stays() -> None:
    assert rates([1.0] * 3, 0.0, patience=0) == [0.0] * 3


@pytest.mark.parametrize(
    "metric", [2, np.float32(2.0), tw.tensor(2.0), tw.tensor([2.0]), tw.tensor(2.0).double()]
)
def test_metrics_of_many_kinds(metric: Any) -> None:
    schedule = ReduceLROnPlateau(optimizer_of(1.0))
    schedule.step(metric)
    assert float(schedule.best) == 2.0
    assert not schedule.best.requires_grad


def test_a_metric_on_the_tape_leaves_no_trace() -> None:
    w = tw.tensor(2.0, requires_grad=True)
    schedule = ReduceLROnPlateau(optimizer_of(1.0))
    schedule.step(w * w)
    assert not schedule.best.requires_grad
    assert not schedule.optimizer.param_groups[0]["lr"].requires_grad


def test_a_metric_of_several_numbers() -> None:
    schedule = ReduceLROnPlateau(optimizer_of(1.0))
    with pytest.raises(ShapeError):
        schedule.step(tw.tensor([1.0, 2.0]))
    assert schedule.last_epoch == 0


def test_state_continues() -> None:
    metrics = [3.0, 2.0, 2.5, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    options: dict[str, Any] = {"factor": 0.3, "patience": 1, "cooldown": 1}
    straight = rates(metrics, **options)
    for cut in range(len(metrics)):
        first = ReduceLROnPlateau(optimizer_of(1.0), **options)
        for metric in metrics[:cut]:
            first.step(metric)
        second = ReduceLROnPlateau(optimizer_of(1.0), **options)
        second.load_state_dict(first.state_dict())
        assert second.get_last_lr() == first.get_last_lr()
        assert second.state_dict() == first.state_dict()
        seen = []
        for metric in metrics[cut:]:
            second.step(metric)
            seen += second.get_last_lr()
        assert seen == straight[cut:]


def test_a_state_for_other_groups() -> None:
    state = ReduceLROnPlateau(optimizer_of(1.0, 1.0)).state_dict()
    with pytest.raises(ConfigError, match="2 values of scales for 1 groups"):
        ReduceLROnPlateau(optimizer_of(1.0)).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "minimum"}, "mode='minimum'; did you mean 'min'"),
        ({"threshold_mode": "relative"}, "did you mean 'rel'"),
        ({"factor": 1.0}, "factor=1.0; expected below 1"),
        ({"factor": 0}, "factor=0"),
        ({"patience": -1}, "patience=-1"),
        ({"threshold": -0.1}, "threshold=-0.1"),
        ({"cooldown": 0.5}, "cooldown=0.5"),
        ({"min_lr": -1}, "min_lr=-1"),
        ({"min_lr": [0.1, 0.2]}, "2 values of min_lr for 1 groups"),
        ({"min_lr": []}, "0 values of min_lr for 1 groups"),
        ({"eps": -1}, "eps=-1"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    optimizer = optimizer_of(1.0)
    with pytest.raises(ConfigError, match=message):
        ReduceLROnPlateau(optimizer, **options)
    assert optimizer.schedules == []
