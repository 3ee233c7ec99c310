"""`cond` while a function is traced: both functions are traced, and one equation has both graphs.

What they read of the world around them are its operands; what either gives another value has that
afterwards, if it was the one. The vector-Jacobian product is another cond, whose sides compute the
forward pass of theirs again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from thalweg._tensor import Tensor
from thalweg.autodiff.backward import grad
from thalweg.autodiff.bundles import bundle, item
from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.subgraph import Parent, Subgraph, applied, parent_of
from thalweg.compiler.tracing.inner import InnerTracer
from thalweg.compiler.tracing.loops import items
from thalweg.ops.creation import zeros_like
from thalweg.ops.loops import cond_of_lists
from thalweg.primitives import loops
from thalweg.primitives.loops import Cotangents
from thalweg.tape import bind, mode, wrap

__all__ = ["cond"]


@dataclass(slots=True)
class _Side:
    """A traced function: its results, and the captured tensors that it gave another value."""

    inner: InnerTracer
    results: list[tuple[Atom, Parent]]
    changed: dict[int, tuple[Atom, Parent]]


@dataclass(slots=True)
class _Body:
    """A side's graph, and its tape: a leaf for each input, where each output came from."""

    subgraph: Subgraph
    leaves: list[Tensor]
    parents: list[Parent]


def cond(
    pred: Tensor, true: Callable[[], list[Tensor]], false: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """The results of one of two functions, of the same types, as one equation."""
    sides = [_traced(function) for function in (true, false)]
    captured = {key: slot.tensor for side in sides for key, slot in side.inner.slots.items()}
    written = [key for key in captured if any(key in side.changed for side in sides)]
    bodies = [_body(side, captured, written) for side in sides]
    operands = [*captured.values()]
    graphs = [body.subgraph for body in bodies]
    values = items(bind(loops.cond, pred, *operands, true=graphs[0], false=graphs[1]))
    values = _connected(values, pred, operands, bodies)
    count = len(sides[0].results)
    for key, value in zip(written, values[count:], strict=True):
        x = captured[key]
        x._value, x._node, x._requires_grad = value._value, value._node, value._requires_grad
    return values[:count]


def _connected(
    values: list[Tensor], pred: Tensor, operands: list[Tensor], bodies: Sequence[_Body]
) -> list[Tensor]:
    """The results on the tape, where either side's are."""
    if not (mode.grad and any(x._requires_grad for x in operands)):
        return values

    def rule(g: Cotangents, out: Tensor, pred: Tensor, *operands: Tensor) -> list[Tensor | None]:
        return [None, *_pullback(bodies, g, pred, operands)]

    joint = bundle("cond", rule, [pred, *operands], values)
    pairs = enumerate(zip(*(body.parents for body in bodies), strict=True))
    return [item(joint, k, any(p is not None for p in parents)) for k, parents in pairs]


def _traced(function: Callable[[], list[Tensor]]) -> _Side:
    inner = InnerTracer(mode.trace)
    with inner.tracing():
        results = [(inner.atom(x), parent_of(x)) for x in function()]
        changed = {
            id(slot.tensor): (inner.atom(slot.tensor), parent_of(slot.tensor))
            for slot in inner.changed("cond")
        }
    return _Side(inner, results, changed)


def _body(side: _Side, captured: dict[int, Tensor], written: Sequence[int]) -> _Body:
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
    return _Body(Subgraph(graph), leaves, [parent for _, parent in outputs])


# --- the derivative -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Backward:
    """A traced backward pass of a body.

    seeds    the cotangents it begins with, by number of the body's output
    found    those it ends with, by number of the body's input
    slots    what it captured of the world around: tensors and their variables
    """

    equations: list[Equation]
    seeds: dict[int, Variable]
    found: dict[int, Atom]
    slots: list[tuple[Tensor, Variable]]


def _pullback(
    bodies: Sequence[_Body], g: Cotangents, pred: Tensor, operands: Sequence[Tensor]
) -> list[Tensor | None]:
    """The cotangents of a cond's operands, given those of its values; None where there is none."""
    numbers = sorted(g)
    traced = [_backward(body, numbers) for body in bodies]
    found = sorted({k for side in traced for k in side.found})
    if not found:
        return [None] * len(operands)
    slots = [x for side in traced for x in side.slots]
    graphs = [
        _backward_graph(body, own, slots, numbers, found)
        for body, own in zip(bodies, traced, strict=True)
    ]
    given = [*operands, *(x for x, _ in slots), *(g[k] for k in numbers)]
    values = cond_of_lists(pred, *(partial(applied, graph, given) for graph in graphs))
    cotangents: list[Tensor | None] = [None] * len(operands)
    for k, cotangent in zip(found, values, strict=True):
        cotangents[k] = cotangent
    return cotangents


def _backward(body: _Body, outputs: Sequence[int]) -> _Backward:
    """The backward pass from some outputs of a body, as far as its inputs."""
    graph, tracer = body.subgraph.graph, InnerTracer(mode.trace)
    tracer.known.update(graph.inputs, (e.output for e in graph.equations))
    wanted = [k for k, leaf in enumerate(body.leaves) if leaf._requires_grad]
    seeds = {k: Variable(graph.outputs[k].shape, graph.outputs[k].dtype) for k in outputs}
    tracer.known.update(seeds.values())
    recorded = [k for k in outputs if body.parents[k] is not None]
    if not (wanted and recorded):
        return _Backward([], seeds, {}, [])
    with tracer.tracing():
        found = grad(
            [_on_tape(graph.outputs[k], body.parents[k]) for k in recorded],
            [body.leaves[k] for k in wanted],
            [wrap(seeds[k]) for k in recorded],
            retain_graph=True,
            allow_unused=True,
        )
        pairs = zip(wanted, found, strict=True)
        atoms = {k: tracer.atom(x) for k, x in pairs if x is not None}
    slots = [(slot.tensor, slot.variable) for slot in tracer.slots.values()]
    return _Backward(tracer.equations, seeds, atoms, slots)


def _on_tape(atom: Atom, parent: Parent) -> Tensor:
    x = wrap(atom)
    x._node, x._requires_grad = parent, parent is not None
    return x


def _backward_graph(
    body: _Body,
    own: _Backward,
    slots: Sequence[tuple[Tensor, Variable]],
    numbers: Sequence[int],
    found: Sequence[int],
) -> Graph:
    """The forward pass of a side, then the backward pass, to a cotangent for each of `found`."""
    graph, tracer = body.subgraph.graph, InnerTracer(mode.trace)
    tracer.known.update(graph.inputs)
    tracer.equations = [*graph.equations, *own.equations]
    mine = {variable for _, variable in own.slots}
    others = [
        variable if variable in mine else tracer.new(variable.shape, variable.dtype)
        for _, variable in slots
    ]
    with tracer.tracing():
        outputs = [
            own.found[k] if k in own.found else tracer.atom(zeros_like(wrap(graph.inputs[k])))
            for k in found
        ]
    inputs = [*graph.inputs, *others, *(own.seeds[k] for k in numbers)]
    return Graph(inputs, tracer.equations, outputs)
