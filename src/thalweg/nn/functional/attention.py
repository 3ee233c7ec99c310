"""Attention: for each query a mean of the values, weighted by how well their keys match it.

Softmax is written out here rather than called, for two reasons. Its sum is divided by after the
product with the values, which is smaller than the matrix of weights. And its derivative needs
sum_s w_ls (g v^T)_ls, which is sum_e g_le y_le: with that known beforehand, the whole derivative
by the scores is one product and what is done to each of its elements.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from thalweg._tensor import Tensor
from thalweg.dtypes import finfo
from thalweg.errors import DTypeError, ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.dropout import dropout
from thalweg.ops.creation import arange
from thalweg.ops.lift import promote
from thalweg.primitives.core import broadcast_shapes
from thalweg.tape import composite, no_grad

__all__ = ["Attended", "attend", "causal", "scaled_dot_product_attention"]

_LETTERS = "abcdfijkmnopqr"  # of leading dimensions; g, l, s, e are the others


class Attended(NamedTuple):
    """What attention gives: the means, (..., L, Ev), and, if asked for, the weights (..., L, S)."""

    output: Tensor
    weights: Tensor | None


@checked()
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(Q K^T scale + mask) V: for every query the mean of the values its keys choose.

    Query (..., L, E), key (..., S, E), value (..., S, Ev); result (..., L, Ev). Leading dimensions,
    such as samples and heads, broadcast. `scale` is 1 / sqrt(E) unless given. `attn_mask`, which
    broadcasts to (..., L, S): bool, True where a query may look, or floating, added to the scores.
    `is_causal`: query l sees keys 0 to l only, beside what the mask says. A query that may look
    nowhere gives zeros. `dropout_p` is the probability with which a weight is left out, always:
    give 0 outside training. `enable_gqa`: query has a multiple of the heads (dimension -3) of key
    and value; neighbours share one.

    Raises `ShapeError` saying which argument does not fit, `DTypeError` for a mask of integers.

    >>> import thalweg as tw
    >>> q, k, v = tw.ones(2, 2), tw.tensor([[0.0, 0.0], [1.0, 1.0]]), tw.eye(2)
    >>> tw.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.1956, 0.8044]])

    Source: Vaswani et al., "Attention is all you need", 2017; grouped queries: Ainslie et al.,
    "GQA", 2023; the order of the derivative: Dao et al., "FlashAttention", 2022.
    """
    visible = bias = None
    if attn_mask is not None and attn_mask._value.dtype.kind == "b":
        visible = attn_mask
    elif attn_mask is not None:
        bias = attn_mask
    return attend(
        query, key, value, visible, bias, dropout_p, is_causal, scale, grouped=enable_gqa
    ).output


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor | None = None,
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    grouped: bool = False,
    weights: bool = False,
) -> Attended:
    """`scaled_dot_product_attention` with a mask of each kind, and its weights if asked for.

    `visible` is bool, True where a query may look; `bias` is added to the scores. The weights are
    those that were used: after dropout.
    """
    lead, shape = _checked(query, key, value, grouped)
    for mask in (visible, bias):
        _require_mask(mask, shape)
    if bias is None:
        query, key, value = promote(query, key, value)
    else:
        query, key, value, bias = promote(query, key, value, bias)
    spec = _Spec.of(len(lead), grouped)
    query, key, value = (_led(x, lead, grouped and x is query, key) for x in (query, key, value))
    if grouped:
        visible, bias = (_mask_by_group(m, key) for m in (visible, bias))
    width = query._value.shape[-1]
    scale = (1 / math.sqrt(width) if width else 1.0) if scale is None else scale
    scores = query.contract(key, spec.scores) * scale
    if bias is not None:
        scores = scores + bias
    if is_causal:
        earlier = causal(*shape[-2:])
        visible = earlier if visible is None else visible & earlier
    grown = _grown(scores) if visible is None else _grown_where(scores, visible)
    # At least 1 where a query sees any key. Nothing lies between 0 and 1: no tie to share.
    inverse = grown.sum(-1, keepdim=True).maximum(0.5).reciprocal()
    kept = dropout(grown, dropout_p) if dropout_p else grown
    out = _means(scores, value, grown, kept, inverse, spec=spec, thinned=bool(dropout_p))
    used = (kept * inverse).reshape(shape) if weights else None
    return Attended(out.reshape(*shape[:-1], value._value.shape[-1]), used)


def causal(rows: int, columns: int) -> Tensor:
    """(rows, columns) of bool: True where the column is not after the row."""
    return arange(rows).unsqueeze(1) >= arange(columns)


# --- the pieces -----------------------------------------------------------------------------------


class _Spec(NamedTuple):
    """The contractions, over leading dimensions, those of heads and, if grouped, of a group."""

    scores: str
    means: str
    to_scores: str
    to_value: str

    @classmethod
    def of(cls, rank: int, grouped: bool) -> _Spec:
        lead = _LETTERS[:rank]
        wide = f"{lead}g" if grouped else lead
        return cls(
            f"{wide}le,{lead}se->{wide}ls",
            f"{wide}ls,{lead}se->{wide}le",
            f"{wide}le,{lead}se->{wide}ls",
            f"{wide}ls,{wide}le->{lead}se",
        )


@no_grad()
def _peak(scores: Tensor) -> Tensor:
    """The largest of each row; a finite number where all are -inf."""
    return scores.amax(-1, keepdim=True).maximum(finfo(scores.dtype).min)


def _grown_slope(g: Any, out: Any, *_: Any) -> Any:
    # The peak counts as a constant: the quotient does not depend on it.
    return g * out


@composite("exp", _grown_slope)
def _grown(scores: Tensor) -> Tensor:
    """e^(scores - peak)."""
    return (scores - _peak(scores)).exp()


@composite("exp", _grown_slope, None)
def _grown_where(scores: Tensor, visible: Tensor) -> Tensor:
    """e^(scores - peak), 0 where not visible."""
    seen = scores.where(visible, -math.inf)
    return (seen - _peak(seen)).exp()


def _scores_slope(
    g: Any,
    out: Any,
    scores: Any,
    value: Any,
    grown: Any,
    kept: Any,
    inverse: Any,
    *,
    spec: _Spec,
    thinned: bool,
) -> Any:
    """w (g v^T - sum_e g y), with weights w = grown / total."""
    share = g.contract(value, spec.to_scores)
    common = (g * out).sum(-1, keepdim=True)
    if thinned:
        return (kept * share - grown * common) * inverse
    return grown * ((share - common) * inverse)


def _value_slope(
    g: Any,
    out: Any,
    scores: Any,
    value: Any,
    grown: Any,
    kept: Any,
    inverse: Any,
    *,
    spec: _Spec,
    thinned: bool,
) -> Any:
    """w^T g."""
    return kept.contract(g * inverse, spec.to_value)


# The rules are whole ones with respect to scores and value; second derivatives come through
# `grown`, `kept` and `inverse`, which the rules read.
@composite("attention", _scores_slope, _value_slope, None, None, None)
def _means(
    scores: Tensor,
    value: Tensor,
    grown: Tensor,
    kept: Tensor,
    inverse: Tensor,
    *,
    spec: _Spec,
    thinned: bool,
) -> Tensor:
    return kept.contract(value, spec.means) * inverse


# --- what fits, and what is said when it does not -------------------------------------------------

_Sizes = tuple[int, ...]


def _checked(query: Tensor, key: Tensor, value: Tensor, grouped: bool) -> tuple[_Sizes, _Sizes]:
    """The leading dimensions of key and value, and the shape of the weights."""
    q, k, v = (x._value.shape for x in (query, key, value))
    text = f"scaled_dot_product_attention: query has shape {q}, key {k}, value {v}: "
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x._value.dtype.kind != "f":
            raise DTypeError(f"{text}floating numbers expected, {name} is {x.dtype!r}")
    least = 3 if grouped else 2
    if min(len(q), len(k), len(v)) < least:
        raise ShapeError(f"{text}each needs at least {least} dimensions, (..., length, width)")
    if q[-1] != k[-1]:
        raise ShapeError(f"{text}the last dimension of query and key must be the same")
    if k[-2] != v[-2]:
        raise ShapeError(f"{text}there must be a value for each key (dimension -2)")
    end = -3 if grouped else -2
    heads: _Sizes = ()
    if grouped:
        heads = (k[-3],)
        if k[-3] != v[-3] or not k[-3] or q[-3] % k[-3]:
            raise ShapeError(
                f"{text}with enable_gqa, key and value have equally many heads (dimension -3), "
                "and query a multiple of them"
            )
    try:
        lead = broadcast_shapes("attention", q[:end], k[:end], v[:end])
    except ShapeError:
        hint = "" if grouped else ". For more query heads than key heads, say enable_gqa=True"
        raise ShapeError(f"{text}leading dimensions do not broadcast{hint}") from None
    return (*lead, *heads), (*lead, *q[end:-1], k[-2])


def _led(x: Tensor, lead: _Sizes, is_grouped: bool, key: Tensor) -> Tensor:
    """`x` with all leading dimensions, and, if it has groups, a dimension for those."""
    if is_grouped:
        return x.expand((*lead[:-1], *x._value.shape[-3:])).unflatten(-3, (lead[-1], -1))
    return x.expand((*lead, *x._value.shape[-2:]))


def _mask_by_group(mask: Tensor | None, key: Tensor) -> Tensor | None:
    """A mask over heads as one over key's heads and the groups that share them."""
    if mask is None or len(mask._value.shape) < 3:
        return mask
    if mask._value.shape[-3] == 1:
        return mask.unsqueeze(-3)
    return mask.unflatten(-3, (key._value.shape[-3], -1))


def _require_mask(mask: Tensor | None, shape: _Sizes) -> None:
    if mask is None:
        return
    if mask._value.dtype.kind not in "bf":
        raise DTypeError(
            "scaled_dot_product_attention: attn_mask is bool, True where a query may look, or "
            f"floating, added to the scores; got {mask.dtype!r}. Use attn_mask.bool()"
        )
    given = mask._value.shape
    try:
        fits = broadcast_shapes("attention", given, shape) == shape
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(
            f"scaled_dot_product_attention: attn_mask has shape {given}, which does not broadcast "
            f"to {shape}, (..., queries, keys)"
        )
