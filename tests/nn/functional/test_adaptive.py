"""Pooling to a given size: to which maximum of a window the gradient goes; the derivative of means.

Values are in the table of operations; here sizes that divide the input's, do not, and exceed it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.func import grad, jvp, vmap

SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "neither divides": ((2, 1, 7, 5), (5, 4)),
    "one divides": ((2, 1, 6, 7), (3, 3)),
    "larger": ((1, 2, 3, 4), (7, 4)),
    "long windows": ((1, 1, 35, 17), (2, 1)),  # more than 255 elements
    "one image": ((2, 5, 8), (3, 5)),
    "no images": ((0, 2, 5, 5), (2, 3)),
    "1-D": ((2, 3, 11), (4,)),
    "1-D, larger": ((3, 5), (8,)),
}


def pooled(kind: str, sizes: tuple[int, ...]) -> Callable[..., tw.Tensor]:
    pool: Callable[..., tw.Tensor] = getattr(F, f"adaptive_{kind}_pool{len(sizes)}d")
    return pool


def by_windows(x: np.ndarray, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of each window, and the place of the first, or of the first element at NaN."""
    lead, shape = x.shape[: -len(sizes)], x.shape[-len(sizes) :]
    numbers = np.arange(math.prod(shape)).reshape(shape)
    maxima, places = np.zeros((*lead, *sizes)), np.zeros((*lead, *sizes), np.int64)
    for place in np.ndindex(*sizes):
        axes = zip(place, shape, sizes, strict=True)
        window: Any = tuple(slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in axes)
        own = numbers[window].reshape(-1)
        inside = x[(..., *window)].reshape(*lead, own.size)
        maxima[(..., *place)] = inside.max(-1)
        first = np.where(np.isnan(inside).any(-1), 0, inside.argmax(-1))
        places[(..., *place)] = own[first]
    return maxima, places


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_the_gradient_goes_to_the_first_maximum(name: str, compiled: bool) -> None:
    shape, sizes = SIZES[name]
    values = np.random.default_rng(0).integers(0, 3, shape).astype(np.float64)
    values[..., -1] = np.nan if name == "one divides" else values[..., -1]
    pool, (maxima, places) = pooled("max", sizes), by_windows(values, sizes)
    weights = np.arange(1.0, maxima.size + 1).reshape(maxima.shape)

    def all_three(x: tw.Tensor) -> Any:
        loss = grad(lambda x: (pool(x, sizes) * tw.tensor(weights)).sum())
        return *pool(x, sizes, return_indices=True), loss(x)

    found = (tw.compile(all_three) if compiled else all_three)(tw.tensor(values))
    lead = shape[: -len(sizes)]
    slopes = np.zeros((*lead, math.prod(shape[-len(sizes) :])))
    for image in np.ndindex(*lead):
        np.add.at(slopes[image], places[image], weights[image])
    for x, wanted in zip(found, (maxima, places, slopes.reshape(shape)), strict=True):
        np.testing.assert_array_equal(x.numpy(), wanted)


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("name", [name for name in SIZES if name != "long windows"])
def test_derivatives(name: str, kind: str) -> None:
    shape, sizes = SIZES[name]
    pool = pooled(kind, sizes)
    tw.manual_seed(1)
    x = tw.randperm(math.prod(shape)).reshape(shape).double().requires_grad_()
    assert gradcheck(lambda x: pool(x, sizes), x)
    assert gradgradcheck(lambda x: pool(x, sizes).square(), x)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_transforms(kind: str) -> None:
    x, way = tw.randn(3, 2, 7, 5, dtype=tw.float64), tw.randn(3, 2, 7, 5, dtype=tw.float64)

    def loss(x: tw.Tensor) -> tw.Tensor:
        return pooled(kind, (3, 2))(x, (3, 2)).square().sum()

    rows = vmap(grad(loss))(x)
    assert tw.allclose(rows, tw.stack([grad(loss)(row) for row in x]))
    _, slope = jvp(loss, (x,), (way,))
    assert tw.allclose(slope, (grad(loss)(x) * way).sum())
    assert tw.allclose(vmap(loss, in_dims=2)(x.movedim(0, 2)), vmap(loss)(x))


def test_what_is_not_in_a_window_is_not_in_its_mean() -> None:
    x = tw.tensor([[1.0, 3.0, 5.0, math.inf, math.nan]])
    y = F.adaptive_avg_pool1d(x, 3)
    assert y[0, 0].item() == 2
    assert y[0, 1].isinf().item()
    assert y[0, 2].isnan().item()
    slopes = grad(lambda x: F.adaptive_avg_pool1d(x, 3)[0, 0] * 2)(x)
    assert slopes.tolist() == [[1, 1, 0, 0, 0]]
