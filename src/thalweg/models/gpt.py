"""A small GPT: a Transformer that continues a text, a character or a token at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg import nn
from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.models.generation import Choice, KeyValues, Writer, Writers
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.checks import require_divisor, require_integers
from thalweg.ops.creation import arange
from thalweg.ops.random import Generator
from thalweg.settings import flag, fraction, nonnegative, whole

__all__ = ["CharGPT", "CharGPTConfig", "char_gpt"]


@dataclass(frozen=True, slots=True)
class CharGPTConfig:
    """The sizes of a `CharGPT`.

    vocab_size   how many different tokens there are
    block_size   how many tokens it sees at a time
    n_layer, n_head, n_embd   blocks, attention's heads, width
    dropout      of embeddings, attention and what blocks add, while training
    bias         whether linear layers and norms have one
    tied         whether the output layer is the token embedding
    """

    vocab_size: int = 65
    block_size: int = 64
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.0
    bias: bool = True
    tied: bool = True

    def __post_init__(self) -> None:
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            whole(f"CharGPTConfig: {name}", getattr(self, name), 1)
        fraction("CharGPTConfig: dropout", self.dropout)
        for name in ("bias", "tied"):
            flag(f"CharGPTConfig: {name}", getattr(self, name))
        require_divisor("CharGPTConfig", "n_head", self.n_head, n_embd=self.n_embd)


class _SelfAttention(nn.Module):
    """Attention to oneself and to what came before."""

    def __init__(self, config: CharGPTConfig, dtype: Any) -> None:
        width = config.n_embd
        self.c_attn = nn.Linear(width, 3 * width, config.bias, dtype=dtype)
        self.c_proj = nn.Linear(width, width, config.bias, dtype=dtype)
        self.resid_dropout = nn.Dropout(config.dropout)
        self.n_head = config.n_head
        self.dropout = config.dropout

    def forward(
        self, x: Tensor, kept: KeyValues | None = None, place: Tensor | None = None
    ) -> Tensor:
        """Attention of a whole text, whose keys and values are `kept`, or of the token at `place`
        to those that are kept, to which its own are added.
        """
        q, k, v = (
            part.unflatten(-1, (self.n_head, -1)).transpose(-3, -2)
            for part in self.c_attn(x).chunk(3, -1)
        )
        seen = None
        if kept is not None and place is None:
            kept.fill(k, v)
        elif kept is not None and place is not None:
            kept.add(k, v, place)
            k, v, seen = kept.keys, kept.values, kept.seen(place)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, seen, dropout, is_causal=seen is None)
        result: Tensor = self.resid_dropout(self.c_proj(y.transpose(-3, -2).flatten(-2)))
        return result


class _FeedForward(nn.Module):
    """W_2 gelu(W_1 x + b_1) + b_2, four times as wide inside."""

    def __init__(self, config: CharGPTConfig, dtype: Any) -> None:
        width = config.n_embd
        self.c_fc = nn.Linear(width, 4 * width, config.bias, dtype=dtype)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * width, width, config.bias, dtype=dtype)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.dropout(self.c_proj(self.gelu(self.c_fc(x))))
        return result


class _Block(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, config: CharGPTConfig, dtype: Any) -> None:
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias, dtype=dtype)
        self.attn = _SelfAttention(config, dtype)
        self.ln_2 = nn.LayerNorm(config.n_embd, bias=config.bias, dtype=dtype)
        self.mlp = _FeedForward(config, dtype)

    def forward(
        self, x: Tensor, kept: KeyValues | None = None, place: Tensor | None = None
    ) -> Tensor:
        x = x + self.attn(self.ln_1(x), kept, place)
        result: Tensor = x + self.mlp(self.ln_2(x))
        return result


class CharGPT(nn.Module):
    """For each place of a text, logits of what comes next.

    Tokens (N, T), integers from 0 to vocab_size - 1, T up to block_size, to logits (N, T,
    vocab_size), where those at place t depend on tokens 0 to t only. Token and position
    embeddings, `n_layer` blocks of attention and a network of two layers, each with a norm before
    it and a shortcut around it, a norm, a linear layer. The names of parameters are those of
    nanoGPT: transformer.wte, transformer.h.0.attn.c_attn, ..., lm_head.

    Weights begin as N(0, 0.02^2), those that write to the shortcut with 0.02 / sqrt(2 n_layer).
    Raises `ShapeError` for another shape or a text that is too long.

    >>> import thalweg as tw
    >>> model = tw.models.char_gpt(vocab_size=10, block_size=8, n_layer=1, n_head=2, n_embd=16)
    >>> model(tw.tensor([[1, 2, 3]])).shape
    Size([1, 3, 10])

    Source: Radford et al., "Language models are unsupervised multitask learners", 2019.
    """

    def __init__(self, config: CharGPTConfig, *, dtype: Any = None) -> None:
        self.config = config
        self._writers = Writers()
        width, vocabulary = config.n_embd, config.vocab_size
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocabulary, width, dtype=dtype),
                "wpe": nn.Embedding(config.block_size, width, dtype=dtype),
                "drop": nn.Dropout(config.dropout),
                "h": nn.ModuleList(_Block(config, dtype) for _ in range(config.n_layer)),
                "ln_f": nn.LayerNorm(width, bias=config.bias, dtype=dtype),
            }
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False, dtype=dtype)
        if config.tied:
            embedding: Any = self.transformer["wte"]
            self.lm_head.weight = embedding.weight
        self._begin()

    def _begin(self) -> None:
        for path, parameter in self.named_parameters():
            if parameter.ndim == 2:
                parts = 2 * self.config.n_layer if path.endswith("c_proj.weight") else 1
                nn.init.normal_(parameter, 0, 0.02 / math.sqrt(parts))
            elif path.endswith("bias"):
                nn.init.zeros_(parameter)

    @checked()
    def forward(self, tokens: Tensor) -> Tensor:
        """The logits."""
        return self.logits(tokens, arange(self._length(tokens)))

    def logits(
        self,
        tokens: Tensor,
        places: Tensor,
        kept: Sequence[KeyValues] = (),
        place: Tensor | None = None,
    ) -> Tensor:
        """The logits of tokens (N, T) at their places (T,); see `generation.Model`."""
        parts = self.transformer
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"](places))
        for layer, block in enumerate(parts["h"].children()):
            x = block(x, kept[layer] if kept else None, place)
        result: Tensor = self.lm_head(parts["ln_f"](x))
        return result

    @property
    def longest(self) -> int:
        """How many tokens it sees at a time: block_size."""
        return self.config.block_size

    def kept(self, rows: int) -> list[KeyValues]:
        """Room for the keys and values of so many texts, a block at a time."""
        width = self.config.n_embd // self.config.n_head
        shape = (rows, self.config.n_head, self.config.block_size, width)
        return [KeyValues(shape, self.lm_head.weight.dtype) for _ in range(self.config.n_layer)]

    def _length(self, tokens: Tensor) -> int:
        shape = tokens._value.shape
        require_integers("the input", "tokens", tokens)
        if len(shape) != 2 or not 1 <= shape[1] <= self.config.block_size:
            raise ShapeError(
                f"tokens of shape (N, T) expected, T from 1 to block_size = "
                f"{self.config.block_size}; got {shape}"
            )
        return int(shape[1])

    def generate(
        self,
        tokens: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        *,
        generator: Generator | None = None,
        compiled: bool = False,
        use_cache: bool = True,
    ) -> Tensor:
        """`tokens` (N, T), T of 1 or more, continued by `max_new_tokens` drawn ones.

        Each is drawn from softmax(logits / temperature), of the `top_k` likeliest alone if that is
        given; temperature 0 takes the likeliest. It sees the last block_size tokens. Dropout acts
        unless the model is in eval mode.

        Keys and values of earlier tokens are kept, so that a step computes one token, until the
        text is longer than block_size: from there on it computes block_size of them, as it always
        does without `use_cache`. `compiled`: the whole text is written by compiled loops, which
        stay with the model for the next text; that pays for some dozens of tokens or more.

        Raises `ConfigError`, `DTypeError`, `ShapeError` for what does not fit.

        >>> import thalweg as tw
        >>> _ = tw.manual_seed(0)
        >>> model = tw.models.char_gpt(10, block_size=4, n_layer=1, n_head=2, n_embd=16)
        >>> model.generate(tw.tensor([[7]]), 6, top_k=3).shape
        Size([1, 7])
        """
        nonnegative("generate: temperature", temperature)
        whole("generate: max_new_tokens", max_new_tokens)
        if top_k is not None:
            whole("generate: top_k", top_k, 1)
        require_integers("generate: the input", "tokens", tokens)
        if len(tokens._value.shape) != 2 or not tokens._value.shape[1]:
            raise ShapeError(
                f"generate: tokens of shape (N, T) expected, with at least one to begin with; "
                f"got {tokens._value.shape}"
            )
        choice = Choice(temperature, top_k, generator)
        writer = self._writer(tokens._value.shape[0], choice, compiled, use_cache)
        return writer.write(tokens, max_new_tokens)

    def _writer(self, rows: int, choice: Choice, compiled: bool, use_cache: bool) -> Writer:
        """One that has its programs already, if there is one."""
        key = (rows, choice, use_cache, self.lm_head.weight.dtype)
        if not compiled:
            return Writer(self, rows, choice, compiled, use_cache)
        if key not in self._writers:
            self._writers.add(key, Writer(self, rows, choice, compiled, use_cache))
        return self._writers[key]


def char_gpt(vocab_size: int = 65, **sizes: Any) -> CharGPT:
    """`CharGPT` for so many characters; other sizes by their names in `CharGPTConfig`."""
    dtype = sizes.pop("dtype", None)
    return CharGPT(CharGPTConfig(vocab_size, **sizes), dtype=dtype)
