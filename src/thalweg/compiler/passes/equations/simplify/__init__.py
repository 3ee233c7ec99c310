"""Algebra: a table of (primitive, rewrite), applied to each equation in order.

Every rewrite is exact, bit for bit, for every number, NaN, infinity and sign of zero (but not
for the payload of a NaN). So x + 0.0 stays (it turns -0.0 into 0.0), and x * 0 stays.

A rewrite is given the equation and the equations so far. It gives an atom that is the result, an
equation with the same output that is computed instead, or None. They stand in the table in the
order of the files: constants.py, arithmetic.py, movement.py, reductions.py.
"""

from __future__ import annotations

from dataclasses import replace

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.passes.equations.simplify import arithmetic, constants, movement, reductions
from thalweg.compiler.passes.equations.simplify.rules import Known, Rules, full
from thalweg.compiler.passes.operations import ELEMENTWISE

__all__ = ["simplify"]

TABLE: Rules = [*constants.RULES, *arithmetic.RULES, *movement.RULES, *reductions.RULES]


def simplify(graph: Graph) -> Graph:
    """`graph` with every rewrite of the table applied until none fits."""
    known: Known = {}
    same: dict[Variable, Atom] = {}
    for equation in graph.equations:
        inputs = tuple(same.get(x, x) if isinstance(x, Variable) else x for x in equation.inputs)
        result = _rewritten(replace(equation, inputs=inputs), known)
        if isinstance(result, Equation):
            known[result.output] = result
        else:
            same[equation.output] = result
    outputs = [same.get(x, x) if isinstance(x, Variable) else x for x in graph.outputs]
    return replace(graph, equations=list(known.values()), outputs=outputs)


def _rewritten(equation: Equation, known: Known) -> Equation | Atom:
    """`equation` after all rewrites that fit."""
    if _is_empty(equation):  # of no element: no matter what it is computed from
        return full(equation, 0)
    for name, rewrite in TABLE:
        if name != equation.op.name and not (name == "" and equation.op.name in ELEMENTWISE):
            continue
        result = rewrite(equation, known)
        if isinstance(result, Equation):
            return _rewritten(result, known)
        if result is not None and result.shape == equation.output.shape:
            return result
        if isinstance(result, Literal):  # the number, at every place
            return full(equation, result.value)
    return equation


def _is_empty(equation: Equation) -> bool:
    output = equation.output
    return 0 in output.shape and not output.dtype.names and equation.op.name != "full"
