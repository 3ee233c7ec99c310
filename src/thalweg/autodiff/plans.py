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

Move = tuple[Primitive, tuple[int, ...], Attributes]


class Plan(NamedTuple):
    """The primitives that move operands, and how the rule's own is applied to the results.

    Every one has the places of its inputs, among the operands and what comes of the moves.
    """

    moves: tuple[Move, ...] | None = None  # None: the rule does anything else
    places: tuple[int, ...] | None = None  # of the inputs; None: the operands as they are
    changed: Attributes | None = None  # the attributes that are others than those given

    def operands(self, interpret: Interpreter, given: Sequence[Tensor]) -> Inputs:
        """What the rule applies its own primitive to."""
        known = list(given)
        for move, places, attributes in self.moves or ():
            known.append(wrap(interpret(move, tuple([known[k] for k in places]), attributes)))
        return tuple([known[k] for k in self.places or ()])


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
    known = {id(x._value): k for k, x in enumerate(own)}
    moves: list[Move] = []
    for step, inputs, given, value in steps:
        places = tuple([known.get(id(x._value), -1) for x in inputs])
        if -1 in places or not places:  # of no operand: its dtype may be that of one
            return Plan()
        known[id(value)] = len(own) + len(moves)
        moves.append((step, places, given))
    last, places, given = moves.pop()
    if last is not primitive or value is not out._value:
        return Plan()
    if any(isinstance(v, float) for move in moves for v in move[2].values()):
        return Plan()  # 0.0 and -0.0 are equal, and would be one plan
    changed = {name: v for name, v in given.items() if v is not attributes[name]}
    straight = places == tuple(range(len(own)))
    return Plan(tuple(moves), None if straight else places, changed or None)
