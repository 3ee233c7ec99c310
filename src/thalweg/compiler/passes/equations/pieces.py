"""Pieces side by side: a sum of padded values that do not overlap is their concatenation.

The cotangents of the parts of a split tensor come padded with zeros, to be added up: of the four
gates of an LSTM, of queries, keys and values. Each element is one of them, plus zeros, and is
written where it belongs instead. Exact: the zero that is added turns -0.0 into 0.0, as before.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.primitives import REGISTRY

__all__ = ["join_pieces"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A value that stands from `low` to `high` along `axis`, among zeros."""

    value: Variable
    axis: int
    low: int
    high: int


def join_pieces(graph: Graph) -> Graph:
    """`graph` with a concatenation for each sum of pieces."""
    made = {e.output: e for e in graph.equations}
    if sum(e.op.name == "pad" for e in graph.equations) < 2:
        return graph
    read = Counter(_read(graph))
    within = {
        atom
        for e in graph.equations
        if e.op.name == "add"
        for atom in e.inputs
        if isinstance(atom, Variable) and read[atom] == 1
    }
    equations: list[Equation] = []
    for e in graph.equations:
        if e.op.name == "add" and e.output not in within:
            equations += _joined(e, made, read)
        else:
            equations.append(e)
    return replace(graph, equations=equations)


def _read(graph: Graph) -> Iterable[Atom]:
    yield from (atom for e in graph.equations for atom in e.inputs if isinstance(atom, Variable))
    yield from (atom for atom in graph.outputs if isinstance(atom, Variable))


def _joined(e: Equation, made: dict[Variable, Equation], read: Counter[Any]) -> list[Equation]:
    """The equations that compute the sum `e`."""
    shape, dtype = e.output.shape, e.output.dtype
    terms = [(term, _piece(term, shape, made)) for term in _terms(e, made, read)]
    pieces = [piece for _, piece in terms if piece is not None]
    others = [term for term, piece in terms if piece is None]
    if len(pieces) < 2 or len(others) > 1 or not _fit(pieces):
        return [e]
    equations: list[Equation] = []

    def emit(name: str, *inputs: Atom, **attributes: Any) -> Variable:
        op = REGISTRY[name]
        output = Variable(*op.infer(*inputs, **attributes))
        equations.append(Equation(op, inputs, output, attributes, e.origin))
        return output

    axis, at, parts = pieces[0].axis, 0, list[Variable]()
    end = shape[axis]
    for piece in [*sorted(pieces, key=lambda p: p.low), None]:
        low, high = (piece.low, piece.high) if piece else (end, end)
        if low > at:
            gap = (*shape[:axis], low - at, *shape[axis + 1 :])
            parts.append(emit("full", shape=gap, value=0, dtype=dtype))
        if piece:
            parts.append(emit("add", piece.value, Literal(_zero(dtype), dtype)))
        at = high
    whole = emit("concatenate", *parts, axis=axis)
    if others:
        whole = emit("add", others[0], whole)
    return [*equations[:-1], replace(equations[-1], output=e.output)]


def _zero(dtype: Any) -> Any:
    return 0.0 if dtype.kind == "f" else 0


def _terms(e: Equation, made: dict[Variable, Equation], read: Counter[Any]) -> Iterable[Atom]:
    """What a sum adds up, through sums that nothing else reads."""
    for atom in e.inputs:
        inner = made.get(atom) if isinstance(atom, Variable) else None
        same = inner is not None and inner.op.name == "add" and inner.output.shape == e.output.shape
        if inner is not None and same and read[atom] == 1:
            yield from _terms(inner, made, read)
        else:
            yield atom


def _piece(atom: Atom, shape: tuple[int, ...], made: dict[Variable, Equation]) -> _Piece | None:
    """`atom` as a piece of `shape`, if it is padded with zeros along one axis."""
    e = made.get(atom) if isinstance(atom, Variable) else None
    if e is None or e.op.name != "pad" or e.attributes["value"] or any(e.attributes["inner"]):
        return None
    (value,), low, high = e.inputs, e.attributes["low"], e.attributes["high"]
    padded = [axis for axis, widths in enumerate(zip(low, high, strict=True)) if any(widths)]
    if (
        len(padded) != 1
        or atom.shape != shape
        or not isinstance(value, Variable)
        or value.dtype.kind not in "fiu"
    ):
        return None
    (axis,) = padded
    return _Piece(value, axis, low[axis], low[axis] + value.shape[axis])


def _fit(pieces: list[_Piece]) -> bool:
    """Whether they stand along one axis and none overlap."""
    ordered = sorted(pieces, key=lambda piece: piece.low)
    pairs = itertools.pairwise(ordered)
    return all(a.axis == b.axis and a.high <= b.low for a, b in pairs)
