"""Norms of gradients, by themselves: training under them is in test_training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.reference.both import BOTH, DTYPES, TOLERANCES, assert_close
from tests.reference.spelling import Samples

normal = Samples(10).normal

GRADIENTS = (normal(3, 4), normal(4), normal(2, 2, 2), np.zeros(3))
ORDERS = (2.0, 1.0, 3.5, math.inf)


def gradients(tw: Any, dtype: str) -> list[Any]:
    return [tw.tensor(g.astype(dtype)) for g in GRADIENTS]


def parameters(tw: Any, dtype: str) -> list[Any]:
    """One for each gradient, and one that has none."""
    made = [tw.tensor(g.astype(dtype), requires_grad=True) for g in GRADIENTS]
    for p, g in zip(made, gradients(tw, dtype), strict=True):
        p.grad = g
    return [*made, tw.tensor(np.ones(2, dtype=dtype), requires_grad=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ORDERS)
def test_total_norm(order: float, dtype: str) -> None:
    norms = [tw.nn.utils.get_total_norm(gradients(tw, dtype), order) for tw in BOTH]
    assert_close(*norms, TOLERANCES["value", dtype], "norm")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", [0.1, 1e6])
@pytest.mark.parametrize("order", ORDERS)
def test_clipped_by_norm(order: float, limit: float, dtype: str) -> None:
    clipped = [parameters(tw, dtype) for tw in BOTH]
    norms = [
        tw.nn.utils.clip_grad_norm_(ps, limit, norm_type=order)
        for tw, ps in zip(BOTH, clipped, strict=True)
    ]
    assert_close(*norms, TOLERANCES["value", dtype], "norm")
    for p, q in list(zip(*clipped, strict=True))[:-1]:
        assert_close(p.grad, q.grad, TOLERANCES["value", dtype], "gradient")
    assert all(ps[-1].grad is None for ps in clipped)


def test_clipped_with_a_norm_that_is_given() -> None:
    clipped = [parameters(tw, "float64") for tw in BOTH]
    for tw, ps in zip(BOTH, clipped, strict=True):
        tw.nn.utils.clip_grads_with_norm_(ps, 1.0, tw.tensor(np.asarray(4.0)))
    for p, q in list(zip(*clipped, strict=True))[:-1]:
        assert_close(p.grad, q.grad, TOLERANCES["value", "float64"], "gradient")


def test_a_norm_that_is_not_finite(tw: Any) -> None:
    wrong = [tw.tensor([math.inf, 1.0])]
    assert not math.isfinite(tw.nn.utils.get_total_norm(wrong).item())
    with pytest.raises(RuntimeError):
        tw.nn.utils.get_total_norm(wrong, error_if_nonfinite=True)
