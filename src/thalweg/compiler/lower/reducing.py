"""The arithmetic of reductions: identities, steps, and how partial results join.

A partial result is a list of values: one, or for argmax and argmin the best element and its
position. A position of `NOWHERE` says that nothing beat the identity yet. The largest and the
smallest of floats come with the largest bits so far, but for the sign: whether one was NaN is asked
at the end, for a step that keeps NaN waits three times as long for the one before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.kernels import Reduce
from thalweg.compiler.lower.emit import BOOL, I64, U32, U64, Builder, DType, Value
from thalweg.compiler.lower.scalars import RULES
from thalweg.compiler.lower.spelling import bits_of

__all__ = [
    "Partial",
    "combined",
    "identity",
    "joined",
    "nothing",
    "of_any",
    "of_lanes",
    "result",
    "step",
]

Partial = list[Value]
NOWHERE = 2**63 - 1
_RULES = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}


def _positional(reduction: Reduce) -> bool:
    return reduction.kind.startswith("arg")


def _is_watched(reduction: Reduce, dtype: DType) -> bool:
    return reduction.kind in ("max", "min") and dtype.kind == "f"


def _better(kind: str, a: Value, b: Value) -> Value:
    """One of two floats, were neither NaN."""
    return (a > b if kind == "max" else a < b).select(a, b)


def _size(value: Value) -> Value:
    """The bits of a float without its sign: of NaN the largest."""
    bits = value.bitcast(bits_of(value.dtype))
    return bits << 1


def _is_number(bits: Value) -> Value:
    """Whether no bits so far were those of NaN."""
    infinity = -(1 << 24) if bits.dtype.itemsize == 4 else -(1 << 53)
    unsigned = U32 if bits.dtype.itemsize == 4 else U64
    return bits.retyped(unsigned) <= bits.like(infinity).retyped(unsigned)


def _neutral(kind: str, dtype: DType) -> Any:
    """What changes nothing: for a sum of floats -0, so that even the sign of 0 is kept."""
    if kind == "sum":
        return -0.0 if dtype.kind == "f" else 0
    if kind == "prod":
        return 1
    largest = kind.endswith("min")
    if dtype.kind == "f":
        return math.inf if largest else -math.inf
    if dtype.kind == "b":
        return largest
    return np.iinfo(dtype).max if largest else np.iinfo(dtype).min


def identity(b: Builder, reduction: Reduce, dtype: DType, lanes: int) -> Partial:
    """The partial result of nothing, for values of `dtype`."""
    start = [b.constant(_neutral(reduction.kind, dtype), dtype, lanes)]
    if _is_watched(reduction, dtype):
        return [*start, b.constant(0, bits_of(dtype), lanes)]
    return [*start, b.constant(NOWHERE, I64, lanes)] if _positional(reduction) else start


def nothing(b: Builder, reduction: Reduce) -> Partial:
    """The result over an axis of size 0, for the kinds that have one."""
    return [b.constant(0 if reduction.kind == "sum" else 1, reduction.dtype)]


def step(
    reduction: Reduce, partial: Partial, value: Value, position: Value | None, mask: Value | None
) -> Partial:
    """Take in `value`, at `position`, in the lanes where `mask` is true."""
    if mask is not None:
        value = mask.select(value, value.like(_neutral(reduction.kind, value.dtype)))
    if _is_watched(reduction, value.dtype):
        return joined(reduction, partial, [value, _size(value)])
    if not _positional(reduction):
        return [RULES[_RULES[reduction.kind]](partial[0], value)]
    assert position is not None
    best, place = partial
    better = _beats(reduction.kind, value, best)
    return [better.select(value, best), better.select(position, place)]


def _beats(kind: str, value: Value, best: Value) -> Value:
    """Strictly better; NaN is better than any number."""
    better = value > best if kind == "argmax" else value < best
    if value.dtype.kind != "f":
        return better
    return better | (value.is_nan() & ~best.is_nan())


def joined(reduction: Reduce, a: Partial, b: Partial) -> Partial:
    """Two partial results as one; of equal elements that at the lower position."""
    if _is_watched(reduction, a[0].dtype):
        bits = a[1].builder.intrinsic("umax", a[1], b[1])
        return [_better(reduction.kind, a[0], b[0]), bits]
    if not _positional(reduction):
        return [RULES[_RULES[reduction.kind]](a[0], b[0])]
    better = _beats(reduction.kind, b[0], a[0])
    worse = _beats(reduction.kind, a[0], b[0])
    wins = better | (~worse & (b[1] < a[1]))
    return [wins.select(b[0], a[0]), wins.select(b[1], a[1])]


def of_lanes(reduction: Reduce, partial: Partial) -> Partial:
    """The lanes of one vector joined, half by half, to a scalar."""
    if _is_watched(reduction, partial[0].dtype) and partial[0].lanes > 1:
        best, bits = partial
        while best.lanes > 1:
            best = _better(reduction.kind, *_halves(best))
        return [best, of_any(~_is_number(bits)).select(bits.builder.constant(-1, bits.dtype), 0)]
    while partial[0].lanes > 1:
        halves = [_halves(value) for value in partial]
        partial = joined(reduction, [low for low, _ in halves], [high for _, high in halves])
    return partial


def _halves(value: Value) -> tuple[Value, Value]:
    if value.lanes == 2:
        low, high = (_lane(value, lane) for lane in (0, 1))
        return low, high
    low, high = (
        _lanes(value, range(first, first + value.lanes // 2)) for first in (0, value.lanes // 2)
    )
    return low, high


def _lane(value: Value, lane: int) -> Value:
    return value.builder.op(f"extractelement {value.typed}, i64 {lane}", value.dtype)


def _lanes(value: Value, lanes: Sequence[int]) -> Value:
    order = ", ".join(f"i32 {lane}" for lane in lanes)
    text = f"shufflevector {value.typed}, {value.type} poison, <{len(lanes)} x i32> <{order}>"
    return value.builder.op(text, value.dtype, len(lanes))


def result(reduction: Reduce, partial: Partial) -> Value:
    """What the tail sees: the one value, or the position; 0 where all are as low as can be."""
    if _is_watched(reduction, partial[0].dtype):
        return _is_number(partial[1]).select(partial[0], math.nan)
    if not _positional(reduction):
        return partial[0]
    return partial[1].equals(NOWHERE).select(0, partial[1])


def combined(reduction: Reduce, a: Value, b: Value) -> Value:
    """The results over some points and over others, as one."""
    return RULES[_RULES[reduction.kind]](a, b)


def of_any(mask: Value) -> Value:
    """Whether any lane of a mask is true."""
    if mask.lanes == 1:
        return mask
    b = mask.builder
    bits = b.op(f"bitcast {mask.typed} to i{mask.lanes}", BOOL)
    return b.op(f"icmp ne i{mask.lanes} {bits.text}, 0", BOOL)
