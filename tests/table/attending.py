"""Rows of attention; the oracle goes query by query, over the keys that it sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.table.networks import f
from tests.table.row import Array, Bad, integers, mask, normal, s
from thalweg.errors import ConfigError, DTypeError

__all__ = ["ROWS"]


def attention(
    q: Array,
    k: Array,
    v: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    return attended(q, k, v, attn_mask, is_causal, scale, enable_gqa)[0]


def attended(
    q: Array, k: Array, v: Array, added: Any, is_causal: bool, scale: Any, grouped: bool = False
) -> tuple[Array, Array]:
    """The means, and the weights."""
    if grouped:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (q, k, v))
    weights = np.zeros((*q.shape[:-1], k.shape[-2]))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    wide = None if added is None else np.broadcast_to(added, weights.shape)
    for place in np.ndindex(q.shape[:-1]):
        scores = (k[place[:-1]] * q[place]).sum(-1) * scale
        if wide is not None and wide.dtype == bool:
            scores[~wide[place]] = -np.inf
        elif wide is not None:
            scores += wide[place]
        if is_causal:
            scores[place[-1] + 1 :] = -np.inf
        if scores.max(initial=-np.inf) > -np.inf:
            grown = np.exp(scores - scores.max())
            weights[place] = grown / grown.sum()
    return weights @ v, weights


def heads(x: Array, count: int) -> Array:
    """(L, N, E) to (N, heads, L, E / heads)."""
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2, 0, 3)


def multihead(
    q: Array, k: Array, v: Array, wi: Array, bi: Array, wo: Array, bo: Array, hidden: Any = None,
    *, count: int, is_causal: bool = False,
) -> tuple[Array, Array]:  # fmt: skip
    pairs = zip((q, k, v), np.split(wi, 3), np.split(bi, 3), strict=True)
    parts = [heads(x @ w.T + b, count) for x, w, b in pairs]
    wide = (
        hidden
        if hidden is None or hidden.ndim == 2
        else hidden.reshape(-1, count, *hidden.shape[1:])
    )
    seen = None if wide is None else ~wide
    out, weights = attended(*parts, seen, is_causal, None)
    joined = out.transpose(2, 0, 1, 3).reshape(q.shape)
    return joined @ wo.T + bo, weights.mean(1)


def forward(
    q: Any, k: Any, v: Any, wi: Any, bi: Any, wo: Any, bo: Any, hidden: Any = None, *, count: int,
    is_causal: bool = False,
) -> Any:  # fmt: skip
    from thalweg.nn.functional import multi_head_attention_forward

    return multi_head_attention_forward(
        q, k, v, q.shape[-1], count, wi, bi, None, None, False, 0.0, wo, bo,
        attn_mask=hidden, is_causal=is_causal,
    )  # fmt: skip


Q, K, V = normal(2, 3, 4), normal(2, 5, 4, seed=1), normal(2, 5, 3, seed=2)
G = normal(1, 4, 3, 2), normal(1, 2, 3, 2, seed=1), normal(1, 2, 3, 2, seed=2)
SEEN = mask(3, 5)
SEEN[1] = False
BIAS = normal(2, 1, 5, seed=3)
W = normal(12, 4) / 2, normal(12, seed=1), normal(4, 4) / 2, normal(4)
X = normal(3, 2, 4), normal(5, 2, 4, seed=1), normal(5, 2, 4, seed=2)

# fmt: off
ROWS = [
    f("scaled_dot_product_attention", attention,
      s(Q, K, V), s(Q, K, V, scale=0.3), s(Q, K, V, is_causal=True), s(Q, K, V, SEEN),
      s(Q, K, V, BIAS), s(Q[0], K[0], V[0], SEEN, is_causal=True), s(Q[:1], K, V[0]),
      s(*G, enable_gqa=True), s(*G, BIAS[0, :, :3].copy(), is_causal=True, enable_gqa=True),
      s(normal(1, 1), normal(1, 1), normal(1, 1)), s(Q[:0], K[:0], V[:0]), bad=(
        Bad((Q, K[..., :3].copy(), V), mentions=("(2, 3, 4)", "(2, 5, 3)", "last dimension")),
        Bad((Q, K, V[:, :4].copy()), mentions=("(2, 4, 3)", "a value for each key")),
        Bad((Q, normal(3, 5, 4), V), mentions=("leading dimensions", "enable_gqa")),
        Bad((Q[0, 0], K, V), mentions=("(4,)", "at least 2 dimensions")),
        Bad(G[::-1], kwargs={"enable_gqa": True}, mentions=("a multiple of them",)),
        Bad((Q, K, V, SEEN[:2]), mentions=("attn_mask", "(2, 5)", "(2, 3, 5)")),
        Bad((Q, K, V, integers(0, 2, 3, 5)), error=DTypeError, mentions=("attn_mask", "bool()")))),
    f("multi_head_attention_forward", multihead, s(*X, *W, count=2), s(*X, *W, SEEN, count=1),
      s(*X, *W, mask(2 * 2, 3, 5).reshape(4, 3, 5)[:1].repeat(4, 0), count=2),
      s(*X, *W, count=4, is_causal=True), call=forward, bad=(
        Bad((*X, *W), kwargs={"count": 3}, error=ConfigError, mentions=("embed_dim=4", "heads=3")),
        Bad((X[0], X[1], X[2][:3].copy(), *W), kwargs={"count": 2},
            mentions=("(3, 2, 4)", "a value for each key")),
        Bad((X[0], X[1][:, :1].copy(), X[2][:, :1].copy(), *W), kwargs={"count": 2},
            mentions=("2 and 1 samples",)),
        Bad((*X, *W, SEEN[:2]), kwargs={"count": 2},
            mentions=("attn_mask", "(2, 5)", "(3, 5) or (4, 3, 5)")),
        Bad((*X, *W, integers(0, 2, 3, 5)), kwargs={"count": 2}, error=DTypeError,
            mentions=("attn_mask", "int64")))),
]
# fmt: on
