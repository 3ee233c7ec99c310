"""The interpreter of a graph: each primitive evaluated by NumPy, the oracle of every pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable, spell_type
from thalweg.errors import ShapeError

__all__ = ["evaluate", "interpret"]


def evaluate(equation: Equation, operands: Sequence[Any]) -> Any:
    """The value of one equation, silent about overflow and 0/0: they give inf and NaN."""
    with np.errstate(all="ignore"):
        return np.asarray(equation.op.evaluate(*operands, **equation.attributes))


def interpret(graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """The outputs of `graph` for the values `arrays` of its inputs.

    Raises `ShapeError` where the arrays are not of the inputs' shapes and dtypes.
    """
    values: dict[Variable, Any] = {}
    for number, (variable, array) in enumerate(zip(graph.inputs, arrays, strict=True)):
        array = np.asarray(array)
        if array.shape != variable.shape or array.dtype != variable.dtype:
            given = f"{array.dtype} of shape {array.shape}"
            raise ShapeError(f"input {number} is {spell_type(variable)}, got {given}")
        values[variable] = array

    def read(atom: Atom) -> Any:
        if isinstance(atom, Literal):
            return np.asarray(atom.value, atom.dtype)
        return values[atom]

    for equation in graph.equations:
        values[equation.output] = evaluate(equation, [read(x) for x in equation.inputs])
    return [read(atom) for atom in graph.outputs]
