"""Linear: values, gradients, initial weights, and what it says about shapes that do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError


@pytest.mark.parametrize("lead", [(), (5,), (2, 5), (0,), (2, 3, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_x_w_transposed_plus_b(lead: tuple[int, ...], bias: bool) -> None:
    layer = nn.Linear(3, 2, bias=bias).double()
    x = tw.randn(*lead, 3, dtype=tw.float64)
    expected = x.numpy() @ layer.weight.detach().numpy().T
    if bias:
        expected += layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12)


def test_gradients() -> None:
    layer = nn.Linear(3, 2).double()
    x = tw.randn(4, 3, dtype=tw.float64, requires_grad=True)
    assert tw.autograd.gradcheck(
        lambda x, w, b: nn.functional.linear(x, w, b), [x, layer.weight, layer.bias]
    )
    layer(x).sum().backward()
    assert layer.bias.grad.tolist() == [4.0, 4.0]
    assert tw.allclose(layer.weight.grad, x.detach().sum(0).expand(2, 3))


def test_it_begins_uniform_within_one_over_the_root_of_fan_in() -> None:
    tw.manual_seed(3)
    layer = nn.Linear(100, 200)
    for values in (layer.weight, layer.bias):
        scaled = values.detach() * 10
        assert scaled.abs().amax().item() <= 1
        assert scaled.abs().amax().item() > 0.95
        assert scaled.mean().abs().item() < 4 / math.sqrt(3 * scaled.numel())
    assert (layer.weight.detach() * 10).var().item() == pytest.approx(1 / 3, rel=0.03)


def test_the_same_seed_gives_the_same_layer() -> None:
    layers = []
    for _ in range(2):
        tw.manual_seed(7)
        layers.append(nn.Linear(5, 3))
    assert tw.equal(layers[0].weight, layers[1].weight)
    assert not tw.equal(nn.Linear(5, 3).weight, layers[0].weight)


def test_options() -> None:
    layer = nn.Linear(3, 2, bias=False, dtype=tw.float64)
    assert layer.bias is None
    assert layer.weight.dtype is tw.float64
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "Linear(in_features=3, out_features=2, bias=False)"
    assert layer.describe() == "Linear 3 -> 2"
    assert nn.Linear(0, 2)(tw.ones(1, 0)).tolist() == [[0.0, 0.0]]


def test_sizes_that_cannot_be() -> None:
    for sizes in ((-1, 2), (3.0, 2)):
        with pytest.raises(ConfigError, match="Linear: in_features=.*whole number of 0 or more"):
            nn.Linear(*sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((32, 1, 28, 28), r"Put nn\.Flatten\(\) in front: dimensions 1 to 3 together have 784"),
        ((8, 32, 28, 28), r"Put nn\.Flatten\(2\) in front"),
        ((28, 28), r"one sample without a batch dimension: pass x\.reshape\(1, -1\)"),
        ((784, 32), r"Dimension 0 has that size: x\.movedim\(0, -1\)"),
        ((32, 100), r"Set in_features to 100, or give it 784 features$"),
        ((32, 3, 32, 32), r"Set in_features to 32 \(3072 with nn\.Flatten\(\) in front\)"),
        ((), r"A single number"),
    ],
)
def test_a_shape_that_does_not_fit(shape: tuple[int, ...], advice: str) -> None:
    net = nn.Sequential(nn.Identity(), nn.ReLU(), nn.Linear(784, 30))
    with pytest.raises(ShapeError, match=advice) as caught:
        net(tw.zeros(shape))
    start = f"Sequential.2 (Linear 784 -> 30): an input of shape (..., 784) expected, got {shape}. "
    assert str(caught.value).startswith(start)


def test_a_replaced_bias_that_does_not_fit_is_what_the_error_is_about() -> None:
    layer = nn.Linear(3, 2)
    layer.bias = nn.Parameter(tw.zeros(7))
    with pytest.raises(ShapeError, match=r"^Linear 3 -> 2: linear: bias has shape \(7,\)"):
        layer(tw.ones(1, 3))


def test_identity_takes_anything_and_gives_it_back() -> None:
    layer = nn.Identity(54, unused=True)
    x = tw.ones(2)
    assert layer(x) is x
    assert repr(layer) == "Identity()"
