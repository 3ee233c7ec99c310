"""`thalweg train --optimizer`: every one of them, by name, with its parameters."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.train.test_trainer import bits, some_splits
from thalweg import optim
from thalweg.errors import CheckpointError, ConfigError
from thalweg.nn import functional as F
from thalweg.train import Config, Trainer
from thalweg.train.config import STEP_SIZES
from thalweg.train.optimizers import OPTIMIZERS, make_optimizer
from thalweg.train.recipe import SCHEDULES, check_names


def network() -> tw.nn.Module:
    tw.manual_seed(0)
    nn = tw.nn
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def trained(config: Config, splits: Any, **options: Any) -> tuple[Trainer, Any]:
    model = network()
    optimizer = make_optimizer(config, model)
    trainer = Trainer(model, F.cross_entropy, optimizer, **{"batch_size": 32, **options})
    tw.manual_seed(1)
    return trainer, trainer.fit(splits, epochs=6)


def test_every_optimizer_has_a_name_and_a_step_size() -> None:
    public = {
        value
        for value in (getattr(optim, name) for name in optim.__all__)
        if isinstance(value, type) and issubclass(value, optim.Optimizer)
    }
    assert public - set(OPTIMIZERS.values()) == {optim.Optimizer, optim.Several}
    assert list(OPTIMIZERS) == sorted(OPTIMIZERS)
    own = {
        name: inspect.signature(kind).parameters["lr"].default for name, kind in OPTIMIZERS.items()
    }
    assert STEP_SIZES == own | {"sgd": 0.1}


# Step sizes that suit so short a training, where those of `STEP_SIZES` are for long ones.
SHORT = {
    "adadelta": 50.0, "adafactor": 0.1, "asgd": 0.5, "lamb": 0.05, "lion": 0.01, "radam": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_one_trains(name: str) -> None:
    lr = SHORT.get(name, max(0.02, STEP_SIZES[name]))
    config = Config.from_dict({"optimizer": name, "lr": lr})
    searches = name in ("lbfgs", "line-search", "rprop")  # they want all data at once
    _, result = trained(config, some_splits(), batch_size=72 if searches else 24)
    assert result.status == "finished"
    assert result.history[-1]["loss"] < 0.9 * result.history[0]["loss"]


def test_the_step_size_follows_the_optimizer_unless_given() -> None:
    assert Config.from_dict({"optimizer": "adam"}).lr == 1e-3
    assert Config.from_dict({"optimizer": "adam", "lr": 0.1}).lr == 0.1
    assert Config.from_dict({"lr": 0.3}).updated({"optimizer": "adam"}).lr == 0.3
    assert Config.from_dict({"optimizer": "adam"}).updated({"optimizer": "lion"}).lr == 1e-4
    assert Config.from_dict({"optimizer": "adam"}).updated({"epochs": 3}).lr == 1e-3


# fmt: off
GIVEN: list[tuple[str, str, dict[str, Any]]] = [
    ("adam",        "betas=0.5/0.9, eps=1e-4, amsgrad=true", {"betas": (0.5, 0.9), "eps": 1e-4,
                                                              "amsgrad": True}),
    ("rmsprop",     "alpha=0.9,momentum=0.5,centered=True",  {"alpha": 0.9, "momentum": 0.5,
                                                              "centered": True}),
    ("sgd",         "form=averaged",                         {"form": "averaged", "momentum": 0.9}),
    ("adafactor",   "eps=none/1e-2,beta2-decay=-0.5",        {"eps": (None, 1e-2),
                                                              "beta2_decay": -0.5}),
    ("lbfgs",       "line-search-fn=strong_wolfe",           {"line_search_fn": "strong_wolfe"}),
    ("normalized",  "by=tensor",                             {"by": "tensor"}),
    ("rprop",       "etas=0.4/1.3",                          {"etas": (0.4, 1.3)}),
]
# fmt: on


@pytest.mark.parametrize(("name", "text", "expected"), GIVEN)
def test_parameters(name: str, text: str, expected: dict[str, Any]) -> None:
    config = Config.from_dict({"optimizer": name, "optimizer-options": text})
    check_names(config)
    group = make_optimizer(config, network()).param_groups[0]
    assert {key: group[key] for key in expected} == expected
    assert Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm': did you mean 'adam'"),
        ({"optimizer": "adam", "optimizer_options": "beta=0.5"}, "adam has no 'beta'; did you"),
        ({"optimizer": "adam", "optimizer_options": "betas"}, "expected name=value"),
        ({"optimizer": "adam", "optimizer_options": "betas=0.5/1.5"}, "Adam: betas="),
        ({"optimizer": "adam", "optimizer_options": "lr=0.5"}, "adam has no 'lr'"),
        ({"optimizer": "rprop", "weight_decay": 0.1}, "rprop has none"),
        ({"optimizer": "lion", "lr": 1.0, "optimizer_options": "eps=1"}, "lion has no 'eps'"),
    ],
)
def test_refused_before_anything_is_loaded(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_names(Config.from_dict(options))


def test_muon_is_for_the_hidden_matrices() -> None:
    config = Config.from_dict({"optimizer": "muon", "weight_decay": 0.1})
    optimizer = make_optimizer(config, network())
    matrices, others = (group["params"] for group in optimizer.param_groups)
    assert [tuple(p.shape) for p in matrices] == [(8, 4), (8, 8)]
    assert [tuple(p.shape) for p in others] == [(8,), (8,), (2, 8), (2,)]
    alone = make_optimizer(config, tw.nn.Linear(3, 2))
    assert isinstance(alone, optim.AdamW)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rprop", "muon"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_for_every_kind(schedule: str, optimizer: str) -> None:
    config = Config.from_dict({"optimizer": optimizer, "schedule": schedule, "epochs": 12})
    on = make_optimizer(config, network())
    made = SCHEDULES[schedule](on, config, True)
    if schedule in ("constant", "plateau"):
        return
    values = made.values(12)
    assert bool((values >= 0).all())
    assert float(values.max()) == pytest.approx(config.lr, rel=0.1)
    assert len(set(values.tolist())) > 1


# --- averages, L1, searching optimizers in the trainer --------------------------------------------


@pytest.mark.parametrize("compile", [True, False])
def test_the_average_is_what_is_kept(compile: bool) -> None:
    """Beside a training without it: the same path, other parameters at the end."""
    splits, config = some_splits(), Config.from_dict({"lr": 0.5})
    plain, _ = trained(config, splits, compile=compile)
    trainer, result = trained(config, splits, ema=0.9, compile=compile)
    assert trainer.averaged is not None
    assert trainer.averaged.n_averaged.item() == 6 * 3
    model = {k: v.numpy() for k, v in trainer.model.state_dict().items()}
    for key, value in trainer.averaged.module.state_dict().items():
        np.testing.assert_array_equal(model[key], value.numpy())  # the best, in both
    assert any((model[k] != v.numpy()).any() for k, v in plain.model.state_dict().items())
    assert result.test["accuracy"] > 0.8


def test_the_average_follows_by_hand() -> None:
    """One epoch of three batches, decay 1/2: p1, then the mean with p2, then with p3."""
    splits = some_splits()
    seen: list[Any] = []

    class Noting(tw.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            loss = super().step(closure)
            seen.append([p.detach().numpy().copy() for p in self.param_groups[0]["params"]])
            return loss

    model = network()
    trainer = Trainer(
        model, F.cross_entropy, Noting(model.parameters(), lr=0.5), batch_size=32, ema=0.5,
        compile=False,
    )  # fmt: skip
    trainer.fit(splits, epochs=1)
    for position, p in enumerate(model.parameters()):
        first, second, third = (step[position] for step in seen)
        by_hand = 0.5 * (0.5 * first + 0.5 * second) + 0.5 * third
        np.testing.assert_allclose(p.detach().numpy(), by_hand, rtol=1e-5)


def test_resumed_with_an_average_to_the_bit(tmp_path: Any) -> None:
    def fit(epochs: int, resume: bool, **options: Any) -> Trainer:
        model = network()
        config = Config.from_dict({"optimizer": "adam", "lr": 0.02})
        trainer = Trainer(
            model, F.cross_entropy, make_optimizer(config, model), batch_size=32, **options
        )
        tw.manual_seed(1)
        trainer.fit(some_splits(), epochs, run=tmp_path / "run", resume=resume)
        return trainer

    fit(2, False, ema=0.9, l1=0.01)
    with pytest.raises(CheckpointError, match="made with an average of the parameters"):
        fit(5, True, l1=0.01)
    resumed = fit(5, True, ema=0.9, l1=0.01)
    straight, _ = trained(Config.from_dict({"optimizer": "adam", "lr": 0.02}), some_splits())
    assert bits(resumed.model) != bits(straight.model)
    (tmp_path / "run").rename(tmp_path / "first")
    assert bits(fit(5, False, ema=0.9, l1=0.01).model) == bits(resumed.model)


def test_an_l1_penalty_makes_weights_exactly_0() -> None:
    plain, _ = trained(Config(), some_splits())
    sparse, _ = trained(Config(), some_splits(), l1=0.1)

    def zeros(trainer: Trainer) -> int:
        return sum(int((p.detach() == 0).sum()) for p in trainer.model.parameters())

    assert zeros(plain) == 0
    assert zeros(sparse) > 20


@pytest.mark.parametrize("compile", [True, False])
def test_an_optimizer_that_searches(compile: bool) -> None:
    config = Config.from_dict(
        {"optimizer": "lbfgs", "optimizer_options": "line_search_fn=strong_wolfe,max_iter=4"}
    )
    _, result = trained(config, some_splits(), compile=compile, batch_size=72)
    assert result.history[-1]["loss"] < 0.3


def test_an_optimizer_that_searches_needs_whole_batches() -> None:
    model = network()
    with pytest.raises(ConfigError, match="evaluates each batch several times"):
        Trainer(model, F.cross_entropy, optim.LBFGS(model.parameters()), accumulate=2)
    with pytest.raises(ConfigError, match=r"ema=1\.5"):
        Trainer(model, F.cross_entropy, optim.SGD(model.parameters()), ema=1.5)
