"""Holds: once nothing is shared any more, a held value is the value.

What is computed from it stands where the program was written to compute it, after what the hold
waited for: kernels keep that order. What was held is stored until then, not made again from what
is before it. Of a state that gets a new value, such as the counter of a random generator, a copy
is kept: the new one need not wait for the last that reads the old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.passes.operations import MOVEMENT
from thalweg.compiler.passes.views import elements
from thalweg.primitives import REGISTRY

__all__ = ["release_holds"]


def release_holds(graph: Graph, updates: Mapping[int, int]) -> tuple[Graph, set[Variable]]:
    """`graph` with its first operand in place of every hold, and what is to be stored for them.

    `updates` has the numbers of the inputs that are state.
    """
    states = {graph.inputs[number] for number in updates}
    copies: dict[Variable, Equation] = {}
    same: dict[Variable, Atom] = {}
    made: dict[Variable, Equation] = {}
    stored: set[Variable] = set()

    def renamed(atom: Atom) -> Atom:
        return same.get(atom, atom) if isinstance(atom, Variable) else atom

    for equation in graph.equations:
        inputs = tuple(map(renamed, equation.inputs))
        if equation.op.name != "hold":
            made[equation.output] = replace(equation, inputs=inputs)
            continue
        atom = inputs[0]
        if isinstance(atom, Variable) and atom in states:
            atom = copies.setdefault(atom, _copy(atom)).output
            stored.add(atom)
        stored |= _stored_behind(atom, made)
        same[equation.output] = atom
    outputs = [renamed(atom) for atom in graph.outputs]
    return replace(graph, equations=[*copies.values(), *made.values()], outputs=outputs), stored


def _stored_behind(atom: Atom, made: Mapping[Variable, Equation]) -> set[Variable]:
    """The value that `atom` shows, unless an input is."""
    while isinstance(atom, Variable) and atom in made and made[atom].op.name in MOVEMENT:
        atom = made[atom].inputs[0]
    is_made = isinstance(atom, Variable) and atom in made and elements(atom.shape)
    return {atom} if is_made else set()  # type: ignore[arg-type]  # a Variable


def _copy(x: Variable) -> Equation:
    output = Variable(x.shape, x.dtype)
    return Equation(REGISTRY["broadcast"], (x,), output, {"shape": x.shape})
