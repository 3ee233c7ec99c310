"""Conds: their sides optimized as any graph is; what neither side needs is left out.

Where the truth value is known, the side that it chooses stands in place of the cond. A result that
is the same operand on both sides is that operand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.passes.equations.scans import alias, operands, renamed
from thalweg.compiler.subgraph import Subgraph
from thalweg.primitives import loops

__all__ = ["settle_branches"]

Results = dict[int, list[Variable]]


def settle_branches(graph: Graph, optimize: Callable[[Graph], Graph]) -> Graph:
    """`graph` with smaller conds; `optimize` is what is done to the graph of a side."""
    conds = {e.output for e in graph.equations if e.op is loops.cond}
    if not conds:
        return graph
    results: dict[Variable, Results] = defaultdict(lambda: defaultdict(list))
    for e in graph.equations:
        if e.op is loops.item and e.inputs[0] in conds:
            results[e.inputs[0]][e.attributes["index"]].append(e.output)
    equations: list[Equation] = []
    for e in graph.equations:
        if e.op is loops.cond:
            equations += _settled(e, results[e.output], optimize)
        elif not (e.op is loops.item and e.inputs[0] in conds):
            equations.append(e)
    return replace(graph, equations=equations)


def _settled(
    e: Equation, results: Results, optimize: Callable[[Graph], Graph]
) -> Iterator[Equation]:
    """The equations that stand for a cond."""
    pred, *given = e.inputs
    true, false = (e.attributes[side].graph for side in ("true", "false"))
    if isinstance(pred, Literal):
        yield from _chosen(true if pred.value else false, given, results)
        return
    wanted = sorted(results)
    true, false = (
        optimize(replace(side, outputs=[side.outputs[n] for n in wanted])) for side in (true, false)
    )
    kept, passed = [], {}
    for place, number in enumerate(wanted):
        a, b = true.outputs[place], false.outputs[place]
        if a in true.inputs and b in false.inputs and true.inputs.index(a) == false.inputs.index(b):
            passed[number] = given[true.inputs.index(a)]
        else:
            kept.append((place, number))
    read = [_read(side, [place for place, _ in kept]) for side in (true, false)]
    used = [
        n
        for n in range(len(given))
        if any(s.inputs[n] in r for s, r in zip((true, false), read, strict=True))
    ]
    for number, atom in passed.items():
        yield from (alias(name, atom) for name in results[number])
    if kept:
        sides = [
            Subgraph(
                replace(
                    side,
                    inputs=[side.inputs[n] for n in used],
                    outputs=[side.outputs[place] for place, _ in kept],
                )
            )
            for side in (true, false)
        ]
        kind: Any = loops.Bundle(tuple((tuple(x.shape), x.dtype) for x in sides[0].outputs))
        bundle = Variable((), kind)
        inside = {"true": sides[0], "false": sides[1]}
        yield Equation(loops.cond, (pred, *(given[n] for n in used)), bundle, inside, e.origin)
        for place, (_, number) in enumerate(kept):
            for name in results[number]:
                yield Equation(loops.item, (bundle,), name, {"index": place}, e.origin)


def _read(side: Graph, places: Sequence[int]) -> set[Atom]:
    """What a side reads, for these of its outputs."""
    return {*operands(side.equations), *(side.outputs[place] for place in places)}


def _chosen(side: Graph, given: Sequence[Atom], results: Results) -> Iterator[Equation]:
    """The equations of one side, in place of the cond."""
    known: dict[Variable, Atom] = dict(zip(side.inputs, given, strict=True))
    yield from [renamed(e, known) for e in side.equations]
    for number, names in results.items():
        atom = side.outputs[number]
        value = known[atom] if isinstance(atom, Variable) else atom
        yield from (alias(name, value) for name in names)
