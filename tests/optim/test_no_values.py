"""Optimizers and schedules never look at a value: they run where there are shapes and dtypes only.

That is what lets a step be traced and compiled. Here every primitive gives a shape and a dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import thalweg as tw
from tests.optim.kinds import KINDS, parameters
from thalweg import tape
from thalweg.errors import TraceError
from thalweg.optim import SGD
from thalweg.optim import lr_scheduler as schedules


class Valueless(NamedTuple):
    """What a traced value looks like to the code that computes with it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@contextmanager
def shapes_only() -> Iterator[list[str]]:
    """Operations give no values in this block; their names are noted in order."""
    names: list[str] = []

    def interpret(primitive: Any, inputs: Any, attributes: dict[str, Any]) -> Valueless:
        names.append(primitive.name)
        return Valueless(*primitive.infer(*[x._value for x in inputs], **attributes))

    mode: Any = tape.mode
    before = mode.interpret, mode.trace
    mode.interpret, mode.trace = interpret, SimpleNamespace(touch=id, guard=lambda *_: None)
    try:
        yield names
    finally:
        mode.interpret, mode.trace = before


def valueless(x: tw.Tensor) -> None:
    x._value = Valueless(x._value.shape, x._value.dtype)


# fmt: off
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "step":        lambda o: schedules.StepLR(o, 3),
    "multi_step":  lambda o: schedules.MultiStepLR(o, [2, 5]),
    "constant":    lambda o: schedules.ConstantLR(o),
    "linear":      lambda o: schedules.LinearLR(o),
    "exponential": lambda o: schedules.ExponentialLR(o, 0.9),
    "exp(-at)":    lambda o: schedules.ExponentialDecayLR(o, 0.1),
    "1/t":         lambda o: schedules.InverseTimeLR(o, 0.1),
    "diminishing": lambda o: schedules.DiminishingLR(o),
    "polynomial":  lambda o: schedules.PolynomialLR(o),
    "cosine":      lambda o: schedules.CosineAnnealingLR(o, 10, eta_min=0.01),
    "restarts":    lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, 2),
    "cyclic":      lambda o: schedules.CyclicLR(o, 0.1, 0.5, 4, mode="triangular2"),
    "one cycle":   lambda o: schedules.OneCycleLR(o, 0.5, 10, three_phase=True),
    "chained":     lambda o: schedules.ChainedScheduler(
                       [schedules.StepLR(o, 3), schedules.LinearLR(o)]),
    "sequential":  lambda o: schedules.SequentialLR(
                       o, [schedules.LinearLR(o), schedules.CosineAnnealingLR(o, 10)], [5]),
    "plateau":     lambda o: schedules.ReduceLROnPlateau(o, mode="max", cooldown=2, min_lr=0.1),
}
# fmt: on


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_a_step_asks_for_no_value(name: str, dtype: Any) -> None:
    params = parameters(KINDS[name], dtype)
    optimizer = KINDS[name].make(params)
    for p in params:
        p.grad = tw.ones_like(p)
        valueless(p.grad)
        valueless(p)
    lr = optimizer.param_groups[0]["lr"]
    valueless(lr)
    with shapes_only():
        optimizer.step()
        optimizer.zero_grad()
    for p, shape in zip(params, KINDS[name].shapes, strict=True):
        assert p._value == Valueless(shape, dtype.numpy)
    assert lr._value == Valueless((), np.dtype(np.float64))


@pytest.mark.parametrize("name", KINDS)
def test_operations_a_parameter(name: str) -> None:
    """The number of operations that each further parameter takes."""
    counts = []
    for size in (1, 2):
        params = [tw.ones(3, 3, requires_grad=True) for _ in range(size)]
        optimizer = KINDS[name].make(params)
        for p in params:
            p.grad = tw.ones_like(p)
        with shapes_only() as names:
            optimizer.step()
        counts.append(len(names))
    assert counts[1] - counts[0] == KINDS[name].operations


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_asks_for_no_value(name: str) -> None:
    optimizer = SGD([tw.ones(2, requires_grad=True)], lr=0.5)
    schedule = SCHEDULES[name](optimizer)
    lr = optimizer.param_groups[0]["lr"]
    metric = tw.tensor(0.5)
    for x in (lr, schedule.count, metric):
        valueless(x)
    with shapes_only():
        if isinstance(schedule, schedules.ReduceLROnPlateau):
            schedule.step(metric)
        else:
            schedule.step()
    assert lr._value == Valueless((), np.dtype(np.float64))
    assert schedule.count._value == Valueless((), np.dtype(np.float64))


def test_a_python_function_of_the_step_says_that_it_needs_the_value() -> None:
    schedule = schedules.LambdaLR(SGD([tw.ones(2, requires_grad=True)]), lambda t: 0.9**t)
    with shapes_only():
        valueless(schedule.count)
        with pytest.raises(TraceError, match="needs the values"):
            schedule.step()
