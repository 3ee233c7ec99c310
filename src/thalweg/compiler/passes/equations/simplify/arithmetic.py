"""Rewrites of elementwise arithmetic."""

from __future__ import annotations

import math

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Literal
from thalweg.compiler.passes.equations.simplify.rules import (
    Known,
    Rules,
    instead,
    is_number,
    made_by,
    rule,
)

__all__ = ["RULES"]

RULES: Rules = []


@rule(RULES, "multiply")
def _times_one(equation: Equation, known: Known) -> Atom | None:
    """x * 1 = x."""
    a, b = equation.inputs
    return a if is_number(b, 1) else b if is_number(a, 1) else None


@rule(RULES, "multiply")
def _times_minus_one(equation: Equation, known: Known) -> Equation | None:
    """x * -1 = -x."""
    a, b = equation.inputs
    if equation.output.dtype.kind not in "fi" or not (is_number(a, -1) or is_number(b, -1)):
        return None
    return instead(equation, "negative", a if is_number(b, -1) else b)


@rule(RULES, "divide")
def _by_one(equation: Equation, known: Known) -> Atom | None:
    """x / 1 = x."""
    return equation.inputs[0] if is_number(equation.inputs[1], 1) else None


@rule(RULES, "divide")
def _by_power_of_two(equation: Equation, known: Known) -> Equation | None:
    """x / 2^n = x * 2^-n, exactly."""
    a, b = equation.inputs
    if not isinstance(b, Literal) or b.value == 0 or not math.isfinite(b.value):
        return None
    mantissa, exponent = math.frexp(b.value)
    if abs(mantissa) != 0.5 or abs(exponent) > 100:
        return None
    return instead(equation, "multiply", a, Literal(1 / b.value, b.dtype))


@rule(RULES, "add")
def _plus_nothing(equation: Equation, known: Known) -> Atom | None:
    """x + 0 = x for integers, x + -0.0 = x for floats."""
    a, b = equation.inputs
    kind = equation.output.dtype.kind
    zero = -0.0 if kind == "f" else 0
    return a if is_number(b, zero) else b if is_number(a, zero) else None


@rule(RULES, "subtract")
def _minus_nothing(equation: Equation, known: Known) -> Atom | None:
    """x - 0 = x."""
    return equation.inputs[0] if is_number(equation.inputs[1], 0) else None


@rule(RULES, "negative", "bitwise_not")
def _twice(equation: Equation, known: Known) -> Atom | None:
    """-(-x) = x, and not not x = x."""
    made = made_by(equation.inputs[0], equation.op.name, known)
    return made.inputs[0] if made else None


@rule(RULES, "add")
def _plus_negative(equation: Equation, known: Known) -> Equation | None:
    """a + -b = a - b."""
    a, b = equation.inputs
    if (made := made_by(b, "negative", known)) is not None:
        return instead(equation, "subtract", a, made.inputs[0])
    if (made := made_by(a, "negative", known)) is not None:
        return instead(equation, "subtract", b, made.inputs[0])
    return None


@rule(RULES, "subtract")
def _minus_negative(equation: Equation, known: Known) -> Equation | None:
    """a - -b = a + b."""
    made = made_by(equation.inputs[1], "negative", known)
    return instead(equation, "add", equation.inputs[0], made.inputs[0]) if made else None


@rule(RULES, "scalar_power")
def _small_power(equation: Equation, known: Known) -> Atom | Equation | None:
    """x^1 = x, x^2 = x x; of a float x^-1 = 1 / x and x^(1/2) = sqrt x, as NumPy takes them."""
    (x,), exponent = equation.inputs, equation.attributes["exponent"]
    if exponent == 1:
        return x
    if exponent == 2:
        return instead(equation, "multiply", x, x)
    if x.dtype.kind == "f" and exponent == 0.5:
        return instead(equation, "sqrt", x)
    if x.dtype.kind == "f" and exponent == -1:
        return instead(equation, "divide", Literal(1.0, x.dtype), x)
    return None


@rule(RULES, "maximum", "minimum")
def _of_itself(equation: Equation, known: Known) -> Atom | None:
    """max(x, x) = x."""
    return equation.inputs[0] if equation.inputs[0] is equation.inputs[1] else None


@rule(RULES, "select")
def _chosen(equation: Equation, known: Known) -> Atom | None:
    """Where the condition is known, or both are the same, there is nothing to choose."""
    condition, a, b = equation.inputs
    if isinstance(condition, Literal):
        return a if condition.value else b
    return a if a is b else None


@rule(RULES, "cast")
def _same_type(equation: Equation, known: Known) -> Atom | None:
    """x as its own type."""
    return equation.inputs[0] if equation.inputs[0].dtype == equation.output.dtype else None


@rule(RULES, "cast")
def _widened_before(equation: Equation, known: Known) -> Equation | None:
    """A cast of a cast that lost nothing is one cast."""
    made = made_by(equation.inputs[0], "cast", known)
    if made is None or made.inputs[0].dtype.names or made.output.dtype.names:
        return None
    source, middle, result = made.inputs[0].dtype, made.output.dtype, equation.output.dtype
    if result.names or not np.can_cast(source, middle, "safe"):
        return None
    if middle.kind == "f" and source.kind in "iu" and source.itemsize >= middle.itemsize:
        return None  # NumPy takes int64 to float64 for safe
    return instead(equation, "cast", made.inputs[0], dtype=result)
