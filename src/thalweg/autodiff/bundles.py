"""One node on the tape for an operation of several results: a bundle of them, and its items.

    operands  <-  bundle  <-  item 0, item 1, ..

The cotangent of a bundle is a `Cotangents`: those of the items that have any, by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.primitives import loops
from thalweg.primitives.core import AllOperands, Rule
from thalweg.primitives.loops import Bundle
from thalweg.tape import Composite, Node, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Bundled", "bundle", "item"]


class Bundled:
    """Several values as one, which a node has as its output."""

    shape: tuple[int, ...] = ()
    dtype = Bundle(())

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)


def bundle(name: str, rule: Rule, operands: Sequence[Tensor], results: Sequence[Tensor]) -> Tensor:
    """The results of an operation on the tape: rule(g, bundle, *operands) is its VJP."""
    value = Bundled([x._value for x in results])
    joint = wrap(value)
    joint._node = Node(Composite(name, AllOperands(rule)), tuple(operands), value, {})
    joint._requires_grad = True
    return joint


def item(joint: Tensor, number: int, is_recorded: bool) -> Tensor:
    """A result; on the tape, if the bundle is there, and it is one that is differentiated."""
    x = wrap(joint._value.values[number])
    if is_recorded and joint._requires_grad:
        x._node = Node(loops.item, (joint,), x._value, {"index": number})
        x._requires_grad = True
    return x
