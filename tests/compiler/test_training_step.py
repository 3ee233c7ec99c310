"""A training step compiled is the training step: optimizers, schedules, clipping, dropout, EMA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from tests.compiler.training import Training, batches, near, twins
from thalweg import nn, optim
from thalweg.optim import lr_scheduler

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.3),
    "decay": lambda p: optim.SGD(p, lr=0.3, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
}
SCHEDULES: dict[str, Callable[..., Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3, 0.5),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=5),
}


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 4))


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(7, 33), nn.ReLU(), nn.Dropout(0.5), nn.Linear(33, 4))


def programs(step: Any) -> int:
    """How many native programs a compiled function has."""
    return len({id(e.bound) for entries in step.programs.values() for e in entries})


def run(eager: Training, native: Training, step: Any, count: int = 20) -> None:
    """Both trainings, side by side."""
    for x, y in batches(count):
        near([step(x, y).numpy()], [eager.step(x, y).detach().numpy()])
        near(native.values(), eager.values())


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_twenty_steps(optimizer: Callable[..., Any]) -> None:
    eager, native, step = twins(optimizer, perceptron)
    run(eager, native, step)
    assert programs(step) <= 2, "one before there is a momentum, one after"
    for p, q in zip(eager.model.parameters(), native.model.parameters(), strict=True):
        mine, theirs = eager.optimizer.state[p], native.optimizer.state[q]
        assert type(mine) is type(theirs)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_steps_outside_without_retracing(schedule: Callable[..., Any]) -> None:
    eager, native, step = twins(OPTIMIZERS["SGD"], perceptron)
    mine, theirs = schedule(eager.optimizer), schedule(native.optimizer)
    for x, y in batches(12):
        near([step(x, y).numpy()], [eager.step(x, y).detach().numpy()])
        mine.step()
        theirs.step()
    near(native.values(), eager.values())
    assert mine.get_last_lr() == theirs.get_last_lr()
    assert programs(step) == 1


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_steps_inside(schedule: Callable[..., Any]) -> None:
    eager, native, step = twins(OPTIMIZERS["SGD"], perceptron, schedule)
    run(eager, native, step, 12)
    assert eager.schedule is not None
    assert native.schedule is not None
    near([np.array(native.schedule.get_last_lr())], [np.array(eager.schedule.get_last_lr())], 1e-12)
    assert programs(step) == 1


def test_a_changed_rate_does_not_retrace() -> None:
    eager, native, step = twins(OPTIMIZERS["momentum"], perceptron)
    for number, (x, y) in enumerate(batches(6)):
        for training in (eager, native):
            training.optimizer.param_groups[0]["lr"] = 0.1 / (number + 1)
            training.optimizer.param_groups[0]["weight_decay"] = 0.01 if number > 3 else 0.0
        step(x, y)
        eager.step(x, y)
    near(native.values(), eager.values())
    assert programs(step) <= 3, "a weight decay that comes up is another program"


@pytest.mark.parametrize(
    "clip",
    [
        lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.1),
        lambda model: nn.utils.clip_grad_value_(model.parameters(), 0.01),
    ],
    ids=["norm", "value"],
)
def test_clipping(clip: Callable[[nn.Module], None]) -> None:
    eager, native, step = twins(OPTIMIZERS["Adam"], perceptron, before_step=clip)
    run(eager, native, step)


def test_dropout_drops_the_same() -> None:
    eager, native, step = twins(OPTIMIZERS["SGD"], with_dropout)
    (x, y), *_ = batches(1)
    losses: list[list[float]] = []
    for take in (eager.step, step):
        tw.manual_seed(7)
        losses.append([take(x, y).item() for _ in range(8)])
    near([np.array(losses[1])], [np.array(losses[0])])
    near(native.values(), eager.values())


def test_random_numbers_go_on_from_call_to_call() -> None:
    draw = tw.compile(lambda: (tw.rand(5), tw.randn(3, 3), tw.randint(0, 10, (7,))))
    tw.manual_seed(3)
    compiled = [draw(), tw.rand(4), draw()]
    tw.manual_seed(3)
    eager = [draw.fn(), tw.rand(4), draw.fn()]
    for a, b in ((compiled[0], eager[0]), (compiled[2], eager[2])):
        assert a[0].tolist() == b[0].tolist()
        near([a[1].numpy()], [b[1].numpy()], 1e-6)
        assert a[2].tolist() == b[2].tolist()
    assert tw.equal(compiled[1], eager[1])


def test_gradients_add_up_without_zero_grad() -> None:
    eager, native, _ = twins(OPTIMIZERS["SGD"], perceptron)

    def accumulate(training: Training) -> Callable[..., tw.Tensor]:
        def step(x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
            loss = F.cross_entropy(training.model(x), y) / 4
            loss.backward()
            return loss

        return step

    eager_step, step = accumulate(eager), tw.compile(accumulate(native))
    for number, (x, y) in enumerate(batches(12)):
        near([step(x, y).numpy()], [eager_step(x, y).detach().numpy()])
        near(native.values(), eager.values())
        if number % 4 == 3:
            for training in (eager, native):
                training.optimizer.step()
                training.optimizer.zero_grad()
    assert programs(step) <= 2


def test_backward_and_update_in_two_programs() -> None:
    eager, native, _ = twins(OPTIMIZERS["momentum"], perceptron)
    backward = tw.compile(lambda x, y: F.cross_entropy(native.model(x), y).backward())
    update = tw.compile(lambda: native.optimizer.step())
    for x, y in batches(6):
        native.optimizer.zero_grad()
        backward(x, y)
        update()
        eager.step(x, y)
        near(native.values(), eager.values())


def test_an_average_of_parameters() -> None:
    eager, native, _ = twins(OPTIMIZERS["SGD"], perceptron)
    averages = [[p.detach().clone() for p in t.model.parameters()] for t in (eager, native)]

    def with_average(training: Training, average: list[tw.Tensor]) -> Callable[..., tw.Tensor]:
        def step(x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
            loss = training.step(x, y)
            with tw.no_grad():
                for a, p in zip(average, training.model.parameters(), strict=True):
                    a.lerp_(p.detach(), 0.1)
            return loss

        return step

    eager_step = with_average(eager, averages[0])
    step = tw.compile(with_average(native, averages[1]))
    for x, y in batches(8):
        eager_step(x, y)
        step(x, y)
    near([a.numpy() for a in averages[1]], [a.numpy() for a in averages[0]])
    near(native.values(), eager.values())


def test_modes_retrace_once_each_and_both_are_kept() -> None:
    _, native, _ = twins(OPTIMIZERS["SGD"], with_dropout)
    (x, _), *_ = batches(1)
    forward = tw.compile(lambda x: native.model(x))
    for _ in range(2):
        native.model.train()
        assert (forward(x) != forward(x)).any()
        native.model.eval()
        assert tw.equal(forward(x), forward(x))
        near([forward(x).detach().numpy()], [native.model(x).detach().numpy()])
    assert programs(forward) == 2


def test_gradients_are_the_eager_ones_and_old_ones_stay() -> None:
    eager, native, step = twins(OPTIMIZERS["Adam"], perceptron)
    kept: list[tuple[tw.Tensor, Any]] = []
    for x, y in batches(6):
        step(x, y)
        eager.step(x, y)
        for p, q in zip(eager.model.parameters(), native.model.parameters(), strict=True):
            assert p.grad is not None
            assert q.grad is not None
            near([q.grad.numpy()], [p.grad.numpy()])
            kept.append((q.grad, q.grad.numpy()))
            kept.append((q.grad.detach(), q.grad.numpy()))
    for tensor, value in kept:
        assert np.array_equal(tensor.numpy(), value)


def test_the_best_parameters_stay_the_best() -> None:
    _, native, step = twins(OPTIMIZERS["SGD"], perceptron)
    kept = []
    for x, y in batches(5):
        best = [p.detach() for p in native.model.parameters()]
        kept.append((best, [b.numpy() for b in best]))
        step(x, y)
    state = native.model.state_dict()
    values = {name: x.numpy() for name, x in state.items()}
    for x, y in batches(3):
        step(x, y)
    for best, numbers in kept:
        near([b.numpy() for b in best], numbers, 0)
    assert all(np.array_equal(state[name].numpy(), value) for name, value in values.items())


def test_parameters_may_be_replaced_between_calls() -> None:
    eager, native, step = twins(OPTIMIZERS["momentum"], perceptron)
    start = {name: x.clone() for name, x in native.model.state_dict().items()}
    for number, (x, y) in enumerate(batches(8)):
        step(x, y)
        eager.step(x, y)
        if number == 3:
            for training in (eager, native):
                training.model.load_state_dict(start)
        if number == 5:
            for training in (eager, native):
                training.step(x, y)
    near(native.values(), eager.values())
    assert all(tw.equal(x, start[name]) for name, x in start.items())


def test_optimizer_state_may_be_replaced_between_calls() -> None:
    eager, native, step = twins(OPTIMIZERS["Adam"], perceptron)
    for number, (x, y) in enumerate(batches(8)):
        step(x, y)
        eager.step(x, y)
        if number == 3:
            for training in (eager, native):
                training.optimizer.load_state_dict(training.optimizer.state_dict())
    near(native.values(), eager.values())


def test_a_frozen_layer_stays() -> None:
    eager, native, step = twins(OPTIMIZERS["SGD"], perceptron)
    for x, y in batches(2):
        step(x, y)
        eager.step(x, y)
    for training in (eager, native):
        training.model[0].requires_grad_(False)  # type: ignore[index]
    for x, y in batches(3):
        step(x, y)
        eager.step(x, y)
    near(native.values(), eager.values())
