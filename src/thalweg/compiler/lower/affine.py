"""Counters and what is linear in them, as one scalar: start + sum of stride[axis] * i[axis].

`i * 30 + j` then crosses axes as an address does, so that axes can still be merged, and random
words that follow each other are known to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.compiler.kernels import Loop, Scalar
from thalweg.compiler.lower.emit import I64

__all__ = ["with_affine"]

_OPERATORS = {"literal", "index", "add", "subtract", "multiply"}


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    strides: tuple[int, ...]

    @property
    def is_constant(self) -> bool:
        return not any(self.strides)

    def plus(self, other: _Line, factor: int) -> _Line:
        pairs = zip(self.strides, other.strides, strict=True)
        return _Line(self.start + factor * other.start, tuple(a + factor * b for a, b in pairs))

    def times(self, factor: int) -> _Line:
        return _Line(self.start * factor, tuple(stride * factor for stride in self.strides))


def with_affine(loop: Loop) -> Loop:
    """`loop` with "affine" scalars (attributes start, strides) for all that are linear in the
    counters, and 0 for scalars that nothing uses any more."""
    lines: list[_Line | None] = []
    scalars = []
    for scalar in (*loop.body, *loop.tail):
        line = _line(scalar, lines, len(loop.space)) if scalar.dtype == I64 else None
        lines.append(line)
        if line is not None and not line.is_constant:
            attributes = {"start": line.start, "strides": line.strides}
            scalar = Scalar("affine", (), scalar.dtype, attributes)
        scalars.append(scalar)
    scalars = _without_unused(scalars, loop)
    count = len(loop.body)
    return replace(loop, body=tuple(scalars[:count]), tail=tuple(scalars[count:]))


def _line(scalar: Scalar, lines: Sequence[_Line | None], rank: int) -> _Line | None:
    if scalar.op not in _OPERATORS:
        return None
    if scalar.op == "literal":
        return _Line(int(scalar.attributes["value"]), (0,) * rank)
    if scalar.op == "index":
        axis = scalar.attributes["axis"]
        return _Line(0, tuple(int(place == axis) for place in range(rank)))
    a, b = (lines[number] for number in scalar.inputs)
    if a is None or b is None:
        return None
    if scalar.op != "multiply":
        return a.plus(b, 1 if scalar.op == "add" else -1)
    if a.is_constant:
        return b.times(a.start)
    return a.times(b.start) if b.is_constant else None


def _without_unused(scalars: list[Scalar], loop: Loop) -> list[Scalar]:
    used = {store.value for store in loop.stores} | {r.value for r in loop.reductions}
    used |= {indirect.index for store in loop.stores for indirect in store.access.indirect}
    for number in reversed(range(len(scalars))):
        if number in used:
            used |= set(scalars[number].inputs)
            if scalars[number].op == "load":
                used |= {i.index for i in scalars[number].attributes["access"].indirect}
    return [
        scalar if number in used else Scalar("literal", (), scalar.dtype, {"value": 0})
        for number, scalar in enumerate(scalars)
    ]
