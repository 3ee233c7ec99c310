"""Initial weights: the distributions PyTorch draws from, its gains, its fans, its defaults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH, plain
from tests.reference.distributions import assert_same_distribution
from thalweg.nn.init import _fans

WIDE, TALL, TAPS = (100, 400), (400, 100), (40, 100, 10)

# fmt: off
DRAWN: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "uniform":            ("uniform_", WIDE, {}),
    "uniform -3 .. 0.5":  ("uniform_", WIDE, {"a": -3.0, "b": 0.5}),
    "normal":             ("normal_", WIDE, {}),
    "normal 2, 0.1":      ("normal_", WIDE, {"mean": 2.0, "std": 0.1}),
    "truncated":          ("trunc_normal_", WIDE, {}),
    "truncated, narrow":  ("trunc_normal_", WIDE, {"std": 0.02, "a": -0.04, "b": 0.04}),
    "truncated, one side": ("trunc_normal_", WIDE, {"mean": 1.0, "std": 2.0, "a": 1.5, "b": 9.0}),
    "xavier uniform":     ("xavier_uniform_", WIDE, {}),
    "xavier uniform, gain": ("xavier_uniform_", TALL, {"gain": 5 / 3}),
    "xavier uniform, taps": ("xavier_uniform_", TAPS, {}),
    "xavier normal":      ("xavier_normal_", WIDE, {}),
    "xavier normal, gain": ("xavier_normal_", TALL, {"gain": 0.5}),
    "kaiming uniform":    ("kaiming_uniform_", WIDE, {}),
    "kaiming uniform, relu": ("kaiming_uniform_", WIDE, {"nonlinearity": "relu"}),
    "kaiming uniform, out": ("kaiming_uniform_", WIDE, {"mode": "fan_out", "nonlinearity": "relu"}),
    "kaiming uniform, leaky": ("kaiming_uniform_", TALL, {"a": math.sqrt(5)}),
    "kaiming uniform, taps": ("kaiming_uniform_", TAPS, {"mode": "fan_out"}),
    "kaiming normal":     ("kaiming_normal_", WIDE, {}),
    "kaiming normal, relu": ("kaiming_normal_", TALL, {"nonlinearity": "relu"}),
    "kaiming normal, tanh": ("kaiming_normal_", TALL, {"nonlinearity": "tanh", "mode": "fan_out"}),
    "orthogonal":         ("orthogonal_", (200, 200), {}),
    "orthogonal, wide":   ("orthogonal_", (100, 400), {"gain": 2.0}),
    "sparse":             ("sparse_", WIDE, {"sparsity": 0.3}),
}
FIXED: dict[str, tuple[str, dict[str, Any]]] = {
    "zeros": ("zeros_", {}), "ones": ("ones_", {}), "constant": ("constant_", {"val": 0.01}),
              "eye": ("eye_", {}),
}
DIRACS: dict[str, tuple[tuple[int, ...], int]] = {
    "square": ((4, 4, 3), 1), "few inputs": ((6, 2, 3, 5), 1), "groups": ((6, 2, 4, 3), 3),
    "few outputs": ((2, 5, 1), 2),
}
GAINS: list[tuple[str, float | None]] = [
    *((name, None) for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d",
    "sigmoid", "tanh", "relu", "selu",
                                "leaky_relu")),
    ("leaky_relu", 0.2), ("leaky_relu", 0.0), ("leaky_relu", 1.0),
]
# fmt: on


def draw(tw: Any, name: str, shape: tuple[int, ...], options: dict[str, Any]) -> Any:
    weight = tw.zeros(shape, requires_grad=True)
    given = getattr(tw.nn.init, name)(weight, **options)
    assert given is weight
    assert weight.requires_grad
    assert weight.is_leaf
    return plain(weight)


@pytest.mark.parametrize("case", DRAWN)
def test_the_distribution(case: str) -> None:
    ours, theirs = (draw(tw, *DRAWN[case]) for tw in BOTH)
    assert ours.dtype == theirs.dtype
    assert_same_distribution(ours, theirs)


@pytest.mark.parametrize("case", [case for case in DRAWN if "uniform" in case])
def test_the_bounds(case: str) -> None:
    """Both fill one interval: the extremes of forty thousand draws are near its ends."""
    ours, theirs = (draw(tw, *DRAWN[case]) for tw in BOTH)
    width = theirs.max() - theirs.min()
    np.testing.assert_allclose(ours.max(), theirs.max(), atol=1e-3 * width)
    np.testing.assert_allclose(ours.min(), theirs.min(), atol=1e-3 * width)


@pytest.mark.parametrize("case", FIXED)
def test_values_without_chance(case: str) -> None:
    name, options = FIXED[case]
    ours, theirs = (draw(tw, name, (3, 5), options) for tw in BOTH)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", DIRACS)
def test_dirac(case: str) -> None:
    shape, groups = DIRACS[case]
    ours, theirs = (draw(tw, "dirac_", shape, {"groups": groups}) for tw in BOTH)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("nonlinearity", "param"), GAINS)
def test_gains(nonlinearity: str, param: float | None) -> None:
    ours, theirs = (tw.nn.init.calculate_gain(nonlinearity, param) for tw in BOTH)
    assert ours == pytest.approx(theirs, rel=1e-15)


@pytest.mark.parametrize("shape", [(5, 3), (1, 7), (4, 3, 2), (8, 3, 5, 5)])
def test_fans(shape: tuple[int, ...]) -> None:
    theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(shape))
    assert _fans("a test", thalweg.zeros(shape)) == theirs


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3), (1, 4)])
def test_orthogonal(tw: Any, shape: tuple[int, ...]) -> None:
    """W W^T or W^T W, whichever is smaller, is gain^2 times the identity."""
    weight = draw(tw, "orthogonal_", shape, {"gain": 1.5}).reshape(shape[0], -1)
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(gram, 2.25 * np.eye(len(gram)), atol=1e-5)


def test_sparse_leaves_as_many_in_each_column() -> None:
    ours, theirs = (draw(tw, *DRAWN["sparse"]) for tw in BOTH)
    np.testing.assert_array_equal((ours == 0).sum(0), (theirs == 0).sum(0))


# --- what layers begin with ----------------------------------------------------------------------

# fmt: off
LAYERS = {
    "Linear":           lambda nn: nn.Linear(400, 100).weight,
    "Linear, tall":     lambda nn: nn.Linear(25, 1600).weight,
    "Linear, bias":     lambda nn: nn.Linear(9, 20_000).bias,
    "Conv1d":           lambda nn: nn.Conv1d(40, 100, 10).weight,
    "Conv2d":           lambda nn: nn.Conv2d(16, 100, (5, 5)).weight,
    "Conv2d, groups":   lambda nn: nn.Conv2d(16, 400, 5, groups=4).weight,
    "Conv2d, bias":     lambda nn: nn.Conv2d(4, 20_000, 3, groups=2).bias,
    "Embedding":        lambda nn: nn.Embedding(400, 100).weight,
}
RESET = {
    "Linear":           lambda nn: nn.Linear(400, 100),
    "Conv1d":           lambda nn: nn.Conv1d(40, 100, 10),
    "Conv2d":           lambda nn: nn.Conv2d(16, 100, 5),
    "Embedding":        lambda nn: nn.Embedding(400, 100),
}
# fmt: on


@pytest.mark.parametrize("layer", LAYERS)
def test_defaults(layer: str) -> None:
    assert_same_distribution(*(plain(LAYERS[layer](tw.nn)) for tw in BOTH))


@pytest.mark.parametrize("layer", RESET)
def test_reset_parameters_draws_anew(layer: str) -> None:
    kept = []
    for tw in BOTH:
        module = RESET[layer](tw.nn)
        before = plain(module.weight).copy()
        module.reset_parameters()
        kept.append(plain(module.weight))
        assert not np.array_equal(before, kept[-1])
    assert_same_distribution(*kept)


def test_defaults_without_chance(tw: Any) -> None:
    embedding = tw.nn.Embedding(5, 3, padding_idx=1)
    assert (embedding.weight[1] == 0).all()
    assert (embedding.weight[0] != 0).all()
    assert plain(tw.nn.PReLU(3).weight).tolist() == [0.25] * 3
    assert tw.nn.Linear(2, 3, bias=False).bias is None
