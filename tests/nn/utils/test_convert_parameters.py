"""All parameters as one vector, and back."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ShapeError
from thalweg.nn.utils import parameters_to_vector, vector_to_parameters


def test_there_and_back() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    vector = parameters_to_vector(net.parameters())
    assert vector.shape == (26,)
    assert tw.equal(vector[:12].reshape(4, 3), net[0].weight)
    twin = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    parameters = list(twin.parameters())
    vector_to_parameters(vector, twin.parameters())
    assert tw.equal(parameters_to_vector(twin.parameters()), vector)
    assert all(a is b for a, b in zip(parameters, twin.parameters(), strict=True))
    assert all(p.requires_grad and p.is_leaf for p in parameters)


def test_gradients_pass_through_the_vector() -> None:
    layer = nn.Linear(2, 1)
    parameters_to_vector(layer.parameters()).square().sum().backward()
    assert tw.allclose(layer.weight.grad, 2 * layer.weight.detach())


def test_dtypes_stay() -> None:
    layer = nn.Linear(1, 1).double()
    vector_to_parameters(tw.tensor([1.0, 2.0]), layer.parameters())
    assert (layer.weight.item(), layer.bias.item(), layer.bias.dtype) == (1.0, 2.0, tw.float64)


def test_a_vector_of_another_size_changes_nothing() -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.tolist()
    with pytest.raises(ShapeError, match=r"shape \(3,\) expected for these 2 parameters, got \(4,"):
        vector_to_parameters(tw.zeros(4), layer.parameters())
    assert layer.weight.tolist() == before
