"""Multi-head attention: what it holds, how it begins, what it sees, what does not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, DTypeError, ShapeError

F = nn.functional


def test_parameters() -> None:
    layer = nn.MultiheadAttention(8, 2)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes == {
        "in_proj_weight": (24, 8), "in_proj_bias": (24,),
        "out_proj.weight": (8, 8), "out_proj.bias": (8,),
    }  # fmt: skip
    assert list(nn.MultiheadAttention(8, 2, bias=False).state_dict()) == [
        "in_proj_weight",
        "out_proj.weight",
    ]
    assert nn.MultiheadAttention(8, 2, dtype=tw.float64).in_proj_weight.dtype is tw.float64


def test_it_begins_as_xavier_says_and_without_biases() -> None:
    tw.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert 0.95 * bound < layer.in_proj_weight.abs().amax().item() <= bound
    assert not layer.in_proj_bias.any()
    assert not layer.out_proj.bias.any()
    assert layer.bias_k.any()


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_nothing_comes_from_what_is_hidden(batch_first: bool, need_weights: bool) -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=batch_first)
    x = tw.randn(3, 5, 8)
    padded = tw.tensor([[False] * 5, [False, False, True, True, True], [False] * 4 + [True]])

    def run(x: tw.Tensor) -> tw.Tensor:
        given = x if batch_first else x.transpose(0, 1)
        out, weights = layer(given, given, given, padded, need_weights, is_causal=True)
        assert (weights is not None) == need_weights
        return out if batch_first else out.transpose(0, 1)

    before = run(x)
    changed = x.with_item((slice(None), 3), 100.0)
    after = run(changed)
    assert tw.equal(before[:, :3], after[:, :3])  # nobody looks ahead
    assert not tw.equal(before[0, 4], after[0, 4])
    assert tw.equal(before[1, 4], after[1, 4])  # place 3 of sample 1 is padding


def test_a_query_that_sees_nothing_gives_the_bias_and_gradients_without_nan() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = tw.randn(2, 3, 8, requires_grad=True)
    padded = tw.tensor([[True] * 3, [False] * 3])
    out, weights = layer(x, x, x, padded)
    assert tw.equal(out[0], layer.out_proj.bias.expand(3, 8))
    assert not weights[0].any()
    out.sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[0].any()


def test_dropout_leaves_out_weights_while_training() -> None:
    layer = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    x = tw.randn(4, 10, 8)
    out, weights = layer(x, x, x, average_attn_weights=False)
    share = weights.eq(0).float().mean().item()
    assert 0.4 < share < 0.6
    assert not tw.equal(out, layer(x, x, x)[0])
    layer.eval()
    assert tw.equal(layer(x, x, x)[0], layer(x, x, x)[0])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("masks", [(), ("visible",), ("bias",), ("causal", "visible")])
def test_derivatives(masks: tuple[str, ...], dropout: float) -> None:
    tw.manual_seed(0)
    state = tw.default_generator.get_state()
    shape = (2, 4, 3)
    bias = tw.randn(4, 4, dtype=tw.float64, requires_grad=True)
    visible = tw.tensor([[True, False] * 2, [False] * 4, [True] * 4, [False, True] * 2])

    def run(*inputs: tw.Tensor) -> tw.Tensor:
        tw.default_generator.set_state(state)
        q, k, v, b = inputs
        mask = b if "bias" in masks else visible if "visible" in masks else None
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, "causal" in masks)

    inputs = [tw.randn(*shape, dtype=tw.float64, requires_grad=True) for _ in range(3)] + [bias]
    assert tw.autograd.gradcheck(run, inputs)
    assert tw.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("options", [{}, {"need_weights": False}, {"is_causal": True}])
def test_compiled(options: dict[str, Any], dropout: float) -> None:
    layer = nn.MultiheadAttention(12, 3, dropout=dropout, batch_first=True, kdim=5)
    x, y, z = tw.randn(2, 7, 12), tw.randn(2, 9, 5), tw.randn(2, 9, 12)
    padded = tw.arange(9).expand(2, 9) >= tw.tensor([[9], [4]])
    state = tw.default_generator.get_state()

    def step() -> list[tw.Tensor]:
        layer.zero_grad()
        out, weights = layer(x, y, z, padded, **options)
        (out.square().sum() + (0 if weights is None else weights.square().sum())).backward()
        return [out.detach(), *(p.grad for p in layer.parameters())]

    wanted = step()
    tw.default_generator.set_state(state)
    for a, b in zip(tw.compile(step)(), wanted, strict=True):
        assert tw.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "mentions"),
    [
        ({"query": tw.ones(5, 2, 9)}, ShapeError, r"query has shape \(5, 2, 9\).*embed_dim = 8"),
        ({"query": tw.ones(5, 8)}, ShapeError, "all three have a length"),
        ({"value": tw.ones(6, 2, 8)}, ShapeError, "a value for each key"),
        ({"query": tw.ones(5, 3, 8)}, ShapeError, r"3 and 2 samples \(dimension 1, since"),
        ({"attn_mask": tw.ones(5, 6) > 0}, ShapeError, r"attn_mask .*\(5, 7\) or \(4, 5, 7\)"),
        ({"attn_mask": tw.ones(5, 7).long()}, DTypeError, r"attn_mask\.bool\(\)"),
        ({"key_padding_mask": tw.ones(7, 2) > 0}, ShapeError, r"key_padding_mask .*\(2, 7\)"),
        ({"key": tw.ones(7, 2, 3), "value": tw.ones(7, 2, 3)}, ShapeError, "last dimension"),
    ],
)
def test_what_does_not_fit(change: dict[str, Any], error: type, mentions: str) -> None:
    layer = nn.MultiheadAttention(8, 2)
    given = {"query": tw.ones(5, 2, 8), "key": tw.ones(7, 2, 8), "value": tw.ones(7, 2, 8)}
    with pytest.raises(error, match=mentions):
        layer(**{**given, **change})


@pytest.mark.parametrize("sizes", [(10, 3), (0, 1), (8, 0)])
def test_heads_that_do_not_divide(sizes: tuple[int, int]) -> None:
    with pytest.raises(
        ConfigError, match="must divide embed_dim=10; 1, 2, 5, 10 would|of 1 or more"
    ):
        nn.MultiheadAttention(*sizes)


def test_it_says_what_it_is() -> None:
    layer = nn.MultiheadAttention(128, 4)
    assert layer.describe() == "MultiheadAttention 128, 4 heads"
    with pytest.raises(ShapeError, match=r"^MultiheadAttention 128, 4 heads: "):
        layer(tw.ones(1), tw.ones(1), tw.ones(1))
