"""Rewrites of what moves elements and computes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Literal, Variable
from thalweg.compiler.passes.equations.simplify.rules import (
    Known,
    Rules,
    constant,
    full,
    instead,
    is_number,
    made_by,
    rule,
)
from thalweg.primitives import REGISTRY

__all__ = ["RULES"]

RULES: Rules = []


@rule(RULES, "reshape", "broadcast", "transpose", "slice")
def _stays(equation: Equation, known: Known) -> Atom | None:
    """Movement that moves nothing."""
    x, attributes = equation.inputs[0], equation.attributes
    if x.shape != equation.output.shape:
        return None
    if equation.op.name == "transpose":
        small = [axis for axis in attributes["axes"] if x.shape[axis] != 1]
        return x if small == sorted(small) else None
    return x  # a slice of the whole shape starts at 0, by steps of 1


@rule(RULES, "flip")
def _flipped_back(equation: Equation, known: Known) -> Atom | Equation | None:
    """Flips of the same axes cancel; an axis of size 1 has no direction."""
    x, axes = equation.inputs[0], equation.attributes["axes"]
    made = made_by(x, "flip", known)
    if made is not None:
        x, axes = made.inputs[0], tuple(sorted({*axes} ^ {*made.attributes["axes"]}))
    axes = tuple(axis for axis in axes if x.shape[axis] > 1)
    if axes == equation.attributes["axes"]:
        return None
    return instead(equation, "flip", x, axes=axes) if axes else x


@rule(RULES, "reshape", "broadcast")
def _shaped_twice(equation: Equation, known: Known) -> Equation | None:
    """A reshape of a reshape is one reshape, a broadcast of a broadcast one broadcast."""
    made = made_by(equation.inputs[0], equation.op.name, known)
    return replace(equation, inputs=made.inputs) if made else None


@rule(RULES, "transpose")
def _transposed_twice(equation: Equation, known: Known) -> Equation | None:
    """A transpose of a transpose is one transpose."""
    made = made_by(equation.inputs[0], "transpose", known)
    if made is None:
        return None
    first = made.attributes["axes"]
    axes = tuple(first[axis] for axis in equation.attributes["axes"])
    return instead(equation, "transpose", made.inputs[0], axes=axes)


@rule(RULES, "slice")
def _sliced_twice(equation: Equation, known: Known) -> Equation | None:
    """A slice of a slice is one slice."""
    made = made_by(equation.inputs[0], "slice", known)
    if made is None:
        return None
    inner, outer = made.attributes, equation.attributes
    first = zip(inner["starts"], inner["steps"], outer["starts"], strict=True)
    starts = tuple(start + step * at for start, step, at in first)
    steps = tuple(a * b for a, b in zip(inner["steps"], outer["steps"], strict=True))
    return instead(
        equation, "slice", made.inputs[0], starts=starts, sizes=outer["sizes"], steps=steps
    )


@rule(RULES, "")
def _broadcast_by_itself(equation: Equation, known: Known) -> Equation | None:
    """Elementwise operations broadcast their operands themselves."""
    inputs = list(equation.inputs)
    for position, atom in enumerate(inputs):
        if (made := made_by(atom, "broadcast", known)) is not None:
            inputs[position] = made.inputs[0]
            if np.broadcast_shapes(*(x.shape for x in inputs)) != equation.output.shape:
                inputs[position] = atom
    return None if tuple(inputs) == equation.inputs else replace(equation, inputs=tuple(inputs))


@rule(RULES, "pad")
def _padded_with_nothing(equation: Equation, known: Known) -> Atom | Equation | None:
    """Padding of no width; padding around nothing, or around the same number, is a constant."""
    x, output = equation.inputs[0], equation.output
    if x.shape == output.shape:
        return x
    value, around = constant(x, known), equation.attributes["value"]
    same = isinstance(value, Literal) and is_number(value, around)
    return full(equation, around) if same or 0 in x.shape else None


@rule(RULES, "concatenate")
def _joined_alone(equation: Equation, known: Known) -> Atom | Equation | None:
    """Operands that hold nothing are left out."""
    axis = equation.attributes["axis"]
    inputs = tuple(x for x in equation.inputs if x.shape[axis])
    if len(inputs) == 1:
        return inputs[0]
    if not inputs or inputs == equation.inputs:
        return None
    return replace(equation, inputs=inputs)


@rule(RULES, "overlap_add")
def _tiles(equation: Equation, known: Known) -> Equation | None:
    """Windows that tile the result, each element in one of them, are added up by moving them."""
    (y,), how = equation.inputs, equation.attributes
    shape, rank = how["shape"], len(how["shape"])
    lead = len(y.shape) - 2 * rank
    counts, sizes = y.shape[lead : lead + rank], y.shape[lead + rank :]
    axes = zip(shape, counts, sizes, how["strides"], how["dilations"], strict=True)
    if not all(n == c * k and s == k and (d == 1 or k == 1) for n, c, k, s, d in axes):
        return None
    paired = [axis for a in range(lead, lead + rank) for axis in (a, a + rank)]
    order = (*range(lead), *paired)
    moved = Variable(tuple(y.shape[axis] for axis in order), y.dtype)
    known[moved] = replace(
        equation, op=REGISTRY["transpose"], output=moved, attributes={"axes": order}
    )
    return instead(equation, "reshape", moved, shape=equation.output.shape)
