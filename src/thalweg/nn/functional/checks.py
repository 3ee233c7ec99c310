"""What the functions of this package ask of their arguments, and what they say when it is not so.

Nothing here looks at values on the way: a check of values is an index that is out of range where
they are wrong, so that the same lines can be traced. Values are read only to explain an error.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg._tensor import Tensor
from thalweg.dtypes import float32, int64
from thalweg.errors import (
    ConfigError,
    DTypeError,
    OutOfRangeError,
    ShapeError,
    ThalwegError,
    nearest,
)
from thalweg.ops.lift import literal, to_dtype

__all__ = ["first_place", "reduced", "require", "require_integers", "require_same_shape"]

_Shape = tuple[int, ...]


def reduced(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of `losses`, or, for "none", `losses`; else a `ConfigError`."""
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ConfigError(
        f"{name}: no reduction {reduction!r}: {nearest(str(reduction), ('mean', 'none', 'sum'))}"
    )


def require_same_shape(name: str, input: Tensor, target: Tensor) -> None:
    """A `ShapeError` unless input and target have one shape: a loss never broadcasts them."""
    shape, wanted = input._value.shape, target._value.shape
    if shape != wanted:
        raise ShapeError(
            f"{name}: input has shape {shape}, target {wanted}. They must have the same shape: "
            f"broadcasting would compare every element with others. {_to_line_up(shape, wanted)}"
        )


def _to_line_up(input: _Shape, target: _Shape) -> str:
    """The likely fix for shapes that differ."""
    if input == (*target, 1):
        return "Use input.squeeze(-1), or target.unsqueeze(-1)"
    if target == (*input, 1):
        return "Use target.squeeze(-1), or input.unsqueeze(-1)"
    ones = [n for n in input if n != 1], [n for n in target if n != 1]
    if ones[0] == ones[1]:
        return f"They differ by dimensions of size 1 only: use target.reshape({input})"
    return "If repeating the target is meant, say so: target.expand_as(input)"


def require_integers(name: str, what: str, x: Tensor) -> None:
    """A `DTypeError` unless `x` holds integers."""
    if x._value.dtype.kind not in "iu":
        raise DTypeError(f"{name}: {what} are integers, got {x.dtype!r}; convert with .long()")


def require(holds: Tensor, error: Callable[[], ThalwegError]) -> None:
    """Raise `error()` unless `holds` (bool) is true everywhere.

    Reads a list of one element at place 0 where it holds, and 1, out of range, where it does not.
    """
    only = literal(0.0, float32).reshape(1)
    try:
        only.gather_places((to_dtype(~holds, int64),), (0,), wrap=False)
    except OutOfRangeError:
        raise error() from None


def first_place(wrong: Tensor) -> tuple[int, ...]:
    """The first place where `wrong` (bool) holds, for an error message."""
    return tuple(wrong.nonzero()[0].tolist())
