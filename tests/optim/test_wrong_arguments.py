"""Wrong settings of every optimizer and schedule: an error names them, and nothing has changed."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

import thalweg as tw
from thalweg import optim
from thalweg.errors import ConfigError
from thalweg.optim import lr_scheduler

COUNT, ONE, NUMBER, REST, RATE = (-1, 1.5), (0, 1.5), (math.nan, "x"), (-1.0, math.nan), (-1.0, 0.0)
SHARE, FLAG, NAME = (-0.1, 1.5), ("yes", 1), ("bogus",)
PAIR = ((0.9,), (0.9, 1.0), (-0.1, 0.9), 0.9, ("a", 0.9))

# What is wrong for a setting, by its name, which means the same wherever it stands.
WRONG: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("lr", "eps", "weight_decay", "lr_decay", "initial_accumulator_value"), REST),
    **dict.fromkeys(("momentum_decay", "tolerance_grad", "tolerance_change", "t0", "lambd"), REST),
    **dict.fromkeys(("amsgrad", "maximize", "decoupled_weight_decay", "nesterov"), FLAG),
    **dict.fromkeys(("centered", "cycle_momentum", "three_phase"), FLAG),
    **dict.fromkeys(("max_iter", "max_eval", "history_size", "ns_steps"), ONE),
    **dict.fromkeys(("form", "by", "line_search_fn", "adjust_lr_fn", "mode"), NAME),
    **dict.fromkeys(("scale_mode", "anneal_strategy", "threshold_mode"), NAME),
    **dict.fromkeys(("momentum", "rho", "sufficient"), REST),
    **dict.fromkeys(("T_0", "T_max", "T_mult", "step_size", "step_size_up", "step_size_down"), ONE),
    **dict.fromkeys(("total_steps", "epochs", "steps_per_epoch", "total_iters"), ONE),
    **dict.fromkeys(("patience", "cooldown"), COUNT),
    **dict.fromkeys(("base_lr", "max_lr", "min_lr", "eta_min", "base_momentum"), REST),
    **dict.fromkeys(("max_momentum", "threshold"), REST),
    **dict.fromkeys(("div_factor", "final_div_factor", "gamma"), RATE),
    "dampening": NUMBER,
    "beta2_decay": NUMBER,
    "betas": PAIR,
    "etas": ((1.5, 1.2), (0.5,), 0.5, (0.5, 0.9)),
    "step_sizes": ((1.0, 0.5), (1.0,), (-1.0, 1.0)),
    "ns_coefficients": ((1.0, 2.0), 1.0, ("a", "b", "c")),
    "d": (-1.0, 0.0),
    "shrink": (0.0, 1.0),
    "pct_start": SHARE,
    "last_epoch": (-2, 1.5),
    "factor": (-0.1, math.nan),
    "start_factor": (-1.0, math.nan),
    "end_factor": (-1.0, math.nan),
    "power": (math.nan, "x"),
    "alpha": (-1.0, math.nan),
    "milestones": ((-1,), (1.5,), 3),
    "lr_lambda": ("x", 3, [3]),
    "schedulers": ((), (3,)),
    "scale_fn": ("x", 3),
    "optimizer": (None, "sgd"),
    "params": ((), None, "abc", tw.ones(2), [tw.ones(2) * tw.ones(2, requires_grad=True)]),
}
ALSO: dict[tuple[str, str], tuple[Any, ...]] = {
    ("Adafactor", "eps"): ((-1.0, 1e-3), (None, -1.0), 1e-3),
    ("LinearLR", "start_factor"): (-1.0, 1.5, math.nan),
    ("ConstantLR", "total_iters"): (-1, 1.5),
    ("ConstantLR", "factor"): (-0.1, 1.5, math.nan),
    ("ReduceLROnPlateau", "factor"): (-0.1, 1.0, math.nan),
}
# Given to those that need them.
NEEDED: dict[str, Any] = {
    "T_max": 5, "T_0": 5, "step_size": 2, "gamma": 0.5, "alpha": 0.1, "milestones": [2],
    "lr_lambda": lambda step: 1.0, "max_lr": 0.2, "base_lr": 0.1, "total_steps": 10,
}  # fmt: skip
ABSTRACT = ("Optimizer", "ParamGroup", "Several")
OPTIMIZERS = [n for n in optim.__all__ if inspect.isclass(getattr(optim, n)) and n not in ABSTRACT]
ABSTRACT_SCHEDULES = ("FactorLR", "LRScheduler", "Scheduler")
OF_SCHEDULES = ("ChainedScheduler", "SequentialLR")
SCHEDULES = [
    n
    for n in lr_scheduler.__all__
    if inspect.isclass(getattr(lr_scheduler, n)) and n not in (*ABSTRACT_SCHEDULES, *OF_SCHEDULES)
]


def settings(kind: Any) -> list[str]:
    found = list(inspect.signature(kind.__init__).parameters)[1:]
    return [name for name in found if name not in ("form_of", "per")]


def wrong(name: str, setting: str) -> tuple[Any, ...]:
    own = ALSO.get((name, setting))
    return WRONG[setting] if own is None else own


def parameter() -> tw.Tensor:
    return tw.ones(2, 2, requires_grad=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_of_optimizers(name: str) -> None:
    kind = getattr(optim, name)
    for setting in settings(kind):
        for value in wrong(name, setting):
            given = {"params": [parameter()], setting: value}
            with pytest.raises(ConfigError) as caught:
                kind(**given)
            assert setting.removesuffix("s") in str(caught.value), (value, str(caught.value))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_that_are_changed_later(name: str) -> None:
    """A group refuses what the constructor refuses, and keeps what it had."""
    optimizer = getattr(optim, name)([parameter()])
    (group,) = optimizer.param_groups
    for setting in settings(type(optimizer)):
        if setting == "params" or setting not in group:
            continue
        before = group.plain()
        for value in wrong(name, setting):
            with pytest.raises(ConfigError, match=setting):
                group[setting] = value
            assert group.plain() == before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_misspelt_setting(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} has no 'learning_rate'"):
        getattr(optim, name)([parameter()], learning_rate=0.1)


def made(name: str, **changed: Any) -> Any:
    kind = getattr(lr_scheduler, name)
    known = settings(kind)
    options = {key: value for key, value in NEEDED.items() if key in known}
    if name != "OneCycleLR":
        options.pop("total_steps", None)
    options["optimizer"] = optim.SGD([parameter()], lr=0.1, momentum=0.9)
    return kind(**{**options, **changed})


@pytest.mark.parametrize("name", SCHEDULES)
def test_settings_of_schedules(name: str) -> None:
    """And the optimizer has the step size, and the schedules, that it had."""
    kind = getattr(lr_scheduler, name)
    assert made(name) is not None
    optimizer = optim.SGD([parameter()], lr=0.1, momentum=0.9)
    for setting in settings(kind):
        for value in wrong(name, setting):
            given = {"optimizer": optimizer, setting: value}
            if setting in ("epochs", "steps_per_epoch"):
                given = {"epochs": 2, "steps_per_epoch": 3, **given, "total_steps": None}
            with pytest.raises(ConfigError) as caught:
                made(name, **given)
            assert setting in str(caught.value), (setting, value, str(caught.value))
            assert float(optimizer.param_groups[0]["lr"]) == 0.1
            assert not optimizer.schedules
            assert "initial_lr" not in optimizer.param_groups[0]


@pytest.mark.parametrize("name", OF_SCHEDULES)
def test_schedules_of_schedules(name: str) -> None:
    optimizer = optim.SGD([parameter()], lr=0.1)
    kind = getattr(lr_scheduler, name)
    more = {"milestones": [2]} if name == "SequentialLR" else {}
    for value in ((), (3,), 3):
        with pytest.raises(ConfigError, match="schedulers"):
            kind(optimizer=optimizer, schedulers=value, **more)
    assert float(optimizer.param_groups[0]["lr"]) == 0.1
