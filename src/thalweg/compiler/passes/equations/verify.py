"""The type-checker: every equation's shape rule is run again, and every variable has one origin."""

from __future__ import annotations

from thalweg.compiler.graph import (
    Atom,
    Equation,
    Graph,
    Variable,
    inner_graphs,
    spell_type,
)
from thalweg.errors import TraceError

__all__ = ["verify"]


def verify(graph: Graph) -> Graph:
    """`graph` itself, if it is well formed.

    Raises `TraceError` for a variable that is assigned twice or used before it is assigned, and
    for an equation whose result is not of the type that its primitive's shape rule gives.
    """
    assigned: set[Variable] = set()
    for variable in graph.inputs:
        _assign(variable, assigned)
    for position, equation in enumerate(graph.equations):
        for atom in equation.inputs:
            _check_assigned(atom, assigned, f"equation {position}, {equation.op}")
        for inner in inner_graphs(equation):
            verify(inner)
        _check_type(position, equation)
        _assign(equation.output, assigned)
    for position, atom in enumerate(graph.outputs):
        _check_assigned(atom, assigned, f"output {position}")
    return graph


def _assign(variable: Variable, assigned: set[Variable]) -> None:
    if variable in assigned:
        raise TraceError(f"{variable!r} is assigned twice")
    assigned.add(variable)


def _check_assigned(atom: Atom, assigned: set[Variable], where: str) -> None:
    if isinstance(atom, Variable) and atom not in assigned:
        raise TraceError(f"{where}: {atom!r} is used before it is assigned")


def _check_type(position: int, equation: Equation) -> None:
    shape, dtype = equation.op.infer(*equation.inputs, **equation.attributes)
    output = equation.output
    if tuple(shape) != output.shape or dtype != output.dtype:
        expected = spell_type(Variable(tuple(shape), dtype))
        raise TraceError(
            f"equation {position}: {equation.op} gives {expected}, its result is declared "
            f"{spell_type(output)}"
        )
