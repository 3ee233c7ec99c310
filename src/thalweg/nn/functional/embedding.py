"""Rows by number: embedding, and its transpose's friend, one-hot vectors."""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, OutOfRangeError, ShapeError
from thalweg.nn.functional.checks import first_place, require_integers
from thalweg.ops import creation
from thalweg.ops.creation import arange
from thalweg.tape import composite

__all__ = ["embedding", "one_hot"]


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of `weight`, (V, D), that the integers in `input` name: weight[input].

    Input of any shape (...), from 0 to V - 1; result (..., D). The gradient of a row is the sum
    over the places that name it; the row `padding_idx` (negative: counted from the end) gets none.

    Raises `OutOfRangeError` with the first index that is not one of the rows, `DTypeError` if
    they are no integers, `ConfigError` if padding_idx is not one of the rows.

    >>> import thalweg as tw
    >>> table = tw.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> tw.nn.functional.embedding(tw.tensor([2, 1]), table)
    tensor([[3., 4.],
            [1., 2.]])

    Source: deck 003 (word embeddings).
    """
    require_integers("embedding: the input", "indices", input)
    shape = weight._value.shape
    if len(shape) != 2:
        raise ShapeError(f"embedding: weight has shape {shape}, expected (V, D), a row an index")
    try:
        if padding_idx is None:
            return weight.gather_places((input,), (0,), wrap=False)
        if not -shape[0] <= padding_idx < shape[0]:
            raise ConfigError(f"embedding: padding_idx {padding_idx} is not one of {shape[0]} rows")
        return _padded_embedding(weight, input, padding=padding_idx % shape[0])
    except OutOfRangeError:
        raise _index_error(input, shape) from None


def _padded_embedding_slope(g: Any, out: Any, weight: Any, index: Any, *, padding: int) -> Any:
    kept = g.masked_fill(index.eq(padding).unsqueeze(-1), 0)
    return kept.scatter_places((index,), weight._value.shape, (0,), wrap=False)


@composite("embedding", _padded_embedding_slope, None)
def _padded_embedding(weight: Tensor, index: Tensor, *, padding: int) -> Tensor:
    return weight.gather_places((index,), (0,), wrap=False)


def _index_error(index: Tensor, shape: tuple[int, ...]) -> OutOfRangeError:
    place = first_place((index < 0) | (index >= shape[0]))
    return OutOfRangeError(
        f"embedding: index {index[place].item()} at {place} is out of range: weight has shape "
        f"{shape}, so indices run from 0 to {shape[0] - 1}. num_embeddings is the number of "
        "different indices, one more than the largest"
    )


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
