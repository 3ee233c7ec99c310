"""Step sizes over sixty epochs, epoch by epoch, equal to PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH
from tests.reference.cases_schedules import SCHEDULES, Build

EPOCHS = 60
RATES = (0.5, 0.02)  # one for each of two groups
RTOL = 1e-12


def optimizer(tw: Any) -> Any:
    groups = [{"params": [tw.zeros(2, requires_grad=True)], "lr": lr} for lr in RATES]
    return tw.optim.SGD(groups, lr=0.1)


def rates(schedule: Any, built_on: Any) -> list[float]:
    """The step sizes of the groups, which `get_last_lr` tells too."""
    found = [float(group["lr"]) for group in built_on.param_groups]
    np.testing.assert_allclose(schedule.get_last_lr(), found, rtol=RTOL)
    return found


def trajectory(tw: Any, build: Build) -> list[list[float]]:
    on = optimizer(tw)
    schedule = build(tw.optim.lr_scheduler, on)
    found = [rates(schedule, on)]
    for _ in range(EPOCHS):
        on.step()
        schedule.step()
        found.append(rates(schedule, on))
    return found


# fmt: off
PAIRS: dict[str, tuple[Build, Build]] = {
    "exponential and steps": (SCHEDULES["ExponentialLR"], SCHEDULES["StepLR"]),
    "warm-up and milestones": (SCHEDULES["LinearLR up"], SCHEDULES["MultiStepLR"]),
    "warm-up and cosine":    (SCHEDULES["LinearLR"], SCHEDULES["CosineAnnealingLR"]),
    "constant and polynomial": (SCHEDULES["ConstantLR"], SCHEDULES["PolynomialLR"]),
}

PLATEAUS: dict[str, dict[str, Any]] = {
    "default":    {},
    "patient":    {"patience": 3, "factor": 0.5},
    "no patience": {"patience": 0, "factor": 0.9},
    "max":        {"mode": "max", "patience": 2, "factor": 0.5},
    "abs":        {"threshold_mode": "abs", "threshold": 0.05, "patience": 1},
    "max abs":    {"mode": "max", "threshold_mode": "abs", "threshold": 0.02, "patience": 2},
    "rel":        {"threshold": 0.1, "patience": 1, "factor": 0.7},
    "max rel":    {"mode": "max", "threshold": 0.1, "patience": 1, "factor": 0.7},
    "cooldown":   {"patience": 1, "cooldown": 4, "factor": 0.5},
    "min_lr":     {"patience": 0, "factor": 0.3, "min_lr": 0.004},
    "min_lrs":    {"patience": 0, "factor": 0.3, "min_lr": [0.1, 0.001]},
    "eps":        {"patience": 0, "factor": 0.5, "eps": 0.01},
}
# fmt: on


def _metrics(kind: str) -> list[float]:
    """Curves as training gives them: falling with noise, flat, rising, and with NaN in it."""
    noise = np.random.default_rng(3).normal(size=EPOCHS)
    t = np.arange(EPOCHS)
    curves = {
        "falling": np.exp(-t / 10) + 0.05 * noise,
        "flat": np.full(EPOCHS, 0.7),
        "rising": t / 50 + 0.02 * noise,
        "below 0": -np.exp(-t / 20) + 0.05 * noise,
    }
    curves["nan"] = np.where(t % 7 == 3, math.nan, curves["falling"])
    return [float(x) for x in curves[kind]]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    ours, theirs = (trajectory(tw, SCHEDULES[name]) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=1e-16)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_drawing_is_what_happens(name: str) -> None:
    schedule = SCHEDULES[name](thalweg.optim.lr_scheduler, optimizer(thalweg))
    drawn = [schedule.values(EPOCHS + 1, index).tolist() for index in range(len(RATES))]
    theirs = trajectory(torch, SCHEDULES[name])
    np.testing.assert_allclose(np.transpose(drawn), theirs, rtol=RTOL, atol=1e-16)


def _stepped_together(tw: Any, builds: Sequence[Build]) -> list[list[float]]:
    on = optimizer(tw)
    schedules = [build(tw.optim.lr_scheduler, on) for build in builds]
    found = []
    for _ in range(EPOCHS):
        on.step()
        for schedule in schedules:
            schedule.step()
        found.append([float(group["lr"]) for group in on.param_groups])
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_two_schedules_stepped_together(name: str) -> None:
    ours, theirs = (_stepped_together(tw, PAIRS[name]) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=1e-16)


def _plateau(tw: Any, options: dict[str, Any], metrics: list[float]) -> list[list[float]]:
    on = optimizer(tw)
    schedule = tw.optim.lr_scheduler.ReduceLROnPlateau(on, **options)
    found = []
    for metric in metrics:
        on.step()
        schedule.step(metric)
        found.append(rates(schedule, on))
        found.append([float(schedule.best), float(schedule.num_bad_epochs)])
    return found


@pytest.mark.parametrize("curve", ["falling", "flat", "rising", "below 0", "nan"])
@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau(name: str, curve: str) -> None:
    ours, theirs = (_plateau(tw, PLATEAUS[name], _metrics(curve)) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=RTOL)


def _plateau_beside(tw: Any) -> list[list[float]]:
    """Warm-up by the step and reductions by the epoch, on one optimizer."""
    on = optimizer(tw)
    warm_up = tw.optim.lr_scheduler.LinearLR(on, 0.1, total_iters=8)
    plateau = tw.optim.lr_scheduler.ReduceLROnPlateau(on, factor=0.5, patience=1)
    found = []
    for metric in _metrics("falling"):
        on.step()
        warm_up.step()
        plateau.step(metric)
        found.append(rates(plateau, on))
    return found


def test_plateau_beside_a_warm_up() -> None:
    ours, theirs = (_plateau_beside(tw) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=RTOL)


# fmt: off
# Ours alone, beside the function of t that PyTorch would be given.
DECKS = {
    "InverseTimeLR":      (lambda s, o: s.InverseTimeLR(o, alpha=0.1), lambda t: 1 / (1 + 0.1 * t)),
    "ExponentialDecayLR": (lambda s, o: s.ExponentialDecayLR(o, alpha=0.1),
                           lambda t: math.exp(-0.1 * t)),
    "DiminishingLR":      (lambda s, o: s.DiminishingLR(o), lambda t: (t + 1) ** -0.5),
    "DiminishingLR 1":    (lambda s, o: s.DiminishingLR(o, power=1.0), lambda t: 1 / (t + 1)),
}
# fmt: on


@pytest.mark.parametrize("name", DECKS)
def test_the_schedules_of_the_decks(name: str) -> None:
    build, factor = DECKS[name]
    theirs = trajectory(torch, lambda s, o: s.LambdaLR(o, factor))
    np.testing.assert_allclose(trajectory(thalweg, build), theirs, rtol=RTOL)


# fmt: off
MOVING: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD":     ("SGD",     {"momentum": 0.9}),
    "Adam":    ("Adam",    {"betas": (0.8, 0.99)}),
    "RMSprop": ("RMSprop", {"momentum": 0.5}),
}
# fmt: on


def _momentums(tw: Any, build: Build, kind: str) -> list[list[float]]:
    name, options = MOVING[kind]
    params = [{"params": [tw.zeros(2, requires_grad=True)]} for _ in RATES]
    on = getattr(tw.optim, name)(params, lr=0.1, **options)
    schedule = build(tw.optim.lr_scheduler, on)
    found = []
    for _ in range(EPOCHS):
        on.step()
        schedule.step()
        groups = on.param_groups
        found.append([float(g["betas"][0] if "betas" in g else g["momentum"]) for g in groups])
    return found


@pytest.mark.parametrize("kind", MOVING)
@pytest.mark.parametrize("name", [n for n in SCHEDULES if n.startswith(("triangles", "one"))])
def test_the_momentum_goes_the_other_way(name: str, kind: str) -> None:
    ours, theirs = (_momentums(tw, SCHEDULES[name], kind) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=RTOL)


def test_restarts_by_parts_of_an_epoch() -> None:
    def rates_of(tw: Any) -> list[float]:
        on = optimizer(tw)
        schedule = tw.optim.lr_scheduler.CosineAnnealingWarmRestarts(on, 3, 2)
        found = []
        for batch in range(100):
            on.step()
            schedule.step(batch / 7)
            found.append(float(on.param_groups[0]["lr"]))
        return found

    np.testing.assert_allclose(*map(rates_of, BOTH), rtol=1e-9)


def _resumed(tw: Any, build: Build) -> list[list[float]]:
    """Half of the epochs, then the other half with everything built anew from saved states."""
    on = optimizer(tw)
    schedule = build(tw.optim.lr_scheduler, on)
    for _ in range(EPOCHS // 2):
        on.step()
        schedule.step()
    saved = on.state_dict(), schedule.state_dict()
    on = optimizer(tw)
    schedule = build(tw.optim.lr_scheduler, on)
    on.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    found = []
    for _ in range(EPOCHS // 2):
        on.step()
        schedule.step()
        found.append(rates(schedule, on))
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_resumed(name: str) -> None:
    ours = _resumed(thalweg, SCHEDULES[name])
    theirs = trajectory(torch, SCHEDULES[name])[EPOCHS // 2 + 1 :]
    np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=1e-16)


def test_every_common_schedule_is_compared() -> None:
    common = {
        name
        for name in thalweg.optim.lr_scheduler.__all__
        if hasattr(torch.optim.lr_scheduler, name)
    }
    here = " ".join(build.__code__.co_names.__str__() for build in SCHEDULES.values())
    assert {name for name in common if name not in here} == {"LRScheduler", "ReduceLROnPlateau"}
