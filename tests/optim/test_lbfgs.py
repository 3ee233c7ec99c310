"""L-BFGS where numbers are small or far apart: what it remembers has no units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.optim import LBFGS

SIZE = 8


def bowl(spread: float) -> np.ndarray[Any, Any]:
    """A symmetric matrix whose eigenvalues go from 1 to `spread`, in no special directions."""
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(SIZE, SIZE)))
    matrix = axes @ np.diag(np.geomspace(1, spread, SIZE)) @ axes.T
    return (matrix + matrix.T) / 2


def losses(spread: float, scale: float, steps: int, dtype: Any = tw.float64, **options: Any) -> Any:
    """The loss, divided by its scale, before each of `steps` iterations."""
    a = tw.tensor(bowl(spread), dtype=dtype)
    w = tw.linspace(1.0, -1.0, SIZE, dtype=dtype).requires_grad_()
    settings = {"max_iter": 1, "max_eval": 50, "tolerance_grad": 0.0, "tolerance_change": 0.0}
    optimizer = LBFGS([w], **{**settings, **options})

    def closure() -> tw.Tensor:
        optimizer.zero_grad()
        loss = (w * (a @ w)).sum() * (scale / 2)
        loss.backward()
        return loss

    return [float(optimizer.step(closure)) / scale for _ in range(steps)], optimizer


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("history", [3, SIZE, 100])
@pytest.mark.parametrize("scale", [1.0, 2.0**-60, 2.0**40])
def test_it_converges_whatever_the_scale_of_the_loss(
    search: str | None, history: int, scale: float
) -> None:
    found, optimizer = losses(1e3, scale, 150, line_search_fn=search, history_size=history)
    assert found[-1] < (1e-9 if history < SIZE else 1e-20) * found[0]
    assert 0 < len(optimizer.memory.ro) <= history


def test_badly_scaled_to_the_last_digit() -> None:
    """Ten orders of magnitude between the axes, and a loss that ends far below 1e-10."""
    found, _ = losses(1e10, 1.0, 300, line_search_fn="strong_wolfe")
    assert found[-1] < 1e-25


def test_in_float32_squares_that_vanish_are_not_divided_by() -> None:
    for search in (None, "strong_wolfe"):
        found, optimizer = losses(1e2, 1.0, 120, dtype=tw.float32, line_search_fn=search)
        assert np.isfinite(found).all()
        assert found[-1] < 1e-20
        assert np.isfinite(optimizer.memory.ro).all()


def test_curvature_that_is_not_positive_is_not_remembered() -> None:
    w = tw.tensor([1.0, 2.0], dtype=tw.float64, requires_grad=True)
    optimizer = LBFGS([w], max_iter=1, lr=0.1)
    for slope in ([1.0, 0.0], [2.0, 0.0], [2.0, 1.0]):  # y s < 0, then y orthogonal to s

        def closure(slope: list[float] = slope) -> tw.Tensor:
            w.grad = tw.tensor(slope, dtype=tw.float64)
            return tw.zeros(dtype=tw.float64)

        optimizer.step(closure)
    assert optimizer.memory.ro == []
