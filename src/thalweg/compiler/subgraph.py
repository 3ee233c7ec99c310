"""A graph within a graph: what a scan does with each slice, or a branch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.interpret import interpret
from thalweg.dtypes import as_dtype
from thalweg.ops.lift import _literal
from thalweg.ops.loops import Results, Tensors, cond_of_lists, scan_along_0
from thalweg.primitives import loops
from thalweg.primitives.core import Primitive
from thalweg.primitives.loops import parts_of
from thalweg.tape import Node, bind

__all__ = ["Parent", "Subgraph", "applied", "keep_items", "parent_of"]

Parent = Node | Tensor | None  # where a value came from on the tape: None where nowhere
_numbers = itertools.count()


class Subgraph:
    """A graph that is an attribute of an equation; it differs from any other."""

    __slots__ = ("graph", "number")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.number = next(_numbers)

    def __repr__(self) -> str:
        return f"<Subgraph {self.number}>"

    @property
    def inputs(self) -> list[Variable]:
        """What it is given."""
        return self.graph.inputs

    @property
    def outputs(self) -> list[Atom]:
        """What it gives."""
        return self.graph.outputs

    def evaluate(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs, by NumPy."""
        return interpret(self.graph, arrays)


def applied(graph: Graph, operands: Sequence[Tensor]) -> list[Tensor]:
    """The operations of a graph, applied to tensors."""
    known: dict[Atom, Any] = dict(zip(graph.inputs, operands, strict=True))

    def tensor(atom: Atom) -> Any:
        if isinstance(atom, Variable):
            return known[atom]
        return _literal(atom.value, as_dtype(atom.dtype))

    for e in graph.equations:
        given = [tensor(atom) for atom in e.inputs]
        known[e.output] = _OF_BUNDLES.get(e.op, partial(bind, e.op))(*given, **e.attributes)
    return [tensor(atom) for atom in graph.outputs]


def _scanned(
    *given: Tensor, body: Subgraph, length: int, reverse: bool, consts: int, carry: int
) -> list[Tensor]:
    fixed, state, slices = given[:consts], given[consts : consts + carry], given[consts + carry :]

    def step(state: Tensors, parts: Tensors) -> Results:
        found = applied(body.graph, [*fixed, *state, *parts])
        return found[:carry], found[carry:]

    after, stacks = scan_along_0(step, list(state), list(slices), length, reverse)
    return [*after, *stacks]


def _chosen(pred: Tensor, *operands: Tensor, true: Subgraph, false: Subgraph) -> list[Tensor]:
    sides = [partial(applied, side.graph, operands) for side in (true, false)]
    return cond_of_lists(pred, *sides)


# Where operations are applied the value of a bundle is the list of its values.
_OF_BUNDLES: dict[Primitive, Callable[..., Any]] = {
    loops.scan: _scanned,
    loops.cond: _chosen,
    loops.item: lambda bundle, *, index: bundle[index],
}


def parent_of(x: Tensor) -> Parent:
    """Where `x` came from, as those that are computed from it note it."""
    if not x._requires_grad:
        return None
    return x if x._node is None else x._node


def keep_items(before: list[Equation], after: list[Equation]) -> list[Equation]:
    """`after` without the items it takes out of bundles made in `before`, which join those.

    A bundle is no value that could be kept; its items are.
    """
    made = {e.output for e in before if parts_of(e.output)}

    def stays(e: Equation) -> bool:
        return e.op.name == "item" and e.inputs[0] in made

    before += filter(stays, after)
    return [e for e in after if not stays(e)]
