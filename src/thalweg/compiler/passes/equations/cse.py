"""Common sub-expressions: equal equations are computed once.

Primitives are pure, random bits included: the same key and counter give the same bits. A name of
an operation that commutes, such as add, does not depend on the order of its operands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable

__all__ = ["share_common", "spelled"]

_COMMUTE = frozenset({"add", "multiply", "equal", "not_equal"})


def share_common(graph: Graph) -> Graph:
    """`graph` with every repeated equation replaced by the result of the first."""
    first: dict[Any, Variable] = {}
    same: dict[Atom, Variable] = {}
    kept: list[Equation] = []

    def renamed(atom: Atom) -> Atom:
        return same.get(atom, atom) if isinstance(atom, Variable) else atom

    for equation in graph.equations:
        equation = replace(equation, inputs=tuple(map(renamed, equation.inputs)))
        known = first.setdefault(_key(equation), equation.output)
        if known is equation.output:
            kept.append(equation)
        else:
            same[equation.output] = known
    read_clamped = _reader_of_clamped(kept)
    kept = [read_clamped(equation) for equation in kept]
    return replace(graph, equations=kept, outputs=[renamed(atom) for atom in graph.outputs])


def spelled(atom: Atom) -> Any:
    """What makes two atoms the same: the variable, or the literal's dtype and bits."""
    if isinstance(atom, Literal):
        return atom.dtype, np.asarray(atom.value, atom.dtype).tobytes()
    return atom


def _key(equation: Equation) -> Any:
    inputs = [spelled(atom) for atom in equation.inputs]
    if equation.op.name in _COMMUTE:
        inputs.sort(key=lambda x: (isinstance(x, Variable), getattr(x, "number", x)))
    attributes = tuple(sorted((k, _exactly(v)) for k, v in equation.attributes.items()))
    return equation.op.name, tuple(inputs), attributes


def _exactly(value: Any) -> Any:
    """Attributes that are equal only if they mean the same: 1 is not 1.0, 0.0 not -0.0."""
    return str(value) if isinstance(value, np.dtype) else repr(value)


# --- what is kept anyway -------------------------------------------------------------------------

_CLAMPS = {"greater": "maximum", "less": "minimum"}


def _reader_of_clamped(equations: list[Equation]) -> Callable[[Equation], Equation]:
    """x > c is max(x, c) > c, NaN included: the derivative of a ReLU reads the ReLU's result.

    So the value before it, which nothing else may want, need not be stored for the backward pass.
    """
    clamped = {
        (e.op.name, spelled(e.inputs[0]), spelled(e.inputs[1])): (position, e.output)
        for position, e in enumerate(equations)
        if e.op.name in _CLAMPS.values() and isinstance(e.inputs[1], Literal)
    }
    place = {id(e): position for position, e in enumerate(equations)}

    def read(equation: Equation) -> Equation:
        clamp = _CLAMPS.get(equation.op.name)
        if clamp is None:
            return equation
        x, bound = equation.inputs
        position, result = clamped.get((clamp, spelled(x), spelled(bound)), (None, None))
        if result is None or position is None or position > place[id(equation)]:
            return equation
        if result.shape != x.shape:
            return equation
        return replace(equation, inputs=(result, bound))

    return read
