"""Attention: masks of every kind, with and without samples, sizes that divide nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.reference.both import Case
from tests.reference.cases_modules import Built
from tests.reference.spelling import Call, Samples, call, first, functional

__all__ = ["ATTENTION", "CASES", "LAYERS"]

_samples = Samples(13)
normal, truths = _samples.normal, _samples.truths

_Q, _K, _V = normal(2, 3, 5, 4), normal(2, 3, 7, 4), normal(2, 3, 7, 6)
_SEEN = truths(2, 3, 5, 7)
_BLIND = truths(5, 7)
_BLIND[2] = False  # a query that may look nowhere
_INF = np.where(truths(2, 1, 5, 7), normal(2, 1, 5, 7), -np.inf)
_GROUPS = normal(2, 6, 5, 4), normal(2, 3, 7, 4), normal(2, 3, 7, 6)

# fmt: off
ATTENTION: dict[str, list[Call]] = {
    "scaled_dot_product_attention": [
        call(_Q, _K, _V), call(normal(5, 4), normal(7, 4), normal(7, 1)),
        call(normal(1, 1, 1), normal(1, 1, 1), normal(1, 1, 1)),
        call(_Q, _K, _V, scale=0.3), call(_Q, _K, _V, is_causal=True),
        call(_K, normal(2, 3, 5, 4), normal(2, 3, 5, 6), is_causal=True),
        call(_Q, _K, _V, _SEEN), call(_Q, _K, _V, _SEEN[:, :1].copy(), scale=2.0),
        call(_Q, _K, _V, _BLIND), call(_Q, _K, _V, normal(5, 7)),
        call(_Q, _K, _V, normal(2, 1, 1, 7)), call(_Q * 2, _K, _V),
        call(*_GROUPS, enable_gqa=True), call(*_GROUPS, is_causal=True, enable_gqa=True),
        call(*_GROUPS, truths(5, 7), enable_gqa=True),
        call(*_GROUPS, normal(2, 6, 5, 7), enable_gqa=True),
        call(*_GROUPS, normal(1, 1, 5, 7), enable_gqa=True)],
    "multi_head_attention_forward": [],
}
# fmt: on


def _projections(length: int, keys: int, batch: tuple[int, ...] = (3,), width: int = 8) -> Any:
    """Query, key, value, the width, 2 heads, and one weight and bias for the projections."""
    return (
        normal(length, *batch, width), normal(keys, *batch, width), normal(keys, *batch, width),
        width, 2, normal(3 * width, width) / 4, normal(3 * width) / 4,
    )  # fmt: skip


_OUT = normal(8, 8) / 4, normal(8)


def _static(tw: Any, *arguments: Any) -> Any:
    *start, k, v = arguments
    return tw.nn.functional.multi_head_attention_forward(*start, static_k=k, static_v=v)


def _separate(tw: Any, *arguments: Any) -> Any:
    *start, q, k, v = arguments
    return tw.nn.functional.multi_head_attention_forward(
        *start, use_separate_proj_weight=True, q_proj_weight=q, k_proj_weight=k, v_proj_weight=v
    )


def _itself(tw: Any, x: Any, *rest: Any) -> Any:
    return tw.nn.functional.multi_head_attention_forward(x, x, x, *rest)


# fmt: off
_NONE = (None, None, False, 0.0)
_ADDED = (normal(1, 1, 8), normal(1, 1, 8), True, 0.0)
ATTENTION["multi_head_attention_forward"] += [
    call(*_projections(5, 7), *_NONE, *_OUT),
    first(*_projections(5, 7), *_NONE, *_OUT, True, None, False),
    call(*_projections(5, 7), *_ADDED, *_OUT),
    call(*_projections(5, 7), *_ADDED, *_OUT, False, truths(3, 7), True, truths(5, 7)),
    call(*_projections(5, 7), *_NONE, *_OUT, True, None, True, normal(6, 5, 7)),
    call(*_projections(5, 7, ()), *_ADDED, *_OUT, True, np.arange(7) > 4, True, np.eye(5, 7) > 0),
    call(*_projections(5, 7, ()), *_NONE, *_OUT, average_attn_weights=False),
]
_WIDE = (normal(5, 3, 8), normal(7, 3, 5), normal(7, 3, 6), 8, 2, None, normal(24), *_NONE, *_OUT)
CASES: list[Case] = [
    *functional(ATTENTION),
    Case("separate projections", _separate, (*_WIDE, normal(8, 8) / 4, normal(8, 5) / 4,
                                                normal(8, 6) / 4)),
    Case("static keys", _static, (*_projections(5, 7), *_NONE, *_OUT, normal(6, 4, 4),
                                  normal(6, 4, 4))),
    Case("attention to itself", _itself, (normal(5, 3, 8), *_projections(1, 1)[3:], *_NONE, *_OUT)),
]
# fmt: on

# --- modules --------------------------------------------------------------------------------------


def _built(
    name: str, *arguments: Any, call: Callable[..., Any], **options: Any
) -> Callable[..., Any]:
    """Builds a module that calls `call(module, *inputs)`."""

    def build(tw: Any) -> Any:
        module = getattr(tw.nn, name)(*arguments, **options)
        forward = module.forward
        module.forward = lambda *inputs: call(forward, *inputs)
        return module

    return build


def _to_itself(forward: Any, x: Any, *masks: Any) -> Any:
    names = ("key_padding_mask", "attn_mask")
    return forward(x, x, x, **dict(zip(names, masks, strict=False)))


def _to_itself_alone(forward: Any, x: Any, *masks: Any) -> Any:
    return forward(x, x, x, *masks, need_weights=False)[0]


def _plainly(forward: Any, *inputs: Any) -> Any:
    return forward(*inputs)


def _causally(forward: Any, x: Any, memory: Any, hidden: Any) -> Any:
    return forward(x, memory, tgt_mask=hidden, tgt_is_causal=True)


def _masked(forward: Any, src: Any, tgt: Any, hidden: Any, padded: Any) -> Any:
    return forward(
        src, tgt, tgt_mask=hidden, src_key_padding_mask=padded, memory_key_padding_mask=padded
    )


_X, _FIRST = normal(5, 3, 8), normal(3, 5, 8)
_AHEAD = np.triu(np.ones((5, 5), bool), 1)
_PADDED = np.arange(5) >= np.array([[5], [3], [1]])
_LINE = {"dim_feedforward": 12, "dropout": 0.0}
_BATCHED = {**_LINE, "batch_first": True}

# fmt: off
LAYERS: dict[str, Built] = {
    "MultiheadAttention":            Built(_built("MultiheadAttention", 8, 2, call=_to_itself),
        (_X,)),
    "MultiheadAttention batch":      Built(_built("MultiheadAttention", 8, 4, batch_first=True,
        call=_to_itself), (_FIRST, _PADDED, _AHEAD)),
    "MultiheadAttention plain":      Built(_built("MultiheadAttention", 8, 1, bias=False,
        batch_first=True, call=_to_itself_alone), (_FIRST, _PADDED)),
    "MultiheadAttention + bias":     Built(_built("MultiheadAttention", 8, 2, add_bias_kv=True,
        add_zero_attn=True, call=_to_itself), (_X, _PADDED)),
    "MultiheadAttention kdim":       Built(_built("MultiheadAttention", 8, 2, kdim=3, vdim=5,
        batch_first=True, call=_plainly), (_FIRST, normal(3, 7, 3), normal(3, 7, 5))),
    "MultiheadAttention alone":      Built(_built("MultiheadAttention", 6, 3, call=_to_itself),
        (normal(7, 6),)),
    "TransformerEncoderLayer":       Built(_built("TransformerEncoderLayer", 8, 2, **_LINE,
        call=_plainly), (_X,)),
    "TransformerEncoderLayer first": Built(_built("TransformerEncoderLayer", 8, 2, **_BATCHED,
        norm_first=True, activation="gelu", bias=False, call=_plainly), (_FIRST, _AHEAD, _PADDED)),
    "TransformerDecoderLayer":       Built(_built("TransformerDecoderLayer", 8, 2, **_LINE,
        call=_causally), (_X, normal(7, 3, 8), _AHEAD)),
    "TransformerDecoderLayer first": Built(_built("TransformerDecoderLayer", 8, 4, **_BATCHED,
        norm_first=True, layer_norm_eps=1e-3, call=_plainly), (_FIRST, normal(3, 7, 8))),
    "TransformerEncoder":            Built(lambda tw: tw.nn.TransformerEncoder(
        tw.nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=True), 2,
        tw.nn.LayerNorm(8), enable_nested_tensor=False), (_FIRST, _AHEAD, _PADDED)),
    "TransformerDecoder":            Built(lambda tw: tw.nn.TransformerDecoder(
        tw.nn.TransformerDecoderLayer(8, 2, 12, 0.0), 2), (_X, normal(7, 3, 8))),
    "Transformer":                   Built(_built("Transformer", 8, 2, 2, 1, **_LINE,
        call=_plainly), (normal(7, 3, 8), _X)),
    "Transformer batch":             Built(_built("Transformer", 8, 2, 1, 1, **_BATCHED,
        activation="gelu", bias=False, call=_masked), (_FIRST, normal(3, 5, 8), _AHEAD, _PADDED)),
}
# fmt: on
