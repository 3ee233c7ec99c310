"""What the step size is in each update of a training: per step, per epoch, and in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from tests.train.test_trainer import StopAfter, bits, one_step_chunks, some_splits
from thalweg.errors import CheckpointError, ConfigError
from thalweg.nn import functional as F
from thalweg.optim import lr_scheduler as lrs
from thalweg.optim.lr_scheduler.ahead import Ahead
from thalweg.train import Config, Trainer
from thalweg.train.recipe import check_names, make_trainer
from thalweg.train.steps import Steps

EPOCHS, UPDATES = 4, 5  # 72 examples in batches of 16


def one_cycle(on: Any) -> Any:
    return lrs.OneCycleLR(on, 0.5, epochs=EPOCHS, steps_per_epoch=UPDATES)


def warm_up_then_cosine(on: Any) -> Any:
    parts = [lrs.LinearLR(on, 0.1, total_iters=1), lrs.CosineAnnealingLR(on, 3)]
    return lrs.SequentialLR(on, parts, [1]).per("fraction")


class WithAnIf(lrs.FactorLR):
    """Python that wants one number."""

    def factor(self, t: tw.Tensor) -> tw.Tensor:
        return tw.tensor(0.5 if float(t) > 6.5 else 1.0, dtype=tw.float64) * (t + 1) ** -0.5


class ByItsCount(lrs.LRScheduler):
    """It looks at where it stands, as schedules in PyTorch do, and not at what it is given."""

    def rate(self, t: tw.Tensor, lr: tw.Tensor, index: int) -> tw.Tensor:
        return lr * 0.9 ** (self.last_epoch // 2)


def steady_then_cycle(on: Any) -> Any:
    """The momentum stays what it was, then cycles, then stays where that ended."""
    parts = [lrs.LinearLR(on, 0.5, total_iters=4), lrs.CyclicLR(on, 0.1, 0.4, 3),
             lrs.LambdaLR(on, lambda t: 1 / (t + 1))]  # fmt: skip
    return lrs.SequentialLR(on, parts, [4, 13]).per("step")


HEIGHTS = [0.1, 1.0, 0.7, 0.9, 0.3] * 5
# A schedule, and the t of update k, of which an epoch has n.
SCHEDULES: dict[str, tuple[Callable[[Any], Any], Callable[[int, int], float]]] = {
    "one-cycle": (one_cycle, lambda k, n: k),
    "cyclic": (lambda on: lrs.CyclicLR(on, 0.1, 0.4, 3), lambda k, n: k),
    "restarts": (lambda on: lrs.CosineAnnealingWarmRestarts(on, 1, 2), lambda k, n: k / n),
    "by epoch": (lambda on: lrs.ExponentialLR(on, 0.5), lambda k, n: k // n),
    "by step": (lambda on: lrs.LinearLR(on, total_iters=7).per("step"), lambda k, n: k),
    "by share": (lambda on: lrs.CosineAnnealingLR(on, EPOCHS).per("fraction"), lambda k, n: k / n),
    "a series": (warm_up_then_cosine, lambda k, n: k / n),
    "a chain": (lambda on: lrs.ChainedScheduler([lrs.StepLR(on, 1), lrs.StepLR(on, 2)]),
                lambda k, n: k // n),
    "a lambda": (lambda on: lrs.LambdaLR(on, lambda t: HEIGHTS[t]).per("step"), lambda k, n: k),
    "a lambda by share": (lambda on: lrs.LambdaLR(on, lambda t: HEIGHTS[t]).per("fraction"),
                          lambda k, n: k / n),
    "products": (lambda on: lrs.MultiplicativeLR(on, lambda t: HEIGHTS[t] ** 0.1).per("step"),
                 lambda k, n: k),
    "cycles scaled": (lambda on: lrs.CyclicLR(on, 0.1, 0.4, 2, scale_fn=lambda c: 1 / c),
                      lambda k, n: k),
    "an if": (lambda on: WithAnIf(on).per("step"), lambda k, n: k),
    "then a cycle": (steady_then_cycle, lambda k, n: k),
}  # fmt: skip


def trainer_with(make: Callable[[Any], Any], seed: int = 0, **options: Any) -> Trainer:
    tw.manual_seed(seed)
    model = tw.nn.Sequential(tw.nn.Linear(4, 8), tw.nn.Tanh(), tw.nn.Linear(8, 2))
    optimizer = Noting(model.parameters(), lr=0.2, momentum=0.9)
    return Trainer(model, F.cross_entropy, optimizer, schedule=make(optimizer),
                   **{"batch_size": 16, **options})  # fmt: skip


class Noting(tw.optim.SGD):
    """Knows the step size and the momentum of each update, where it is not compiled."""

    def step(self, closure: Any = None) -> Any:
        (group,) = self.param_groups
        if tw.tape.mode.trace is None:
            seen = vars(self).setdefault("seen", [])
            seen.append((float(group["lr"]), float(group["momentum"])))
        return super().step(closure)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_step_size_of_each_update_is_the_planned_one(name: str) -> None:
    make, t = SCHEDULES[name]
    trainer = trainer_with(make, compile=False)
    planned = trainer.plan(some_splits(), EPOCHS).curves["lr"]
    schedule = trainer.schedules[0]
    initial = trainer.optimizer.param_groups[0]["initial_lr"]
    expected = [float(schedule.rate(tw.tensor(float(t(k, UPDATES)), dtype=tw.float64), initial, 0))
                for k in range(EPOCHS * UPDATES)]  # fmt: skip
    assert planned == pytest.approx(expected, rel=1e-12)
    trainer.fit(some_splits(), EPOCHS)
    seen = [lr for lr, _ in trainer.optimizer.seen]
    assert seen == pytest.approx(planned, rel=1e-12)
    if isinstance(schedule, lrs.CyclicLR | lrs.OneCycleLR):
        momentums = schedule.momentum_values(EPOCHS * UPDATES).tolist()
        assert [m for _, m in trainer.optimizer.seen] == pytest.approx(momentums, rel=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_compiled_it_is_a_program_a_size_and_goes_on_exactly(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, _ = SCHEDULES[name]
    eager = trainer_with(make, compile=False).fit(some_splits(), EPOCHS).history
    whole = trainer_with(make)
    programs = count_programs(monkeypatch)
    result = whole.fit(some_splits(), EPOCHS)
    assert programs() == 2, "four batches of 16 and one of 8"
    assert [r["lr"] for r in result.history] == [r["lr"] for r in eager]
    assert [r["loss"] for r in result.history] == pytest.approx(
        [r["loss"] for r in eager], rel=1e-4
    )
    one_step_chunks(monkeypatch)
    trainer_with(make).fit(some_splits(), EPOCHS, run=tmp_path, watcher=StopAfter(8))
    resumed = trainer_with(make, seed=9)
    resumed.fit(some_splits(), EPOCHS, run=tmp_path, resume=True)
    assert bits(resumed.model) == bits(whole.model)
    assert resumed.schedules[0].state_dict() == whole.schedules[0].state_dict()


@pytest.mark.parametrize("name", [*SCHEDULES, "its count"])
def test_ahead_is_what_a_loop_would_see(name: str) -> None:
    make = {**SCHEDULES, "its count": (lambda on: ByItsCount(on).per("step"), None)}[name][0]
    here, there = (trainer_with(make) for _ in range(2))
    ahead = Ahead.of(here.optimizer, here.schedules, UPDATES)
    if name in ("by epoch", "a chain"):
        assert ahead is None
        return
    assert ahead is not None
    (group,), (other,) = here.optimizer.param_groups, there.optimizer.param_groups
    for n in (1, 7, 2, 9):
        before = here.schedules[0].state_dict(), group.plain()
        coming = ahead.coming(n)
        assert (here.schedules[0].state_dict(), group.plain()) == before, "nothing has changed"
        for k in range(n):
            ahead.take([x[k] for x in coming])
            there.schedules[0].updated(UPDATES)
            assert group.plain() == other.plain()
            assert here.schedules[0].state_dict() == there.schedules[0].state_dict()


def test_ahead_of_several_groups_and_schedules() -> None:
    weights = [tw.zeros(2, requires_grad=True) for _ in range(2)]
    optimizer = tw.optim.SGD([{"params": [weights[0]]}, {"params": [weights[1]], "lr": 0.25}], lr=1)
    by_group = lrs.LambdaLR(optimizer, [lambda t: t, lambda t: 2 * t]).per("step")
    lrs.ExponentialLR(optimizer, 0.5).step()
    ahead = Ahead.of(optimizer, [by_group], 3)
    assert ahead is not None
    (lr,) = ahead.coming(3)
    assert lr.tolist() == [[0.5, 0.25], [1.0, 0.5], [1.5, 0.75]]


def test_what_is_wrong_with_a_schedule_is_raised_where_it_is() -> None:
    trainer = trainer_with(lambda on: lrs.LambdaLR(on, lambda t: [1.0, 0.5][t]).per("step"))
    before = trainer.schedules[0].count
    with pytest.raises(IndexError):
        trainer.fit(some_splits(), 1)
    assert trainer.schedules[0].count is before
    assert trainer.schedules[0].last_epoch == 1, "as far as its list goes"


def test_what_diverged_is_repeated_from_where_schedules_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or it is not what diverged, and nothing is found."""
    trainer = trainer_with(lambda on: lrs.LambdaLR(on, lambda t: 1e39 if t == 2 else 1).per("step"))
    seen: list[int] = []
    real = Steps.repeat

    def repeat(self: Steps, *rest: Any) -> None:
        seen.append(trainer.schedules[0].last_epoch)
        real(self, *rest)

    monkeypatch.setattr(Steps, "repeat", repeat)
    result = trainer.fit(some_splits(), 1)
    assert (result.status, seen) == ("diverged", [1]), "the first step was a chunk of its own"
    assert result.diagnosis is not None
    assert "infinity" in result.diagnosis


def test_a_schedule_with_a_step_of_its_own_is_traced_as_it_is() -> None:
    class Twice(lrs.ExponentialLR):
        def step(self) -> None:
            super().step()
            super().step()

    trainer = trainer_with(lambda on: Twice(on, 0.9).per("step"))
    assert Ahead.of(trainer.optimizer, trainer.schedules, UPDATES) is None
    trainer.fit(some_splits(), 1)
    assert trainer.schedules[0].last_epoch == 2 * UPDATES


def count_programs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many programs of the training's step are made from now on."""
    from thalweg.compiler import function

    made: list[str] = []
    real = function.trace_program

    def counted(fn: Any, *rest: Any) -> Any:
        made.append(fn.__name__)
        return real(fn, *rest)

    monkeypatch.setattr(function, "trace_program", counted)
    return lambda: made.count("_step")


def test_schedules_of_different_units_multiply() -> None:
    trainer = trainer_with(
        lambda on: [lrs.LinearLR(on, 0.5, total_iters=8).per("step"), lrs.StepLR(on, 1, 0.5)],
        compile=False,
    )
    trainer.fit(some_splits(), 2)
    expected = [0.2 * min(1, 0.5 + k / 16) * 0.5 ** (k // UPDATES) for k in range(2 * UPDATES)]
    assert [lr for lr, _ in trainer.optimizer.seen] == pytest.approx(expected)


def test_accumulation_counts_updates() -> None:
    runs = []
    for compile in (False, True):
        trainer = trainer_with(lambda on: lrs.LambdaLR(on, lambda t: HEIGHTS[t]).per("step"),
                               accumulate=2, compile=compile)  # fmt: skip
        assert trainer.updates(some_splits().train) == 3
        runs.append(trainer.fit(some_splits(), 2).history)
        assert trainer.schedules[0].last_epoch == 6
    assert [row["lr"] for row in runs[0]] == [row["lr"] for row in runs[1]]
    assert [row["loss"] for row in runs[0]] == pytest.approx([r["loss"] for r in runs[1]], rel=1e-4)


def test_a_fraction_adds_up_without_rounding() -> None:
    optimizer = tw.optim.SGD([tw.zeros(1, requires_grad=True)], lr=0.1)
    schedule = lrs.StepLR(optimizer, 1).per("fraction")
    for updates in (7, 49, 1000):
        for _ in range(updates):
            schedule.updated(updates)
    assert schedule.state_dict() == {"last_epoch": 3}
    schedule.updated(3)
    assert schedule.state_dict()["last_epoch"] == 10 / 3
    other = lrs.StepLR(optimizer, 1).per("fraction")
    other.load_state_dict(schedule.state_dict())
    assert float(other.count) == 10 / 3


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unit='batch'"):
        trainer_with(lambda on: lrs.StepLR(on, 1).per("batch"))
    with pytest.raises(ConfigError, match="a metric comes once an epoch"):
        trainer_with(lambda on: lrs.ReduceLROnPlateau(on).per("step"))

    def mixed(on: Any) -> Any:
        parts = [lrs.StepLR(on, 1), lrs.CyclicLR(on, 0.1, 0.2)]
        return lrs.SequentialLR(on, parts, [3])

    with pytest.raises(ConfigError, match="StepLR 'epoch', CyclicLR 'step'. Say which"):
        trainer_with(mixed)
    assert trainer_with(lambda on: mixed(on).per("step")).schedules[0].unit == "step"
    with pytest.raises(ConfigError, match="this CyclicLR is part of a SequentialLR: pass that"):
        trainer_with(lambda on: mixed(on).schedulers[1])
    with pytest.raises(ConfigError, match="made with the trainer's optimizer"):
        trainer_with(lambda on: lrs.StepLR(tw.optim.SGD([tw.zeros(1, requires_grad=True)]), 1))
    with pytest.warns(UserWarning, match="a StepLR is attached to the optimizer, but not given"):
        trainer_with(lambda on: (lrs.StepLR(on, 1), None)[1])
    trainer_with(lambda on: lrs.StepLR(on, 1)).fit(some_splits(), 1, run=tmp_path)
    with pytest.raises(CheckpointError, match=r"count t by \['epoch'\], this training's by"):
        trainer_with(lambda on: lrs.StepLR(on, 1).per("step")).fit(
            some_splits(), 2, run=tmp_path, resume=True
        )


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ({"schedule": "cosine"}, ["fraction"]),
        ({"schedule": "step", "warmup": 2}, ["epoch", "fraction"]),
        ({"schedule": "cosine", "schedule_unit": "epoch", "warmup": 2}, ["epoch", "epoch"]),
        ({"schedule": "exponential", "schedule_unit": "step"}, ["fraction"]),
        ({"schedule": "plateau", "schedule_unit": "step"}, ["epoch"]),
    ],
)
def test_units_by_name(options: dict[str, Any], units: list[str]) -> None:
    splits = some_splits()
    trainer = make_trainer(Config.from_dict(options), splits.encoding)
    assert [schedule.unit for schedule in trainer.schedules] == units


def test_one_cycle_by_name_ends_low_with_the_last_update() -> None:
    config = Config.from_dict({"schedule": "one-cycle", "epochs": 10, "lr": 1.0})
    trainer = make_trainer(config, some_splits().encoding)
    planned = trainer.plan(some_splits(), 10).curves["lr"]
    assert max(planned) == pytest.approx(1.0)
    assert planned.index(max(planned)) == pytest.approx(0.3 * len(planned), abs=1)
    assert planned[0] == pytest.approx(1 / 25)
    assert planned[-1] < 0.01
    with pytest.raises(ConfigError, match="unknown schedule unit 'batch'"):
        check_names(Config.from_dict({"schedule_unit": "batch"}))
