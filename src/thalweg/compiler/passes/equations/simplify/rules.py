"""What rewrites are written with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Literal, Variable
from thalweg.primitives import REGISTRY

__all__ = ["Known", "Rules", "constant", "full", "instead", "is_number", "made_by", "rule"]

Known: TypeAlias = dict[Variable, Equation]
Rewrite: TypeAlias = Callable[[Equation, Known], "Atom | Equation | None"]
Rules: TypeAlias = list[tuple[str, Rewrite]]  # of a primitive; of all elementwise ones for ""


def rule(rules: Rules, *names: str) -> Callable[[Rewrite], Rewrite]:
    """Enter a rewrite into `rules`, for each of `names`."""

    def enter(rewrite: Rewrite) -> Rewrite:
        rules.extend((name, rewrite) for name in names)
        return rewrite

    return enter


def instead(equation: Equation, name: str, *inputs: Atom, **attributes: Any) -> Equation:
    """Another primitive with the same output."""
    return replace(equation, op=REGISTRY[name], inputs=inputs, attributes=attributes)


def full(equation: Equation, value: Any) -> Equation:
    """The number at every place."""
    output = equation.output
    return instead(equation, "full", shape=output.shape, value=value, dtype=output.dtype)


def made_by(atom: Atom, name: str, known: Known) -> Equation | None:
    """The equation that computes `atom`, if it is an application of `name`."""
    made = known.get(atom) if isinstance(atom, Variable) else None
    return made if made is not None and made.op.name == name else None


def is_number(atom: Atom, number: float) -> bool:
    """Whether `atom` is this very number: of two zeros the one with its sign."""
    if not isinstance(atom, Literal) or atom.dtype.kind == "b" or atom.value != number:
        return False
    return atom.dtype.kind != "f" or math.copysign(1, atom.value) == math.copysign(1, number)


def constant(atom: Atom, known: Known) -> Atom:
    """A `full` as the literal it repeats."""
    made = made_by(atom, "full", known)
    if made is None or made.output.dtype.names:
        return atom
    return Literal(np.asarray(made.attributes["value"], made.output.dtype).item(), atom.dtype)
