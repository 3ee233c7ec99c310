"""Multi-head attention: projections of query, key and value, attention a head, a projection."""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import DTypeError, ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.attention import attend, causal
from thalweg.nn.functional.checks import require_divisor
from thalweg.nn.functional.linear import linear
from thalweg.nn.functional.padding import pad
from thalweg.ops.joining import cat

__all__ = ["multi_head_attention_forward"]

_Three = tuple[Any, Any, Any]


@checked()
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `nn.MultiheadAttention` computes, from all of its parameters; see there.

    Query (L, N, E), key (S, N, Ek), value (S, N, Ev), or the first two dimensions exchanged with
    `batch_first`, or without samples, (L, E); `attn_mask` and `key_padding_mask` as there. The
    result (L, N, E), and the weights. `in_proj_weight` (3 E, E) holds the three projections, or,
    with `use_separate_proj_weight`, `q_proj_weight` (E, E), `k_proj_weight` (E, Ek) and
    `v_proj_weight` (E, Ev) do. `bias_k` and `bias_v`, (1, 1, E), are one more key and value,
    `add_zero_attn` one more of zeros; `static_k` and `static_v` (N heads, S, E / heads) take the
    place of those projected.

    Raises `ShapeError`, `DTypeError` or `ConfigError` that name the argument.

    >>> import thalweg as tw
    >>> x, w = tw.ones(3, 4), tw.eye(4)
    >>> out, weights = tw.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, tw.cat([w, w, w]), None, None, None, False, 0.0, w, None)
    >>> out.shape, weights.tolist()[0]
    (Size([3, 4]), [0.3333333432674408, 0.3333333432674408, 0.3333333432674408])
    """
    _check(query, key, value, embed_dim_to_check, num_heads)
    weights = (
        (q_proj_weight, k_proj_weight, v_proj_weight)
        if use_separate_proj_weight
        else in_proj_weight
    )
    shape = _mask_shape(query, key, num_heads, batch_first)
    visible, bias = _masks(attn_mask, key_padding_mask, is_causal, shape)
    parts = list(_projected(query, key, value, weights, in_proj_bias))
    if bias_k is not None and bias_v is not None:
        axis = 1 if batch_first and query.ndim == 3 else 0
        parts[1:] = (_longer(x, b, axis) for x, b in zip(parts[1:], (bias_k, bias_v), strict=True))
    q, k, v = (_heads(x, num_heads, batch_first) for x in parts)
    k = k if static_k is None else _static("static_k", static_k, k)
    v = v if static_v is None else _static("static_v", static_v, v)
    if add_zero_attn:
        k, v = (cat([x, x.narrow(-2, 0, 1).zeros_like()], -2) for x in (k, v))
    more = k._value.shape[-2] - shape[-1]
    visible, bias = (
        m if m is None or not more else pad(m, (0, more), value=m is visible)
        for m in (visible, bias)
    )
    out, used = attend(q, k, v, visible, bias, dropout_p if training else 0.0, weights=need_weights)
    out = linear(_joined(out, batch_first), out_proj_weight, out_proj_bias)
    return out, used.mean(-3) if used is not None and average_attn_weights else used


# --- projections ----------------------------------------------------------------------------------


def _projected(query: Tensor, key: Tensor, value: Tensor, weights: Any, bias: Any) -> _Three:
    """Query, key and value times their weights: in one product where they are the same tensor."""
    if isinstance(weights, tuple):
        wide = (None, None, None) if bias is None else bias.chunk(3)
        q, k, v = map(linear, (query, key, value), weights, wide)
        return q, k, v
    if query is key and key is value:
        q, k, v = linear(query, weights, bias).chunk(3, -1)
        return q, k, v
    size = query._value.shape[-1]
    if key is value:
        first, rest = _parted(weights, bias, [size, 2 * size])
        k, v = linear(key, *rest).chunk(2, -1)
        return linear(query, *first), k, v
    q, k, v = (
        linear(x, *part)
        for x, part in zip((query, key, value), _parted(weights, bias, [size] * 3), strict=True)
    )
    return q, k, v


def _parted(weight: Tensor, bias: Tensor | None, sizes: list[int]) -> list[tuple[Any, Any]]:
    """Weight and bias in parts of so many rows."""
    biases = [None] * len(sizes) if bias is None else bias.split(sizes)
    return list(zip(weight.split(sizes), biases, strict=True))


def _heads(x: Tensor, heads: int, batch_first: bool) -> Tensor:
    """(L, N, E), or (N, L, E), to (N, heads, L, E / heads); (L, E) to (heads, L, E / heads)."""
    apart = x.unflatten(-1, (heads, x._value.shape[-1] // heads))
    if len(x._value.shape) == 3 and not batch_first:
        return apart.permute(1, 2, 0, 3)
    return apart.transpose(-3, -2)


def _joined(x: Tensor, batch_first: bool) -> Tensor:
    """`_heads`, back."""
    if len(x._value.shape) == 4 and not batch_first:
        return x.permute(2, 0, 1, 3).flatten(-2)
    return x.transpose(-3, -2).flatten(-2)


def _longer(x: Tensor, more: Tensor, axis: int) -> Tensor:
    """`x` with one more place along the sequence, the same for each sample."""
    shape = list(x._value.shape)
    shape[axis] = 1
    return cat([x, more.reshape(-1).expand(shape)], axis)


def _static(name: str, given: Tensor, projected: Tensor) -> Tensor:
    """(N heads, S, E / heads) as (N, heads, S, E / heads)."""
    *lead, _, width = projected._value.shape
    try:
        return given.reshape(*lead, -1, width)
    except ShapeError:
        raise ShapeError(
            f"multi_head_attention_forward: {name} has shape {given._value.shape}, expected "
            f"(samples times heads, length, {width})"
        ) from None


# --- masks ----------------------------------------------------------------------------------------


def _masks(
    attn_mask: Tensor | None,
    key_padding_mask: Tensor | None,
    is_causal: bool,
    shape: tuple[int, ...],
) -> tuple[Tensor | None, Tensor | None]:
    """Where a query may look (bool), and what is added to the scores, for weights of `shape`."""
    *lead, heads, rows, columns = shape
    given = []
    if attn_mask is not None:
        wide = (*lead[:1], heads, rows, columns)
        flat = ((rows, columns), (lead[0] * heads if lead else heads, rows, columns))
        given.append(_mask("attn_mask", attn_mask, dict(zip(flat, (flat[0], wide), strict=True))))
    if key_padding_mask is not None:
        narrow = {(*lead, columns): (*lead, *(1, 1)[: 2 * len(lead)], columns)}
        given.append(_mask("key_padding_mask", key_padding_mask, narrow))
    visible = causal(rows, columns) if is_causal else None
    bias = None
    for mask in given:
        if mask._value.dtype.kind == "b":
            visible = ~mask if visible is None else visible & ~mask
        else:
            bias = mask if bias is None else bias + mask
    return visible, bias


def _mask(name: str, mask: Tensor, shapes: dict[tuple[int, ...], tuple[int, ...]]) -> Tensor:
    """A mask of one of the shapes, in the shape that goes with it."""
    if mask._value.dtype.kind not in "bf":
        raise DTypeError(
            f"MultiheadAttention: {name} is bool, True where not to look, or floating, added to "
            f"the scores; got {mask.dtype!r}. Use {name}.bool()"
        )
    given = tuple(mask._value.shape)
    if given not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ShapeError(f"MultiheadAttention: {name} has shape {given}, expected {wanted}")
    return mask.reshape(shapes[given])


# --- what fits ------------------------------------------------------------------------------------


def _check(query: Tensor, key: Tensor, value: Tensor, size: int, heads: int) -> None:
    q, k, v = (tuple(x._value.shape) for x in (query, key, value))
    text = f"MultiheadAttention: query has shape {q}, key {k}, value {v}: "
    if len(q) not in (2, 3) or len({len(q), len(k), len(v)}) > 1:
        raise ShapeError(
            f"{text}all three have a length, a batch (unless it is one sample) and a width"
        )
    if q[-1] != size:
        raise ShapeError(f"{text}the query must have embed_dim = {size} as its last dimension")
    if k[:-1] != v[:-1]:
        raise ShapeError(f"{text}there must be a value for each key")
    require_divisor("MultiheadAttention", "num_heads", heads, embed_dim=size)


def _mask_shape(query: Tensor, key: Tensor, heads: int, batch_first: bool) -> tuple[int, ...]:
    """The shape of the weights, (N, heads, L, S), or (heads, L, S) for one sample."""
    q, k = query._value.shape, key._value.shape
    if len(q) == 2:
        return (heads, q[0], k[0])
    batch, length = (0, 1) if batch_first else (1, 0)
    if q[batch] != k[batch]:
        raise ShapeError(
            f"MultiheadAttention: query has shape {q}, key {k}: {q[batch]} and {k[batch]} samples "
            f"(dimension {batch}, since batch_first is {batch_first})"
        )
    return (q[batch], heads, q[length], k[length])
