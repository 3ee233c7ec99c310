"""Rewrites of reductions, products, orders and places."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Variable
from thalweg.compiler.passes.equations.simplify.rules import (
    Known,
    Rules,
    full,
    instead,
    rule,
)
from thalweg.primitives import REGISTRY
from thalweg.primitives.contraction import parse

__all__ = ["RULES"]

RULES: Rules = []


_OF_NOTHING = {"sum": 0, "prod": 1}


@rule(RULES, "sum", "prod", "max", "min")
def _reduced_by_nothing(equation: Equation, known: Known) -> Equation | None:
    """A reduction over axes of size 1 is a reshape; over no elements, a constant."""
    x, axes = equation.inputs[0], equation.attributes["axes"]
    if 0 in x.shape and equation.op.name in _OF_NOTHING:
        return full(equation, _OF_NOTHING[equation.op.name])
    if any(x.shape[axis] != 1 for axis in axes):
        return None
    return instead(equation, "reshape", x, shape=equation.output.shape)


_FEW = 4  # elements whose largest is found by comparing them where it is needed


@rule(RULES, "max", "min")
def _of_few(equation: Equation, known: Known) -> Equation | None:
    """The largest of a few, in a window of a pool say, is computed like any elementwise value."""
    x, axes = equation.inputs[0], equation.attributes["axes"]
    if x.dtype.kind not in "fiu" or math.prod(x.shape[axis] for axis in axes) > _FEW:
        return None
    which = {"max": "maximum", "min": "minimum"}[equation.op.name]

    def element(place: tuple[int, ...]) -> Variable:
        at = dict(zip(axes, place, strict=True))
        starts = tuple(at.get(axis, 0) for axis in range(len(x.shape)))
        sizes = tuple(1 if axis in at else size for axis, size in enumerate(x.shape))
        attributes = {"starts": starts, "sizes": sizes, "steps": (1,) * len(sizes)}
        part = Variable(sizes, x.dtype)
        known[part] = replace(
            equation, op=REGISTRY["slice"], inputs=(x,), output=part, attributes=attributes
        )
        return made("reshape", part, shape=equation.output.shape)

    def made(name: str, *inputs: Atom, **attributes: Any) -> Variable:
        output = Variable(equation.output.shape, x.dtype)
        op = REGISTRY[name]
        known[output] = replace(
            equation, op=op, inputs=inputs, output=output, attributes=attributes
        )
        return output

    first, *rest = map(element, np.ndindex(*(x.shape[axis] for axis in axes)))
    for other in rest[:-1]:
        first = made(which, first, other)
    return instead(equation, which, first, rest[-1])


@rule(RULES, "argmax", "argmin")
def _the_only_one(equation: Equation, known: Known) -> Equation | None:
    """The largest of one stands at 0."""
    single = equation.inputs[0].shape[equation.attributes["axis"]] == 1
    return full(equation, 0) if single else None


@rule(RULES, "cumsum", "argsort")
def _of_one(equation: Equation, known: Known) -> Atom | Equation | None:
    """Along an axis of size 1 a cumulative sum changes nothing and an order is 0."""
    x = equation.inputs[0]
    if x.shape[equation.attributes["axis"]] != 1:
        return None
    return x if equation.op.name == "cumsum" else full(equation, 0)


@rule(RULES, "contraction")
def _inner_product(equation: Equation, known: Known) -> Equation | None:
    """A sum of products of arrays of the same axes: a reduction, into which much can be fused.

    Only where nothing is reused: each element of either operand is read once.
    """
    a, b = equation.inputs
    left, right, result = parse(equation.attributes["spec"])
    inner = tuple(axis for axis, name in enumerate(left) if name not in result)
    if left != right or not inner or result != "".join(n for n in left if n in result):
        return None
    if a.dtype.kind == "b":  # of truths there is no sum
        return None
    product = Variable(a.shape, a.dtype)
    known[product] = replace(
        equation, op=REGISTRY["multiply"], inputs=(a, b), output=product, attributes={}
    )
    return instead(equation, "sum", product, axes=inner)


@rule(RULES, "contraction", "scatter_add")
def _sum_of_nothing(equation: Equation, known: Known) -> Equation | None:
    """Where there is nothing to add up, the result is 0."""
    operands = equation.inputs[:1] if equation.op.name == "scatter_add" else equation.inputs
    nothing = any(0 in atom.shape for atom in operands)
    return full(equation, 0) if nothing else None
