"""State dictionaries: exact, also by way of JSON and bytes; refused whole if they do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.optim import SGD, Adam, AdamW, Optimizer
from thalweg.optim.lr_scheduler import LinearLR, ReduceLROnPlateau

MAKERS: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "dampening": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
    "nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "averaged": lambda p: SGD(p, lr=0.1, momentum=0.9, form="averaged"),
    "velocity": lambda p: SGD(p, lr=0.1, momentum=0.9, form="velocity"),
    "adam": lambda p: Adam(p, lr=0.1, weight_decay=0.1),
    "amsgrad": lambda p: Adam(p, lr=0.1, amsgrad=True),
    "adamw": lambda p: AdamW(p, lr=0.1),
}
TARGET = np.random.default_rng(0).normal(size=(3, 4))


class Run:
    """A small problem with two groups, an optimizer, a warm-up and a plateau schedule."""

    def __init__(self, make: Callable[[Any], Optimizer], dtype: Any) -> None:
        self.dtype = dtype
        self.w = tw.ones(3, 4, dtype=dtype, requires_grad=True)
        self.b = tw.zeros(4, dtype=dtype, requires_grad=True)
        self.optimizer = make([{"params": [self.w]}, {"params": [self.b], "lr": 0.03}])
        self.warm_up = LinearLR(self.optimizer, total_iters=12)
        self.plateau = ReduceLROnPlateau(self.optimizer, patience=1, threshold=0.05, cooldown=1)

    def train(self, first: int, last: int) -> None:
        for step in range(first, last):
            self.optimizer.zero_grad()
            error = self.w + self.b - tw.tensor(TARGET * (1 + step), dtype=self.dtype)
            loss = (error * error).mean()
            loss.backward()
            if step % 4 == 2:
                self.b.grad = None
            self.optimizer.step()
            self.warm_up.step()
            self.plateau.step(loss)

    def bits(self) -> list[bytes]:
        saved = self.optimizer.state_dict()
        states = [x for state in saved["state"].values() for x in state.values()]
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        return [x.detach().numpy().tobytes() for x in (self.w, self.b, *states, *lrs)]


def stored(saved: dict[str, Any]) -> dict[str, Any]:
    """`saved` after the way through JSON and a file of named arrays."""
    tensors = {
        f"{number}.{name}": x.numpy()
        for number, state in saved["state"].items()
        for name, x in state.items()
    }
    groups = json.loads(json.dumps(saved["param_groups"]))
    state: dict[str, dict[str, Any]] = {}
    for key, array in tensors.items():
        number, name = key.split(".")
        copied = np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
        state.setdefault(number, {})[name] = tw.from_numpy(copied)
    return {"state": state, "param_groups": groups}


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
@pytest.mark.parametrize("name", MAKERS)
def test_continuing_gives_the_same_bits(name: str, dtype: Any) -> None:
    straight = Run(MAKERS[name], dtype)
    straight.train(0, 20)

    first = Run(MAKERS[name], dtype)
    first.train(0, 9)
    second = Run(MAKERS[name], dtype)
    with tw.no_grad():
        second.w.copy_(first.w)
        second.b.copy_(first.b)
    second.optimizer.load_state_dict(stored(first.optimizer.state_dict()))
    for part in ("warm_up", "plateau"):
        saved = json.loads(json.dumps(getattr(first, part).state_dict()))
        getattr(second, part).load_state_dict(saved)
    assert second.bits() == first.bits()
    second.train(9, 20)
    assert second.bits() == straight.bits()


def trained(kind: type[Optimizer] = Adam, **options: Any) -> tuple[list[tw.Tensor], Optimizer]:
    params = [tw.ones(2, 3, requires_grad=True), tw.ones(3, requires_grad=True)]
    optimizer = kind([("weight", params[0]), ("bias", params[1])], **options)
    for _ in range(3):
        for p in params:
            p.grad = p.detach() * 0.5
        optimizer.step()
    return params, optimizer


def test_layout() -> None:
    _, optimizer = trained(lr=0.25)
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert {i: list(state) for i, state in saved["state"].items()} == {
        0: ["step", "exp_avg", "exp_avg_sq"],
        1: ["step", "exp_avg", "exp_avg_sq"],
    }
    assert saved["param_groups"] == [
        {
            "param_names": ["weight", "bias"],
            "maximize": False,
            "lr": 0.25,
            "betas": (0.9, 0.999),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "amsgrad": False,
            "decoupled_weight_decay": False,
            "params": [0, 1],
        }
    ]


def test_it_is_a_snapshot() -> None:
    (weight, _), optimizer = trained()
    saved = optimizer.state_dict()
    before = saved["state"][0]["exp_avg"].tolist()
    weight.grad = tw.full_like(weight, 100.0)
    optimizer.step()
    assert saved["state"][0]["exp_avg"].tolist() == before
    assert float(saved["state"][0]["step"]) == 3.0


def test_loading_keeps_the_tensors() -> None:
    (weight, _), optimizer = trained()
    state, lr = optimizer.state[weight], optimizer.param_groups[0]["lr"]
    kept = state.step, state.exp_avg, lr
    saved = optimizer.state_dict()
    saved["param_groups"][0]["lr"] = 0.5
    optimizer.load_state_dict(saved)
    now = optimizer.state[weight]
    assert all(a is b for a, b in zip(kept, (now.step, now.exp_avg, lr), strict=True))
    assert float(lr) == 0.5


def test_loading_takes_the_saved_hyperparameters() -> None:
    (other, _), saved = trained(SGD, lr=0.5, momentum=0.9, weight_decay=0.1)
    (weight, _), optimizer = trained(SGD, lr=0.1)
    optimizer.load_state_dict(saved.state_dict())
    (group,) = optimizer.param_groups
    assert (float(group["lr"]), group["momentum"], group["weight_decay"]) == (0.5, 0.9, 0.1)
    velocity = optimizer.state[weight].momentum_buffer
    assert tw.equal(velocity, saved.state[other].momentum_buffer)
    assert velocity.abs().sum() > 0


def test_a_parameter_without_an_entry_begins_anew() -> None:
    (weight, bias), optimizer = trained()
    saved = optimizer.state_dict()
    del saved["state"][1]
    optimizer.load_state_dict(saved)
    assert [float(optimizer.state[p].step) for p in (weight, bias)] == [3.0, 0.0]
    assert optimizer.state[bias].exp_avg.tolist() == [0.0] * 3
    for p in (weight, bias):
        p.grad = tw.ones_like(p)
    optimizer.step()
    assert [float(optimizer.state[p].step) for p in (weight, bias)] == [4.0, 1.0]


def test_arrays_and_numbers_will_do_and_lossless_casts() -> None:
    (weight, _), optimizer = trained()
    saved = optimizer.state_dict()
    saved["state"][0]["exp_avg"] = np.full((2, 3), 0.125, np.float32)
    saved["state"][0]["step"] = 7
    optimizer.load_state_dict(saved)
    assert optimizer.state[weight].exp_avg.tolist() == [[0.125] * 3] * 2
    assert float(optimizer.state[weight].step) == 7.0


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda s: s.pop("state"), ConfigError, "lacks 'state'"),
        (lambda s: s.update(extra=1), ConfigError, "has no 'extra'"),
        (lambda s: s["param_groups"].append({}), ConfigError, "2 parameter groups for the 1"),
        (lambda s: s["param_groups"][0].pop("eps"), ConfigError, "group 0 .* lacks 'eps'"),
        (lambda s: s["param_groups"][0].update(forth=None), ConfigError, "no 'forth'"),
        (lambda s: s["param_groups"][0].update(lr=-1.0), ConfigError, "lr=-1.0"),
        (lambda s: s["param_groups"][0].update(params=[0]), ConfigError, "has 1 parameters"),
        (
            lambda s: s["param_groups"][0].update(param_names=["bias", "weight"]),
            ConfigError,
            "has 'bias' where this optimizer has 'weight'",
        ),
        (lambda s: s["state"][0].pop("step"), ConfigError, "'weight' lacks 'step'"),
        (lambda s: s["state"][0].update(momentum_buffer=0), ConfigError, "no 'momentum_buffer'"),
        (lambda s: s["state"].update({2: {}}), ConfigError, r"parameters \[2\], beyond the last"),
        (lambda s: s["state"].update({"weight": {}}), ConfigError, "numbers of parameters"),
        (
            lambda s: s["state"][1].update(exp_avg=tw.zeros(4)),
            ShapeError,
            r"'bias': exp_avg has shape \(4,\), the parameter needs \(3,\)",
        ),
        (
            lambda s: s["state"][1].update(exp_avg=tw.zeros(3, dtype=tw.float64)),
            DTypeError,
            "exp_avg is thalweg.float64, the parameter needs thalweg.float32",
        ),
    ],
)
def test_what_does_not_fit_changes_nothing(
    damage: Damage, error: type[Exception], message: str
) -> None:
    _, optimizer = trained(lr=0.25)
    before = optimizer.state_dict()
    _, other = trained(lr=0.5)
    saved = other.state_dict()
    saved["state"][0]["exp_avg"] = tw.zeros(2, 3)
    damage(saved)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict(saved)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for number, state in before["state"].items():
        for name, x in state.items():
            assert tw.equal(after["state"][number][name], x)


def test_hyperparameters_that_do_not_go_together_are_refused() -> None:
    _, optimizer = trained(SGD, momentum=0.9)
    saved = optimizer.state_dict()
    saved["param_groups"][0].update(nesterov=True, dampening=0.5)
    with pytest.raises(ConfigError, match="no dampening"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["nesterov"] is False
