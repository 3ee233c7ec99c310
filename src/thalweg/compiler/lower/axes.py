"""The normal form of a contraction: few axes, with the strides of all that is addressed.

    stream 0 = A,  stream 1 = B,  then every access of the epilogue and every store

Axes of size 1 go, axes are turned round where an operand runs backwards, and two axes that every
stream crosses as if they were one become one. So `x[b, t, k] W[k, n]` is a product of two
matrices, and a dense operand has few axes whatever it was reshaped from.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from thalweg.compiler.kernels import Axis, Buffer, Contraction

__all__ = ["A", "B", "Dim", "Form", "Role", "Stream", "normal_form"]

Role = Literal["batch", "row", "column", "inner"]
A, B = 0, 1


@dataclass(frozen=True, slots=True)
class Stream:
    """Something that is addressed at each point; no buffer: the address itself is the value."""

    buffer: Buffer | None
    offset: int


@dataclass(frozen=True, slots=True)
class Dim:
    """An axis: which operands it occurs in, its size, and its stride in every stream; `placed`: in
    one operand its places are looked up instead."""

    role: Role
    size: int
    strides: tuple[int, ...]
    placed: bool = False

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides, but for what is looked up in an axis of the result."""
        if not self.placed:
            return self.strides
        own = A if self.role == "row" else B
        return (*self.strides[:own], 0, *self.strides[own + 1 :])


@dataclass(frozen=True, slots=True)
class Form:
    """A contraction in normal form. `outer` are the axes of the result, `inner` those summed;
    `placed` is the operand, A or B, whose places along an axis are looked up."""

    streams: tuple[Stream, ...]
    outer: tuple[Dim, ...]
    inner: tuple[Dim, ...]
    placed: int | None = None

    def count(self, *roles: Role) -> int:
        """The number of points of the axes with these roles."""
        return math.prod(d.size for d in (*self.outer, *self.inner) if d.role in roles)

    def touched(self, buffer: Buffer) -> int:
        """Bytes of `buffer` read and written, each element once."""
        total = 0
        for number, stream in enumerate(self.streams):
            if stream.buffer is buffer:
                sizes = [d.size for d in (*self.outer, *self.inner) if d.strides[number]]
                total += min(math.prod(sizes), buffer.size) * buffer.dtype.itemsize
        return total


def normal_form(kernel: Contraction) -> Form:
    """The streams and axes of `kernel`, merged as far as strides allow."""
    streams, strides = _streams(kernel)
    named: list[tuple[Role, Axis, bool]] = [
        *(("batch", axis, False) for axis in kernel.batch),
        *(("row", axis, placed) for axis, placed in _marked(kernel, "rows")),
        *(("column", axis, placed) for axis, placed in _marked(kernel, "columns")),
    ]
    outer = [
        Dim(_role(role, axis), axis.size, (axis.a, axis.b, *(s[place] for s in strides)), placed)
        for place, (role, axis, placed) in enumerate(named)
    ]
    silent = (0,) * len(strides)
    inner = [
        Dim("inner", axis.size, (axis.a, axis.b, *silent), placed)
        for axis, placed in _marked(kernel, "inner")
    ]
    offsets = [stream.offset for stream in streams]
    padded = {(margin.inner, margin.size) for margin in kernel.margins}
    outer, inner = (_merged(_turned(dims, offsets), padded) for dims in (outer, inner))
    return Form(
        tuple(replace(s, offset=o) for s, o in zip(streams, offsets, strict=True)),
        tuple(sorted(outer, key=_reach, reverse=True)),
        tuple(sorted(inner, key=_reach, reverse=True)),
        kernel.places.operand if kernel.places else None,
    )


def _marked(kernel: Contraction, role: str) -> list[tuple[Axis, bool]]:
    """The axes of a role, and whether places along them are looked up."""
    places, axes = kernel.places, getattr(kernel, role)
    looked_up = places.axis if places is not None and places.role == role else None
    return [(axis, number == looked_up) for number, axis in enumerate(axes)]


def _streams(kernel: Contraction) -> tuple[list[Stream], list[tuple[int, ...]]]:
    """All streams in order, and the strides of those after A and B over the outer axes."""
    rank = len(kernel.batch) + len(kernel.rows) + len(kernel.columns)
    streams = [Stream(kernel.a, kernel.a_offset), Stream(kernel.b, kernel.b_offset)]
    strides: list[tuple[int, ...]] = []
    for scalar in kernel.epilogue:
        if scalar.op == "load":
            access = scalar.attributes["access"]
            streams.append(Stream(access.buffer, access.offset))
            strides.append(access.strides)
        elif scalar.op == "index":
            axis = scalar.attributes["axis"]
            streams.append(Stream(None, 0))
            strides.append(tuple(int(place == axis) for place in range(rank)))
    for store in kernel.stores:
        streams.append(Stream(store.access.buffer, store.access.offset))
        strides.append(store.access.strides)
    return streams, strides


def _role(role: Role, axis: Axis) -> Role:
    """A batch axis along which one operand is repeated is a row or a column."""
    if role == "batch" and axis.b == 0:
        return "row"
    return "column" if role == "batch" and axis.a == 0 else role


def _turned(dims: Sequence[Dim], offsets: list[int]) -> list[Dim]:
    """Without axes of size 1, and every axis in the direction in which most streams run forward."""
    kept: list[Dim] = []
    for dim in dims:
        if dim.size == 1:
            continue
        ways = sum((stride > 0) - (stride < 0) for stride in dim.strides)
        if ways < 0 and dim.size > 0 and not dim.placed:
            for stream, stride in enumerate(dim.strides):
                offsets[stream] += (dim.size - 1) * stride
            dim = replace(dim, strides=tuple(-stride for stride in dim.strides))
        kept.append(dim)
    return kept


def _merged(dims: list[Dim], padded: Collection[tuple[int, int]]) -> list[Dim]:
    """With every pair of axes that can be walked as one made one, but for those with padding (their
    strides in A, and sizes), parts of which are left out: that saves more than a loop costs."""
    for first, second in itertools.permutations(dims, 2):
        apart = any((d.strides[A], d.size) in padded for d in (first, second) if d.role == "inner")
        if _joins(first, second) and not apart:
            joined = replace(second, size=first.size * second.size)
            rest = (d for d in dims if d is not first and d is not second)
            return _merged([joined, *rest], padded)
    return dims


def _joins(outer: Dim, inner: Dim) -> bool:
    return (
        outer.role == inner.role
        and not (outer.placed or inner.placed)
        and all(o == inner.size * i for o, i in zip(outer.strides, inner.strides, strict=True))
    )


def _reach(dim: Dim) -> tuple[int, ...]:
    """How far a step goes: the axes with the longest steps are the outermost loops."""
    return (sum(map(abs, dim.strides)), dim.size, *dim.strides)
