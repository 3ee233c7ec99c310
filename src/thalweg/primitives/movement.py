"""Movement: the same elements in another arrangement. Linear, so each VJP is another movement,
and each JVP the same one.

Attributes are normalized by the callers in `thalweg.ops`: axes non-negative, sizes resolved.
Evaluation gives NumPy views where it can: values are immutable, so nobody can tell.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.primitives.core import (
    Abstract,
    AnyOperand,
    Shape,
    broadcast_shapes,
    check_kind,
    leading,
    linear,
    primitive,
    same_dtype,
)
from thalweg.primitives.elementwise import unbroadcast

__all__ = [
    "broadcast",
    "concatenate",
    "flip",
    "hold",
    "pad",
    "reshape",
    "slice_",
    "transpose",
]

Result = tuple[Shape, np.dtype[Any]]


def _reshape_infer(x: Abstract, *, shape: Shape) -> Result:
    if math.prod(shape) != math.prod(x.shape) or min(shape, default=0) < 0:
        raise ShapeError(
            f"reshape: {x.shape} has {math.prod(x.shape)} elements, "
            f"{shape} asks for {math.prod(shape)}"
        )
    return shape, x.dtype


def _transpose_infer(x: Abstract, *, axes: Shape) -> Result:
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(
            f"permute: {axes} is no permutation of the {len(x.shape)} dimensions of {x.shape}"
        )
    return tuple(x.shape[axis] for axis in axes), x.dtype


def _inverse(axes: Shape) -> Shape:
    inverse = [0] * len(axes)
    for position, axis in enumerate(axes):
        inverse[axis] = position
    return tuple(inverse)


def _broadcast_infer(x: Abstract, *, shape: Shape) -> Result:
    fits = len(shape) >= len(x.shape) and min(shape, default=0) >= 0
    if not fits or broadcast_shapes("expand", x.shape, shape) != shape:
        raise ShapeError(
            f"expand: {x.shape} does not broadcast to {shape}: "
            "only dimensions of size 1 can be repeated, new ones are added in front"
        )
    return shape, x.dtype


def _slice_infer(x: Abstract, *, starts: Shape, sizes: Shape, steps: Shape) -> Result:
    for axis, (size, start, count, step) in enumerate(
        zip(x.shape, starts, sizes, steps, strict=True)
    ):
        last = start + (count - 1) * step if count else start - 1
        if start < 0 or step < 1 or count < 0 or last >= size:
            raise ShapeError(
                f"slice: {count} elements from {start} by steps of {step} do not lie in "
                f"dimension {axis} of shape {x.shape}"
            )
    return sizes, x.dtype


def _slice(x: Any, *, starts: Shape, sizes: Shape, steps: Shape) -> Any:
    window = zip(starts, sizes, steps, strict=True)
    out = x[tuple(slice(start, start + count * step, step) for start, count, step in window)]
    if out.shape != sizes:
        _slice_infer(x, starts=starts, sizes=sizes, steps=steps)
    return out


def _slice_vjp(g: Any, out: Any, x: Any, *, starts: Shape, sizes: Shape, steps: Shape) -> Any:
    low, high, inner = [], [], []
    for size, start, count, step in zip(x.shape, starts, sizes, steps, strict=True):
        reach = max(count - 1, 0) * step + min(count, 1)
        low.append(start)
        high.append(size - start - reach)
        inner.append(step - 1)
    return g.padded(tuple(low), tuple(high), tuple(inner))


def _pad_infer(x: Abstract, *, low: Shape, high: Shape, inner: Shape, value: float) -> Result:
    shape = tuple(
        before + size + max(size - 1, 0) * between + after
        for size, before, after, between in zip(x.shape, low, high, inner, strict=True)
    )
    if min((*low, *high, *inner), default=0) < 0 or min(shape, default=0) < 0:
        raise ShapeError(f"pad: negative padding {low}, {high} of shape {x.shape}; slice instead")
    if value:
        check_kind("pad", x.dtype, "fiub")
    return shape, x.dtype


def _pad(x: Any, *, low: Shape, high: Shape, inner: Shape, value: float) -> Any:
    shape, dtype = _pad_infer(x, low=low, high=high, inner=inner, value=value)
    out = np.full(shape, value, dtype)
    steps = [between + 1 for between in inner]
    window = zip(low, x.shape, steps, strict=True)
    out[tuple(slice(start, start + size * step, step) for start, size, step in window)] = x
    return out


def _pad_vjp(
    g: Any, out: Any, x: Any, *, low: Shape, high: Shape, inner: Shape, value: float
) -> Any:
    return g.window(low, x.shape, tuple(between + 1 for between in inner))


def _concatenate_infer(*operands: Abstract, axis: int) -> Result:
    dtype = same_dtype("cat", *operands)
    first = operands[0].shape
    for operand in operands[1:]:
        rest = operand.shape
        if len(rest) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(first, rest, strict=True)) if i != axis
        ):
            shapes = ", ".join(str(o.shape) for o in operands)
            raise ShapeError(
                f"cat: shapes {shapes} differ outside dimension {axis}; "
                "all other dimensions must be equal"
            )
    return (*first[:axis], sum(o.shape[axis] for o in operands), *first[axis + 1 :]), dtype


def _concatenate_vjp(position: int, g: Any, out: Any, *operands: Any, axis: int) -> Any:
    start = sum(o.shape[axis] for o in operands[:position])
    return g.narrow(axis, start, operands[position].shape[axis])


# --- many cases at once: the axis of cases stays in front --------------------------------------


def _behind(axes: Shape) -> Shape:
    return tuple(axis + 1 for axis in axes)


def _broadcast_batch(apply: Any, size: int, batched: Any, x: Any, *, shape: Shape) -> Any:
    own = x._value.shape[1:]
    return apply(x.reshape((size, *(1,) * (len(shape) - len(own)), *own)), shape=(size, *shape))


def _slice_batch(
    apply: Any, size: int, batched: Any, x: Any, *, starts: Shape, sizes: Shape, steps: Shape
) -> Any:
    return apply(x, starts=(0, *starts), sizes=(size, *sizes), steps=(1, *steps))


def _pad_batch(
    apply: Any,
    size: int,
    batched: Any,
    x: Any,
    *,
    low: Shape,
    high: Shape,
    inner: Shape,
    value: float,
) -> Any:
    return apply(x, low=(0, *low), high=(0, *high), inner=(0, *inner), value=value)


def _pad_jvp(apply: Any, tangents: Any, out: Any, x: Any, *, value: float, **sides: Shape) -> Any:
    return None if tangents[0] is None else apply(tangents[0], value=0, **sides)


def _hold_infer(x: Abstract, after: Abstract) -> Result:
    return x.shape, x.dtype


def _hold_batch(apply: Any, size: int, batched: Any, x: Any, after: Any) -> Any:
    """Every case, even where only what is waited for has cases."""
    return apply(x if batched[0] else x.expand((size, *x._value.shape)), after)


def _concatenate_jvp(apply: Any, tangents: Any, out: Any, *operands: Any, axis: int) -> Any:
    if all(t is None for t in tangents):
        return None
    pairs = zip(tangents, operands, strict=True)
    return apply(*[x.zeros_like() if t is None else t for t, x in pairs], axis=axis)


def _concatenate_batch(apply: Any, size: int, batched: Any, *operands: Any, axis: int) -> Any:
    return leading(apply, size, batched, *operands, axis=axis + 1)


# fmt: off
reshape     = primitive("reshape", _reshape_infer, lambda x, *, shape: x.reshape(shape),
                        (lambda g, out, x, *, shape: g.reshape(x._value.shape),), linear,
                        lambda apply, size, batched, x, *, shape: apply(x, shape=(size, *shape)))
transpose   = primitive("transpose", _transpose_infer, lambda x, *, axes: x.transpose(axes),
                        (lambda g, out, x, *, axes: g.permute(_inverse(axes)),), linear,
                        lambda apply, size, batched, x, *, axes: apply(x, axes=(0, *_behind(axes))))
broadcast   = primitive("broadcast", _broadcast_infer, lambda x, *, shape: np.broadcast_to(x, shape),
                        (lambda g, out, x, *, shape: unbroadcast(g, x),), linear, _broadcast_batch)
slice_      = primitive("slice", _slice_infer, _slice, (_slice_vjp,), linear, _slice_batch)
pad         = primitive("pad", _pad_infer, _pad, (_pad_vjp,), _pad_jvp, _pad_batch)
flip        = primitive("flip", lambda x, *, axes: (x.shape, x.dtype), lambda x, *, axes: np.flip(x, axes),
                        (lambda g, out, x, *, axes: g.flip(axes),), linear,
                        lambda apply, size, batched, x, *, axes: apply(x, axes=_behind(axes)))
concatenate = primitive("concatenate", _concatenate_infer,
                        lambda *operands, axis: np.concatenate(operands, axis=axis), AnyOperand(_concatenate_vjp),
                        _concatenate_jvp, _concatenate_batch)
# x itself, not before `after` is there: what a program computes from it is not shared with what it
# computed from x before.
hold        = primitive("hold", _hold_infer, lambda x, after: x, (lambda g, out, x, after: g, None), linear, _hold_batch)
# fmt: on
