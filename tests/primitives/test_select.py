"""The selection of many floating numbers, which is made bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw

ROWS, COLUMNS = 128, 96  # more than the 8,192 from which it is


def special(dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(0)
    x = random.standard_normal(shape).astype(dtype)
    if x.size > 8:
        x.flat[:6] = [np.nan, np.inf, -np.inf, -0.0, 0.0, np.finfo(dtype).tiny / 2]
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first", [(ROWS, COLUMNS), (COLUMNS,), (ROWS, 1), ()])
@pytest.mark.parametrize("second", [(ROWS, COLUMNS), (2, 1, 1), ()])
def test_as_numpy_has_it(dtype: type, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = special(dtype, first), special(dtype, second)
    condition = np.random.default_rng(1).random((ROWS, COLUMNS)) < 0.5
    chosen = tw.tensor(a).where(tw.tensor(condition), tw.tensor(b)).numpy()
    expected = np.where(condition, a, b)
    assert chosen.dtype == dtype
    assert chosen.tobytes() == expected.tobytes()


def test_operands_that_lie_in_another_order() -> None:
    a, b = special(np.float32, (COLUMNS, ROWS)), special(np.float32, (ROWS, 2 * COLUMNS))
    condition = special(np.float32, (COLUMNS, ROWS)) > 0
    chosen = tw.tensor(a).T.where(tw.tensor(condition).T, tw.tensor(b)[:, ::2])
    assert np.array_equal(chosen.numpy(), np.where(condition.T, a.T, b[:, ::2]), equal_nan=True)


def test_gradients_go_where_the_values_came_from() -> None:
    a, b = tw.randn(ROWS, COLUMNS).requires_grad_(), tw.randn(COLUMNS).requires_grad_()
    condition = tw.randn(ROWS, COLUMNS) > 0
    a.where(condition, b).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert bool((a.grad == condition.float()).all())
    assert b.grad.tolist() == (~condition).sum(0).tolist()
