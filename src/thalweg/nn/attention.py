"""Attention as a layer."""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Parameter, Tensor
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.checks import require_divisor
from thalweg.nn.linear import Linear
from thalweg.nn.module import Module
from thalweg.ops.creation import empty

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention in `num_heads` subspaces at once: concat(head_1, ..., head_h) W_o^T + b_o.

    head_i = softmax(Q_i K_i^T / sqrt(E / h)) V_i, where Q_i is a slice of x W_q^T + b_q, and K_i
    and V_i likewise. Query (L, N, E), key (S, N, kdim), value (S, N, vdim): sequences of L and S
    places of N samples; with `batch_first` (N, L, E); without a batch (L, E). The result is
    of the query's shape, with it the weights (N, L, S), averaged over heads, or, with
    average_attn_weights=False, (N, heads, L, S). need_weights=False gives None for them, and is
    faster compiled.

    Masks, bool (True: do not look there, unlike in `F.scaled_dot_product_attention`) or floating
    (added to the scores): `attn_mask` (L, S) or (N heads, L, S), `key_padding_mask` (N, S).
    `is_causal`: query l sees keys 0 to l; it needs no `attn_mask`. A query that sees no key gives
    zeros, before the output's bias. `dropout` leaves out weights while training.

    `in_proj_weight` (3 E, E) holds W_q, W_k and W_v; if kdim or vdim differ from E,
    `q_proj_weight`, `k_proj_weight`, `v_proj_weight` do. They begin as Xavier's uniform, biases
    as 0. `add_bias_kv` adds a learned key and value to the sequence, `add_zero_attn` one of zeros.

    Raises `ConfigError` if the heads do not divide E, `ShapeError` for what does not fit.

    >>> import thalweg as tw
    >>> layer = tw.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tw.ones(5, 3, 8)
    >>> out, weights = layer(x, x, x, is_causal=True)
    >>> out.shape, weights.shape, weights[0, 1].tolist()
    (Size([5, 3, 8]), Size([5, 3, 3]), [0.5, 0.5, 0.0])

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    @checked()
    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        require_divisor("MultiheadAttention", "num_heads", num_heads, embed_dim=embed_dim)
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def made(*shape: int) -> Parameter:
            return Parameter(empty(*shape, dtype=dtype))

        same = self.kdim == self.vdim == embed_dim
        self.q_proj_weight = None if same else made(embed_dim, embed_dim)
        self.k_proj_weight = None if same else made(embed_dim, self.kdim)
        self.v_proj_weight = None if same else made(embed_dim, self.vdim)
        self.in_proj_weight = made(3 * embed_dim, embed_dim) if same else None
        self.in_proj_bias = made(3 * embed_dim) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype)
        self.bias_k = made(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = made(1, 1, embed_dim) if add_bias_kv else None
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (
            self.in_proj_weight,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
        ):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for added in (self.bias_k, self.bias_v):
            if added is not None:
                init.xavier_normal_(added)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(result, weights or None)."""
        return F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=self.in_proj_weight is None,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
        )

    def describe(self) -> str:
        """The layer with its sizes, such as "MultiheadAttention 128, 4 heads"."""
        return f"{type(self).__name__} {self.embed_dim}, {self.num_heads} heads"
