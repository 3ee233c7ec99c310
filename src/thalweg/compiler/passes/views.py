"""Addresses: movement as arithmetic on offsets and strides.

An `Affine` is a number that depends on the loop counters: offset + sum of stride * counter, plus
computed parts (`Indirect`). It says where along an axis, or where in a buffer, a point stands.
A `Place` lays a value over the row-major elements of a stored one.

Movement works both ways. `moved` follows it forwards, from where a value is stored to where its
transpose, slice, ... is stored; `moved_index` backwards, from a point of the result to the point
of the operand that it shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thalweg.compiler.graph import Variable
from thalweg.compiler.kernels import Indirect
from thalweg.primitives.windows import window_counts

__all__ = [
    "Affine",
    "Place",
    "Undivided",
    "address",
    "constant",
    "contiguous",
    "elements",
    "moved",
    "moved_index",
    "narrowed",
    "row_major",
    "spread",
    "strip_ones",
]

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Affine:
    """offset + sum over loops of strides[loop] * counter[loop] + sum of indirect stride * index."""

    offset: int
    strides: Shape
    indirect: tuple[Indirect, ...] = ()

    def __add__(self, other: Affine) -> Affine:
        strides = tuple(a + b for a, b in zip(self.strides, other.strides, strict=True))
        return Affine(self.offset + other.offset, strides, self.indirect + other.indirect)

    def times(self, factor: int) -> Affine:
        """This, `factor` times."""
        strides = tuple(factor * stride for stride in self.strides)
        indirect = tuple(replace(part, stride=factor * part.stride) for part in self.indirect)
        return Affine(factor * self.offset, strides, indirect)

    def plus(self, number: int) -> Affine:
        """This and `number`."""
        return Affine(self.offset + number, self.strides, self.indirect)


def constant(number: int, loops: int) -> Affine:
    """The same number at every point of so many loops."""
    return Affine(number, (0,) * loops)


@dataclass(frozen=True, slots=True)
class Place:
    """Element [i, j, ..] of a value is element offset + i s0 + j s1 + .. of the stored `root`."""

    root: Variable
    offset: int
    shape: Shape
    strides: Shape


def row_major(shape: Shape) -> Shape:
    """The strides of a contiguous array.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)


def contiguous(root: Variable) -> Place:
    """A stored value as it lies."""
    return Place(root, 0, root.shape, row_major(root.shape))


def address(offset: int, strides: Shape, index: Sequence[Affine], loops: int) -> Affine:
    """The address of the element at `index`, one `Affine` an axis."""
    total = constant(offset, loops)
    for stride, at in zip(strides, index, strict=True):
        total = total + at.times(stride)
    return total


def spread(shape: Shape, sizes: Shape, strides: Sequence[Shape]) -> list[Affine]:
    """The index, into a value of `shape`, at each point of loops whose row-major order is its own.

    `sizes` are the loops', a refinement of `shape`; `strides` has the counter of each loop as a
    unit vector among all loops of the kernel.
    """
    loops = list(zip(sizes, strides, strict=True))
    rank = len(strides[0]) if strides else 0
    index: list[Affine] = []
    for size in reversed(shape):
        at, reach = constant(0, rank), 1
        while reach < size:
            count, unit = loops.pop()
            at = at + Affine(0, unit).times(reach)
            reach *= count
        index.append(at)
    return index[::-1]


# --- forwards: from the operand's place to the result's ------------------------------------------


def moved(name: str, attributes: Attributes, place: Place) -> Place | None:
    """Where the result of a movement of what stands at `place` stands; None: nowhere."""
    shape, strides, offset = place.shape, place.strides, place.offset
    if name == "transpose":
        axes = attributes["axes"]
        shape = tuple(shape[axis] for axis in axes)
        strides = tuple(strides[axis] for axis in axes)
    elif name == "slice":
        starts, steps = attributes["starts"], attributes["steps"]
        offset += sum(a * b for a, b in zip(starts, strides, strict=True))
        strides = tuple(a * b for a, b in zip(strides, steps, strict=True))
        shape = attributes["sizes"]
    elif name == "flip":
        for axis in attributes["axes"]:
            offset += (shape[axis] - 1) * strides[axis]
        turn = [-1 if axis in attributes["axes"] else 1 for axis in range(len(shape))]
        strides = tuple(a * b for a, b in zip(strides, turn, strict=True))
    elif name == "broadcast":
        new = attributes["shape"]
        extra = len(new) - len(shape)
        kept = zip(shape, new[extra:], strides, strict=True)
        strides = (0,) * extra + tuple(s if n == m else 0 for n, m, s in kept)
        shape = new
    elif name == "windows":
        lead, sizes = len(shape) - len(attributes["sizes"]), attributes["sizes"]
        counts = window_counts(shape, sizes, attributes["strides"], attributes["dilations"])
        over = tuple(a * b for a, b in zip(strides[lead:], attributes["strides"], strict=True))
        inside = tuple(a * b for a, b in zip(strides[lead:], attributes["dilations"], strict=True))
        shape, strides = (*shape[:lead], *counts, *sizes), (*strides[:lead], *over, *inside)
    else:
        reshaped = _reshaped_strides(shape, strides, attributes["shape"])
        if reshaped is None:
            return None
        shape, strides = attributes["shape"], reshaped
    return Place(place.root, offset, shape, strides)


def _reshaped_strides(shape: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides of `new` over the same elements, if there are any."""
    result = [0] * len(new)
    for old_axes, new_axes in _groups(shape, new):
        axes = [axis for axis in old_axes if shape[axis] != 1]
        for before, after in itertools.pairwise(axes):
            if strides[before] != strides[after] * shape[after]:
                return None
        step = strides[axes[-1]] if axes else 0
        for axis in reversed(new_axes):
            result[axis] = step if new[axis] != 1 else 0
            step *= new[axis]
    return tuple(result)


def _groups(shape: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Runs of axes of both shapes with the same product, as short as they can be."""
    groups = []
    i, j = len(shape), len(new)
    while i or j:
        ours: list[int] = []
        theirs: list[int] = []
        a = b = 1
        while a != b or not (ours or theirs):
            if (a <= b and i) or not j:
                i -= 1
                ours.insert(0, i)
                a *= shape[i]
            else:
                j -= 1
                theirs.insert(0, j)
                b *= new[j]
        groups.append((ours, theirs))
    return groups


# --- backwards: from a point of the result to one of the operand ---------------------------------


def moved_index(
    name: str, attributes: Attributes, shape: Shape, index: Sequence[Affine], sizes: Shape
) -> list[Affine] | None:
    """The point of an operand of `shape` that the result of a movement shows at `index`.

    `sizes` are the loops'. None where a reshape takes division; raises `Undivided` where it would
    not, were a loop two loops.
    """
    if name == "transpose":
        by_axis = dict(zip(attributes["axes"], index, strict=True))
        return [by_axis[axis] for axis in range(len(shape))]
    if name == "slice":
        window = zip(attributes["starts"], attributes["steps"], index, strict=True)
        return [at.times(step).plus(start) for start, step, at in window]
    if name == "flip":
        turned = attributes["axes"]
        return [
            at.times(-1).plus(shape[axis] - 1) if axis in turned else at
            for axis, at in enumerate(index)
        ]
    if name == "broadcast":
        return narrowed(shape, index, len(sizes))
    if name == "windows":
        rank = len(attributes["sizes"])
        lead, over, inside = index[: -2 * rank], index[-2 * rank : -rank], index[-rank:]
        steps = zip(over, attributes["strides"], inside, attributes["dilations"], strict=True)
        return [*lead, *(at.times(s) + within.times(d) for at, s, within, d in steps)]
    return _reshaped_index(shape, attributes["shape"], index, sizes)


def narrowed(shape: Shape, index: Sequence[Affine], loops: int) -> list[Affine]:
    """The point of an operand of `shape` that broadcasts: always 0 along an axis of size 1."""
    last = index[len(index) - len(shape) :]
    return [constant(0, loops) if n == 1 else at for n, at in zip(shape, last, strict=True)]


def _reshaped_index(
    shape: Shape, new: Shape, index: Sequence[Affine], sizes: Shape
) -> list[Affine] | None:
    loops = len(sizes)
    result = [constant(0, loops)] * len(shape)
    for old_axes, new_axes in _groups(shape, new):
        axes = [axis for axis in old_axes if shape[axis] != 1]
        lengths = tuple(new[axis] for axis in new_axes)
        rest = address(0, row_major(lengths), [index[axis] for axis in new_axes], loops)
        for axis in reversed(axes[1:]):
            divided = _divided(rest, shape[axis], sizes)
            if divided is None:
                return None
            rest, result[axis] = divided
        if axes:
            result[axes[0]] = rest
    return result


class Undivided(Exception):
    """A loop should be two, the inner one of this size, for an index to be affine."""

    def __init__(self, loop: int, inner: int) -> None:
        super().__init__(loop, inner)
        self.loop = loop
        self.inner = inner


def _divided(number: Affine, by: int, sizes: Shape) -> tuple[Affine, Affine] | None:
    """Quotient and remainder, where both are affine: each loop belongs to one or the other."""
    if number.indirect:
        return None
    quotient, remainder = divmod(number.offset, by)
    high = [stride // by if stride % by == 0 else 0 for stride in number.strides]
    low = [0 if stride % by == 0 else stride for stride in number.strides]
    ends = [stride * (size - 1) for stride, size in zip(low, sizes, strict=True)]
    least = remainder + sum(end for end in ends if end < 0)
    most = remainder + sum(end for end in ends if end > 0)
    if least < 0 or most >= by:
        for loop, (stride, size) in enumerate(zip(low, sizes, strict=True)):
            inner = by // stride if stride > 0 and by % stride == 0 else size
            if inner < size and size % inner == 0:
                raise Undivided(loop, inner)
        return None
    return Affine(quotient, tuple(high)), Affine(remainder, tuple(low))


def strip_ones(shape: Shape) -> Shape:
    """The axes of more than one element."""
    return tuple(size for size in shape if size != 1)


def elements(shape: Shape) -> int:
    """How many elements an array of `shape` has."""
    return math.prod(shape)
