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


@pytest.mark.parametrize("compiled", [False, True])
def test_long_rows_are_shortened_where_they_are_looked_up(compiled: bool) -> None:
    layer = nn.Embedding(4, 2, max_norm=1.0)
    before = tw.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0], [0.0, 5.0]])
    layer.load_state_dict({"weight": before})
    run = tw.compile(layer) if compiled else layer
    out = run(tw.tensor([0, 1, 3, 3]))
    assert tw.allclose(out.norm(dim=1), tw.tensor([1.0, 0.5, 1.0, 1.0]))
    assert tw.allclose(layer.weight[tw.tensor([0, 1, 3, 3])], out)
    assert tw.equal(layer.weight[2], before[2])


def test_a_gradient_shared_by_frequency() -> None:
    for layer in (
        nn.Embedding(4, 2, 0, scale_grad_by_freq=True),
        nn.EmbeddingBag(4, 2, scale_grad_by_freq=True, mode="sum", padding_idx=0),
    ):
        layer(tw.tensor([[1, 1, 3, 0]])).sum().backward()
        assert layer.weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_one_length_or_by_where_they_begin(mode: str) -> None:
    layer, index = nn.EmbeddingBag(6, 3, mode=mode, padding_idx=1), tw.randint(0, 6, (4, 5))
    starts = tw.arange(0, 20, 5)
    found = (
        layer(index),
        layer(index.flatten(), starts),
        tw.compile(layer)(index.flatten(), starts),
    )
    for other in found[1:]:
        assert tw.allclose(found[0], other)
    assert layer(tw.tensor([[1, 1]])).abs().sum().item() == 0
    assert layer(tw.tensor([2, 3]), tw.tensor([0, 0, 2])).shape == (3, 3)
    assert layer(tw.tensor([2, 3]), tw.tensor([0, 0, 2]))[0].abs().sum().item() == 0


def test_what_a_bag_asks_for() -> None:
    layer = nn.EmbeddingBag(6, 3)
    with pytest.raises(
        ShapeError, match=r"^EmbeddingBag 6 x 3: .*\(B, n\) without offsets.*\(4,\)"
    ):
        layer(tw.tensor([1, 2, 3, 4]))
    with pytest.raises(ConfigError, match="per_sample_weights weigh a sum"):
        layer(tw.tensor([[1, 2]]), per_sample_weights=tw.ones(1, 2))
    with pytest.raises(ConfigError, match="EmbeddingBag: padding_idx 6"):
        nn.EmbeddingBag(6, 3, padding_idx=6)
