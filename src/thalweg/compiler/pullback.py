"""Results of a compiled function that are on the tape: their backward pass is a second program.

A function whose result was not differentiated inside, such as a compiled model, is differentiated
while it is traced: the equations that follow its own compute its vector-Jacobian product. They are
split again: the function's program gives, beside its results, the values that the rest needs, and
the rest is a program of its own, compiled when a backward pass first comes by.

On the tape a call is a bundle of its results. Its program can neither be batched nor
differentiated; where a transform asks for that, the derivative of `within.py` takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.autodiff.backward import grad
from thalweg.autodiff.bundles import bundle, item
from thalweg.compiler.graph import Atom, Graph, Variable
from thalweg.compiler.machine import host
from thalweg.compiler.native.program import Program
from thalweg.compiler.passes import build_plan
from thalweg.compiler.subgraph import keep_items
from thalweg.errors import TraceError
from thalweg.primitives.loops import Cotangents
from thalweg.tape import Node, mode, wrap

if TYPE_CHECKING:
    from thalweg.compiler.tracing.trace import Tracer
    from thalweg.compiler.within import Derivative

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
        self,
        name: str,
        again: Callable[[], Derivative],
        inputs: Sequence[Tensor],
        saved: Sequence[Array],
        results: Sequence[Tensor],
    ) -> list[Tensor]:
        """A call's `results` on the tape, behind its `inputs`.

        `again` makes the derivative that can be differentiated, and batched, in its turn.
        """

        def rule(g: Cotangents, out: Tensor, *operands: Tensor) -> list[Tensor | None]:
            given, kept = operands[: len(inputs)], operands[len(inputs) :]
            nothing = [None] * len(kept)
            values = [x._value for x in g.values()]
            if mode.grad or mode.watched or any(type(v) is not np.ndarray for v in values):
                return [*again().cotangents(g, out, *given), *nothing]
            seeds = zip(self.results, self.graph.inputs[len(kept) :], strict=True)
            full = [g[k]._value if k in g else np.zeros(v.shape, v.dtype) for k, v in seeds]
            found = dict(zip(self.inputs, self([x._value for x in kept], full), strict=True))
            arrived = [wrap(found[k]) if k in found else None for k in range(len(inputs))]
            return [*arrived, *nothing]

        joint = bundle(name, rule, [*inputs, *map(wrap, saved)], results)
        return [item(joint, k, k in self.results) for k in range(len(results))]


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
    _check_unwritten(tracer, {e.output for e in later})
    del tracer.equations[length:]
    equations = keep_items(tracer.equations, later)
    known = {*cotangents, *(e.output for e in equations)}
    used = [*(atom for e in equations for atom in e.inputs), *outputs]
    saved = [a for a in dict.fromkeys(used) if isinstance(a, Variable) and a not in known]
    graph = Graph([*saved, *cotangents], equations, outputs)
    return Pullback(graph, saved, live, [k for k, _ in pairs])


def _check_unwritten(tracer: Tracer, computed: set[Variable]) -> None:
    """A backward pass gives cotangents alone: nothing in it may give a tensor a new value."""
    for slot in tracer.slots.values():
        if slot.tensor._value in computed:
            raise TraceError(
                f"a tensor of shape {tuple(slot.array.shape)} was assigned to in the backward pass "
                "of a compiled function, by a hook or an autograd.Function. That pass is a program "
                "of its own, which writes no state: compile the whole step, with its backward()"
            )


@contextmanager
def _without_hooks(leaves: Sequence[Tensor]) -> Iterator[None]:
    """Hooks on leaves run when the backward pass arrives there, not while it is traced."""
    kept = [(x, x._hooks) for x in leaves if getattr(x, "_hooks", None)]
    for x, _ in kept:
        x._hooks = []
    yield
    for x, hooks in kept:
        x._hooks = hooks
