"""Padding: more elements around a tensor, or, by negative amounts, fewer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked, one_of
from thalweg.ops.creation import arange

__all__ = ["pad"]

_BY_INDEX = ("circular", "reflect", "replicate")


@checked(mode=one_of("constant", *_BY_INDEX))
def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | bool | None = None
) -> Tensor:
    """The tensor with pad = (left, right, top, bottom, ...) more elements at its ends.

    Pairs count from the last dimension; negative amounts take elements away. `mode` says what is
    put there: "constant" (`value`, 0 unless given), "reflect" (the elements inside, without the
    edge), "replicate" (the edge), "circular" (those of the other end of what negative amounts
    leave). Any shape and dtype. Raises `ShapeError` where the amounts do not fit, `ConfigError` for
    another mode.

    >>> import thalweg as tw
    >>> x = tw.tensor([1, 2, 3])
    >>> tw.nn.functional.pad(x, (1, 2)), tw.nn.functional.pad(x, (2, 0), mode="reflect")
    (tensor([0, 1, 2, 3, 0, 0]), tensor([3, 2, 1, 2, 3]))
    """
    amounts = _by_dimension(input._value.shape, tuple(pad))
    if mode == "constant":
        return _with_constant(input, amounts, 0 if value is None else value)
    if value is not None:
        raise ConfigError(f"pad: value is for the constant mode, and mode is {mode!r}")
    for axis, (before, after) in enumerate(amounts):
        if before or after:
            input = _by_index(input, axis, before, after, mode)
    return input


def _by_dimension(shape: tuple[int, ...], pad: tuple[int, ...]) -> list[tuple[int, int]]:
    """(before, after) for every dimension, the first one first."""
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ShapeError(
            f"pad: {len(pad)} amounts for shape {shape}; expected a pair for each of at most "
            f"{len(shape)} dimensions, the last dimension first"
        )
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    amounts = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    for axis, (size, (before, after)) in enumerate(zip(shape, amounts, strict=True)):
        if size + before + after < 0:
            raise ShapeError(f"pad: {before}, {after} leave nothing of dimension {axis} of {shape}")
    return amounts


def _with_constant(x: Tensor, amounts: list[tuple[int, int]], value: float) -> Tensor:
    if any(min(pair) < 0 for pair in amounts):
        starts = tuple(max(-before, 0) for before, _ in amounts)
        taken = [max(-before, 0) + max(-after, 0) for before, after in amounts]
        sizes = tuple(size - t for size, t in zip(x._value.shape, taken, strict=True))
        x = x.window(starts, sizes, (1,) * len(starts))
    low, high = (tuple(max(pair[side], 0) for pair in amounts) for side in (0, 1))
    return x.padded(low, high, value=value)


def _by_index(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    if mode == "circular" and min(before, after) < 0:  # of what is left, as in PyTorch
        first, last = max(-before, 0), x._value.shape[axis] - max(-after, 0)
        x, before, after = x.narrow(axis, first, last - first), max(before, 0), max(after, 0)
    size = x._value.shape[axis]
    reach = {"reflect": size - 1, "circular": size}.get(mode, math.inf if size else 0)
    if max(before, after) > reach:
        raise ShapeError(
            f"pad: {before}, {after} around dimension {axis} of shape {x._value.shape}: "
            f"{mode} has {max(reach, 0)} elements to take from"
        )
    return x.index_select(axis, _source(arange(-before, size + after), size, mode))


def _source(place: Tensor, size: int, mode: str) -> Tensor:
    """Where the elements at `place`, from before the start to after the end, come from."""
    if mode == "reflect":
        return (size - 1) - ((size - 1) - place.abs()).abs()
    if mode == "circular":
        return place.remainder(size)
    return place.maximum(0).minimum(size - 1)
