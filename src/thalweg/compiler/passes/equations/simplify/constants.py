"""Rewrites of numbers that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Literal
from thalweg.compiler.interpret import evaluate
from thalweg.compiler.passes.equations.simplify.rules import (
    Known,
    Rules,
    constant,
    full,
    rule,
)

__all__ = ["RULES"]

RULES: Rules = []


@rule(RULES, "")
def _full_is_a_literal(equation: Equation, known: Known) -> Equation | None:
    """x * full(2.0) = x * 2.0, where the other operands give the shape."""
    inputs = tuple(constant(atom, known) for atom in equation.inputs)
    if inputs == equation.inputs:
        return None
    shapes = [atom.shape for atom in inputs]
    if all(isinstance(atom, Literal) for atom in inputs):
        return replace(equation, inputs=inputs)  # folded next
    fits = np.broadcast_shapes(*shapes) == equation.output.shape
    return replace(equation, inputs=inputs) if fits else None


@rule(RULES, "")
def _fold(equation: Equation, known: Known) -> Atom | None:
    """An equation of literals is a literal."""
    if not all(isinstance(atom, Literal) for atom in equation.inputs):
        return None
    if equation.output.dtype.names:
        return None
    operands = [np.asarray(x.value, x.dtype) for x in equation.inputs if isinstance(x, Literal)]
    return Literal(evaluate(equation, operands).item(), equation.output.dtype)


@rule(RULES, "reshape", "broadcast", "transpose", "slice", "flip")
def _moved_constant(equation: Equation, known: Known) -> Equation | None:
    """A constant, moved, is that constant."""
    value = constant(equation.inputs[0], known)
    if not isinstance(value, Literal) or equation.output.shape == ():
        return None
    return full(equation, value.value)


@rule(RULES, "full")
def _full_of_rank_0(equation: Equation, known: Known) -> Atom | None:
    """A constant of rank 0 is a literal."""
    value, dtype = equation.attributes["value"], equation.output.dtype
    if equation.output.shape or dtype.names:
        return None
    return Literal(np.asarray(value, dtype).item(), dtype)
