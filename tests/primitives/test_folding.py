"""Reductions over few elements at the end, taken element by element: the same results."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw

SHAPES = [((40, 30, 2, 2), (2, 3)), ((1100, 9), (1,)), ((1024, 2), (1,)), ((5000, 1, 3), (1, 2))]


@pytest.mark.parametrize(("shape", "dims"), SHAPES)
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64, tw.int64, tw.uint8], ids=str)
def test_against_numpy(shape: tuple[int, ...], dims: tuple[int, ...], dtype: tw.DType) -> None:
    x = np.random.default_rng(0).integers(0, 20, shape).astype(dtype.numpy)
    t = tw.tensor(x)
    assert t.amax(dims).tolist() == x.max(dims).tolist()
    assert t.amin(dims).tolist() == x.min(dims).tolist()
    wide = np.uint8 if dtype is tw.uint8 else x.dtype
    total = tw.tape.bind(tw.primitives.reductions.sum, t, axes=dims)
    assert total.dtype is dtype
    assert total.tolist() == x.sum(dims, dtype=wide).tolist()


def test_nan_is_kept() -> None:
    x = np.zeros((2000, 4), np.float32)
    x[7, 1], x[9, 0], x[11, 3] = np.nan, np.nan, np.inf
    for reduced in (tw.tensor(x).amax(1), tw.tensor(x).amin(1), tw.tensor(x).sum(1)):
        assert reduced.isnan().nonzero().flatten().tolist() == [7, 9]
    assert tw.tensor(x).amax(1)[11].item() == np.inf


def test_operands_are_left_alone() -> None:
    x = tw.ones(2000, 4)
    x.sum(1), x.amax(1)
    assert x.sum().item() == 8000
