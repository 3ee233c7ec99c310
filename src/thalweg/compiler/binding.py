"""A compiled program tied to the world: whose arrays it reads, and whose values it replaces.

State is written in place. A tensor is a value that other names may share (`x.detach()` shares the
array of x), so an array is written to only while its tensor is the only one that holds it; else
the tensor is given a copy first. Nobody ever sees a value change under another name.

A program may hold a weight with its axes in another order in memory (see `passes.held`). The
tensor's array is of the same shape then, with other strides: whoever looks at it, saves it, or
captures it in another program sees nothing else.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.compiler.kernels import Plan
from thalweg.compiler.machine import host
from thalweg.compiler.native.frame import aligned_array
from thalweg.compiler.native.program import Program
from thalweg.compiler.native.shortage import no_result
from thalweg.compiler.passes.fusion.channels import Order
from thalweg.compiler.passes.fusion.held import Choice
from thalweg.compiler.tracing.trace import Slot, Trace
from thalweg.tape import tracing, wrap

__all__ = ["Bound"]

Array = npt.NDArray[Any]
_SAMPLE_BYTES = 4 << 20
_LARGE = 1 << 16  # bytes of a result that is worth aligning


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array for a result; a large one at the start of a line."""
    large = math.prod(shape) * dtype.itemsize >= _LARGE
    return aligned_array(shape, dtype) if large else np.empty(shape, dtype)


def _aligned(array: Array, order: Order | None) -> Array:
    """A copy that begins at a line of the cache, its axes in this order in memory."""
    copy = aligned_array(array.shape, array.dtype, order)
    copy[...] = array
    return copy


def _lies(array: Array, order: Order | None) -> bool:
    """Whether the axes of `array` lie contiguous in this order in memory."""
    return (array if order is None else array.transpose(order)).flags.c_contiguous


def _choice(trace: Trace) -> Choice:
    """What the program may hold in an order of its own: what it captures, and their gradients."""
    gradients = (number for _, number in trace.gradients if number is not None)
    return Choice(
        frozenset(range(trace.arguments, len(trace.graph.inputs))),
        frozenset([*trace.updates.values(), *gradients]),
    )


class Bound:
    """The program of a trace, and the tensors it captured.

    The program's table of addresses is that of the plan's inputs, in order, then of its outputs
    that are no state.

    sample  arguments of an early call or scan, with a leading axis of iterations, and how many
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.program = Program.of(trace.graph, trace.updates, host(), _choice(trace))
        orders = self.program.input_orders
        self.captured = [
            _Captured(slot, number in trace.updates, orders.get(number))
            for number, slot in enumerate(trace.slots, trace.arguments)
        ]
        state = set(trace.updates.values())
        self.free = [k for k in range(len(trace.graph.outputs)) if k not in state]
        self.gradients = {
            number: _Gradient(tensor, self.program.output_orders.get(number))
            for tensor, number in trace.gradients
            if number is not None
        }
        self.cleared = [tensor for tensor, number in trace.gradients if number is None]
        self.sample: tuple[list[Array], int] | None = None

    @property
    def plan(self) -> Plan:
        """The kernels of the program."""
        return self.program.plan

    def follow(self) -> None:
        """Take the gradients that are there now; `fits` does too."""
        for captured in self.captured:
            captured.follow()

    def serves(self, trace: Trace) -> bool:
        """Whether another trace captured the same tensors and sets the same gradients."""
        mine = [slot.current() for slot in self.trace.slots]
        theirs = [slot.current() for slot in trace.slots]
        return (
            len(mine) == len(theirs)
            and all(a is b for a, b in zip(mine, theirs, strict=True))
            and self.trace.updates == trace.updates
            and [n for _, n in self.trace.gradients] == [n for _, n in trace.gradients]
        )

    def fits(self) -> bool:
        """Whether the captured tensors still have the shapes and dtypes of the program."""
        return all(map(_Captured.fits, self.captured))

    def call(self, tensors: Sequence[Tensor]) -> list[Array]:
        """Run once; gives the arrays of the results."""
        with tracing:
            given = [np.ascontiguousarray(x._value) for x in tensors]
            table = [_address(array) for array in given]
            table += [captured.address() for captured in self.captured]
            results = self._outputs(table)
        self.program.run(table)
        if self.sample is None:
            self.sample = [array[None] for array in given], 1
        self._set_gradients()
        return results

    def scan(self, tensors: Sequence[Tensor], count: int, first: int) -> list[Array]:
        """Run `count` times over the leading axis of `tensors`; the results are stacked.

        In errors, iterations are numbered from `first`.
        """
        with tracing:
            given = [np.ascontiguousarray(x._value) for x in tensors]
            table = [_address(array) for array in given]
            table += [captured.address() for captured in self.captured]
            results = self._outputs(table, (count,))
        strides = [array.nbytes // count for array in given]
        strides += [0] * len(self.captured)
        stacked = [array.nbytes // count for array in results]
        strides += stacked + [0] * (len(self.free) - len(stacked))
        self.program.scan(count, table, strides, first=first)
        if self.sample is None or self.sample[1] < min(count, 2):
            self._remember(given, count)
        self._set_gradients()
        return results

    def _outputs(self, table: list[int], lead: tuple[int, ...] = ()) -> list[Array]:
        """New arrays for the results, and the gradients' arrays; their addresses join the table."""
        outputs = self.trace.graph.outputs
        results = []
        for number in self.free:
            atom = outputs[number]
            is_result = number < self.trace.results
            shape = lead + atom.shape if is_result else atom.shape
            try:
                if is_result:
                    array = _room(shape, atom.dtype)
                    results.append(array)
                else:
                    array = self.gradients[number].array(shape, atom.dtype)
            except MemoryError:
                raise no_result(self.trace.graph, number, shape) from None
            table.append(_address(array))
        return results

    def _remember(self, given: list[Array], count: int) -> None:
        """Keep some iterations' arguments, a few MB: `explain` measures with them."""
        each = max(1, sum(array.nbytes for array in given) // count)
        kept = min(count, max(1, _SAMPLE_BYTES // each))
        self.sample = [array[:kept].copy() for array in given], kept

    def _set_gradients(self) -> None:
        for gradient in self.gradients.values():
            gradient.set()
        for tensor in self.cleared:
            tensor._grad = None


class _Captured:
    """A captured tensor, the array it had when the program last ran, and that array's address."""

    __slots__ = ("dtype", "is_state", "known", "order", "owner", "place", "shape", "tensor")

    def __init__(self, slot: Slot, is_state: bool, order: Order | None) -> None:
        self.tensor, self.owner = slot.tensor, slot.owner
        self.shape, self.dtype = slot.variable.shape, slot.variable.dtype
        self.is_state, self.order = is_state, order
        self.known: Array | None = None
        self.place = 0

    def follow(self) -> None:
        """Where what is captured is a gradient, take the one that its owner has now."""
        if self.owner is not None and self.owner._grad is not None:
            self.tensor = self.owner._grad

    def fits(self) -> bool:
        self.follow()
        array = self.tensor._value
        return array is self.known or (array.shape == self.shape and array.dtype == self.dtype)

    def read(self) -> Array:
        """Its value now, in the program's order; of state, a copy."""
        array = self.tensor._value
        copied = self.is_state or not _lies(array, self.order)
        return _aligned(array, self.order) if copied else array

    def address(self) -> int:
        """Where its value stands now; of state, in an array that nobody else holds."""
        array = self.tensor._value
        if array is self.known and not (self.is_state and sys.getrefcount(array) > _OURS):
            return self.place
        array = self.tensor._value = self.read()
        self.known, self.place = array, _address(array)
        return self.place


# The references to an array that is ours alone, seen from `_Captured.address`: the tensor's, the
# captured one's, the local name's and the call's argument.
_OURS = 4


class _Gradient:
    """The `.grad` of a captured tensor, whose array is used again while nobody else holds it."""

    __slots__ = ("grad", "order", "tensor")

    def __init__(self, tensor: Tensor, order: Order | None) -> None:
        self.tensor, self.order = tensor, order
        self.grad: Tensor | None = None

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array for the new gradient."""
        grad = self.grad
        # Held by: this object, the tensor's .grad, the local name, the call's argument.
        if grad is not None and grad is self.tensor._grad and sys.getrefcount(grad) <= 4:
            value: Array = grad._value
            if sys.getrefcount(value) <= 3 and value.shape == shape:
                return value
        made: Array = aligned_array(shape, dtype, self.order)
        self.grad = wrap(made)
        return made

    def set(self) -> None:
        """Let the tensor have the gradient that was just computed."""
        self.tensor._grad = self.grad
