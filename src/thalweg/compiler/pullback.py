"""Results of a compiled function that are on the tape: their backward pass is a second program.

A function whose result was not differentiated inside, such as a compiled model, is differentiated
while it is traced: the equations that follow its own compute its vector-Jacobian product. They are
split again: the function's program gives, beside its results, the values that the rest needs, and
the rest is a program of its own, compiled when a backward pass first comes by.

On the tape a call is one node, which has the function's inputs as its operands, and one more for
each result, which hands its cotangent on:

    inputs  <-  call  <-  result 0, result 1, ..
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.autodiff.backward import grad
from thalweg.compiler.graph import Atom, Graph, Variable
from thalweg.compiler.machine import host
from thalweg.compiler.passes import build_plan
from thalweg.compiler.program import Program
from thalweg.compiler.subgraph import keep_items
from thalweg.errors import GradientError
from thalweg.ops.creation import zeros
from thalweg.primitives.core import AnyOperand
from thalweg.tape import Composite, Node, mode, wrap

if TYPE_CHECKING:
    from thalweg.compiler.trace import Tracer

__all__ = ["Pullback", "on_tape", "pullback_of"]

Array = npt.NDArray[Any]


class Pullback:
    """The backward pass of a traced function, as a graph.

    graph     inputs: saved values, then a cotangent for each of `results`;
              outputs: a cotangent for each of `inputs`
    saved     the variables of the function's graph that it needs
    results   the function's tensors that are on the tape, by their numbers
    inputs    the inputs of the function's graph that get a cotangent, by their numbers
    """

    def __init__(
        self, graph: Graph, saved: list[Variable], results: list[int], inputs: list[int]
    ) -> None:
        self.graph, self.saved, self.results, self.inputs = graph, saved, results, inputs

    @cached_property
    def program(self) -> Program:
        """The program, compiled when it is first needed."""
        return Program(build_plan(self.graph, {}), host())

    def __call__(self, saved: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        """The cotangents of the inputs."""
        given = [np.ascontiguousarray(array) for array in (*saved, *cotangents)]
        found = [np.empty(atom.shape, atom.dtype) for atom in self.graph.outputs]
        self.program.run([array.ctypes.data for array in (*given, *found)])
        return found

    def attach(
        self, name: str, inputs: list[Tensor], saved: list[Array], results: list[Tensor]
    ) -> None:
        """Put a call's `results` on the tape, behind its `inputs` that require a gradient."""
        call = _Call(self, len(inputs), results)
        node = Node(Composite(name, AnyOperand(call.cotangent)), tuple(inputs), None, {})
        assert node.values is not None
        node.values += saved
        node.parents += [None] * len(saved)
        joint = _on_tape(zeros(), node)
        for place, number in enumerate(self.results):
            op = Composite(f"{name}[{number}]", (call.receiver(place),))
            _on_tape(results[number], Node(op, (joint,), results[number]._value, {}))


def _on_tape(x: Tensor, node: Node) -> Tensor:
    x._node, x._requires_grad = node, True
    return x


@dataclass
class _Received:
    """The cotangents of a call's results that have arrived in a backward pass."""

    cotangents: dict[int, Array]
    answers: list[Array]


class _Call:
    """The VJP of one call: collects cotangents of results, gives those of inputs."""

    def __init__(self, pullback: Pullback, inputs: int, results: Sequence[Tensor]) -> None:
        self.pullback, self.inputs = pullback, inputs
        self.kinds = [(results[k]._value.shape, results[k]._value.dtype) for k in pullback.results]
        self.received = _Received({}, [])

    def receiver(self, place: int) -> Any:
        """The VJP of a result: keeps its cotangent, and sends word that there is one."""

        def receive(g: Tensor, out: Tensor, joint: Tensor) -> Tensor:
            if mode.grad:
                raise GradientError(
                    "the gradient of a compiled function's result is not on the tape itself: for "
                    "gradients of gradients, compile the function that takes the first gradient"
                )
            self.received.cotangents[place] = g._value
            return joint

        return receive

    def cotangent(self, position: int, g: Tensor, out: Tensor, *operands: Tensor) -> Tensor:
        """The cotangent of the input at `position`; the first one asked for computes all."""
        if self.received.cotangents:
            arrived = self.received.cotangents
            full = [
                arrived[k] if k in arrived else np.zeros(*kind) for k, kind in enumerate(self.kinds)
            ]
            saved = [x._value for x in operands[self.inputs :]]
            self.received = _Received({}, self.pullback(saved, full))
        return wrap(self.received.answers[position])


# --- while tracing -----------------------------------------------------------------------------


def on_tape(x: Tensor) -> bool:
    """Whether a backward pass from `x` is still to come: nothing behind it was freed by one."""
    if not x._requires_grad or x._value.dtype.kind != "f":
        return False
    pending, seen = [x._node], set()
    while pending:
        node = pending.pop()
        if isinstance(node, Node) and node.index not in seen:
            if node.values is None:
                return False
            seen.add(node.index)
            pending += node.parents
    return True


def pullback_of(
    tracer: Tracer, given: Sequence[Tensor], results: Sequence[Tensor]
) -> Pullback | None:
    """Trace the backward pass of `results`, where one may come; the trace ends before it again."""
    live = [number for number, x in enumerate(results) if on_tape(x)]
    if not live:
        return None
    atoms: list[Atom] = [tracer.atom(x) for x in results]  # may capture
    numbered = [*given, *(slot.tensor for slot in tracer.slots.values())]
    leaves = [(k, x) for k, x in enumerate(numbered) if x._requires_grad and x._node is None]
    length = len(tracer.equations)
    cotangents = [tracer.new(atoms[k].shape, atoms[k].dtype) for k in live]
    with _without_hooks([x for _, x in leaves]):
        gradients = grad(
            [results[k] for k in live],
            [x for _, x in leaves],
            [wrap(c) for c in cotangents],
            retain_graph=True,
            allow_unused=True,
        )
    pairs = [(k, g) for (k, _), g in zip(leaves, gradients, strict=True) if g is not None]
    outputs = [tracer.atom(g) for _, g in pairs]
    later = tracer.equations[length:]
    del tracer.equations[length:]
    equations = keep_items(tracer.equations, later)
    known = {*cotangents, *(e.output for e in equations)}
    used = [*(atom for e in equations for atom in e.inputs), *outputs]
    saved = [a for a in dict.fromkeys(used) if isinstance(a, Variable) and a not in known]
    graph = Graph([*saved, *cotangents], equations, outputs)
    return Pullback(graph, saved, live, [k for k, _ in pairs])


@contextmanager
def _without_hooks(leaves: Sequence[Tensor]) -> Iterator[None]:
    """Hooks on leaves run when the backward pass arrives there, not while it is traced."""
    kept = [(x, x._hooks) for x in leaves if getattr(x, "_hooks", None)]
    for x, _ in kept:
        x._hooks = []
    yield
    for x, hooks in kept:
        x._hooks = hooks
