"""What a batching rule does to operands of given shapes, learned once.

A rule looks at shapes and attributes, and at dtypes where it makes constants: it moves and reshapes
the operands, and applies its primitive. What it did to some it does to any others like them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg.autodiff.levels import application
from thalweg.primitives.core import Primitive
from thalweg.tape import Attributes, Inputs, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Plan", "learned"]

Steps = list[tuple[Primitive, Inputs, Attributes, Any]]  # each with its value
Apply = Callable[[Primitive, Inputs, Attributes], "Tensor"]
Move = tuple[int, Primitive, Attributes]  # the place of an operand, and what makes another of it


class Plan(NamedTuple):
    """How operands are moved and arranged before the rule's own primitive is applied to them."""

    is_known: bool = False  # else the rule does something that is not a plan
    moves: tuple[Move, ...] = ()  # one after the other
    constants: tuple[Tensor, ...] = ()
    dtypes: tuple[Any, ...] = ()  # of the operands that the constants are for
    places: tuple[int, ...] = ()  # of the inputs, among operands and constants
    is_straight: bool = False  # the inputs are the operands as they are
    changed: Attributes | None = None  # the attributes that are others than those given

    def applied_to(self, apply: Apply, operands: Sequence[Tensor]) -> Inputs:
        """The inputs of the rule's own primitive."""
        if self.constants and self.dtypes != tuple([x._value.dtype for x in operands]):
            raise LookupError("the constants are for other dtypes")
        found = [*operands, *self.constants]
        for place, move, attributes in self.moves:
            found[place] = apply(move, (found[place],), attributes)
        return tuple([found[place] for place in self.places])


def learned(
    primitive: Primitive,
    size: int,
    cases: Sequence[bool],
    operands: Sequence[Tensor],
    attributes: Attributes,
) -> Plan:
    """What the batching rule of `primitive` does to these operands."""
    steps: Steps = []
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
    last, _, given, value = steps[-1]
    moves, constants, places = _moves(own, steps)
    if last is not primitive or value is not out._value or -1 in places:
        return Plan()
    return Plan(
        is_known=True,
        moves=tuple(moves),
        constants=tuple(constants),
        dtypes=tuple([x._value.dtype for x in own]),
        places=places,
        is_straight=not moves and places == tuple(range(len(own))),
        changed={name: v for name, v in given.items() if v is not attributes.get(name)} or None,
    )


def _moves(own: Sequence[Tensor], steps: Steps) -> tuple[list[Move], list[Tensor], tuple[int, ...]]:
    """The moves and constants before the last step, and the places of its inputs; -1 of any other
    value.
    """
    moves: list[Move] = []
    constants: list[Tensor] = []
    places = {id(x._value): k for k, x in enumerate(own)}
    for step, inputs, given, value in steps[:-1]:
        if len(inputs) > 1 or any(isinstance(v, float) for v in given.values()):
            continue  # 0.0 and -0.0 are equal, and would be one plan
        if not inputs:
            places[id(value)] = len(own) + len(constants)
            constants.append(wrap(value))
        elif (place := places.pop(id(inputs[0]._value), -1)) >= 0:
            places[id(value)] = place
            moves.append((place, step, given))
    return moves, constants, tuple([places.get(id(x._value), -1) for x in steps[-1][1]])
