"""Optimizers that take more than a table's row to compare with PyTorch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH, DTYPES, plain
from tests.reference.training import (
    INPUTS,
    LABELS,
    assert_same_trajectory,
    classifier,
    model_of,
    train,
)

# --- Muon, for matrices alone --------------------------------------------------------------------


def _matrices(tw: Any) -> Any:
    nn = tw.nn
    layers = nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 4, bias=False)
    return nn.Sequential(*layers)


# fmt: off
MUONS: dict[str, dict[str, Any]] = {
    "default":         {},
    "original":        {"lr": 0.01, "adjust_lr_fn": "original", "weight_decay": 0.0},
    "match_rms_adamw": {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw"},
    "without look":    {"lr": 0.01, "nesterov": False, "momentum": 0.8},
    "coefficients":    {"lr": 0.01, "ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 7, "eps": 0.1},
}
# fmt: on


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MUONS)
def test_muon(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's equations in the parameter's dtype: its cast to bfloat16 is left out."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())

    def made(tw: Any, model: Any) -> Any:
        return tw.optim.Muon(model.parameters(), **MUONS[name])

    ours, theirs = (train(tw, made, dtype, build=_matrices) for tw in BOTH)
    assert_same_trajectory(ours, theirs, dtype)


# --- L-BFGS --------------------------------------------------------------------------------------

# fmt: off
LBFGS: dict[str, dict[str, Any]] = {
    "default":        {"lr": 0.5},
    "wolfe":          {"line_search_fn": "strong_wolfe"},
    "wolfe, short":   {"line_search_fn": "strong_wolfe", "max_iter": 3, "lr": 5.0},
    "wolfe, few":     {"line_search_fn": "strong_wolfe", "max_eval": 7},
    "little history": {"line_search_fn": "strong_wolfe", "history_size": 2},
    "coarse":         {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2,
                       "tolerance_change": 1e-3},
    "one by one":     {"lr": 0.3, "max_iter": 1},
}
# fmt: on


def _valley(tw: Any, x: Any) -> Any:
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


def _lbfgs(tw: Any, options: dict[str, Any], steps: int) -> list[float]:
    """The loss before each step down Rosenbrock's valley, the calls, and where it ends."""
    x = tw.tensor([-1.2, 1.0, 0.7], dtype=tw.float64, requires_grad=True)
    optimizer = tw.optim.LBFGS([x], **options)
    calls: list[float] = []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = _valley(tw, x)
        loss.backward()
        calls.append(loss.item())
        return loss

    found = [optimizer.step(closure).item() for _ in range(steps)]
    return [*found, *calls, len(calls), *x.tolist()]


@pytest.mark.parametrize("name", LBFGS)
def test_lbfgs_in_the_valley(name: str) -> None:
    """Every loss at every place that was tried, to rounding, which the valley magnifies."""
    ours, theirs = (_lbfgs(tw, LBFGS[name], 3) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("spread", [1e6, 1e10])
def test_lbfgs_on_a_badly_scaled_bowl(search: str | None, spread: float) -> None:
    """Fifty iterations, of which PyTorch's y s > 1e-10 forgets none."""
    slopes = np.geomspace(1, spread, 12)

    def run(tw: Any) -> list[float]:
        x = tw.tensor(np.linspace(1.0, 2.0, 12), dtype=tw.float64)
        x.requires_grad_()
        optimizer = tw.optim.LBFGS(
            [x], max_iter=1, tolerance_change=0.0, tolerance_grad=0.0, line_search_fn=search
        )

        def closure() -> Any:
            optimizer.zero_grad()
            loss = (tw.tensor(slopes) * x * x).sum()
            loss.backward()
            return loss

        return [optimizer.step(closure).item() for _ in range(50)]

    ours, theirs = map(run, BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert min(ours) > 1e-9


def _fitted(tw: Any, dtype: str, options: dict[str, Any]) -> list[float]:
    model = model_of(tw, classifier, dtype)
    optimizer = tw.optim.LBFGS(model.parameters(), **options)
    x, y = tw.tensor(INPUTS.astype(dtype)), tw.tensor(LABELS)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = tw.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(8)]


@pytest.mark.parametrize("name", ["wolfe", "wolfe, short", "little history"])
def test_lbfgs_on_a_network(name: str) -> None:
    ours, theirs = (_fitted(tw, "float64", LBFGS[name]) for tw in BOTH)
    np.testing.assert_allclose(ours[:4], theirs[:4], rtol=1e-6)
    assert ours[-1] < 0.7 * ours[0]


# Optimizers with the settings of a checkpoint.
SAVED: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1},
    "SGD, momentum": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "SGD, dampened": {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    "Adam": {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "Muon": {"lr": 0.1},
    **{
        name: {}
        for name in (
            *("AdamW", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"),
            "Adafactor",
        )
    },
}


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("name", SAVED)
def test_a_checkpoint_of_pytorch_is_gone_on_with(name: str, before: int, tmp_path: Path) -> None:
    def step(tw: Any, w: Any, optimizer: Any, seed: int) -> None:
        w.grad = tw.tensor(np.random.default_rng(seed).standard_normal((3, 2)))
        optimizer.step()

    def begun(tw: Any, value: Any) -> Any:
        w = tw.tensor(value, dtype=tw.float64, requires_grad=True)
        return w, getattr(tw.optim, name.partition(",")[0])([w], **SAVED[name])

    theirs, other = begun(torch, [[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]])
    for seed in range(before):
        step(torch, theirs, other, seed)
    torch.save({"epoch": before, "optimizer": other.state_dict()}, tmp_path / "last.pt")
    saved = thalweg.load(tmp_path / "last.pt")
    ours, mine = begun(thalweg, plain(theirs))
    mine.load_state_dict(saved["optimizer"])
    for seed in range(3, 8):
        step(thalweg, ours, mine, seed)
        step(torch, theirs, other, seed)
    tolerance = 0.02 if name == "Muon" else 1e-9  # PyTorch's works in bfloat16
    np.testing.assert_allclose(plain(ours), plain(theirs), rtol=tolerance, atol=tolerance)


def test_lbfgs_goes_on_from_pytorch_state() -> None:
    def begun(tw: Any) -> Any:
        x = tw.tensor([-1.2, 1.0, 0.7], dtype=tw.float64, requires_grad=True)
        return x, tw.optim.LBFGS([x], max_iter=4, line_search_fn="strong_wolfe")

    def step(tw: Any, x: Any, optimizer: Any) -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = _valley(tw, x)
            loss.backward()
            return loss

        optimizer.step(closure)

    (ours, mine), (theirs, other) = map(begun, BOTH)
    step(torch, theirs, other)
    saved = other.state_dict()
    state = {
        key: [plain(x) for x in value] if isinstance(value, list) else plain(value)
        for key, value in saved["state"][0].items()
        if key != "al"
    }
    with thalweg.no_grad():
        ours.copy_(thalweg.tensor(plain(theirs)))
    mine.load_state_dict({"state": {0: state}, "param_groups": saved["param_groups"]})
    for _ in range(2):
        step(thalweg, ours, mine)
        step(torch, theirs, other)
    np.testing.assert_allclose(plain(ours), plain(theirs), rtol=1e-7)
