"""What the functions of this package ask of their arguments, and what they say when it is not so.

Nothing here looks at values on the way: a check of values is an index that is out of range where
they are wrong, so that the same lines can be traced. Values are read only to explain an error.
"""

from __future__ import annotations

import math
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

__all__ = [
    "first_place",
    "reduced",
    "require",
    "require_broadcast",
    "require_divisor",
    "require_integers",
    "require_order",
    "require_same_shape",
    "weighted",
]

_Shape = tuple[int, ...]


def weighted(name: str, losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """`reduced` of weighted losses, whose mean divides by the sum of the weights."""
    if weight is None:
        return reduced(name, losses, reduction)
    require_same_shape(name, losses, weight, "weight")
    if reduction == "mean":
        return (losses * weight).sum() / weight.sum()
    return reduced(name, losses * weight, reduction)


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


def require_same_shape(name: str, input: Tensor, target: Tensor, what: str = "target") -> None:
    """A `ShapeError` unless input and target have one shape: a loss never broadcasts them."""
    shape, wanted = input._value.shape, target._value.shape
    if shape != wanted:
        raise ShapeError(
            f"{name}: input has shape {shape}, {what} {wanted}. They must have the same shape: "
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


def require_divisor(name: str, what: str, divisor: int, **numbers: int) -> None:
    """A `ConfigError` unless each of `numbers` is a multiple of `divisor`, which is called `what`.

    >>> require_divisor("Conv2d", "groups", 4, in_channels=6)
    Traceback (most recent call last):
    thalweg.errors.ConfigError: Conv2d: groups=4 must divide in_channels=6; 1, 2, 3, 6 would
    """
    if all(number % divisor == 0 for number in numbers.values()):
        return
    given = " and ".join(f"{name}={number}" for name, number in numbers.items())
    common = math.gcd(*numbers.values())
    fitting = [str(n) for n in range(1, common + 1) if common % n == 0]
    shown = ", ".join(fitting if len(fitting) < 9 else [*fitting[:7], "..", fitting[-1]])
    raise ConfigError(f"{name}: {what}={divisor} must divide {given}; {shown} would")


def require_order(name: str, low: str, high: str, given: tuple[float, float]) -> None:
    """A `ConfigError` if the first of two numbers, which are called `low` and `high`, is larger."""
    if given[0] > given[1]:
        raise ConfigError(f"{name}: {low}={given[0]} is above {high}={given[1]}; exchange them")


def require_broadcast(name: str, what: str, x: Tensor, shape: _Shape) -> None:
    """A `ShapeError` unless `x`, which is called `what`, broadcasts to `shape`."""
    given = x._value.shape
    pairs = zip(reversed(given), reversed(shape), strict=False)
    if len(given) > len(shape) or any(n not in (1, m) for n, m in pairs):
        raise ShapeError(
            f"{name}: {what} has shape {given}, expected one that broadcasts to that of the "
            f"input, {shape}"
        )


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
