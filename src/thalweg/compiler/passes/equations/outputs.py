"""Outputs: every output gets an equation of its own, so that a kernel can write it.

An output that is an input, unless it is a state that keeps its value, is a copy of it; a literal
is a constant, as an output and as an operand of what reads memory. A reshape of a value stands
where the value stands: it is the value that is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.passes.operations import HEAVY
from thalweg.compiler.passes.views import elements
from thalweg.primitives import REGISTRY

__all__ = ["Settled", "settle_outputs"]


@dataclass(slots=True)
class Settled:
    """A graph, the stored value behind each of its outputs, and what must be stored for them."""

    graph: Graph
    roots: list[Variable]
    stored: set[Variable]


def settle_outputs(graph: Graph, updates: Mapping[int, int]) -> Settled:
    """Let every output of `graph` be the result of an equation, or of the state that it is."""
    equations = list(_with_arrays(graph.equations))
    made = {equation.output: equation for equation in equations}
    kept = {output: graph.inputs[number] for number, output in updates.items()}
    roots: list[Variable] = []
    for position, atom in enumerate(graph.outputs):
        if kept.get(position) is atom:
            roots.append(graph.inputs[graph.inputs.index(kept[position])])
            continue
        root = _behind(atom, made)
        if isinstance(root, Literal) or root not in made:
            equation = _copy(root)
            equations.append(equation)
            root = equation.output
        roots.append(root)
    stored = {root for root in roots if root not in graph.inputs and elements(root.shape)}
    return Settled(replace(graph, equations=equations, outputs=list(roots)), roots, stored)


def _with_arrays(equations: Iterable[Equation]) -> Iterator[Equation]:
    """The equations, with a value in place of each literal that is to stand in memory."""
    for equation in equations:
        if equation.op.name in HEAVY and any(isinstance(x, Literal) for x in equation.inputs):
            made = [_copy(x) for x in equation.inputs if isinstance(x, Literal)]
            yield from made
            values = iter(made)
            inputs = (next(values).output if isinstance(x, Literal) else x for x in equation.inputs)
            equation = replace(equation, inputs=tuple(inputs))
        yield equation


def _behind(atom: Atom, made: Mapping[Variable, Equation]) -> Atom:
    """What `atom` is a reshape of."""
    while isinstance(atom, Variable) and atom in made and made[atom].op.name == "reshape":
        atom = made[atom].inputs[0]
    return atom


def _copy(atom: Atom) -> Equation:
    output = Variable(atom.shape, atom.dtype)
    attributes: dict[str, Any] = {"shape": atom.shape}
    if isinstance(atom, Literal):
        attributes |= {"value": atom.value, "dtype": atom.dtype}
        return Equation(REGISTRY["full"], (), output, attributes)
    return Equation(REGISTRY["broadcast"], (atom,), output, attributes)
