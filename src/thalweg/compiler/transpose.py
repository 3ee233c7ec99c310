"""The vector-Jacobian product of a scan: a scan from its end, over what the first one has kept.

With c_{t+1}, y_t = f(w, c_t, x_t), and a bar for cotangents:

    c'_t, w'_t, x'_t = f^T(w, c_t, x_t; c'_{t+1}, y'_t),    w' = sum over t of w'_t

f^T is the backward pass of the body's own tape, traced. What it needs of the forward pass, the
residuals, the first scan is made to stack as further outputs: as many as a backward pass asks for.
What depends on constants only, and what only shows something smaller that is there, is computed
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from thalweg._tensor import Tensor
from thalweg.autodiff.backward import grad
from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.inner import InnerTracer
from thalweg.compiler.loops import scanned
from thalweg.compiler.subgraph import Parent, Subgraph, keep_items
from thalweg.ops.creation import zeros_like
from thalweg.primitives import loops
from thalweg.primitives.loops import Cotangents
from thalweg.tape import Node, bind, mode, wrap

__all__ = ["Backward", "backward", "pullback"]

_SHOWS = frozenset(
    {"reshape", "transpose", "broadcast", "slice", "flip", "windows", "full", "iota"}
)


@dataclass(slots=True)
class Backward:
    """A traced backward pass of a body.

    seeds    the cotangents it begins with, by number of the body's output
    found    those it ends with, by number of the body's input
    slots    what it captured of the world around: tensors and their variables
    """

    equations: list[Equation]
    seeds: dict[int, Variable]
    found: dict[int, Atom]
    slots: list[tuple[Tensor, Variable]]


def pullback(
    body: Subgraph,
    g: Cotangents,
    out: Tensor,
    operands: Sequence[Tensor],
    *,
    length: int,
    reverse: bool,
    consts: int,
    carry: int,
) -> list[Tensor | None]:
    """The cotangents of a scan's operands, given those of its values; None where there is none."""
    live, traced = _traced_backward(body, set(g), consts, carry)
    if not traced.found:
        return [None] * len(operands)
    plan = _Plan(body.graph, traced, consts, carry)
    extra = plan.residuals()
    _extend(body, out, extra, length, carry)
    kept = {atom: number for number, atom in enumerate(body.graph.outputs) if number >= carry}
    fixed = [k for k in range(consts) if body.inputs[k] in plan.used]
    slices = [k for k in range(consts + carry, len(operands)) if body.inputs[k] in plan.used]
    summed = [k for k in range(consts) if k in traced.found]
    stacked = [k for k in range(consts + carry, len(operands)) if k in traced.found]
    given = [number for number in traced.seeds if number >= carry]

    totals, outputs, equations = _summed(body, plan, traced, live, summed, consts)
    graph = Graph(
        [
            *(body.inputs[k] for k in fixed),
            *(variable for _, variable in traced.slots),
            *(traced.seeds[k] for k in live),
            *totals,
            *extra,
            *(body.inputs[k] for k in slices),
            *(traced.seeds[k] for k in given),
        ],
        equations,
        [*outputs, *(traced.found[k] for k in stacked)],
    )
    results = scanned(
        Subgraph(graph),
        [*(operands[k] for k in fixed), *(x for x, _ in traced.slots)],
        [
            *(g[k] if k in g else zeros_like(operands[consts + k]) for k in live),
            *(zeros_like(operands[k]) for k in summed),
        ],
        [
            *(bind(loops.item, out, index=kept[atom]) for atom in extra),
            *(operands[k] for k in slices),
            *(g[k] for k in given),
        ],
        length,
        not reverse,
    )
    places = [*(consts + k for k in live), *summed, *stacked]
    cotangents: list[Tensor | None] = [None] * len(operands)
    for k, cotangent in zip(places, results, strict=True):
        cotangents[k] = cotangent
    return cotangents


def _summed(
    body: Subgraph,
    plan: _Plan,
    traced: Backward,
    live: Sequence[int],
    summed: Sequence[int],
    consts: int,
) -> tuple[list[Variable], list[Atom], list[Equation]]:
    """What is carried backwards: the carry's cotangents, and sums of the constants' so far.

    Gives the sums before a round, all that is carried after it, and the equations of the round.
    """
    tracer = InnerTracer(mode.trace)
    tracer.known |= plan.variables()
    tracer.equations = [*plan.again, *traced.equations]
    found = traced.found
    with tracer.tracing():
        totals = [tracer.new(body.inputs[k].shape, body.inputs[k].dtype) for k in summed]
        after = [
            wrap(found[consts + k]) if consts + k in found else zeros_like(wrap(traced.seeds[k]))
            for k in live
        ]
        sums = [wrap(total) + wrap(found[k]) for total, k in zip(totals, summed, strict=True)]
        outputs = [tracer.atom(x) for x in (*after, *sums)]
    return totals, outputs, tracer.equations


def _traced_backward(
    body: Subgraph, given: set[int], consts: int, carry: int
) -> tuple[list[int], Backward]:
    """The backward pass of a body, and the numbers of the carries that have a cotangent.

    A carry that the cotangent of a later round reaches has one itself, also where what a round
    makes of it has none: the first carry.
    """
    parents = body.tape.parents
    live = {number for number in given if number < carry and parents[number] is not None}
    stacked = {number for number in given if number >= carry and parents[number] is not None}
    while True:
        traced = backward(body, sorted(live | stacked))
        reached = {k - consts for k in traced.found if consts <= k < consts + carry}
        if reached <= live:
            return sorted(live), traced
        live |= reached


def backward(body: Subgraph, outputs: Sequence[int]) -> Backward:
    """The backward pass from some outputs of a body, as far as its inputs."""
    tape, tracer = body.tape, InnerTracer(mode.trace)
    tracer.known.update(body.inputs, (e.output for e in body.graph.equations))
    wanted = [k for k, leaf in enumerate(tape.leaves) if leaf._requires_grad]
    seeds = {k: Variable(body.outputs[k].shape, body.outputs[k].dtype) for k in outputs}
    tracer.known.update(seeds.values())
    recorded = [k for k in outputs if tape.parents[k] is not None]
    if not (wanted and recorded):
        return Backward([], seeds, {}, [])
    with tracer.tracing():
        found = grad(
            [_on_tape(body.outputs[k], tape.parents[k]) for k in recorded],
            [tape.leaves[k] for k in wanted],
            [wrap(seeds[k]) for k in recorded],
            retain_graph=True,
            allow_unused=True,
        )
        pairs = zip(wanted, found, strict=True)
        atoms = {k: tracer.atom(x) for k, x in pairs if x is not None}
    slots = [(slot.tensor, slot.variable) for slot in tracer.slots.values()]
    return Backward(tracer.equations, seeds, atoms, slots)


def _on_tape(atom: Atom, parent: Parent) -> Tensor:
    x = wrap(atom)
    x._node, x._requires_grad = parent, parent is not None
    return x


# --- what the forward pass keeps ------------------------------------------------------------------


class _Plan:
    """Where a backward pass finds each value of the forward one.

    again   equations of the forward pass that are computed again
    used    inputs of the body that are read
    """

    def __init__(self, graph: Graph, traced: Backward, consts: int, carry: int) -> None:
        traced.equations = keep_items(graph.equations, traced.equations)
        self.made = {e.output: e for e in graph.equations}
        self.carried = set(graph.inputs[consts : consts + carry])
        self.inputs = set(graph.inputs) - self.carried
        self.fixed = _depending_only_on(graph.inputs[:consts], graph.equations)
        self.used: set[Variable] = set()
        self.stacked: dict[Variable, None] = {}
        self.repeated: set[Variable] = set()
        self.known = {*traced.seeds.values(), *(variable for _, variable in traced.slots)}
        self.known.update(e.output for e in traced.equations)
        for atom in (*_operands(traced.equations), *traced.found.values()):
            self.need(atom)
        self.again = [e for e in graph.equations if e.output in self.repeated]

    def need(self, atom: Atom) -> None:
        """Let the value of `atom` be there."""
        if not isinstance(atom, Variable) or atom in self.known:
            return
        if atom in self.inputs:
            self.used.add(atom)
        elif atom in self.carried or not self.is_shown(self.made[atom]):
            self.stacked[atom] = None
        elif atom not in self.repeated:
            self.repeated.add(atom)
            for operand in self.made[atom].inputs:
                self.need(operand)

    def is_shown(self, e: Equation) -> bool:
        """Whether a value is computed again rather than kept."""
        if e.output in self.fixed:
            return True
        if e.op.name not in _SHOWS:
            return False
        sources = [x for x in e.inputs if isinstance(x, Variable)]
        given = self.inputs | self.fixed
        return all(x in given or _size(x) <= _size(e.output) for x in sources)

    def residuals(self) -> list[Variable]:
        """The values that the forward pass stacks."""
        return list(self.stacked)

    def variables(self) -> set[Variable]:
        """All that the backward pass may read."""
        return self.known | self.used | set(self.stacked) | self.repeated


def _operands(equations: Iterable[Equation]) -> Iterable[Atom]:
    return (atom for e in equations for atom in e.inputs)


def _size(x: Variable) -> int:
    size = x.dtype.itemsize
    for n in x.shape:
        size *= n
    return size


def _depending_only_on(given: Iterable[Variable], equations: Iterable[Equation]) -> set[Variable]:
    """The results that are computed from nothing but `given` and numbers."""
    known = set(given)
    for e in equations:
        if all(atom in known for atom in e.inputs if isinstance(atom, Variable)):
            known.add(e.output)
    return known


def _extend(
    body: Subgraph, out: Tensor, extra: Sequence[Variable], length: int, carry: int
) -> None:
    """Let a scan stack the values `extra` too."""
    known = set(body.graph.outputs[carry:])
    for variable in extra:
        if variable not in known:
            body.tape.parents.append(_parent(body, variable))
            body.graph.outputs.append(variable)
    bundle: Any = out._value
    bundle.dtype = loops.results(body, length, carry)


def _parent(body: Subgraph, variable: Variable) -> Parent:
    """Where a value came from; what a scan within the body now stacks is not on its tape yet."""
    found = body.tape.parent(variable)
    made = next((e for e in body.graph.equations if e.output is variable), None)
    if found is None and made is not None and made.op is loops.item:
        bundle = _on_tape(made.inputs[0], body.tape.parent(cast("Variable", made.inputs[0])))
        if bundle._requires_grad and variable.dtype.kind == "f":
            return Node(loops.item, (bundle,), variable, made.attributes)
    return found
