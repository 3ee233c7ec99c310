"""A trace within a trace: the operations of a loop's body, on a list of their own.

What the body touches of the world around becomes an operand, and what it gives another value, such
as the random generator's counter, goes from one round to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.tracing.trace import Slot, Tracer
from thalweg.errors import TraceError
from thalweg.tape import mode, wrap

__all__ = ["InnerTracer"]


class InnerTracer(Tracer):
    """A tracer within a trace: what it captures is what the trace around it knows.

    leaves   on the tape in place of captured tensors: the tape of the inner function ends there
    """

    def __init__(self, outer: Any) -> None:
        super().__init__()
        self.outer: Tracer = outer
        self.leaves: dict[int, Tensor] = {}

    def atom(self, x: Tensor) -> Atom:
        """What stands for `x` in the inner program."""
        value: Any = x._value
        if isinstance(value, Literal):
            return value
        if value.__class__ is Variable:
            self.touch(x)
            known: Variable = x._value
            return known
        return super().atom(x)

    def touch(self, x: Tensor) -> None:
        """Capture `x`, unless it is of this trace: it is about to be read or given a new value."""
        if x._value.__class__ is Variable and x._value in self.known:
            return
        self.outer.touch(x)
        variable = self.new(x._value.shape, x._value.dtype)
        leaf = wrap(variable)
        leaf._requires_grad = x._requires_grad
        self.slots[id(x)] = Slot(x, x._value, variable, x._node, x._requires_grad, x._grad)
        self.leaves[id(x)] = leaf
        x._value, x._node = variable, leaf if x._requires_grad else None

    def guard(self, owner: Any, name: str, value: Any) -> None:
        """Note that the program depends on owner.name, which is no tensor."""
        self.outer.guard(owner, name, value)

    def argument(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], requires_grad: bool = False
    ) -> Tensor:
        """A tensor of a new variable."""
        x = wrap(self.new(shape, dtype))
        x._requires_grad = requires_grad
        return x

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Let this be the trace; the tensors it captured are as they were at the end."""
        before = mode.interpret, mode.trace, mode.level
        mode.interpret = mode.trace = self
        mode.level = None  # the values of levels around are operands
        try:
            yield
        finally:
            mode.interpret, mode.trace, mode.level = before
            self.restore()

    def changed(self, where: str) -> list[Slot]:
        """The captured tensors that were given another value.

        Raises `TraceError` where one got a gradient, which has no place to go.
        """
        for slot in self.slots.values():
            leaf = self.leaves[id(slot.tensor)]
            if leaf._grad is not None or slot.tensor._grad is not slot.grad:
                raise TraceError(
                    f"backward() inside the function of a {where}: its gradients have no place to "
                    "go. Use tw.autograd.grad, and return what it gives"
                )
        return [slot for slot in self.slots.values() if slot.tensor._value is not slot.variable]

    def program(self, inputs: Sequence[Variable], outputs: Sequence[Atom]) -> Graph:
        """What was written down, as a graph."""
        equations: list[Equation] = self.equations
        return Graph(list(inputs), equations, list(outputs))
