"""The shape of a loop nest: which axes, in which order, and which of them a vector runs along.

`arranged` rewrites a loop kernel for its own good without changing what it computes: axes of
size 1 go, axes are ordered by the strides of what is written, then read, and neighbours that
every access crosses as if they were one become one. `vector_axis` then weighs each axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thalweg.compiler.kernels import Access, Loop, Scalar, Store
from thalweg.compiler.lower.affine import with_affine
from thalweg.compiler.lower.scalars import flops

__all__ = ["Vectors", "accesses", "arranged", "dependencies", "in_order", "points", "vector_axis"]

# What a vector's worth of an access costs, in additions: unit stride, the same place, elsewhere.
_UNIT, _SAME = 1.0, 0.3
_ELSEWHERE_A_LANE = 1.2


def points(space: Sequence[int]) -> int:
    """How many points a space has."""
    return math.prod(space)


def accesses(loop: Loop) -> Iterator[Access]:
    """Every access: the stores, then the loads."""
    for store in loop.stores:
        yield store.access
    for scalar in (*loop.body, *loop.tail):
        if scalar.op == "load":
            yield scalar.attributes["access"]


def arranged(loop: Loop, rows: int = 1) -> tuple[Loop, int]:
    """The same loop with few axes, kept ones first, outermost first; and how many of the first
    have the points of `rows` together, which stay the first."""
    loop, lead = with_affine(loop), 0
    while points(loop.space[:lead]) < rows:
        lead += 1
    axes = [axis for axis, size in enumerate(loop.space) if size != 1]
    first = [axis for axis in axes if axis < lead]
    rest = sorted((axis for axis in axes if axis >= lead), key=_outermost(loop))
    groups = _merged(loop, first)
    return _regrouped(loop, [*groups, *_merged(loop, rest)]), len(groups)


def in_order(loop: Loop) -> Loop:
    """The same loop with few axes, in the order they are given in."""
    loop = with_affine(loop)
    return _regrouped(loop, _merged(loop, [a for a, size in enumerate(loop.space) if size != 1]))


def _outermost(loop: Loop) -> Callable[[int], tuple[Any, ...]]:
    stores = [store.access for store in loop.stores]
    loads = [access for access in accesses(loop) if access not in stores]

    def key(axis: int) -> tuple[Any, ...]:
        written = max((abs(access.strides[axis]) for access in stores), default=0)
        read = sum(abs(access.strides[axis]) for access in loads)
        return (axis in loop.reduced, -written, -read, axis)

    return key


def _merged(loop: Loop, order: Sequence[int]) -> list[list[int]]:
    """Neighbouring axes in groups that can be one loop each."""
    positional = any(reduction.kind.startswith("arg") for reduction in loop.reductions)
    groups: list[list[int]] = []
    for axis in order:
        reduced = axis in loop.reduced
        if groups and not (reduced and positional):
            last = groups[-1][-1]
            if (last in loop.reduced) == reduced and _adjacent(loop, last, axis):
                groups[-1].append(axis)
                continue
        groups.append([axis])
    return groups


def _adjacent(loop: Loop, outer: int, inner: int) -> bool:
    size = loop.space[inner]
    return all(strides[outer] == strides[inner] * size for strides in _all_strides(loop))


def _all_strides(loop: Loop) -> Iterator[tuple[int, ...]]:
    """Of accesses, and of whatever else is linear in the counters."""
    yield from (access.strides for access in accesses(loop))
    for scalar in (*loop.body, *loop.tail):
        if scalar.op == "affine":
            yield scalar.attributes["strides"]


def _regrouped(loop: Loop, groups: Sequence[Sequence[int]]) -> Loop:
    """The loop over one axis a group."""

    def grouped(strides: Sequence[int]) -> tuple[int, ...]:
        return tuple(strides[group[-1]] for group in groups)

    def moved(access: Access) -> Access:
        return replace(access, strides=grouped(access.strides))

    def renamed(scalar: Scalar) -> Scalar:
        if scalar.op == "load":
            return replace(scalar, attributes={"access": moved(scalar.attributes["access"])})
        if scalar.op == "affine":
            strides = grouped(scalar.attributes["strides"])
            return replace(scalar, attributes={**scalar.attributes, "strides": strides})
        return scalar

    return replace(
        loop,
        space=tuple(points([loop.space[axis] for axis in group]) for group in groups),
        body=tuple(map(renamed, loop.body)),
        tail=tuple(map(renamed, loop.tail)),
        stores=tuple(Store(store.value, moved(store.access)) for store in loop.stores),
        reduced=tuple(n for n, group in enumerate(groups) if group[0] in loop.reduced),
    )


def dependencies(loop: Loop) -> list[frozenset[int]]:
    """For each scalar the axes along which it may change."""
    kept = frozenset(range(len(loop.space))) - frozenset(loop.reduced)
    found: list[frozenset[int]] = []
    for scalar in (*loop.body, *loop.tail):
        axes = frozenset().union(*(found[number] for number in scalar.inputs))
        match scalar.op:
            case "load":
                axes |= _of_access(scalar.attributes["access"], found)
            case "affine":
                axes |= _moving(scalar.attributes["strides"])
            case "reduced":
                axes |= kept
        found.append(axes)
    return found


def _of_access(access: Access, found: Sequence[frozenset[int]]) -> frozenset[int]:
    axes = _moving(access.strides)
    return axes.union(*(found[indirect.index] for indirect in access.indirect))


def _moving(strides: Sequence[int]) -> frozenset[int]:
    return frozenset(axis for axis, stride in enumerate(strides) if stride)


def _element_bytes(scalars: Sequence[Scalar], depends: Sequence[frozenset[int]], axis: int) -> int:
    """The size of the elements that vectors along `axis` mostly hold: of the floats, if any."""
    varying = [
        s.dtype
        for s, axes in zip(scalars, depends, strict=True)
        if axis in axes and s.dtype.kind != "b"
    ]
    floats = [dtype.itemsize for dtype in varying if dtype.kind == "f"]
    if floats:
        return min(floats)
    return max((dtype.itemsize for dtype in varying), default=1)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of `lanes` run along `axis` (None: there is none, everything is scalar)."""

    axis: int | None
    lanes: int


def vector_axis(loop: Loop, vector_bits: int, first: int = 0) -> Vectors:
    """The axis, from the `first` on, along which vectors do the work with the least effort."""
    depends = dependencies(loop)
    choices = []
    for axis, size in enumerate(loop.space):
        if size == 0 or axis < first:
            continue
        bytes = _element_bytes((*loop.body, *loop.tail), depends, axis)
        lanes = min(vector_bits // (8 * bytes), 1 << (size - 1).bit_length())
        choices.append((_effort(loop, depends, axis, lanes), -axis, Vectors(axis, lanes)))
    if not choices:
        return Vectors(None, 1)
    return min(choices, key=lambda choice: choice[:2])[2]


def _effort(loop: Loop, depends: Sequence[frozenset[int]], axis: int, lanes: int) -> float:
    """Additions a point, when vectors of `lanes` run along `axis`."""
    body = sum(_work(s, depends[n], axis, lanes) for n, s in enumerate(loop.body))
    first = len(loop.body)
    tail = sum(_work(s, depends[first + n], axis, lanes) for n, s in enumerate(loop.tail))
    stores = sum(_traffic(store.access, axis, lanes) for store in loop.stores)
    size = loop.space[axis]
    body *= -(-size // lanes) / size  # a vector does `lanes` points, the last one fewer
    if not loop.reduced:
        return body + stores * -(-size // lanes) / size
    turns = max(1, points([loop.space[a] for a in loop.reduced]))
    if axis in loop.reduced:
        across = 6.0 * max(1, lanes.bit_length() - 1) * len(loop.reductions)
        return body + (tail + stores + across) / turns
    return body + (tail + stores) * -(-size // lanes) / size / turns


def _work(scalar: Scalar, depends: frozenset[int], axis: int, lanes: int) -> float:
    """What is the same all along a vector is computed once for many of them."""
    if scalar.op == "load":
        return _traffic(scalar.attributes["access"], axis, lanes)
    return flops(scalar.op, scalar.dtype) * (1.0 if axis in depends else 0.1)


def _traffic(access: Access, axis: int, lanes: int) -> float:
    stride = access.strides[axis]
    if stride == 1:
        return _UNIT
    return _SAME if stride == 0 else _ELSEWHERE_A_LANE * lanes
