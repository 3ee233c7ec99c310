"""`cond` while a function is traced: both functions are traced, and one equation has both graphs.

What they read of the world around them are its operands; what either gives another value has that
afterwards, if it was the one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom
from thalweg.compiler.subgraph import Subgraph
from thalweg.compiler.tracing.inner import InnerTracer
from thalweg.compiler.tracing.loops import items
from thalweg.dtypes import as_dtype
from thalweg.ops.creation import zeros
from thalweg.primitives import loops
from thalweg.tape import bind, mode

__all__ = ["Side", "cond"]

Tensors: TypeAlias = list[Tensor]
Side: TypeAlias = Callable[[], tuple[Tensors, Tensors]]  # results, and others of its own


@dataclass(slots=True)
class _Traced:
    """A traced function: its results, and the captured tensors that it gave another value."""

    inner: InnerTracer
    results: list[Atom]
    own: list[Atom]
    changed: dict[int, Atom]
    recorded: dict[int, bool]  # whether those are on the tape as before


def cond(pred: Tensor, true: Side, false: Side) -> tuple[Tensors, list[Tensors]]:
    """The results of one of two functions, of the same types, as one equation.

    Beside them each gives results of its own, which are zeros where the other was taken. All are
    off the tape.
    """
    sides = [_traced(function) for function in (true, false)]
    captured = {key: slot.tensor for side in sides for key, slot in side.inner.slots.items()}
    written = [key for key in captured if any(key in side.changed for side in sides)]
    graphs = [_graph(side, sides, captured, written) for side in sides]
    values = items(bind(loops.cond, pred, *captured.values(), true=graphs[0], false=graphs[1]))
    count = len(sides[0].results)
    for key, value in zip(written, values[count:], strict=False):
        x = captured[key]
        x._value = value._value
        if not all(side.recorded.get(key, True) for side in sides):
            x._node, x._requires_grad = None, False
    own = iter(values[count + len(written) :])
    return values[:count], [[next(own) for _ in side.own] for side in sides]


def _traced(function: Side) -> _Traced:
    inner = InnerTracer(mode.trace)
    with inner.tracing():
        results, own = function()
        atoms = [inner.atom(x) for x in results], [inner.atom(x) for x in own]
        slots = {id(slot.tensor): slot for slot in inner.changed("cond")}
        changed = {key: inner.atom(slot.tensor) for key, slot in slots.items()}
        recorded = {
            key: slot.tensor._requires_grad == slot.requires_grad for key, slot in slots.items()
        }
    return _Traced(inner, *atoms, changed, recorded)


def _graph(
    side: _Traced, sides: Sequence[_Traced], captured: dict[int, Tensor], written: Sequence[int]
) -> Subgraph:
    """The graph of a side whose operands are all that either captured."""
    inner = side.inner
    for key, x in captured.items():
        if key not in inner.leaves:
            inner.leaves[key] = inner.argument(x._value.shape, x._value.dtype)
    leaves = {key: inner.leaves[key]._value for key in captured}
    outputs = [*side.results, *(side.changed.get(key, leaves[key]) for key in written)]
    with inner.tracing():
        for one in sides:
            absent = [zeros(*x.shape, dtype=as_dtype(x.dtype)) for x in one.own if one is not side]
            outputs += side.own if one is side else [inner.atom(x) for x in absent]
    return Subgraph(inner.program(list(leaves.values()), outputs))
