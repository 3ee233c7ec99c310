"""`cond` while a function is traced: both functions are traced, and one equation has both graphs.

What they read of the world around them are its operands; what either gives another value has that
afterwards, if it was the one. The vector-Jacobian product is another cond, whose sides compute the
forward pass of theirs again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Graph, Variable
from thalweg.compiler.inner import InnerTracer
from thalweg.compiler.loops import items
from thalweg.compiler.subgraph import Parent, Subgraph, Tape, parent_of
from thalweg.compiler.transpose import Backward, backward
from thalweg.ops.creation import zeros_like
from thalweg.primitives import loops
from thalweg.primitives.loops import Cotangents
from thalweg.tape import bind, mode, wrap

__all__ = ["cond", "pullback"]


@dataclass(slots=True)
class _Side:
    """A traced function: its results, and the captured tensors that it gave another value."""

    inner: InnerTracer
    results: list[tuple[Atom, Parent]]
    changed: dict[int, tuple[Atom, Parent]]


def cond(
    pred: Tensor, true: Callable[[], list[Tensor]], false: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """The results of one of two functions, of the same types, as one equation."""
    sides = [_traced(function) for function in (true, false)]
    captured = {key: slot.tensor for side in sides for key, slot in side.inner.slots.items()}
    written = [key for key in captured if any(key in side.changed for side in sides)]
    bodies = [_body(side, captured, written) for side in sides]
    values = items(bind(loops.cond, pred, *captured.values(), true=bodies[0], false=bodies[1]))
    count = len(sides[0].results)
    for key, value in zip(written, values[count:], strict=True):
        x = captured[key]
        x._value, x._node, x._requires_grad = value._value, value._node, value._requires_grad
    return values[:count]


def _traced(function: Callable[[], list[Tensor]]) -> _Side:
    inner = InnerTracer(mode.trace)
    with inner.tracing():
        results = [(inner.atom(x), parent_of(x)) for x in function()]
        changed = {
            id(slot.tensor): (inner.atom(slot.tensor), parent_of(slot.tensor))
            for slot in inner.changed("cond")
        }
    return _Side(inner, results, changed)


def _body(side: _Side, captured: dict[int, Tensor], written: Sequence[int]) -> Subgraph:
    """The graph of a side whose operands are all that either captured."""
    inner, leaves = side.inner, []
    for key, x in captured.items():
        leaf = inner.leaves.get(key)
        if leaf is None:
            leaf = inner.argument(x._value.shape, x._value.dtype, x._requires_grad)
            inner.leaves[key] = leaf
        leaves.append(leaf)
    same = {key: (inner.leaves[key]._value, parent_of(inner.leaves[key])) for key in written}
    outputs = [*side.results, *(side.changed.get(key, same[key]) for key in written)]
    graph = inner.program([leaf._value for leaf in leaves], [atom for atom, _ in outputs])
    return Subgraph(graph, Tape(leaves, [parent for _, parent in outputs]))


# --- the derivative -------------------------------------------------------------------------------


def pullback(
    true: Subgraph, false: Subgraph, g: Cotangents, pred: Tensor, operands: Sequence[Tensor]
) -> list[Tensor | None]:
    """The cotangents of a cond's operands, given those of its values; None where there is none."""
    numbers, bodies = sorted(g), (true, false)
    traced = [backward(body, numbers) for body in bodies]
    found = sorted({k for side in traced for k in side.found})
    if not found:
        return [None] * len(operands)
    sides = [
        _backward_body(body, own, [x for side in traced for x in side.slots], numbers, found)
        for body, own in zip(bodies, traced, strict=True)
    ]
    given = [*operands, *(x for side in traced for x, _ in side.slots), *(g[k] for k in numbers)]
    values = items(bind(loops.cond, pred, *given, true=sides[0], false=sides[1]))
    cotangents: list[Tensor | None] = [None] * len(operands)
    for k, cotangent in zip(found, values, strict=True):
        cotangents[k] = cotangent
    return cotangents


def _backward_body(
    body: Subgraph,
    own: Backward,
    slots: Sequence[tuple[Tensor, Variable]],
    numbers: Sequence[int],
    found: Sequence[int],
) -> Subgraph:
    """The forward pass of a side, then the backward pass, to a cotangent for each of `found`."""
    tracer = InnerTracer(mode.trace)
    tracer.known.update(body.inputs, own.found.values())  # type: ignore[arg-type]
    tracer.equations = [*body.graph.equations, *own.equations]
    mine = {variable for _, variable in own.slots}
    others = [
        variable if variable in mine else tracer.new(variable.shape, variable.dtype)
        for _, variable in slots
    ]
    with tracer.tracing():
        outputs = [
            own.found[k] if k in own.found else tracer.atom(zeros_like(wrap(body.inputs[k])))
            for k in found
        ]
    return Subgraph(
        Graph([*body.inputs, *others, *(own.seeds[k] for k in numbers)], tracer.equations, outputs)
    )
