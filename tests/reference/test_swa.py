"""Averages of parameters, and the schedule that goes with them, equal to PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.reference.both import BOTH, DTYPES, TOLERANCES, plain
from tests.reference.training import INPUTS, LABELS, model_of

# fmt: off
AVERAGES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "equal":        lambda s: {},
    "equal fn":     lambda s: {"avg_fn": s.get_swa_avg_fn()},
    "equal multi":  lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "ema":          lambda s: {"avg_fn": s.get_ema_avg_fn(0.8)},
    "ema multi":    lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.8)},
    "ema default":  lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn()},
    "ema, buffers": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.8), "use_buffers": True},
    "buffers":      lambda s: {"use_buffers": True},
    "own":          lambda s: {"avg_fn": lambda a, p, n: 0.5 * a + 0.25 * p},
}
# fmt: on


def normalized(tw: Any) -> Any:
    nn = tw.nn
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4))


def _batches(tw: Any, dtype: str) -> list[Any]:
    return [tw.tensor(INPUTS[at : at + 8].astype(dtype)) for at in range(0, 40, 8)]


def _trained(tw: Any, name: str, dtype: str) -> tuple[Any, dict[str, Any]]:
    swa = tw.optim.swa_utils
    model = model_of(tw, normalized, dtype)
    averaged = swa.AveragedModel(model, **AVERAGES[name](swa))
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(20):
        optimizer.zero_grad()
        at = step % 5
        logits = model(_batches(tw, dtype)[at])
        labels = tw.tensor(LABELS[8 * at : 8 * at + 8])
        tw.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        averaged.update_parameters(model)
    return averaged, {key: plain(x).copy() for key, x in averaged.state_dict().items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", AVERAGES)
def test_averages(name: str, dtype: str) -> None:
    ours, theirs = (_trained(tw, name, dtype)[1] for tw in BOTH)
    assert list(ours) == list(theirs)
    # PyTorch's 1 / (n + 1) is float32 there, whatever the parameters are.
    tolerance = TOLERANCES["trajectory", "float32" if name == "equal multi" else dtype]
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype, key
        np.testing.assert_allclose(ours[key], value, *tolerance, err_msg=key)


def test_running_statistics_anew() -> None:
    found = []
    for tw in BOTH:
        averaged, _ = _trained(tw, "equal", "float64")
        pairs = [(x, None) for x in _batches(tw, "float64")]
        tw.optim.swa_utils.update_bn(pairs, averaged)
        assert averaged.training
        assert averaged.module[1].momentum == 0.1
        found.append(averaged)
    for (key, x), y in zip(
        found[0].state_dict().items(), found[1].state_dict().values(), strict=True
    ):
        np.testing.assert_allclose(plain(x), plain(y), rtol=1e-10, atol=1e-12, err_msg=key)


# fmt: off
RATES: dict[str, dict[str, Any]] = {
    "cosine":     {"swa_lr": 0.01},
    "straight":   {"swa_lr": 0.2, "anneal_strategy": "linear", "anneal_epochs": 7},
    "at once":    {"swa_lr": 0.05, "anneal_epochs": 0},
    "by group":   {"swa_lr": [0.05, 0.3], "anneal_epochs": 4},
}
# fmt: on


def _rates(tw: Any, options: dict[str, Any], after: int) -> list[list[float]]:
    """A decay first, then annealing, as in PyTorch's example."""
    groups = [{"params": [tw.zeros(2, requires_grad=True)], "lr": lr} for lr in (0.5, 0.1)]
    optimizer = tw.optim.SGD(groups, lr=0.1)
    decay = tw.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    swa = None
    found = []
    for step in range(40):
        optimizer.step()
        if step < after:
            decay.step()
        else:
            swa = swa or tw.optim.swa_utils.SWALR(optimizer, **options)
            swa.step()
        found.append([float(group["lr"]) for group in optimizer.param_groups])
    return found


@pytest.mark.parametrize("after", [0, 12])
@pytest.mark.parametrize("name", RATES)
def test_swalr(name: str, after: int) -> None:
    ours, theirs = (_rates(tw, RATES[name], after) for tw in BOTH)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
