"""What a batching rule does to operands of given shapes, learned once.

A rule looks at shapes and attributes and at nothing else: it moves and reshapes the operands, and
applies its primitive. What it did to some it does to any others of their shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg.autodiff.levels import application
from thalweg.primitives.core import Primitive
from thalweg.tape import Attributes, Inputs, Interpreter, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Plan", "learned"]


class Plan(NamedTuple):
    """How operands are moved, one after the other, before the rule's own primitive is applied."""

    # The place of an operand, and what makes another of it; None: the rule does anything else.
    moves: tuple[tuple[int, Primitive, Attributes], ...] | None = None
    changed: Attributes | None = None  # the attributes that are others than those given

    def move(self, interpret: Interpreter, operands: list[Tensor]) -> None:
        """Put in the place of operands what is made of them."""
        for place, move, attributes in self.moves or ():
            operands[place] = wrap(interpret(move, (operands[place],), attributes))


def learned(
    primitive: Primitive,
    size: int,
    cases: Sequence[bool],
    operands: Sequence[Tensor],
    attributes: Attributes,
) -> Plan:
    """What the batching rule of `primitive` does to these operands."""
    steps: list[tuple[Primitive, Inputs, Attributes, Any]] = []
    interpret = mode.interpret

    def look(step: Primitive, inputs: Inputs, given: Attributes) -> Any:
        value = interpret(step, inputs, given)
        steps.append((step, inputs, given, value))
        return value

    own = [wrap(x._value.view()) for x in operands]  # one array may be two operands
    mode.interpret = look
    try:
        assert primitive.batch is not None
        out = primitive.batch(application(primitive), size, cases, *own, **attributes)
    finally:
        mode.interpret = interpret
    places = {id(x._value): k for k, x in enumerate(own)}
    moves: list[tuple[int, Primitive, Attributes]] = []
    *before, (last, inputs, given, value) = steps
    for step, xs, attributes_of_step, made in before:
        place = places.pop(id(xs[0]._value), None) if len(xs) == 1 else None
        if place is None or any(isinstance(v, float) for v in attributes_of_step.values()):
            return Plan()  # 0.0 and -0.0 are equal, and would be one plan
        places[id(made)] = place
        moves.append((place, step, attributes_of_step))
    straight = [places.get(id(x._value)) for x in inputs] == [*range(len(own))]
    if last is not primitive or value is not out._value or not straight:
        return Plan()
    changed = {name: v for name, v in given.items() if v is not attributes.get(name)}
    return Plan(tuple(moves), changed or None)
