"""Rows by number: embedding, bags of rows, and its transpose's friend, one-hot vectors."""

from __future__ import annotations

import math
from typing import Any

from thalweg._tensor import Tensor
from thalweg.dtypes import int64
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError
from thalweg.nn.functional.arguments import checked, least, one_of
from thalweg.nn.functional.checks import first_place, require, require_integers
from thalweg.ops import creation
from thalweg.ops.creation import arange, full
from thalweg.ops.joining import cat
from thalweg.tape import composite, no_grad

__all__ = ["BAGS", "embedding", "embedding_bag", "one_hot"]


@checked()
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """The rows of `weight`, (V, D), that the integers in `input` name: weight[input].

    Input of any shape (...), from 0 to V - 1; result (..., D). The gradient of a row is the sum
    over the places that name it, or with `scale_grad_by_freq` their mean; the row `padding_idx`
    (negative: counted from the end) gets none. With `max_norm`, the rows that are named and whose
    `norm_type`-norm is larger are scaled down to it first, in `weight` itself.

    Raises `OutOfRangeError` with the first index that is not one of the rows, `DTypeError` if
    they are no integers, `ConfigError` if padding_idx is not one of the rows.

    >>> import thalweg as tw
    >>> table = tw.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> tw.nn.functional.embedding(tw.tensor([2, 1]), table)
    tensor([[3., 4.],
            [1., 2.]])

    Source: deck 003 (word embeddings).
    """
    padding = _checked("embedding", input, weight, padding_idx)
    try:
        if max_norm is not None:
            _shorten(weight, input, max_norm, norm_type)
        if padding is None and not scale_grad_by_freq:
            return weight.gather_places((input,), (0,), wrap=False)
        return _looked_up(weight, input, padding=padding, shared=scale_grad_by_freq)
    except OutOfRangeError:
        raise _index_error(input, weight._value.shape) from None


def _checked(name: str, input: Tensor, weight: Tensor, padding_idx: int | None) -> int | None:
    """`padding_idx` counted from the front; an error for what does not fit."""
    require_integers(f"{name}: the input", "indices", input)
    shape = weight._value.shape
    if len(shape) != 2:
        raise ShapeError(f"{name}: weight has shape {shape}, expected (V, D), a row an index")
    if padding_idx is None:
        return None
    if not -shape[0] <= padding_idx < shape[0]:
        raise ConfigError(f"{name}: padding_idx {padding_idx} is not one of {shape[0]} rows")
    return int(padding_idx % shape[0])


@no_grad()
def _shorten(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale down the rows of `weight` at `index` that are longer than `max_norm`."""
    places = index.flatten()
    rows = weight.gather_places((places,), (0,), wrap=False)
    norms = rows.norm(norm_type, -1, keepdim=True)
    share = (max_norm / (norms + 1e-7)).where(norms > max_norm, 1)
    weight[places] = rows * share


def _looked_up_slope(
    g: Any, out: Any, weight: Any, index: Any, *, padding: int | None, shared: bool
) -> Any:
    if shared:
        count = weight._value.shape[0]
        ones = index.eq(index).to(g.dtype)
        times = ones.scatter_places((index,), (count,), (0,), wrap=False)
        g = g / times.gather_places((index,), (0,), wrap=False).unsqueeze(-1)
    if padding is not None:
        g = g.masked_fill(index.eq(padding).unsqueeze(-1), 0)
    return g.scatter_places((index,), weight._value.shape, (0,), wrap=False)


@composite("embedding", _looked_up_slope, None)
def _looked_up(weight: Tensor, index: Tensor, *, padding: int | None, shared: bool) -> Tensor:
    return weight.gather_places((index,), (0,), wrap=False)


BAGS = ("sum", "mean", "max")


@checked(mode=one_of(*BAGS))
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of `weight` (V, D) that a bag of integers names.

    Input (B, n): B bags of n; or (n,) with `offsets` (B,), where each bag begins, from 0 on, with
    `include_last_offset` (B + 1,), the last one where the last bag ends. Result (B, D).
    `per_sample_weights`, of input's shape, weigh the rows of a sum. Indices equal to `padding_idx`
    do not count; an empty bag gives zeros. Other options and errors as for `embedding`, and
    `OutOfRangeError` for offsets that do not rise from 0 to at most n. A maximum over bags of
    different lengths takes B n D operations.

    >>> import thalweg as tw
    >>> table = tw.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> tw.nn.functional.embedding_bag(tw.tensor([2, 1, 1]), table, tw.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [1., 2.]])

    Source: Joulin et al., "Bag of tricks for efficient text classification", 2017.
    """
    padding = _checked("embedding_bag", input, weight, padding_idx)
    _check_bags(input, offsets, include_last_offset, mode, per_sample_weights)
    rows = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    kept = input.eq(input) if padding is None else input.ne(padding)
    if offsets is None:
        return _pooled(rows, kept, mode)
    count = input._value.shape[0]
    ends = offsets if include_last_offset else cat([offsets, full((1,), count, dtype=int64)])
    _check_offsets(ends, count)
    bags = ends._value.shape[0] - 1
    place = arange(count).unsqueeze(-1)
    bag = (place >= ends.narrow(0, 0, bags)).sum(-1) - 1  # the last one that begins before it
    if include_last_offset:
        kept = kept & (place < ends.narrow(0, bags, 1)).squeeze(-1)
    if mode == "max":
        own = bag.eq(arange(bags).unsqueeze(-1)) & kept
        return _pooled(rows.expand(bags, *rows._value.shape), own, mode)
    rows = rows.where(kept.unsqueeze(-1), 0)
    sums = rows.scatter_places((bag,), (bags, rows._value.shape[1]), (0,), wrap=False)
    if mode == "sum":
        return sums
    sizes = kept.to(rows.dtype).scatter_places((bag,), (bags,), (0,), wrap=False)
    return sums / sizes.maximum(1).unsqueeze(-1)


def _check_bags(
    input: Tensor, offsets: Tensor | None, last: bool, mode: str, per_sample_weights: Tensor | None
) -> None:
    shape = input._value.shape
    if len(shape) != (2 if offsets is None else 1):
        raise ShapeError(
            f"embedding_bag: an input (B, n) without offsets, or (n,) with offsets, expected; got "
            f"shape {shape} {'without' if offsets is None else 'with'} offsets"
        )
    if offsets is not None:
        require_integers("embedding_bag", "offsets", offsets)
        if len(offsets._value.shape) != 1 or (last and not offsets._value.shape[0]):
            wanted = "(B + 1,) with include_last_offset" if last else "(B,)"
            given = offsets._value.shape
            raise ShapeError(f"embedding_bag: offsets {wanted} expected, got {given}")
    if per_sample_weights is not None and mode != "sum":
        raise ConfigError(f"embedding_bag: per_sample_weights weigh a sum, and mode is {mode!r}")
    if per_sample_weights is not None and per_sample_weights._value.shape != shape:
        raise ShapeError(
            f"embedding_bag: per_sample_weights has shape {per_sample_weights._value.shape}, "
            f"expected that of the input, {shape}"
        )


def _check_offsets(ends: Tensor, count: int) -> None:
    first, last = ends.narrow(0, 0, 1), ends.narrow(0, ends._value.shape[0] - 1, 1)
    rise = (ends.diff() >= 0).all() & first.eq(0).all() & (last <= count).all()
    require(
        rise,
        lambda: OutOfRangeError(
            f"embedding_bag: offsets {ends.tolist()} (the last: where the last bag ends) must rise "
            f"from 0 to at most {count}, the number of indices: each says where a bag begins"
        ),
    )


def _pooled(rows: Tensor, kept: Tensor, mode: str) -> Tensor:
    """rows (B, n, D) over n, of which those in `kept` (B, n) count."""
    kept = kept.unsqueeze(-1)
    if mode == "max":
        if not rows._value.shape[-2]:
            return rows.sum(-2)
        largest: Tensor = rows.where(kept, -math.inf).max(-2).values
        return largest.where(kept.any(-2), 0)
    sums = rows.where(kept, 0).sum(-2)
    sizes = kept.sum(-2).maximum(1).to(rows.dtype)
    return sums if mode == "sum" else sums / sizes


def _index_error(index: Tensor, shape: tuple[int, ...]) -> OutOfRangeError:
    place = first_place((index < 0) | (index >= shape[0]))
    return OutOfRangeError(
        f"embedding: index {index[place].item()} at {place} is out of range: weight has shape "
        f"{shape}, so indices run from 0 to {shape[0] - 1}. num_embeddings is the number of "
        "different indices, one more than the largest"
    )


@checked(num_classes=least(-1))
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the place of each label, 0 elsewhere: (...) to (..., num_classes), int64.

    Without `num_classes`, one more than the largest label. Raises `OutOfRangeError` for a label
    that is negative or not below num_classes, `DTypeError` if labels are no integers.

    >>> import thalweg as tw
    >>> tw.nn.functional.one_hot(tw.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    require_integers("one_hot", "labels", tensor)
    hot = creation.one_hot(tensor, num_classes)
    classes = hot._value.shape[-1]
    try:
        arange(classes).gather_places((tensor,), (0,), wrap=False)
    except OutOfRangeError:
        place = first_place((tensor < 0) | (tensor >= classes))
        raise OutOfRangeError(
            f"one_hot: label {tensor[place].item()} at {place} is out of range: "
            f"{classes} classes are numbered 0 to {classes - 1}"
        ) from None
    return hot
