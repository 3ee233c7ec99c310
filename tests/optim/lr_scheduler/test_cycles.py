"""Schedules that change the momentum too: as data, so that a compiled step stays one program."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from tests.optim.kinds import Kind, descend, parameters
from thalweg import optim
from thalweg.errors import ConfigError, TraceError
from thalweg.optim import lr_scheduler as schedules

Make = Callable[[Any], optim.Optimizer]

# fmt: off
MOVING: dict[str, Make] = {
    "sgd":      lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "damped":   lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "averaged": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, form="averaged"),
    "velocity": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, form="velocity"),
    "still":    lambda p: optim.SGD(p, lr=0.1),
    "rmsprop":  lambda p: optim.RMSprop(p, momentum=0.5, centered=True),
    "adam":     lambda p: optim.Adam(p),
    "adamw":    lambda p: optim.AdamW(p, amsgrad=True),
    "adamax":   lambda p: optim.Adamax(p),
    "nadam":    lambda p: optim.NAdam(p),
    "radam":    lambda p: optim.RAdam(p, betas=(0.9, 0.9)),
    "lion":     lambda p: optim.Lion(p, lr=0.01),
    "lamb":     lambda p: optim.LAMB(p),
    "muon":     lambda p: optim.Muon(p),
}
# fmt: on


def training(name: str) -> tuple[list[tw.Tensor], optim.Optimizer, schedules.LRScheduler]:
    params = parameters(Kind(MOVING[name], 0, ((3, 4), (2, 2))), tw.float32)
    optimizer = MOVING[name](params)
    return params, optimizer, schedules.OneCycleLR(optimizer, 0.01, total_steps=12)


def momentum_of(optimizer: optim.Optimizer) -> float:
    (group,) = optimizer.param_groups
    return float(group["betas"][0] if "betas" in group else group["momentum"])


@pytest.mark.parametrize("name", MOVING)
def test_one_program_for_every_momentum(name: str) -> None:
    eager, ours, first = training(name)
    native, theirs, second = training(name)
    step = tw.compile(lambda: (descend(theirs, native), second.step())[0])
    seen = []
    for _ in range(10):
        descend(ours, eager)
        first.step()
        step()
        assert momentum_of(theirs) == pytest.approx(momentum_of(ours), rel=1e-12)
        seen.append(momentum_of(ours))
    assert len(set(seen)) == 10
    for p, q in zip(eager, native, strict=True):
        assert tw.allclose(p.detach(), q.detach(), rtol=1e-4, atol=1e-5)
    programs = {id(e.bound) for entries in step.programs.values() for e in entries}
    assert len(programs) == 2  # one before there are gradients to forget, one after


@pytest.mark.parametrize("name", MOVING)
def test_a_momentum_that_stays_the_same_changes_nothing(name: str) -> None:
    """As a tensor it gives what it gives as a number."""
    kind = Kind(MOVING[name], 0, ((3, 4), (2, 2)))
    plain, moving = parameters(kind), parameters(kind)
    ours, theirs = MOVING[name](plain), MOVING[name](moving)
    if name == "still":
        ours = optim.SGD(plain, lr=0.1, momentum=0.5)
    held = 0.5 if name == "still" else momentum_of(theirs)
    schedules.CyclicLR(theirs, float(theirs.param_groups[0]["lr"]), 1.0, 10**6,
                       base_momentum=held, max_momentum=held)  # fmt: skip
    for _ in range(6):
        descend(ours, plain)
        descend(theirs, moving)
    for p, q in zip(plain, moving, strict=True):
        assert tw.allclose(p, q, rtol=1e-12, atol=1e-12)


def test_what_a_group_holds() -> None:
    params, optimizer, schedule = training("adam")
    (group,) = optimizer.param_groups
    assert isinstance(group["betas"][0], tw.Tensor)
    before = group["betas"][0]
    group["betas"] = (0.5, 0.999)
    assert (group["betas"][0] is before, float(before)) == (True, 0.5)
    descend(optimizer, params)
    schedule.step()
    saved = json.loads(json.dumps(optimizer.state_dict()["param_groups"]))
    assert saved[0]["betas"] == [momentum_of(optimizer), 0.999]
    with pytest.raises(ConfigError, match="expected two numbers"):
        group["betas"] = (0.5, 1.0)
    assert float(before) == momentum_of(optimizer)


def test_resumed_in_the_middle() -> None:
    straight, optimizer, schedule = training("nesterov")
    for _ in range(8):
        descend(optimizer, straight)
        schedule.step()
    resumed, first, begun = training("nesterov")
    for _ in range(3):
        descend(first, resumed)
        begun.step()
    second = MOVING["nesterov"](resumed)
    going = schedules.OneCycleLR(second, 0.01, total_steps=12)
    second.load_state_dict(first.state_dict())
    going.load_state_dict(begun.state_dict())
    for _ in range(5):
        descend(second, resumed)
        going.step()
    assert [p.tolist() for p in resumed] == [p.tolist() for p in straight]


def test_one_cycle_along_straight_lines() -> None:
    optimizer = optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.1, momentum=0.5)
    schedule = schedules.OneCycleLR(
        optimizer, 0.8, 21, pct_start=6 / 21, anneal_strategy="linear", div_factor=4.0,
        final_div_factor=8.0, base_momentum=0.6, max_momentum=0.9,
    )  # fmt: skip
    up = [0.2 + 0.12 * t for t in range(6)]
    down = [0.8 - 0.775 * t / 15 for t in range(1, 16)]
    assert schedule.values(21).tolist() == pytest.approx(up + down)
    up = [0.6 + 0.3 * t / 15 for t in range(1, 16)]
    down = [0.9 - 0.06 * t for t in range(6)]
    assert schedule.momentum_values(21).tolist() == pytest.approx(down + up)


def test_one_cycle_stays_at_its_end() -> None:
    _, optimizer, schedule = training("sgd")
    values = schedule.values(20).tolist()
    assert values[11:] == [values[11]] * 9
    assert values[0] == pytest.approx(0.01 / 25)
    assert max(values) == pytest.approx(0.01, rel=1e-2)
    assert float(optimizer.param_groups[0]["initial_lr"]) == 0.01 / 25


def test_other_schedules_multiply() -> None:
    optimizer = optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.3)
    schedules.ConstantLR(optimizer, 0.5, total_iters=10)
    cyclic = schedules.CyclicLR(optimizer, 1.0, 2.0, 4, cycle_momentum=False)
    seen = [float(optimizer.param_groups[0]["lr"])]
    for _ in range(4):
        cyclic.step()
        seen.append(float(optimizer.param_groups[0]["lr"]))
    assert seen == pytest.approx([0.5, 0.625, 0.75, 0.875, 1.0])


def test_momentum_in_a_sequence() -> None:
    optimizer = optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.1, momentum=0.7)
    parts = [
        schedules.LinearLR(optimizer, 0.5, total_iters=3),
        schedules.CyclicLR(optimizer, 0.1, 0.2, 2, base_momentum=0.5, max_momentum=0.9),
    ]
    schedule = schedules.SequentialLR(optimizer, parts, [3])
    found = []
    for _ in range(6):
        found.append(momentum_of(optimizer))
        schedule.step()
    assert found[3:] == pytest.approx([0.9, 0.7, 0.5])
    assert schedule.has_momentum()


# fmt: off
REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda o: schedules.OneCycleLR(o, 1.0),                         "expected total_steps, or"),
    (lambda o: schedules.OneCycleLR(o, 1.0, epochs=3),               "expected total_steps, or"),
    (lambda o: schedules.OneCycleLR(o, 1.0, 0),                      "total_steps=0"),
    (lambda o: schedules.OneCycleLR(o, 1.0, 9, pct_start=1.5),       "pct_start=1.5"),
    (lambda o: schedules.OneCycleLR(o, 1.0, 9, anneal_strategy="cosine"), "did you mean 'cos'"),
    (lambda o: schedules.OneCycleLR(o, [1.0, 2.0], 9),               "2 values of max_lr for 1"),
    (lambda o: schedules.CyclicLR(o, 1.0, 2.0, 0),                   "step_size_up=0"),
    (lambda o: schedules.CyclicLR(o, 1.0, 2.0, mode="triangle"),     "did you mean 'triangular'"),
    (lambda o: schedules.CyclicLR(o, [1.0, 2.0], 2.0),               "2 values of base_lr for 1"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 0),          "T_0=0"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 0),       "T_mult=0"),
    (lambda o: schedules.MultiplicativeLR(o, [abs, abs]),            "2 values of lr_lambda for 1"),
]
# fmt: on


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused(make: Callable[[Any], Any], message: str) -> None:
    optimizer = optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    with pytest.raises(ConfigError, match=message):
        make(optimizer)
    assert float(optimizer.param_groups[0]["lr"]) == 0.1
    assert not optimizer.schedules
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_an_optimizer_without_momentum() -> None:
    optimizer = optim.Adagrad([tw.zeros(1, requires_grad=True)])
    with pytest.raises(ConfigError, match="Adagrad has no momentum and no betas"):
        schedules.OneCycleLR(optimizer, 1.0, total_steps=9)
    schedules.OneCycleLR(optimizer, 1.0, total_steps=9, cycle_momentum=False)


def test_a_python_function_needs_the_step() -> None:
    optimizer = optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.1)
    schedule = schedules.CyclicLR(optimizer, 0.1, 0.2, scale_fn=lambda c: 1 / c)
    with pytest.raises(TraceError):
        tw.compile(schedule.step)()
    with pytest.raises(ConfigError, match="does not change the momentum"):
        schedules.StepLR(optimizer, 3).momentum_values(3)
