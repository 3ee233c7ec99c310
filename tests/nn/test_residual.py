"""Residual connections: the sum, its gradient, and shapes that would broadcast."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ShapeError


def test_the_sum_and_its_gradient() -> None:
    x = tw.tensor([[1.0, -2.0]], requires_grad=True)
    block = nn.Residual(nn.ReLU())
    assert block(x).tolist() == [[2.0, -2.0]]
    block(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[2.0, 1.0]]


def test_a_shortcut_that_changes_the_shape() -> None:
    block = nn.Residual(nn.Linear(3, 5), nn.Linear(3, 5, bias=False))
    x = tw.randn(2, 3)
    assert tw.equal(block(x), block.shortcut(x) + block.inner(x))
    assert list(block.state_dict()) == ["inner.weight", "inner.bias", "shortcut.weight"]
    assert tw.allclose(tw.compile(block)(x), block(x))


def test_shapes_are_never_broadcast() -> None:
    with pytest.raises(ShapeError, match=r"^Residual: the shortcut gives shape \(4, 3\), inner"):
        nn.Residual(nn.Linear(3, 1))(tw.ones(4, 3))
