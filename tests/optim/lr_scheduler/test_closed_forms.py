"""Every schedule against its formula in Python's floats: step by step in use, and as a curve."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import SGD
from thalweg.optim import lr_scheduler as schedules
from thalweg.optim.lr_scheduler import LRScheduler
from thalweg.optim.swa_utils import SWALR

STEPS = 25
BASES = (0.8, 0.05)


class Case(NamedTuple):
    make: Callable[[Any], LRScheduler]
    rate: Callable[[int, float], float]  # of the step and the "initial_lr"


# fmt: off
CASES = {
    "step":        Case(lambda o: schedules.StepLR(o, 4, gamma=0.5),
                        lambda t, lr: lr * 0.5 ** (t // 4)),
    "multi_step":  Case(lambda o: schedules.MultiStepLR(o, [10, 3, 10], gamma=0.3),
                        lambda t, lr: lr * 0.3 ** ((t >= 3) + 2 * (t >= 10))),
    "no_step":     Case(lambda o: schedules.MultiStepLR(o, []),
                        lambda t, lr: lr),
    "exponential": Case(lambda o: schedules.ExponentialLR(o, 0.9),
                        lambda t, lr: lr * 0.9**t),
    "exp(-at)":    Case(lambda o: schedules.ExponentialDecayLR(o, 0.1),
                        lambda t, lr: lr * math.exp(-0.1 * t)),
    "1/t":         Case(lambda o: schedules.InverseTimeLR(o, 0.5),
                        lambda t, lr: lr / (1 + 0.5 * t)),
    "1/sqrt":      Case(lambda o: schedules.DiminishingLR(o),
                        lambda t, lr: lr / math.sqrt(t + 1)),
    "1/(t+1)":     Case(lambda o: schedules.DiminishingLR(o, power=1.0),
                        lambda t, lr: lr / (t + 1)),
    "polynomial":  Case(lambda o: schedules.PolynomialLR(o, 20, power=2.0),
                        lambda t, lr: lr * (1 - min(t, 20) / 20) ** 2),
    "cosine":      Case(lambda o: schedules.CosineAnnealingLR(o, 10),
                        lambda t, lr: lr * (1 + math.cos(math.pi * t / 10)) / 2),
    "cosine_min":  Case(lambda o: schedules.CosineAnnealingLR(o, T_max=30, eta_min=0.01),
                        lambda t, lr: 0.01 + (lr - 0.01) * (1 + math.cos(math.pi * t / 30)) / 2),
    "constant":    Case(lambda o: schedules.ConstantLR(o, 0.25, total_iters=7),
                        lambda t, lr: lr * (0.25 if t < 7 else 1)),
    "constant_0":  Case(lambda o: schedules.ConstantLR(o, 0.25, total_iters=0),
                        lambda t, lr: lr),
    "linear":      Case(lambda o: schedules.LinearLR(o, 0.1, 0.9, total_iters=8),
                        lambda t, lr: lr * (0.1 + 0.8 * min(t, 8) / 8)),
    "linear_0":    Case(lambda o: schedules.LinearLR(o, 0.0, total_iters=8),
                        lambda t, lr: lr * min(t, 8) / 8),
    "lambda":      Case(lambda o: schedules.LambdaLR(o, lambda t: [1.0, 0.5, 0.2][t % 3]),
                        lambda t, lr: lr * [1.0, 0.5, 0.2][t % 3]),
    "lambdas":     Case(lambda o: schedules.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (t + 1)]),
                        lambda t, lr: lr * (0.9**t if lr == BASES[0] else 1 / (t + 1))),
    "products":    Case(lambda o: schedules.MultiplicativeLR(o, lambda t: 1 / (1 + t)),
                        lambda t, lr: lr / math.factorial(t + 1)),
    "restarts":    Case(lambda o: schedules.CosineAnnealingWarmRestarts(o, 6, eta_min=0.01),
                        lambda t, lr: 0.01
                        + (lr - 0.01) * (1 + math.cos(math.pi * (t % 6) / 6)) / 2),
    "restarts_2":  Case(lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 3),
                        lambda t, lr: lr * (1 + math.cos(math.pi * (
                            t / 2 if t < 2 else (t - 2) / 6 if t < 8 else (t - 8) / 18))) / 2),
    "triangles":   Case(lambda o: schedules.CyclicLR(o, 0.1, 0.5, 4, 6, cycle_momentum=False),
                        lambda t, lr: 0.1 + 0.4 * min(t % 10 / 4, (10 - t % 10) / 6)),
    "halving":     Case(lambda o: schedules.CyclicLR(o, 0.1, 0.5, 5, mode="triangular2"),
                        lambda t, lr: 0.1 + 0.4 * min(t % 10, 10 - t % 10) / 5 / 2 ** (t // 10)),
    "swa":         Case(lambda o: SWALR(o, 0.3, anneal_epochs=8),
                        lambda t, lr: lr + (0.3 - lr)
                        * (1 - math.cos(math.pi * min(t, 8) / 8)) / 2),
    "chained":     Case(lambda o: schedules.ChainedScheduler([
                            schedules.ConstantLR(o, 0.5, total_iters=4),
                            schedules.CosineAnnealingLR(o, 9, eta_min=0.01),
                            schedules.ExponentialLR(o, 0.9)]),
                        lambda t, lr: 0.9**t * (0.01 + (lr * (0.5 if t < 4 else 1) - 0.01)
                                                * (1 + math.cos(math.pi * t / 9)) / 2)),
    "sequential":  Case(lambda o: schedules.SequentialLR(o, [
                            schedules.LinearLR(o, 0.2, total_iters=5),
                            schedules.CosineAnnealingLR(o, 10),
                            schedules.InverseTimeLR(o, 1.0)], milestones=[5, 15]),
                        lambda t, lr: lr * (
                            0.2 + 0.16 * t if t < 5
                            else (1 + math.cos(math.pi * (t - 5) / 10)) / 2 if t < 15
                            else 1 / (1 + t - 15))),
    "nested":      Case(lambda o: schedules.SequentialLR(o, [
                            schedules.LambdaLR(o, lambda t: [0.1, 0.2, 0.3][t]),
                            schedules.ChainedScheduler([schedules.StepLR(o, 2, 0.5),
                                                        schedules.ExponentialLR(o, 0.9)])], [3]),
                        lambda t, lr: lr * ([0.1, 0.2, 0.3][t] if t < 3
                                            else 0.5 ** ((t - 3) // 2) * 0.9 ** (t - 3))),
}
# fmt: on


def optimizer_of(*lrs: float) -> SGD:
    return SGD([{"params": [tw.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_step_by_step(case: Case) -> None:
    optimizer = optimizer_of(*BASES)
    tensors = [group["lr"] for group in optimizer.param_groups]
    schedule = case.make(optimizer)
    for t in range(STEPS):
        expected = [case.rate(t, lr) for lr in BASES]
        assert schedule.last_epoch == t
        assert schedule.get_last_lr() == pytest.approx(expected, rel=1e-13, abs=1e-17)
        assert [float(lr) for lr in tensors] == schedule.get_last_lr()
        schedule.step()
    assert schedule.base_lrs == list(BASES)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_curve_is_drawn_without_touching_anything(case: Case) -> None:
    optimizer = optimizer_of(*BASES)
    schedule = case.make(optimizer)
    for _ in range(3):
        schedule.step()
    before = schedule.state_dict(), schedule.get_last_lr()
    for index, lr in enumerate(BASES):
        curve = schedule.values(STEPS, index)
        assert (curve.shape, curve.dtype) == ((STEPS,), tw.float64)
        expected = [case.rate(t, lr) for t in range(STEPS)]
        assert curve.tolist() == pytest.approx(expected, rel=1e-13, abs=1e-17)
    assert (schedule.state_dict(), schedule.get_last_lr()) == before
    assert schedule.values(0).shape == (0,)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_state_continues_with_the_same_bits(case: Case) -> None:
    optimizer, other = optimizer_of(*BASES), optimizer_of(*BASES)
    schedule, resumed = case.make(optimizer), case.make(other)
    for _ in range(6):
        schedule.step()
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for _ in range(12):
        assert resumed.get_last_lr() == schedule.get_last_lr()
        schedule.step()
        resumed.step()


# fmt: off
REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda o: schedules.StepLR(o, 0), "StepLR: step_size=0; expected a whole number, 1"),
    (lambda o: schedules.StepLR(o, 2.5), "step_size=2.5"),
    (lambda o: schedules.StepLR(o, 2, gamma=0), "gamma=0; expected a number above 0"),
    (lambda o: schedules.StepLR(o, 2, last_epoch=-2), "last_epoch=-2"),
    (lambda o: schedules.StepLR(o, 2, last_epoch=3), 'no "initial_lr"'),
    (lambda o: schedules.StepLR(None, 2), "StepLR: optimizer is a NoneType"),
    (lambda o: schedules.MultiStepLR(o, [1, 2.5]), "milestones=2.5"),
    (lambda o: schedules.ExponentialLR(o, -0.9), "ExponentialLR: gamma=-0.9"),
    (lambda o: schedules.ExponentialDecayLR(o, -1), "alpha=-1"),
    (lambda o: schedules.InverseTimeLR(o, -1), "InverseTimeLR: alpha=-1"),
    (lambda o: schedules.DiminishingLR(o, 0), "power=0"),
    (lambda o: schedules.DiminishingLR(o, 1.5), "finite sum"),
    (lambda o: schedules.PolynomialLR(o, 0), "total_iters=0"),
    (lambda o: schedules.CosineAnnealingLR(o, 0), "T_max=0"),
    (lambda o: schedules.CosineAnnealingLR(o, 5, eta_min=-1), "eta_min=-1"),
    (lambda o: schedules.ConstantLR(o, 1.5), "factor=1.5"),
    (lambda o: schedules.LinearLR(o, 1.5), "start_factor=1.5"),
    (lambda o: schedules.LinearLR(o, total_iters=0), "total_iters=0"),
    (lambda o: schedules.LambdaLR(o, []), "0 values of lr_lambda for 1 groups"),
    (lambda o: schedules.LambdaLR(o, [abs, abs]), "2 values of lr_lambda for 1 groups"),
]
# fmt: on


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused(make: Callable[[Any], object], message: str) -> None:
    optimizer = optimizer_of(0.1)
    with pytest.raises(ConfigError, match=message):
        make(optimizer)
    assert optimizer.schedules == []
    assert float(optimizer.param_groups[0]["lr"]) == 0.1


def test_deck_000s_conditions() -> None:
    """Nonsummable diminishing: the step sizes tend to 0, their sum grows like log t or faster."""
    for power in (0.3, 0.5, 1.0):
        curve = schedules.DiminishingLR(optimizer_of(1.0), power=power).values(100_000)
        assert curve[-1].item() < 0.05
        assert curve.sum().item() > math.log(100_000)
    exponential = schedules.ExponentialLR(optimizer_of(1.0), 0.9).values(100_000)
    assert exponential.sum().item() == pytest.approx(10.0)  # summable: a bounded way to go
