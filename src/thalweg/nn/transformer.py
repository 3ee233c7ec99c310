"""The Transformer: encoder and decoder layers, stacks of them, and both together."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.attention import MultiheadAttention
from thalweg.nn.containers import ModuleList
from thalweg.nn.dropout import Dropout
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.attention import causal
from thalweg.nn.linear import Linear
from thalweg.nn.module import Module
from thalweg.nn.normalization import LayerNorm
from thalweg.ops.creation import zeros

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


class _Layer(Module):
    """What encoder and decoder layers share: attention, a norm after each part, and a network."""

    attentions: ClassVar[tuple[str, ...]]
    linear1: Linear
    linear2: Linear

    @checked()
    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = {"batch_first": batch_first, "dtype": dtype}
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, **options))
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        parts = range(1, len(self.attentions) + 2)
        for part in parts:
            setattr(self, f"norm{part}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))
        for part in parts:
            setattr(self, f"dropout{part}", Dropout(dropout))
        self.activation = _activation(activation)

    def _add(self, x: Tensor, part: int, function: Callable[[Tensor], Tensor]) -> Tensor:
        """norm(x + f(x)), or, with norm_first, x + f(norm(x)), for the part of that number."""
        norm, dropout = getattr(self, f"norm{part}"), getattr(self, f"dropout{part}")
        first = self.norm_first
        out: Tensor = x + dropout(function(norm(x))) if first else norm(x + dropout(function(x)))
        return out

    def _attend(
        self,
        x: Tensor,
        part: int,
        memory: Tensor | None,
        mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool,
    ) -> Tensor:
        """Attention of x to memory, or to itself, as the part of that number."""
        attention = getattr(self, self.attentions[part - 1])

        def function(x: Tensor) -> Tensor:
            keys = x if memory is None else memory
            out: Tensor = attention(
                x, keys, keys, key_padding_mask, False, mask, is_causal=is_causal
            )[0]
            return out

        return self._add(x, part, function)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """The network, as the last part."""

        def function(x: Tensor) -> Tensor:
            out: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
            return out

        return self._add(x, len(self.attentions) + 1, function)


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network of two layers at each place, each with a shortcut and a norm.

        x = norm1(x + attention(x)),   x = norm2(x + W_2 f(W_1 x + b_1) + b_2)

    or, with `norm_first`, x + attention(norm1(x)) and so on, which trains more easily where there
    are many layers. (S, N, d_model), with `batch_first` (N, S, d_model), or (S, d_model), to the
    same. `activation` f is "relu", "gelu" or a function. `dropout` acts on attention's weights,
    on f and on what is added to x.

    `src_mask` (S, S) or (N nhead, S, S) and `src_key_padding_mask` (N, S): True where not to look,
    or added to the scores; `is_causal`: nothing looks ahead.

    >>> import thalweg as tw
    >>> layer = tw.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(tw.ones(5, 3, 8), is_causal=True).shape
    Size([5, 3, 8])

    Source: Vaswani et al., "Attention is all you need", 2017; norm_first: Xiong et al., "On layer
    normalization in the Transformer architecture", 2020.
    """

    attentions = ("self_attn",)

    @checked()
    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The sequence, changed at each place by the others."""
        x = self._attend(src, 1, None, src_mask, src_key_padding_mask, is_causal)
        return self._feed_forward(x)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output, then a network of two layers at each place.

    As `TransformerEncoderLayer`, with a second attention, whose keys and values come from
    `memory`: tgt (T, N, d_model) and memory (S, N, d_model) to (T, N, d_model). Masks of tgt are
    for the first attention, those of memory, (T, S) and (N, S), for the second.

    >>> import thalweg as tw
    >>> layer = tw.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(tw.ones(5, 3, 8), tw.ones(5, 7, 8), tgt_is_causal=True).shape
    Size([5, 3, 8])
    """

    attentions = ("self_attn", "multihead_attn")

    @checked()
    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The sequence `tgt`, changed at each place by the others and by memory."""
        x = self._attend(tgt, 1, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        x = self._attend(x, 2, memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        return self._feed_forward(x)


class TransformerEncoder(Module):
    """`num_layers` encoder layers one after the other, then `norm`, if given.

    The layers begin as copies of `encoder_layer`, with its very weights, as in PyTorch: draw
    them anew for a training from nothing, as `Transformer` does. `enable_nested_tensor` and
    `mask_check` change nothing.

    >>> import thalweg as tw
    >>> layer = tw.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> tw.nn.TransformerEncoder(layer, num_layers=2)(tw.ones(5, 3, 8)).shape
    Size([5, 3, 8])
    """

    @checked()
    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    @checked()
    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The last layer's output, normed."""
        for layer in self.layers:
            src = layer(
                src,
                src_mask=mask,
                src_key_padding_mask=src_key_padding_mask,
                is_causal=bool(is_causal),
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """`num_layers` decoder layers one after the other, then `norm`, if given.

    They begin as copies of `decoder_layer`, as those of `TransformerEncoder` do.
    """

    @checked()
    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    @checked()
    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The last layer's output, normed."""
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of `src`, and a decoder of `tgt` that attends to what the encoder gives.

    src (S, N, d_model) and tgt (T, N, d_model), the first two dimensions exchanged with
    `batch_first`, or without N: to tgt's shape. Embeddings, positions and the output layer are
    not part of it. Masks: as for the layers. Weights begin as Xavier's uniform.

    Raises `ShapeError` if src and tgt do not have d_model features, or not as many samples.

    >>> import thalweg as tw
    >>> model = tw.nn.Transformer(8, 2, 1, 1, dim_feedforward=16, batch_first=True)
    >>> model(tw.ones(5, 7, 8), tw.ones(5, 3, 8), tgt_is_causal=True).shape
    Size([5, 3, 8])
    """

    @checked()
    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options = (batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        if custom_encoder is None:
            encoder = TransformerEncoderLayer(*sizes, *options, dtype=dtype)
            custom_encoder = TransformerEncoder(encoder, num_encoder_layers, norm())
        if custom_decoder is None:
            decoder = TransformerDecoderLayer(*sizes, *options, dtype=dtype)
            custom_decoder = TransformerDecoder(decoder, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    @checked()
    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoder's output."""
        self._check(src, tgt)
        memory = self.encoder(
            src,
            mask=src_mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=src_is_causal,
        )
        out: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return out

    def _check(self, src: Tensor, tgt: Tensor) -> None:
        shapes = src._value.shape, tgt._value.shape
        text = f"src has shape {shapes[0]}, tgt {shapes[1]}: "
        if any(shape[-1:] != (self.d_model,) for shape in shapes):
            raise ShapeError(f"{text}both must have d_model = {self.d_model} features, at the end")
        batch = 0 if self.batch_first else 1
        if len(shapes[0]) == len(shapes[1]) == 3 and shapes[0][batch] != shapes[1][batch]:
            raise ShapeError(
                f"{text}they differ in the number of samples (dimension {batch}, since batch_first "
                f"is {self.batch_first})"
            )

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, *, device: Any = None, dtype: Any = None
    ) -> Tensor:
        """(sz, sz) of 0 where the column is not after the row, and -inf elsewhere.

        >>> import thalweg as tw
        >>> tw.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]])
        """
        return zeros(sz, sz, dtype=dtype).masked_fill(~causal(sz, sz), -math.inf)


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    known = {"relu": F.relu, "gelu": F.gelu}
    return known[given] if isinstance(given, str) else given


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList(copy.deepcopy(layer) for _ in range(count))
