"""The graph as text: the leaves, then the operations, in columns."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.inspect.vertex import Vertex, summary

__all__ = ["listing", "program"]


def program(vertices: Sequence[Vertex]) -> str:
    """The sequence of operations alone, a line each."""
    operations = [v for v in vertices if v.expression]
    width = max(len(v.name) for v in operations)
    return "\n".join(f"{v.name:{width}} = {v.expression}" for v in operations)


def listing(vertices: Sequence[Vertex]) -> str:
    """Leaves and operations with shapes and dtypes; values and cotangents where there are any."""
    leaves = [v for v in vertices if not v.expression]
    operations = [v for v in vertices if v.expression]
    rows = [[v.name, *_facts(v), v.kind] for v in leaves]
    lines = program(vertices).splitlines()
    rows += [[line, *_facts(v), ""] for line, v in zip(lines, operations, strict=True)]
    filled = [any(row[column] for row in rows) for column in range(len(rows[0]))]
    if filled[3] or filled[4]:
        rows.insert(0, ["", "shape", "dtype", "value", "cotangent", ""])
    lines = _aligned([[c for c, keep in zip(row, filled, strict=True) if keep] for row in rows])
    lines.insert(len(lines) - len(operations), "")
    return "\n".join(lines)


def _facts(v: Vertex) -> list[str]:
    shown = ["" if x is None else summary(x) for x in (v.value, v.cotangent)]
    return [str(v.shape), v.dtype.name, *shown]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
