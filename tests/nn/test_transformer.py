"""Transformers: beside PyTorch in tests/reference; here what is ours, compiled, and refused."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError


def test_the_mask_of_what_comes_later() -> None:
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=tw.float64)
    assert mask.dtype is tw.float64
    assert mask.tolist() == [[0, -tw.inf, -tw.inf], [0, 0, -tw.inf], [0, 0, 0]]


def test_is_causal_is_that_mask() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)
    src, tgt = tw.randn(2, 5, 8), tw.randn(2, 4, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    assert tw.allclose(model(src, tgt, tgt_is_causal=True), model(src, tgt, tgt_mask=mask))


def test_copies_share_nothing() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    stack = nn.TransformerEncoder(layer, 2)
    weights = [x.linear1.weight for x in stack.layers]
    assert weights[0] is not weights[1]
    assert weights[0] is not layer.linear1.weight
    assert tw.equal(*weights)  # as in PyTorch; `Transformer` draws anew
    model = nn.Transformer(8, 2, 2, 2, 16)
    assert not tw.equal(*(x.linear1.weight for x in model.encoder.layers))


def test_dropout_acts_while_training_only() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.5)
    src, tgt = tw.randn(5, 2, 8), tw.randn(4, 2, 8)
    assert not tw.equal(model(src, tgt), model(src, tgt))
    model.eval()
    assert tw.equal(model(src, tgt), model(src, tgt))


def test_custom_parts() -> None:
    class Same(nn.Module):
        def forward(self, x: tw.Tensor, *args: Any, **kwargs: Any) -> tw.Tensor:
            return x

    model = nn.Transformer(8, 2, custom_encoder=Same(), custom_decoder=Same())
    tgt = tw.randn(4, 2, 8)
    assert model(tw.randn(5, 2, 8), tgt) is tgt


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}])
def test_a_compiled_training_step(options: dict[str, Any]) -> None:
    model = nn.Transformer(12, 3, 1, 1, 20, dropout=0.1, batch_first=True, **options)
    src, tgt = tw.randn(3, 7, 12), tw.randn(3, 5, 12)
    padded = tw.arange(7).expand(3, 7) >= tw.tensor([[7], [4], [1]])
    state = tw.default_generator.get_state()

    def step() -> list[tw.Tensor]:
        model.zero_grad()
        masks = {"src_key_padding_mask": padded, "memory_key_padding_mask": padded}
        out = model(src, tgt, tgt_is_causal=True, **masks)
        out.square().mean().backward()
        return [out.detach(), *(p.grad for p in model.parameters())]

    wanted = step()
    tw.default_generator.set_state(state)
    for a, b in zip(tw.compile(step)(), wanted, strict=True):
        assert tw.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("src", "tgt", "mentions"),
    [
        ((5, 2, 8), (4, 2, 7), r"tgt \(4, 2, 7\): both must have d_model = 8"),
        ((5, 2, 8), (4, 3, 8), r"number of samples \(dimension 1"),
    ],
)
def test_what_does_not_fit(src: tuple[int, ...], tgt: tuple[int, ...], mentions: str) -> None:
    with pytest.raises(ShapeError, match=mentions):
        nn.Transformer(8, 2, 1, 1, 16)(tw.ones(src), tw.ones(tgt))


def test_activations_by_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'gelu'"):
        nn.TransformerEncoderLayer(8, 2, activation="gellu")
    assert nn.TransformerDecoderLayer(8, 2, 4, activation=nn.functional.silu).activation(
        tw.zeros(1)
    ).tolist() == [0.0]
