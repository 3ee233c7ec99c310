"""What convolutions and pooling ask of their arguments, and padding that may also crop."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import is_listed, is_whole
from thalweg.tape import not_a_tensor

__all__ = ["Shape", "Sizes", "enclosed", "per_axis", "require_images", "spans", "spell_windows"]

Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = int | Sequence[int]

_AXES = {1: "L", 2: "H, W"}


def per_axis(name: str, what: str, given: Any, rank: int, least: int) -> Shape:
    """A number for each of the `rank` axes, from one for all or one each; else a `ConfigError`.

    >>> per_axis("conv2d", "stride", 2, 2, least=1)
    (2, 2)
    """
    sizes = (given,) if is_whole(given) else tuple(given) if is_listed(given) else ()
    sizes = sizes * rank if len(sizes) == 1 else sizes
    if len(sizes) != rank or not all(is_whole(n) and n >= least for n in sizes):
        each = f" or {rank} of them" if rank > 1 else ""
        raise ConfigError(
            f"{name}: {what}={given!r}; expected a whole number of {least} or more{each}"
        )
    return tuple(map(operator.index, sizes))


def spans(sizes: Shape, dilations: Shape) -> Shape:
    """How many elements a window reaches over along each axis: d (k - 1) + 1."""
    return tuple(d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True))


def require_images(name: str, input: Tensor, rank: int) -> None:
    """An error unless `input` is a tensor (N, C, ..) or (C, ..) with `rank` axes to slide over."""
    if not isinstance(input, Tensor):
        raise not_a_tensor(name, input)
    shape = input._value.shape
    if len(shape) in (rank + 1, rank + 2):
        return
    axes = _AXES[rank]
    text = f"{name}: an input of shape (N, C, {axes}) or (C, {axes}) expected, got {shape}"
    if len(shape) == rank:
        sizes = "(C, L)" if rank == 1 else "(C, H, W)"
        raise ShapeError(
            f"{text}. It has no channels: x.unsqueeze(0) gives it one; flattened samples get their "
            f"shape back with x.unflatten(-1, {sizes})"
        )
    raise ShapeError(text)


def enclosed(
    x: Tensor, low: Shape, high: Shape, inner: Shape | None = None, value: float = 0
) -> Tensor:
    """The last axes with `value` before, after and between the elements; below 0 takes away."""
    rest = (0,) * (len(x._value.shape) - len(low))
    spread = rest + inner if inner and any(inner) else None
    if spread or max((*low, *high)) > 0:
        below, above = (tuple(max(n, 0) for n in side) for side in (low, high))
        x = x.padded(rest + below, rest + above, spread, value)
    if min((*low, *high)) >= 0:
        return x
    starts = rest + tuple(max(-n, 0) for n in low)
    ends = rest + tuple(max(-n, 0) for n in high)
    sizes = tuple(n - a - b for n, a, b in zip(x._value.shape, starts, ends, strict=True))
    return x.window(starts, sizes, (1,) * len(sizes))


def spell_windows(strides: Shape, low: Shape, high: Shape, **more: Shape) -> str:
    """Where windows stand, for the graph: strides, and what else is there.

    >>> spell_windows((1, 1), (1, 1), (1, 1), dilation=(1, 1))
    '<stride (1, 1), padding (1, 1)>'
    """
    parts = [f"stride {strides}"]
    if any((*low, *high)):
        parts.append(f"padding {low}" if low == high else f"padding {low} and {high}")
    parts += [f"{name} {value}" for name, value in more.items() if set(value) != {1}]
    return f"<{', '.join(parts)}>"
