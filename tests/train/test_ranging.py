"""The range test: what it suggests, and that it leaves no trace."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import thalweg as tw
from tests.train.test_trainer import bits, some_splits
from thalweg.errors import ConfigError
from thalweg.nn import functional as F
from thalweg.train import RangeTest, Trainer, range_test
from thalweg.train.command import run_range_test
from thalweg.train.ranging import _tried


def network() -> tw.nn.Module:
    tw.manual_seed(0)
    nn = tw.nn
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2),
                         nn.Linear(8, 2))  # fmt: skip


def outcome(model: tw.nn.Module, optimizer: Any, **options: Any) -> RangeTest:
    train = some_splits().train
    return range_test(model, F.cross_entropy, optimizer, train, **{"batch_size": 16, **options})


@pytest.mark.parametrize("compile", [True, False])
def test_nothing_has_been_trained(compile: bool) -> None:
    model = network()
    model.eval()
    optimizer = tw.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    tw.optim.lr_scheduler.StepLR(optimizer, 3)
    first = next(iter(model.parameters()))
    first.grad = tw.ones_like(first)
    before, state = bits(model), optimizer.state_dict()
    stream = tw.default_generator.get_state()
    found = outcome(model, optimizer, compile=compile)
    assert len(found.lrs) > 20
    assert bits(model) == before
    assert not any(module.training for module in model.modules())
    assert first.grad.tolist() == tw.ones_like(first).tolist()
    assert float(optimizer.param_groups[0]["lr"]) == 0.3
    for key, tensors in optimizer.state_dict()["state"].items():
        for name, x in tensors.items():
            assert x.tolist() == state["state"][key][name].tolist()
    assert tw.default_generator.get_state().tolist() == stream.tolist()


def test_compiled_is_eager() -> None:
    found = [
        outcome(model, tw.optim.Adam(model.parameters()), compile=compile, steps=30, end=0.1)
        for compile in (True, False)
        for model in [network()]
    ]
    assert found[0].lrs == found[1].lrs
    assert found[0].losses == pytest.approx(found[1].losses, rel=1e-4)


def test_step_sizes_grow_by_a_factor_and_keep_the_groups_ratio() -> None:
    model = network()
    weights, *others = model.parameters()
    seen: list[list[float]] = []

    class Noting(tw.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            seen.append([float(group["lr"]) for group in self.param_groups])
            return super().step(closure)

    optimizer = Noting([{"params": [weights], "lr": 0.2}, {"params": others, "lr": 0.05}])
    found = outcome(model, optimizer, start=1e-4, end=1e-2, steps=21, compile=False, trials=0)
    assert found.lrs == pytest.approx(np.geomspace(1e-4, 1e-2, 21).tolist())
    assert [first for first, _ in seen] == pytest.approx(found.lrs)
    assert [first / second for first, second in seen] == pytest.approx([4.0] * 21)


def test_it_ends_where_the_loss_breaks_and_restores_after_an_error() -> None:
    model = network()
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    found = outcome(model, optimizer, end=1e6, steps=100)
    assert len(found.lrs) < 100
    before = bits(model)
    calls = []

    def breaking(outputs: tw.Tensor, labels: tw.Tensor) -> tw.Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise ValueError("broken")
        return F.cross_entropy(outputs, labels)

    with pytest.raises(ValueError, match="broken"):
        range_test(model, breaking, optimizer, some_splits().train, compile=False)
    assert bits(model) == before


def curve(losses: Any, smoothing: float = 0.0, **options: Any) -> RangeTest:
    lrs = np.geomspace(1e-6, 10, len(losses)).tolist()
    return RangeTest(lrs, list(losses), smoothing, **options)


def test_where_it_is_lowest_and_what_is_suggested() -> None:
    x = np.linspace(-6, 1, 71)
    falling = 2.3 / (1 + np.exp(4 * (x + 2))) + np.exp(3 * (x - 0.3))
    found = curve(falling)
    assert found.lowest == found.lrs[int(falling.argmin())]
    assert found.suggestion == pytest.approx(found.lowest / 10)
    assert curve([*falling, math.inf]).lowest == pytest.approx(found.lowest, rel=0.3)
    assert curve(falling, trials={0.1: 1.0, 0.3: 0.5, 1.0: math.inf}).suggestion == 0.3


def test_the_running_mean_is_one_sided_and_begins_without_a_pull() -> None:
    assert curve([2.0] * 31, 0.9).smooth == pytest.approx([2.0] * 31)
    bump = curve([2.0] * 15 + [3.0] + [2.0] * 15, 0.7).smooth
    assert bump[:15] == pytest.approx([2.0] * 15)
    assert max(bump) == bump[15] == pytest.approx(2.3, abs=0.01)
    held = curve([1.0, 2.0, 4.0] * 4, 0.5).smooth
    assert held[:3] == pytest.approx([1, 5 / 3, 3])


@pytest.mark.parametrize(
    ("best", "span", "said"),
    [
        (0.1, (1e-6, 10.0), 0.1),  # among the first
        (3e-5, (1e-6, 10.0), 3.2e-5),  # below them: the next ones are tried
        (100.0, (1e-6, 1e4), 100.0),  # above
        (100.0, (1e-6, 10.0), 10.0),  # but not beyond the span
    ],
)
def test_which_step_sizes_are_tried(best: float, span: tuple[float, float], said: float) -> None:
    tried = _tried(1.0, 8, span, lambda lr: abs(math.log(lr / best)))
    assert min(tried, key=tried.__getitem__) == pytest.approx(said, rel=0.2)
    assert all(0.99 * span[0] <= lr <= 1.01 * span[1] for lr in tried)
    assert len(tried) < 16
    assert len(_tried(1.0, 8, span, lambda lr: math.inf)) <= 8, "nothing tells where to go on"


ONE_EPOCH = {  # the step size of each, and the most that a training with the suggestion may lose
    "sgd": (lambda p: tw.optim.SGD(p, lr=0.1), 0.25),
    "momentum": (lambda p: tw.optim.SGD(p, lr=0.1, momentum=0.9), 0.25),
    "adam": (lambda p: tw.optim.Adam(p), 0.25),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_EPOCH)
@pytest.mark.parametrize("batch_size", [10, 32])
def test_an_epoch_with_the_suggestion_is_nearly_as_good_as_with_the_best(
    name: str, batch_size: int
) -> None:
    """The loss after an epoch of the digits, beside a grid of step sizes: 0 is as good as the best
    of them, 1 has learnt nothing."""
    make, most = ONE_EPOCH[name]
    splits = tw.data.load("digits")
    tw.manual_seed(1)
    nn = tw.nn
    model = nn.Sequential(nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 10))
    optimizer = make(model.parameters())
    found = range_test(model, F.cross_entropy, optimizer, splits.train, batch_size=batch_size)
    begin, state = model.state_dict(), optimizer.state_dict()
    trainer = Trainer(model, F.cross_entropy, optimizer, batch_size=batch_size)

    def after(lr: float) -> float:
        model.load_state_dict(begin)
        optimizer.load_state_dict(state)
        optimizer.param_groups[0]["lr"] = lr
        tw.manual_seed(5)
        loss = trainer.fit(splits, 1).history[0]["dev_loss"]
        return loss if math.isfinite(loss) else math.inf

    best = min(map(after, np.geomspace(1e-4, 1, 9)))
    assert (after(found.suggestion) - best) / (math.log(10) - best) < most


def deep(optimizer: Any) -> Any:
    tw.manual_seed(0)
    sizes = [64, 30, 30, 30, 30, 10]
    layers = [tw.nn.Linear(a, b) for a, b in pairwise(sizes)]
    model = tw.nn.Sequential(*[x for each in layers for x in (each, tw.nn.Sigmoid())][:-1])
    return model, optimizer(model.parameters())


def test_where_a_plateau_is_left_tells_more_than_the_losses_on_it() -> None:
    """Four layers of sigmoids: after a hundred batches none has learnt anything."""
    model, optimizer = deep(lambda p: tw.optim.Adam(p))
    splits = tw.data.load("digits")
    found = range_test(model, F.cross_entropy, optimizer, splits.train, batch_size=10)
    assert found.learnt
    assert found.batches > 100
    begin, state, losses = model.state_dict(), optimizer.state_dict(), {}
    trainer = Trainer(model, F.cross_entropy, optimizer, batch_size=10)
    for lr in (*np.geomspace(1e-4, 1, 9), found.suggestion):
        model.load_state_dict(begin)
        optimizer.load_state_dict(state)
        optimizer.param_groups[0]["lr"] = lr
        tw.manual_seed(5)
        losses[lr] = trainer.fit(splits, 4).history[-1]["dev_loss"]
    best = min(losses.values())
    assert (losses[found.suggestion] - best) / (math.log(10) - best) < 0.25


def test_that_nothing_was_learnt_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = deep(lambda p: tw.optim.SGD(p, lr=0.1))
    before = bits(model)
    train = tw.data.load("digits").train
    found = range_test(model, F.cross_entropy, optimizer, train, longest=400, steps=50)
    assert (found.learnt, found.batches, len(found.trials)) == (False, 200, 11)
    assert repr(found).endswith("though with none did it learn anything in 200 batches>")
    assert bits(model) == before
    options = {"hidden": (30, 30, 30, 30), "activation": "sigmoid", "init": "torch"}
    run_range_test(options, out=tmp_path / "x.svg", longest=100)
    assert "did the network learn anything" in capsys.readouterr().out


def test_of_single_examples_it_cannot_be_told() -> None:
    model = tw.nn.Linear(4, 2)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    train = some_splits().train
    found = range_test(model, F.cross_entropy, optimizer, train, batch_size=1, steps=10)
    assert (found.learnt, found.batches) == (True, 10)


def test_the_picture(tmp_path: Path) -> None:
    found = curve(np.linspace(2, 1, 40))
    root = ElementTree.fromstring(found.save(tmp_path / "range.svg").read_text("utf-8"))
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("suggested: ") for text in texts)
    assert "suggests" in repr(found)
    assert found._repr_svg_().startswith("<svg ")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.svg"
    run_range_test({"optimizer": "adam", "epochs": 1}, out=out, steps=40, end=1.0)
    shown = capsys.readouterr().out
    assert "Suggested step size: --lr 0." in shown
    assert out.read_text("utf-8").startswith("<svg ")
    with pytest.raises(ConfigError, match=r"the picture is an \.svg"):
        run_range_test({}, out=tmp_path / "found.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 1.0, "end": 0.1}, "expected start below end"),
        ({"steps": 3}, "steps=3; expected a whole number, 10 or more"),
        ({"smoothing": 1.0}, "smoothing from 0"),
        ({"stop": 1.0}, "stop above 1"),
        ({"trials": -1}, "trials=-1; expected a whole number"),
        ({"longest": 0}, "longest=0; expected a whole number"),
        ({"start": 1e12, "end": 1e30}, "finite losses are too few"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    model = network()
    before = bits(model)
    with pytest.raises(ConfigError, match=message):
        outcome(model, tw.optim.SGD(model.parameters(), lr=0.1), **options)
    assert bits(model) == before


def test_what_cannot_be_tested() -> None:
    model = network()
    with pytest.raises(ConfigError, match="LBFGS looks for its step sizes itself"):
        outcome(model, tw.optim.LBFGS(model.parameters()))
    whole: Any = some_splits()
    with pytest.raises(ConfigError, match=r"a Splits to train on; expected one set, splits\.train"):
        range_test(model, F.cross_entropy, tw.optim.SGD(model.parameters()), whole)
    with pytest.raises(ConfigError, match="lr is 0"):
        outcome(model, tw.optim.SGD(model.parameters(), lr=0.0))
