"""Embedding: rows, gradients, the padding row, and indices out of range."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError


def test_rows_by_index() -> None:
    layer = nn.Embedding(5, 3)
    indices = tw.tensor([[0, 4], [2, 2]])
    out = layer(indices)
    assert out.shape == (2, 2, 3)
    assert tw.equal(out[0, 1], layer.weight[4])
    assert layer(tw.tensor(1)).shape == (3,)


def test_the_gradient_adds_up_over_repeats() -> None:
    layer = nn.Embedding(4, 2)
    layer(tw.tensor([1, 1, 3])).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]


@pytest.mark.parametrize("padding", [2, -2])
def test_the_padding_row_is_zero_and_stays(padding: int) -> None:
    layer = nn.Embedding(4, 3, padding_idx=padding)
    assert layer.padding_idx == 2
    assert layer.weight[2].tolist() == [0, 0, 0]
    assert layer.weight.abs().sum(1).gt(0).tolist() == [True, True, False, True]
    layer(tw.tensor([2, 0])).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_weights_begin_standard_normal() -> None:
    tw.manual_seed(0)
    weight = nn.Embedding(100, 100).weight
    assert abs(weight.mean().item()) < 0.04
    assert weight.var().item() == pytest.approx(1, abs=0.06)


def test_from_pretrained_copies_draws_nothing_and_freezes() -> None:
    table = tw.arange(6).float().reshape(3, 2)
    before = tw.default_generator.get_state()
    layer = nn.Embedding.from_pretrained(table)
    assert tw.equal(tw.default_generator.get_state(), before)
    assert layer(tw.tensor([2])).tolist() == [[4.0, 5.0]]
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False, padding_idx=0).weight.requires_grad
    with pytest.raises(ShapeError, match="a matrix of embeddings expected"):
        nn.Embedding.from_pretrained(tw.ones(3))


def test_errors() -> None:
    net = nn.Sequential(nn.Embedding(10, 3))
    with pytest.raises(OutOfRangeError, match=r"^Sequential\.0 \(Embedding 10 x 3\): .*10.*"):
        net(tw.tensor([1, 10]))
    with pytest.raises(ConfigError, match="padding_idx 10 is not one of 10 rows"):
        nn.Embedding(10, 3, padding_idx=10)
    assert repr(nn.Embedding(10, 3, padding_idx=0)) == "Embedding(10, 3, padding_idx=0)"
