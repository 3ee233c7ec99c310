"""From one sequence to another: an encoder, a decoder, and greedy decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from thalweg import nn
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.checks import require_divisor, require_integers
from thalweg.ops.creation import arange, full
from thalweg.ops.joining import cat
from thalweg.settings import fraction, whole
from thalweg.tape import no_grad

__all__ = ["Seq2Seq", "Seq2SeqConfig", "seq2seq"]


@dataclass(frozen=True, slots=True)
class Seq2SeqConfig:
    """The sizes of a `Seq2Seq`, and the numbers of its three special tokens.

    source_vocab, target_vocab   how many different tokens there are on either side
    max_len                      the longest sequence on either side
    d_model, nhead, num_layers   width, attention's heads, layers of encoder and of decoder
    dim_feedforward              units inside a layer
    dropout                      while training
    pad, start, end              fills up short sequences; begins and ends a target
    """

    source_vocab: int
    target_vocab: int
    max_len: int = 64
    d_model: int = 128
    nhead: int = 4
    num_layers: int = 2
    dim_feedforward: int = 256
    dropout: float = 0.1
    pad: int = 0
    start: int = 1
    end: int = 2

    def __post_init__(self) -> None:
        for name in ("source_vocab", "target_vocab", "max_len", "d_model", "nhead", "num_layers"):
            whole(f"Seq2SeqConfig: {name}", getattr(self, name), 1)
        for name in ("dim_feedforward", "pad", "start", "end"):
            whole(f"Seq2SeqConfig: {name}", getattr(self, name))
        fraction("Seq2SeqConfig: dropout", self.dropout)
        require_divisor("Seq2SeqConfig", "nhead", self.nhead, d_model=self.d_model)
        special = {name: getattr(self, name) for name in ("pad", "start", "end")}
        if len(set(special.values())) < 3 or not all(
            0 <= token < self.target_vocab for token in special.values()
        ):
            raise ConfigError(
                f"Seq2SeqConfig: pad, start and end are three different tokens of the "
                f"{self.target_vocab} in target_vocab; got {special}"
            )


class Seq2Seq(nn.Module):
    """A Transformer that writes a target sequence for a source: translation, reversal, sums.

    Source (N, S) and target (N, T), integers, each row filled up with `pad`; to logits (N, T,
    target_vocab) of the token that follows each of the target. To train, give targets without
    their last token, beginning with `start`, and compare with targets without their first:

        logits = model(source, target[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad)

    Embeddings times sqrt(d_model), sinusoidal positions, `nn.Transformer` with norms in front, a
    linear layer. No padding is attended to, and no target token sees a later one.

    >>> import thalweg as tw
    >>> model = tw.models.seq2seq(10, 12, d_model=16, nhead=2, num_layers=1)
    >>> model(tw.tensor([[3, 4, 5, 0]]), tw.tensor([[1, 7]])).shape
    Size([1, 2, 12])

    Source: Vaswani et al., "Attention is all you need", 2017; Sutskever et al., "Sequence to
    sequence learning with neural networks", 2014.
    """

    def __init__(self, config: Seq2SeqConfig, *, dtype: Any = None) -> None:
        self.config = config
        width = config.d_model
        self.source = nn.Embedding(config.source_vocab, width, dtype=dtype)
        self.target = nn.Embedding(config.target_vocab, width, dtype=dtype)
        self.position = nn.SinusoidalEncoding(width, config.max_len)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = nn.Transformer(
            width,
            config.nhead,
            config.num_layers,
            config.num_layers,
            config.dim_feedforward,
            config.dropout,
            batch_first=True,
            norm_first=True,
            dtype=dtype,
        )
        self.output = nn.Linear(width, config.target_vocab, dtype=dtype)
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, 0, 1 / math.sqrt(width))

    @checked()
    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the token that follows each of the target."""
        return self.decode(target, *self.encode(source))

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder makes of the source, (N, S, d_model), and where that is padding."""
        padding = source.eq(self.config.pad)
        x = self._embedded("source", source, self.source)
        memory: Tensor = self.transformer.encoder(x, src_key_padding_mask=padding)
        return memory, padding

    def decode(self, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """Logits of the token that follows each of the target, from what `encode` gave."""
        x = self._embedded("target", target, self.target)
        out = self.transformer.decoder(
            x,
            memory,
            tgt_key_padding_mask=target.eq(self.config.pad),
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        logits: Tensor = self.output(out)
        return logits

    def _embedded(self, side: str, tokens: Tensor, embedding: nn.Module) -> Tensor:
        require_integers(f"Seq2Seq: the {side}", "tokens", tokens)
        shape = tokens._value.shape
        if len(shape) != 2 or not 1 <= shape[1] <= self.config.max_len:
            raise ShapeError(
                f"Seq2Seq: a {side} of shape (N, length) expected, of lengths from 1 to max_len = "
                f"{self.config.max_len}; got {shape}"
            )
        x = embedding(tokens) * math.sqrt(self.config.d_model)
        result: Tensor = self.dropout(self.position(x))
        return result

    @no_grad()
    def generate(self, source: Tensor, max_len: int | None = None) -> Tensor:
        """The likeliest next token, again and again, from `start` on: (N, up to max_len).

        Rows end with `end`, and are filled up with `pad`; the start token is left out. It stops
        when all rows have ended, or after max_len tokens (the configuration's, less one, unless
        given). Dropout acts unless the model is in eval mode.
        """
        config = self.config
        limit = config.max_len - 1 if max_len is None else min(max_len, config.max_len - 1)
        memory, padding = self.encode(source)
        count = source._value.shape[0]
        tokens = full((count, 1), config.start, dtype=source.dtype)
        ended = full((count, 1), False)
        for length in range(1, limit + 1):
            logits = self.decode(tokens, memory, padding)
            last = logits.index_select(1, arange(length - 1, length)).squeeze(1)
            new = last.argmax(-1, keepdim=True).masked_fill(ended, config.pad)
            tokens = cat([tokens, new.to(tokens.dtype)], 1)
            ended = ended | new.eq(config.end)
            if bool(ended.all()):
                break
        return tokens.narrow(1, 1, tokens._value.shape[1] - 1)


def seq2seq(source_vocab: int, target_vocab: int, **sizes: Any) -> Seq2Seq:
    """`Seq2Seq` for so many tokens; other sizes by their names in `Seq2SeqConfig`."""
    dtype = sizes.pop("dtype", None)
    return Seq2Seq(Seq2SeqConfig(source_vocab, target_vocab, **sizes), dtype=dtype)
