"""Networks for sequences: what they see, what they write, what they learn, what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg import models, nn
from thalweg.errors import ConfigError, DTypeError, OutOfRangeError, ShapeError

F = nn.functional
SMALL = {"block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 16}


def gpt(**options: Any) -> models.CharGPT:
    tw.manual_seed(0)
    return models.char_gpt(11, **{**SMALL, **options})


# -- GPT -------------------------------------------------------------------------------------------


def test_the_names_are_nanogpts() -> None:
    names = list(gpt(n_layer=1).state_dict())
    assert names == [
        "transformer.wte.weight", "transformer.wpe.weight",
        "transformer.h.0.ln_1.weight", "transformer.h.0.ln_1.bias",
        "transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn.bias",
        "transformer.h.0.attn.c_proj.weight", "transformer.h.0.attn.c_proj.bias",
        "transformer.h.0.ln_2.weight", "transformer.h.0.ln_2.bias",
        "transformer.h.0.mlp.c_fc.weight", "transformer.h.0.mlp.c_fc.bias",
        "transformer.h.0.mlp.c_proj.weight", "transformer.h.0.mlp.c_proj.bias",
        "transformer.ln_f.weight", "transformer.ln_f.bias", "lm_head.weight",
    ]  # fmt: skip
    assert "transformer.ln_f.bias" not in gpt(bias=False).state_dict()


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_may_be_the_embedding(tied: bool) -> None:
    model: Any = gpt(tied=tied)
    assert (model.lm_head.weight is model.transformer["wte"].weight) is tied


def test_it_begins_knowing_nothing() -> None:
    model = gpt()
    logits = model(tw.randint(0, 11, (4, 8)))
    loss = F.cross_entropy(logits.flatten(0, 1), tw.randint(0, 11, (32,)))
    assert loss.item() == pytest.approx(tw.tensor(11.0).log().item(), rel=0.05)
    assert not model.get_parameter("transformer.h.0.mlp.c_fc.bias").any()
    weight = gpt(n_embd=64).get_parameter("transformer.h.1.mlp.c_proj.weight")
    assert weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_no_place_sees_a_later_one() -> None:
    model = gpt()
    tokens = tw.randint(0, 11, (2, 8))
    changed = tokens.with_item((slice(None), 5), (tokens[:, 5] + 1) % 11)
    before, after = model(tokens), model(changed)
    assert tw.equal(before[:, :5], after[:, :5])
    assert not tw.allclose(before[:, 5:], after[:, 5:])


def test_it_learns_a_line_by_heart_in_compiled_steps() -> None:
    model = gpt()
    text = tw.tensor([[1, 2, 3, 1, 2, 4, 1, 2, 5]])
    optimizer = tw.optim.AdamW(model.parameters(), lr=1e-2)

    @tw.compile
    def step() -> tw.Tensor:
        loss = F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step().item() for _ in range(60)]
    assert losses[0] > 2 > 0.1 > losses[-1]
    assert model.generate(text[:, :1], 7, temperature=0).tolist() == [[1, 2, 3, 1, 2, 4, 1, 2]]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_compiled_is_eager(dropout: float) -> None:
    model = gpt(dropout=dropout)
    tokens = tw.randint(0, 11, (3, 7))
    state = tw.default_generator.get_state()

    def step() -> list[tw.Tensor]:
        model.zero_grad()
        logits = model(tokens)
        logits.square().mean().backward()
        return [logits.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]

    wanted = step()
    tw.default_generator.set_state(state)
    for a, b in zip(tw.compile(step)(), wanted, strict=True):
        assert tw.allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_generated(compiled: bool) -> None:
    model = gpt().eval()
    start = tw.tensor([[1, 2], [3, 4]])
    out = model.generate(start, 10, 0.8, generator=tw.Generator(3), compiled=compiled)
    assert out.shape == (2, 12)
    assert tw.equal(out[:, :2], start)
    again = model.generate(start, 10, 0.8, generator=tw.Generator(3))
    assert tw.equal(out, again)
    assert tw.equal(model.generate(start, 0), start)


def test_temperature_and_top_k() -> None:
    model = gpt().eval()
    start = tw.tensor([[1]]).expand(200, 1)
    best = model(start)[0, 0].topk(3)[1].tolist()
    greedy = model.generate(start, 1, 0)[:, 1]
    assert set(greedy.tolist()) == {best[0]}
    assert set(model.generate(start, 1, top_k=1)[:, 1].tolist()) == {best[0]}
    assert set(model.generate(start, 1, 100.0, top_k=3)[:, 1].tolist()) == set(best)
    assert len(set(model.generate(start, 1, 100.0)[:, 1].tolist())) == 11


def test_it_sees_the_last_of_a_long_text() -> None:
    model = gpt().eval()
    tokens = tw.randint(0, 11, (1, 20))
    out = model.generate(tokens, 1, 0)
    assert out[0, -1].item() == model(tokens[:, -8:])[0, -1].argmax().item()


@pytest.mark.parametrize(
    ("tokens", "error", "mentions"),
    [
        (tw.zeros(1, 9).long(), ShapeError, r"T from 1 to block_size = 8; got \(1, 9\)"),
        (tw.zeros(4).long(), ShapeError, r"\(N, T\) expected"),
        (tw.zeros(1, 4), DTypeError, r"tokens are integers"),
        (tw.tensor([[3, 11]]), OutOfRangeError, "index 11 at"),
    ],
)
def test_tokens_that_do_not_fit(tokens: tw.Tensor, error: type, mentions: str) -> None:
    with pytest.raises(error, match=mentions):
        gpt()(tokens)


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="n_head=4 must divide n_embd=10"):
        models.CharGPTConfig(n_embd=10)
    with pytest.raises(ConfigError, match="n_layer=0; expected a whole number, 1 or more"):
        models.CharGPTConfig(n_layer=0)
    with pytest.raises(ShapeError, match="at least one to begin with"):
        gpt().generate(tw.zeros(1, 0).long(), 1)


# -- encoder and decoder ---------------------------------------------------------------------------


def reverser(**options: Any) -> models.Seq2Seq:
    tw.manual_seed(0)
    sizes = {"d_model": 32, "nhead": 2, "num_layers": 1, "dim_feedforward": 64, "dropout": 0.0}
    return models.seq2seq(9, 9, max_len=8, **{**sizes, **options})


def pairs(count: int) -> tuple[tw.Tensor, tw.Tensor]:
    """Sequences of 1 to 4 tokens, and the same backwards between start and end."""
    lengths = tw.randint(1, 5, (count, 1))
    places = tw.arange(4)
    tokens = tw.randint(3, 9, (count, 4))
    source = tokens.where(places < lengths, 0)
    target = tokens.gather(1, (lengths - 1 - places).clamp(min=0)).where(places < lengths, 0)
    target = tw.cat([tw.full((count, 1), 1), target, tw.zeros(count, 1).long()], 1)
    return source, target.where(tw.arange(6) != lengths + 1, 2)


def test_it_learns_to_reverse() -> None:
    model = reverser()
    optimizer = tw.optim.Adam(model.parameters(), lr=3e-3)

    @tw.compile
    def step(source: tw.Tensor, target: tw.Tensor) -> tw.Tensor:
        logits = model(source, target[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(*pairs(64)).item() for _ in range(300)]
    assert losses[-1] < 0.1 < 2 < losses[0]
    source, target = pairs(20)
    written = model.eval().generate(source, 5)
    right = (F.pad(written, (0, 5 - written.shape[1])) == target[:, 1:]).all(1)
    assert right.float().mean().item() >= 0.8


def test_padding_changes_nothing() -> None:
    model = reverser().eval()
    source, target = tw.tensor([[3, 4, 5]]), tw.tensor([[1, 6, 7]])
    plain = model(source, target)
    assert tw.allclose(model(F.pad(source, (0, 3)), target), plain, atol=1e-6)
    assert tw.allclose(model(source, F.pad(target, (0, 2)))[:, :3], plain, atol=1e-6)
    later = model(source, tw.tensor([[1, 6, 8]]))
    assert tw.allclose(later[:, :2], plain[:, :2], atol=1e-6)


def test_rows_end_and_are_filled_up() -> None:
    model: Any = reverser().eval()
    model.output.bias.data = 100.0 * F.one_hot(tw.tensor(2), 9)
    assert model.generate(tw.tensor([[3, 4], [5, 0]])).tolist() == [[2], [2]]
    model.output.bias.data = -100.0 * F.one_hot(tw.tensor(2), 9)
    assert model.generate(tw.tensor([[3, 4]])).shape == (1, 7)
    assert model.generate(tw.tensor([[3, 4]]), 3).shape == (1, 3)


def test_sequences_that_do_not_fit() -> None:
    model = reverser()
    with pytest.raises(ShapeError, match=r"a source of shape .*max_len = 8; got \(1, 9\)"):
        model(tw.ones(1, 9).long(), tw.ones(1, 2).long())
    with pytest.raises(ShapeError, match="a target of shape"):
        model(tw.ones(1, 2).long(), tw.ones(2).long())
    with pytest.raises(DTypeError, match="the source: tokens are integers"):
        model(tw.ones(1, 2), tw.ones(1, 2))
    with pytest.raises(ConfigError, match="three different tokens of the 9"):
        models.seq2seq(9, 9, end=9)
    with pytest.raises(ConfigError, match="three different tokens"):
        models.seq2seq(9, 9, start=2)
