"""The order of axes in memory: what convolutions compute on lies channels-last.

A value of shape (n, c, h, w) that a convolution reads through windows, or that it computes, is
stored in the order n, h, w, c. Then the innermost axis of a convolution's product is contiguous in
both operands' panels, and the result's columns, its channels, are vectors. What is computed from
such a value elementwise, or by pooling, follows its order. Inputs and outputs of a program stay in
row-major order, but for what it holds from run to run (`held`), and so does what is reshaped in a
way that only row-major order allows.
"""

from __future__ import annotations

from collections.abc import Mapping

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.passes.operations import ELEMENTWISE, MOVEMENT, REDUCTIONS
from thalweg.compiler.passes.views import (
    Affine,
    Place,
    Undivided,
    address,
    constant,
    elements,
    moved_index,
    narrowed,
)
from thalweg.primitives.contraction import parse

__all__ = ["Order", "convolved", "followed", "place_in_order"]

Order = tuple[int, ...]  # the axes, outermost first


def place_in_order(root: Variable, order: Order) -> Place:
    """A stored value whose axes lie in memory in this order."""
    strides, step = [0] * len(order), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= root.shape[axis]
    return Place(root, 0, root.shape, tuple(strides))


def convolved(graph: Graph) -> dict[Variable, Order]:
    """The values that convolutions read through windows or compute, and their order."""
    windows = {e.output: e for e in graph.equations if e.op.name == "windows"}
    orders: dict[Variable, Order] = {}
    for equation in graph.equations:
        if equation.op.name != "contraction":
            continue
        left, right, result = parse(equation.attributes["spec"])
        for atom, names in zip(equation.inputs, (left, right), strict=True):
            made = windows.get(atom) if isinstance(atom, Variable) else None
            if made is None:
                continue
            rank = len(made.attributes["sizes"])
            (image,) = made.inputs
            if isinstance(image, Variable) and len(image.shape) > rank:
                orders[image] = _channels_last(image, rank)
            places = names[-2 * rank : -rank]
            other = equation.inputs[1] if names is left else equation.inputs[0]
            beside = right if names is left else left
            for value, own in ((equation.output, result), (other, beside)):
                if own[-rank:] == places and len(own) > rank and isinstance(value, Variable):
                    orders[value] = _channels_last(value, rank)
    return orders


def _channels_last(image: Variable, rank: int) -> Order:
    """The axis before the `rank` last ones is innermost."""
    axes = range(len(image.shape))
    channel = len(axes) - rank - 1
    return (*(axis for axis in axes if axis != channel), channel)


# --- following ------------------------------------------------------------------------------------


def followed(
    equation: Equation,
    equations: Mapping[Variable, Equation],
    place: Mapping[Variable, Place],
    orders: Mapping[Variable, Order],
) -> Order | None:
    """The order in which a result is computed along what it reads; None: row-major."""
    shape = equation.output.shape
    index = [Affine(0, tuple(int(i == j) for j in range(len(shape)))) for i in range(len(shape))]
    along = _Along(shape, equations, place, orders)
    if equation.op.name in _LIKE_THEIR_OPERAND or equation.op.name in REDUCTIONS:
        strides = along.value(equation.inputs[0], _point(equation, index))
    else:
        strides = along.result(equation, index)
    if strides is None:
        return None
    order = tuple(sorted(range(len(shape)), key=lambda axis: -abs(strides[axis])))
    return None if order == tuple(range(len(shape))) else order


_LIKE_THEIR_OPERAND = frozenset({"overlap_add", "pad", "concatenate"})


class _Along:
    """Looks for the stored value in an order of its own that a result is computed from."""

    def __init__(
        self,
        shape: tuple[int, ...],
        equations: Mapping[Variable, Equation],
        place: Mapping[Variable, Place],
        orders: Mapping[Variable, Order],
    ) -> None:
        self.shape = shape
        self.equations = equations
        self.place = place
        self.orders = orders

    def value(self, atom: Atom, at: list[Affine]) -> tuple[int, ...] | None:
        """How far each axis of the result moves in the memory that holds `atom` at `at`."""
        if not isinstance(atom, Variable):
            return None
        if atom not in self.place:
            return self.result(self.equations[atom], at)
        where = self.place[atom]
        if where.root not in self.orders:
            return None
        return address(where.offset, where.strides, at, len(self.shape)).strides

    def result(self, made: Equation, at: list[Affine]) -> tuple[int, ...] | None:
        """The same for the result of an equation that is computed on the spot."""
        if made.op.name in ELEMENTWISE:
            size, loops = elements(made.output.shape), len(self.shape)
            whole = [x for x in made.inputs if elements(x.shape) == size]
            found = (self.value(x, narrowed(x.shape, at, loops)) for x in whole)
            return next((strides for strides in found if strides is not None), None)
        if made.op.name in MOVEMENT:
            (source,) = made.inputs
            try:
                before = moved_index(made.op.name, made.attributes, source.shape, at, self.shape)
            except Undivided:
                return None
            return None if before is None else self.value(source, before)
        return None


def _point(equation: Equation, index: list[Affine]) -> list[Affine]:
    """A point of the operand that belongs to the result's `index`, up to where it begins."""
    source = equation.inputs[0]
    nothing = constant(0, len(index))
    name, attributes = equation.op.name, equation.attributes
    if name == "overlap_add":
        return [*index, *(nothing for _ in attributes["shape"])]
    if name in ("pad", "concatenate"):
        return index
    axes = attributes["axes"] if "axes" in attributes else (attributes["axis"],)
    rest = iter(index)
    return [nothing if axis in axes else next(rest) for axis in range(len(source.shape))]
