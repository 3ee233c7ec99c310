"""Reductions in parts: over some rows each, to be joined by another loop.

A sum over rows can so be made a few rows at a time, and by several threads, in an order that is
always the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from thalweg.compiler.kernels import Access, Buffer, Loop, Reduce, Scalar, Store

__all__ = ["counted", "divided", "in_parts"]

_MOST_PARTS, _FEWEST_PARTS = 64, 8
_FEWEST_ROWS = 8  # of a part


def in_parts(loop: Loop, rows: int) -> tuple[Loop, Loop] | None:
    """`loop`, which reduces over its first axis, of `rows` points or a multiple, in two: one whose
    first axes are the parts and the rows of one, which stores each part's results, and one that
    joins these.

    None where it does not reduce so, or where no fitting number of parts divides the rows.
    """
    positional = any(reduction.kind.startswith("arg") for reduction in loop.reductions)
    if not loop.reductions or positional or 0 not in loop.reduced or 0 in counted(loop):
        return None
    parts = _parts(rows)
    if parts is None or not loop.space[0] or loop.space[0] % rows:
        return None
    if loop.space[0] != rows:
        loop = divided(loop, 0, rows)
    kept = [axis for axis in range(len(loop.space)) if axis not in loop.reduced]
    sizes = (parts, *(loop.space[axis] for axis in kept))
    steps = tuple(math.prod(sizes[place + 1 :]) for place in range(len(sizes)))
    name = loop.tail_stores[0].access.buffer.name
    results = [
        Buffer(f"{name}.{number}", math.prod(sizes), reduction.dtype, "temporary")
        for number, reduction in enumerate(loop.reductions)
    ]
    return _made(loop, parts, kept, steps, results), _joined(loop, kept, sizes, steps, results)


def _parts(rows: int) -> int | None:
    """The most parts that rows fall into evenly."""
    most = min(_MOST_PARTS, rows // _FEWEST_ROWS)
    return next((n for n in range(most, _FEWEST_PARTS - 1, -1) if not rows % n), None)


def _made(
    loop: Loop, parts: int, kept: Sequence[int], steps: Sequence[int], results: Sequence[Buffer]
) -> Loop:
    """The loop that reduces some rows at a time."""
    whole, first = divided(loop, 0, parts), len(loop.body)
    strides = [steps[0]] + [0] * len(loop.space)
    for axis, step in zip(kept, steps[1:], strict=True):
        strides[axis + 1] = step
    tail = [Scalar("reduced", (), r.dtype, {"number": n}) for n, r in enumerate(loop.reductions)]
    stores = [Store(first + n, Access(b, 0, tuple(strides))) for n, b in enumerate(results)]
    reduced = tuple(axis for axis in whole.reduced if axis)
    return replace(whole, reduced=reduced, tail=tuple(tail), stores=(*whole.body_stores, *stores))


def _joined(
    loop: Loop,
    kept: Sequence[int],
    sizes: tuple[int, ...],
    steps: tuple[int, ...],
    results: Sequence[Buffer],
) -> Loop:
    """The loop that reduces the parts' results, and goes on with `loop`'s tail."""
    by = len(results) - len(loop.body)
    place = {axis: number for number, axis in enumerate(kept, 1)}

    def access(old: Access) -> Access:
        indirect = tuple(replace(part, index=part.index + by) for part in old.indirect)
        return replace(old, strides=(0, *(old.strides[a] for a in kept)), indirect=indirect)

    def scalar(old: Scalar) -> Scalar:
        changed = dict(old.attributes)
        if old.op == "load":
            changed["access"] = access(old.attributes["access"])
        elif old.op == "index":
            changed["axis"] = place[old.attributes["axis"]]
        return replace(old, inputs=tuple(n + by for n in old.inputs), attributes=changed)

    loads = [Scalar("load", (), b.dtype, {"access": Access(b, 0, steps)}) for b in results]
    names = [scalar.op for scalar in loop.tail if scalar.op not in _SILENT]
    return Loop(
        space=sizes,
        body=tuple(loads),
        stores=tuple(Store(s.value + by, access(s.access)) for s in loop.tail_stores),
        reduced=(0,),
        reductions=tuple(Reduce(r.kind, n, r.dtype) for n, r in enumerate(loop.reductions)),
        tail=tuple(map(scalar, loop.tail)),
        origins=loop.origins,
        label="+".join(dict.fromkeys([*(r.kind for r in loop.reductions), *names])),
    )


_SILENT = frozenset({"load", "literal", "index", "reduced"})


# --- axes ----------------------------------------------------------------------------------------


def counted(loop: Loop) -> set[int]:
    """Axes whose counter is a number that is computed with."""
    return {s.attributes["axis"] for s in (*loop.body, *loop.tail) if s.op == "index"}


def divided(loop: Loop, axis: int, outer: int) -> Loop:
    """`loop` with one of its axes made two, the first with `outer` points."""
    inner = loop.space[axis] // outer

    def access(old: Access) -> Access:
        before, stride, after = _around(old.strides, axis)
        return replace(old, strides=(*before, stride * inner, stride, *after))

    def scalar(old: Scalar) -> Scalar:
        if old.op == "load":
            return replace(old, attributes={"access": access(old.attributes["access"])})
        if old.op == "index" and old.attributes["axis"] > axis:
            return replace(old, attributes={"axis": old.attributes["axis"] + 1})
        return old

    before, _, after = _around(loop.space, axis)
    shifted = {number + (number > axis) for number in loop.reduced}
    return replace(
        loop,
        space=(*before, outer, inner, *after),
        body=tuple(map(scalar, loop.body)),
        tail=tuple(map(scalar, loop.tail)),
        stores=tuple(replace(store, access=access(store.access)) for store in loop.stores),
        reduced=tuple(sorted(shifted | ({axis + 1} if axis in loop.reduced else set()))),
    )


def _around(items: tuple[int, ...], place: int) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    return items[:place], items[place], items[place + 1 :]
