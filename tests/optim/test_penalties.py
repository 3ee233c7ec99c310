"""L1 and L2: in the loss, in the optimizer, after the step; and where they differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import SGD, Adam, AdamW, Optimizer
from thalweg.optim.penalties import l1_penalty, l2_penalty, shrink_l1, soft_threshold_


def leaf(*values: float) -> tw.Tensor:
    return tw.tensor(values, dtype=tw.float64, requires_grad=True)


def slope(w: tw.Tensor, step: int) -> tw.Tensor:
    """The loss of a step: steep in one direction, flat in the other, and noisy."""
    return (w * tw.tensor([30.0, 0.3], dtype=w.dtype)).sum() * (-1.0) ** (step // 2)


def path(make: Callable[[Any], Optimizer], penalty: float, steps: int = 40) -> list[float]:
    w = leaf(2.0, 2.0)
    optimizer = make([w])
    for step in range(steps):
        optimizer.zero_grad()
        (slope(w, step) + penalty * l2_penalty([w])).backward()
        optimizer.step()
    return list(w.tolist())


def test_weight_decay_is_the_penalty() -> None:
    """theta - eps (grad L + lambda theta), deck 000 with its sign put right."""
    inside = path(lambda p: SGD(p, lr=0.01), 0.5)
    outside = path(lambda p: SGD(p, lr=0.01, weight_decay=0.5), 0.0)
    assert inside == pytest.approx(outside, rel=1e-12)
    inside = path(lambda p: Adam(p, lr=0.01), 0.5)
    outside = path(lambda p: Adam(p, lr=0.01, weight_decay=0.5), 0.0)
    assert inside == pytest.approx(outside, rel=1e-12)


def test_decay_and_penalty_differ_under_adaptive_methods() -> None:
    """Under Adam the steep direction is decayed less; AdamW decays both alike."""
    kept = {
        "penalty": path(lambda p: Adam(p, lr=1e-3, weight_decay=0.1), 0.0, 400),
        "decay": path(lambda p: AdamW(p, lr=1e-3, weight_decay=0.1), 0.0, 400),
        "neither": path(lambda p: Adam(p, lr=1e-3), 0.0, 400),
    }
    shares = {name: np.divide(kept[name], kept["neither"]) for name in ("penalty", "decay")}
    assert shares["decay"] == pytest.approx([(1 - 1e-4) ** 400] * 2, abs=2e-3)
    assert shares["penalty"][0] > shares["penalty"][1] + 0.1


def test_soft_threshold_is_the_proximal_point() -> None:
    """No other x has a smaller 1/2 (x - theta)^2 + amount |x|."""
    theta, amount = np.linspace(-2, 2, 41), 0.7
    w = tw.tensor(theta)
    soft_threshold_([w], amount)
    grid = np.linspace(-3, 3, 6001)
    cost = 0.5 * (grid - theta[:, None]) ** 2 + amount * np.abs(grid)
    np.testing.assert_allclose(w.numpy(), grid[cost.argmin(1)], atol=1e-3)


def test_proximal_steps_reach_0_subgradients_do_not() -> None:
    """Least squares with an L1 penalty and its solution, the soft threshold of the data."""
    data = tw.tensor([3.0, 0.2, -1.0, -0.1], dtype=tw.float64)

    def solved(is_proximal: bool) -> list[float]:
        w = tw.zeros(4, dtype=tw.float64, requires_grad=True)
        optimizer = SGD([w], lr=0.3)
        for _ in range(200):
            optimizer.zero_grad()
            loss = ((w - data) ** 2).sum() / 2
            (loss if is_proximal else loss + 0.5 * l1_penalty([w])).backward()
            optimizer.step()
            if is_proximal:
                shrink_l1(optimizer, 0.5)
        return list(w.tolist())

    expected = [2.5, 0.0, -0.5, 0.0]
    assert solved(is_proximal=True) == pytest.approx(expected, abs=1e-12)
    assert solved(is_proximal=True)[1::2] == [0.0, 0.0]
    assert solved(is_proximal=False) == pytest.approx(expected, abs=0.3)
    assert 0.0 not in solved(is_proximal=False)


def test_each_group_by_its_step_size_and_compiled() -> None:
    a, b = leaf(1.0, -1.0), leaf(1.0, -0.1)
    optimizer = SGD([{"params": [a], "lr": 0.5}, {"params": [b], "lr": 0.25}])
    step = tw.compile(lambda: shrink_l1(optimizer, 1.0))
    step()
    assert (a.tolist(), b.tolist()) == ([0.5, -0.5], [0.75, 0.0])
    optimizer.param_groups[0]["lr"] = 0.125
    step()
    assert a.tolist() == [0.375, -0.375]


def test_refused() -> None:
    with pytest.raises(ConfigError, match="no parameters"):
        l1_penalty([])
    with pytest.raises(ConfigError, match="strength=-1"):
        shrink_l1(SGD([leaf(1.0)]), -1)
