"""Contractions: an equation's named axes as the loops of a kernel over two strided operands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thalweg.compiler.graph import Equation, Variable
from thalweg.compiler.kernels import Axis, Margin
from thalweg.compiler.passes.fusion.layout import Layout
from thalweg.compiler.passes.views import Place
from thalweg.primitives.contraction import parse as parse_spec

__all__ = ["Named", "Product", "margins_of", "product_of"]

Role = Literal["batch", "rows", "columns", "inner"]


@dataclass(frozen=True, slots=True)
class Named:
    """An axis of a product: its role and its strides in both operands."""

    role: Role
    axis: Axis


@dataclass(frozen=True, slots=True)
class Product:
    """A contraction over places: `result` has an entry for each axis of the result, in order.

    The inner axes are in the order in which the left operand lies in memory.
    """

    a: Place
    b: Place
    result: tuple[Named, ...]
    inner: tuple[Axis, ...]


def product_of(equation: Equation, layout: Layout) -> Product:
    """The loops of a contraction.

    The axis of the result that is contiguous is made one of the columns, along which results are
    vectors: where it belongs to the left operand, the operands change places.
    """
    left, right, result = parse_spec(equation.attributes["spec"])
    a, b = (layout.place[x] for x in equation.inputs if isinstance(x, Variable))
    last = _contiguous(result, layout.place[equation.output])
    if last in left and last not in right:
        left, right, a, b = right, left, b, a
    sizes = dict(zip((*left, *right), (*a.shape, *b.shape), strict=True))
    strides_a = dict(zip(left, a.strides, strict=True))
    strides_b = dict(zip(right, b.strides, strict=True))

    def axis(name: str) -> Axis:
        return Axis(sizes[name], strides_a.get(name, 0), strides_b.get(name, 0))

    named = tuple(Named(_role(name, left, right), axis(name)) for name in result)
    inner = tuple(axis(name) for name in left if name in right and name not in result)
    order = sorted((x for x in inner if x.size != 1), key=lambda x: -abs(x.a))
    return Product(a, b, named, tuple(order))


def margins_of(equation: Equation, operand: Place, layout: Layout) -> tuple[Margin, ...]:
    """Where an operand, windows of a padded image, holds nothing but padding."""
    found: list[Margin] = []
    for atom in equation.inputs:
        if not isinstance(atom, Variable):
            continue
        windows = layout.equations.get(atom)
        if windows is None or windows.op.name != "windows" or layout.place[atom] != operand:
            continue
        (image,) = windows.inputs
        padded = layout.equations.get(image) if isinstance(image, Variable) else None
        if padded is None or padded.op.name != "pad" or padded.attributes["value"] != 0:
            continue
        how, size = windows.attributes, len(image.shape)
        first = size - len(how["sizes"])
        for number, axis in enumerate(range(first, size)):
            step, inside = how["strides"][number], how["dilations"][number]
            low = padded.attributes["low"][axis]
            high = image.shape[axis] - padded.attributes["high"][axis]
            if 0 < low or high < image.shape[axis]:
                found.append(
                    Margin(
                        operand.strides[axis],
                        operand.shape[axis],
                        operand.strides[size + number],
                        operand.shape[size + number],
                        step,
                        inside,
                        low,
                        high,
                    )
                )
    return tuple(found)


def _contiguous(result: str, place: Place) -> str:
    """The name of the axis of stride 1."""
    axes = zip(result, place.shape, place.strides, strict=True)
    return next((name for name, size, stride in axes if size != 1 and stride == 1), "")


def _role(name: str, left: str, right: str) -> Role:
    if name in left and name in right:
        return "batch"
    return "rows" if name in left else "columns"
