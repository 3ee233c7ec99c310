"""Rows that are gathered for narrow products only are not copied: these read them where they lie.

A batch of a large table is copied row by row to the arena, and read from there by a first layer's
products, in every thread. Where these have few columns, which go over the rows once or twice, a
small loop writes where each row begins instead, and the products look that up: an epoch of a
784-30-10 network takes 23.2 ms with that, and 24.4 without. Wider products read the rows more
often, and in a copy machines foresee where the next one is (784-128-10: the same; 784-512: 5 %
slower).

The loop still reads each row's first element, and so notices an index out of range. It stores them
too, for what nobody needs is not computed; what it stores lies where the copy would have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from thalweg.compiler.kernels import (
    Access,
    Ahead,
    Buffer,
    Contraction,
    Indirect,
    Kernel,
    Loop,
    Places,
    Scalar,
    Store,
)
from thalweg.compiler.passes.plan.ahead import rows_gathered
from thalweg.compiler.passes.plan.memory import ALIGNMENT, reads_of
from thalweg.compiler.passes.views import elements

__all__ = ["with_rows_in_place"]

_ROLES: tuple[Literal["batch", "rows", "columns", "inner"], ...]
_ROLES = ("batch", "rows", "columns", "inner")
_NARROW = 64  # elements of a product for each of an operand's rows
_I64 = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)


def with_rows_in_place(kernels: Sequence[Kernel]) -> list[Kernel]:
    """The kernels of a program, without copies of rows that only products read."""
    changed = list(kernels)
    for number, kernel in enumerate(kernels):
        rows = _copied(kernel)
        if rows is None:
            continue
        assert isinstance(kernel, Loop)
        copy = kernel.stores[0].access.buffer
        readers = [n for n, other in enumerate(changed) if copy in reads_of(other)]
        places = replace(copy, size=rows.count, dtype=_I64)
        found = {n: _reading(changed[n], copy, rows, places) for n in readers}
        if found and None not in found.values():
            changed[number] = _places(kernel, rows, places)
            for n, product in found.items():
                assert product is not None
                changed[n] = product
    return changed


def _copied(kernel: Kernel) -> Ahead | None:
    """The rows that a loop copies, one after another, and does nothing else."""
    if not isinstance(kernel, Loop) or kernel.reductions or len(kernel.body) != 2:
        return None
    rows = next(rows_gathered(kernel), None)
    if rows is None or rows.index.dtype != _I64 or len(kernel.stores) != 1:
        return None
    (store,), row = kernel.stores, kernel.body[1].attributes["access"]
    along = [n for n, stride in enumerate(kernel.body[0].attributes["access"].strides) if stride]
    dense = [rows.length if n in along else step for n, step in enumerate(row.strides)]
    to = store.access
    wanted = (1, "temporary", 0, tuple(dense))
    room = to.buffer.size * to.buffer.dtype.itemsize >= 2 * rows.count * _I64.itemsize + ALIGNMENT
    same = (store.value, to.buffer.kind, to.offset, to.strides) == wanted
    return rows if room and same else None


def _reading(kernel: Kernel, copy: Buffer, rows: Ahead, places: Buffer) -> Contraction | None:
    """A product that reads the rows where they lie; None: it cannot."""
    if not isinstance(kernel, Contraction) or kernel.places or kernel.margins:
        return None
    loads = [s.attributes["access"].buffer for s in kernel.epilogue if s.op == "load"]
    operands = [n for n, buffer in enumerate((kernel.a, kernel.b)) if buffer is copy]
    if len(operands) != 1 or copy in loads:
        return None
    (operand,) = operands
    axes = [
        (role, number, axis.size, (axis.a, axis.b)[operand])
        for role in _ROLES
        for number, axis in enumerate(getattr(kernel, role))
    ]
    offset = (kernel.a_offset, kernel.b_offset)[operand]
    across = [axis for axis in axes if axis[2:] == (rows.count, rows.length)]
    within = [axis for axis in axes if axis not in across]
    reach = offset + sum((size - 1) * stride for _, _, size, stride in within)
    backwards = any(stride < 0 for _, _, _, stride in within)
    if len(across) != 1 or backwards or reach >= rows.length or rows.count == 1:
        return None
    role, number, _, _ = across[0]
    others = (axis for name in ("rows", "columns") for axis in getattr(kernel, name))
    wide = elements(tuple(axis.size for axis in others if not (axis.a, axis.b)[operand])) > _NARROW
    if role == "batch" or wide:
        return None
    start = rows.offset + offset
    moved: dict[str, Any] = {"a": rows.table, "a_offset": start}
    if operand == 1:
        moved = {"b": rows.table, "b_offset": start}
    return replace(kernel, **moved, places=Places(operand, role, number, places))


def _places(kernel: Loop, rows: Ahead, places: Buffer) -> Loop:
    """The loop that writes where each row begins; of an index out of range, somewhere within."""
    index, row = (scalar.attributes["access"] for scalar in kernel.body)
    (part,) = row.indirect
    first = Access(rows.table, rows.offset, (0,), (Indirect(0, part.stride, part.size, part.wrap),))

    def number(value: int) -> Scalar:
        return Scalar("literal", (), _I64, {"value": value})

    body = (
        Scalar("load", (), _I64, {"access": Access(index.buffer, rows.start, (rows.step,))}),
        Scalar("load", (), rows.table.dtype, {"access": first}),
        number(0),
        number(rows.size if part.wrap else 0),
        Scalar("less", (0, 2), _BOOL),
        Scalar("add", (0, 3), _I64),
        Scalar("select", (4, 5, 0), _I64),
        Scalar("maximum", (6, 2), _I64),
        number(rows.size - 1),
        Scalar("minimum", (7, 8), _I64),
        number(rows.stride),
        Scalar("multiply", (9, 10), _I64),
    )
    used = -(-rows.count * _I64.itemsize // ALIGNMENT) * ALIGNMENT
    seen = replace(places, dtype=rows.table.dtype, place=places.place + used)
    stores = (Store(1, Access(seen, 0, (1,))), Store(11, Access(places, 0, (1,))))
    return replace(kernel, space=(rows.count,), body=body, stores=stores)
