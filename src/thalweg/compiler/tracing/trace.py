"""Tracing: running a function once with symbolic values, and what it did to the world.

The tensors a traced function touches are of three kinds: its arguments, results on the way, and
tensors that were there before: parameters, optimizer state, step sizes, the generator's counter.
One rule serves them all. A concrete tensor that is read becomes a captured input: for the time of
the trace it holds a variable in place of its array. One that holds another variable at the end was
given a new value: that is an output, to be written back. Afterwards every tensor is as it was.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Origin, Variable
from thalweg.compiler.pullback import Pullback, pullback_of
from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.errors import TraceError
from thalweg.ops.lift import is_literal
from thalweg.primitives.core import Primitive
from thalweg.tape import mode, tracing, wrap

__all__ = ["Guard", "Slot", "Trace", "Tracer", "trace", "trace_program", "user_line"]

_PACKAGE = str(Path(__file__).parents[2]) + os.sep
_TRAINING = os.path.join(_PACKAGE, "train", "")  # written on the public names, as users write


@dataclass(slots=True)
class Slot:
    """A captured tensor: its array, tape and gradient before the trace, its variable within.

    owner   the captured tensor that this one was the .grad of, if any: what is captured is then
            the gradient that the owner has when the program runs
    """

    tensor: Tensor
    array: np.ndarray[Any, Any]
    variable: Variable
    node: Any
    requires_grad: bool
    grad: Tensor | None
    owner: Tensor | None = None

    def current(self) -> Tensor | None:
        """The tensor that is captured now."""
        return self.tensor if self.owner is None else self.owner._grad


@dataclass(frozen=True, slots=True)
class Guard:
    """Something that is no tensor and decided what was traced: owner.name had this value."""

    owner: Any
    name: str
    value: Any

    def holds(self) -> bool:
        """Whether it still has that value."""
        return bool(getattr(self.owner, self.name) == self.value)


@dataclass(slots=True)
class Trace:
    """A traced program and how it is tied to the world.

    graph      inputs: the arguments' tensors, then the captured ones; outputs: the results, then
               the new values of captured tensors, then gradients
    arguments  how many inputs are arguments
    results    how many outputs are results, or saved for their pullback
    updates    number of an input to the number of the output that is its new value
    gradients  captured tensors whose .grad was set: (tensor, number of an output, or None)
    structure  of the function's result
    constants  its leaves, with `Variable` where a tensor stands
    pullback   of the results that are on the tape; what it wants saved follows the results
    """

    graph: Graph
    arguments: int
    results: int
    slots: list[Slot]
    updates: dict[int, int]
    gradients: list[tuple[Tensor, int | None]]
    structure: Structure
    constants: list[Any]
    guards: list[Guard] = field(default_factory=list)
    pullback: Pullback | None = None


class Tracer:
    """The interpreter in force while a function is traced: it writes down, and computes nothing."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.slots: dict[int, Slot] = {}
        self.known: set[Variable] = set()
        self.guards: dict[tuple[int, str], Guard] = {}

    def __call__(
        self, primitive: Primitive, inputs: tuple[Tensor, ...], attributes: dict[str, Any]
    ) -> Variable:
        atoms = tuple(self.atom(x) for x in inputs)
        output = self.new(*primitive.infer(*atoms, **attributes))
        self.equations.append(Equation(primitive, atoms, output, attributes, user_line()))
        return output

    def new(self, shape: tuple[int, ...], dtype: Any) -> Variable:
        """A variable of this trace."""
        variable = Variable(shape, dtype)
        self.known.add(variable)
        return variable

    def atom(self, x: Tensor) -> Atom:
        """What stands for `x` in the program."""
        value = x._value
        if value.__class__ is Variable:
            if value not in self.known:
                raise TraceError(
                    "a value of another trace was used: it escaped from a compiled function "
                    f"through an attribute or a global ({value!r}). Return it instead"
                )
            return value
        if is_literal(x):
            return Literal(value.item(), value.dtype)
        self.touch(x)
        captured: Variable = x._value
        return captured

    def touch(self, x: Tensor) -> None:
        """Capture `x`, if it is concrete: it is about to be read or given a new value."""
        array = x._value
        if array.__class__ is Variable:
            return
        variable = self.new(array.shape, array.dtype)
        self.slots[id(x)] = Slot(x, array, variable, x._node, x._requires_grad, x._grad)
        x._value, x._node = variable, None  # what it was computed from is not in this program

    def guard(self, owner: Any, name: str, value: Any) -> None:
        """Note that the program depends on owner.name, which is no tensor."""
        self.guards.setdefault((id(owner), name), Guard(owner, name, value))

    def restore(self) -> None:
        """Every captured tensor as it was."""
        for slot in self.slots.values():
            x = slot.tensor
            x._value, x._node, x._requires_grad = slot.array, slot.node, slot.requires_grad
            x._grad = slot.grad


def _is_users(frame: FrameType) -> bool:
    """Whether this is code that uses Thalweg; so does Thalweg's own training."""
    file = frame.f_code.co_filename
    return not file.startswith(_PACKAGE) or file.startswith(_TRAINING)


def _origin(frame: FrameType, line: int) -> Origin:
    return Origin(frame.f_code.co_filename, line, frame.f_code.co_name)


def _line_of(error: BaseException) -> Origin | None:
    """The innermost line outside of Thalweg that raised `error`."""
    found, step = None, error.__traceback__
    while step is not None:
        if _is_users(step.tb_frame):
            found = _origin(step.tb_frame, step.tb_lineno)
        step = step.tb_next
    return found


def user_line() -> Origin | None:
    """The innermost line of the call stack outside of Thalweg, or in its training loop."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if _is_users(frame):
            return _origin(frame, frame.f_lineno)
        frame = frame.f_back
    return None


def trace_program(
    fn: Callable[..., Any], args: Structure, leaves: Sequence[Any], differentiate: bool = False
) -> Trace:
    """Trace fn(*args, **kwargs), whose tensors are replaced by variables.

    `args` is the structure of (args, kwargs), `leaves` its leaves, tensors and others. With
    `differentiate`, results that require a gradient get a pullback.
    """
    if mode.trace is not None:
        raise TraceError("a trace within a trace")
    with tracing:
        return _traced(fn, args, leaves, differentiate)


def _traced(
    fn: Callable[..., Any], args: Structure, leaves: Sequence[Any], differentiate: bool
) -> Trace:
    tracer = Tracer()
    given: list[Variable] = []
    arguments: list[Tensor] = []
    symbolic: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            x = wrap(tracer.new(leaf._value.shape, leaf._value.dtype))
            x._requires_grad = leaf._requires_grad
            given.append(x._value)
            arguments.append(x)
            symbolic.append(x)
        else:
            symbolic.append(leaf)
    before = mode.interpret
    mode.interpret, mode.trace = tracer, tracer
    try:
        positional, keyword = args.build(symbolic)
        results, structure = flatten(fn(*positional, **keyword))
        _check_arguments(arguments, given)
        tensors = [x for x in results if isinstance(x, Tensor)]
        pullback = pullback_of(tracer, arguments, tensors) if differentiate else None
        program = _finished(tracer, given, results, structure, pullback)
        program.graph.names.update(_names(fn, args, [getattr(x, "_value", x) for x in symbolic]))
        return program
    except TraceError as error:
        if (line := _line_of(error)) is not None:
            error.message += f"\n  at {line}"
        raise
    finally:
        mode.interpret, mode.trace = before, None
        tracer.restore()


def _check_arguments(arguments: list[Tensor], given: list[Variable]) -> None:
    """An argument is a value: what happened to it inside would be lost."""
    for number, (x, variable) in enumerate(zip(arguments, given, strict=True)):
        if x._value is not variable:
            raise TraceError(
                f"argument {number}, of shape {variable.shape}, was changed in place inside a "
                "compiled function. Return the new value, or let the function capture the tensor"
            )
        if x._grad is not None:
            raise TraceError(
                f"backward() inside a compiled function reached argument {number}, of shape "
                f"{variable.shape}, whose .grad would be lost. Return tw.autograd.grad(loss, x), "
                "or let the function capture the tensor"
            )


def _finished(
    tracer: Tracer,
    given: list[Variable],
    results: list[Any],
    structure: Structure,
    pullback: Pullback | None,
) -> Trace:
    outputs = [tracer.atom(x) for x in results if isinstance(x, Tensor)]
    _check_results([x for x in results if not isinstance(x, Tensor)])
    if pullback is not None:
        there = {*given, *(slot.variable for slot in tracer.slots.values()), *outputs}
        outputs += [variable for variable in pullback.saved if variable not in there]
    count = len(outputs)
    slots = list(tracer.slots.values())
    updates, gradients = {}, []
    for number, slot in enumerate(slots, start=len(given)):
        if slot.tensor._value is not slot.variable:
            updates[number] = len(outputs)
            outputs.append(tracer.atom(slot.tensor))
    for slot in slots:
        grad = slot.tensor._grad
        if grad is not slot.grad:
            _check_leaf(slot)
            gradients.append((slot.tensor, None if grad is None else len(outputs)))
            if grad is not None:
                outputs.append(tracer.atom(grad))
    slots = list(tracer.slots.values())  # results may have captured more
    owners = {id(slot.grad): slot.tensor for slot in slots if slot.grad is not None}
    for slot in slots:
        slot.owner = owners.get(id(slot.tensor))
    inputs = [*given, *(slot.variable for slot in slots)]
    graph = Graph(inputs, tracer.equations, outputs)
    return Trace(
        graph=graph,
        arguments=len(given),
        results=count,
        slots=slots,
        updates=updates,
        gradients=gradients,
        structure=structure,
        constants=[Variable if isinstance(x, Tensor) else x for x in results],
        guards=list(tracer.guards.values()),
        pullback=pullback,
    )


def _check_results(others: list[Any]) -> None:
    """What is no tensor is given back as it is: it must not hold a traced one, nor go on later."""
    for x in others:
        inside = getattr(x, "__dict__", None) or {}
        holds = any(
            isinstance(v, Tensor) and v._value.__class__ is Variable for v in inside.values()
        )
        if holds or inspect.isgenerator(x) or inspect.iscoroutine(x):
            raise TraceError(
                f"a compiled function gives tensors, in tuples, lists, dictionaries and named "
                f"tuples; this one gave a {type(x).__name__}, whose tensors would have no values"
            )


def _check_leaf(slot: Slot) -> None:
    if slot.node is not None:
        raise TraceError(
            "backward() inside a compiled function reached a tensor of shape "
            f"{slot.variable.shape} that was computed outside of it, from tensors that require a "
            "gradient. Compute it inside, detach() it, or call backward() outside"
        )


def trace(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Graph:
    """The sequence of primitive operations that fn(*args, **kwargs) performs.

    The function runs once, with symbolic values; nothing is computed and nothing changes.

    >>> import thalweg as tw
    >>> print(tw.trace(lambda x: tw.exp(x) + 1, tw.zeros(3)))
    inputs x: f32[3]
    t1 : f32[3] = exp(x)
    t2 : f32[3] = t1 + 1.0
    outputs t2
    """
    leaves, structure = flatten((args, kwargs))
    return trace_program(fn, structure, leaves).graph


def _names(fn: Callable[..., Any], args: Structure, given: Sequence[Any]) -> dict[Variable, str]:
    """The inputs that have a name in `fn`: its parameters that are tensors."""
    positional, keyword = args.build(given)
    try:
        bound = inspect.signature(fn).bind(*positional, **keyword)
    except (TypeError, ValueError):  # builtins may have no signature
        return {}
    return {v: name for name, v in bound.arguments.items() if isinstance(v, Variable)}
