"""A graph within a graph: what a scan does with each slice, and the tape that leads back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.interpret import interpret
from thalweg.primitives.loops import Cotangents, parts_of
from thalweg.tape import Node, wrap

__all__ = ["Parent", "Subgraph", "Tape", "keep_items", "parent_of"]

Parent = Node | Tensor | None  # where a value came from on the tape: None where nowhere
_numbers = itertools.count()


class Tape:
    """What a traced function left on the tape: a leaf for each input, a parent of each output."""

    def __init__(self, leaves: Sequence[Tensor], parents: Sequence[Parent]) -> None:
        self.leaves = list(leaves)
        self.parents = list(parents)

    def parent(self, variable: Variable) -> Parent:
        """Where the value of `variable` came from."""
        for leaf in self.leaves:
            if leaf._value is variable:
                return leaf if leaf._requires_grad else None
        pending, seen = list(self.parents), set[int]()
        while pending:
            node = pending.pop()
            if isinstance(node, Node) and node.index not in seen:
                if node.output is variable:
                    return node
                seen.add(node.index)
                pending += node.parents
        return None


class Subgraph:
    """A graph that is an attribute of an equation; it differs from any other.

    tape   of the function that it was traced from; without one, the tape that its equations leave
    """

    __slots__ = ("_tape", "graph", "number")

    def __init__(self, graph: Graph, tape: Tape | None = None) -> None:
        self.graph = graph
        self.number = next(_numbers)
        self._tape = tape

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

    @property
    def tape(self) -> Tape:
        """The tape that leads from the outputs to the inputs."""
        if self._tape is None:
            self._tape = _replayed(self.graph)
        return self._tape

    def evaluate(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs, by NumPy."""
        return interpret(self.graph, arrays)

    def pullback(
        self, g: Cotangents, out: Tensor, operands: Sequence[Tensor], **attributes: Any
    ) -> list[Tensor | None]:
        """The cotangents of a scan's operands: those of another scan, from its end."""
        from thalweg.compiler.transpose import pullback

        return pullback(self, g, out, operands, **attributes)

    def pullback_of_branch(
        self, other: Subgraph, g: Cotangents, pred: Tensor, operands: Sequence[Tensor]
    ) -> list[Tensor | None]:
        """The cotangents of a cond's operands: those of another cond."""
        from thalweg.compiler.branches import pullback  # which makes subgraphs

        return pullback(self, other, g, pred, operands)


def _replayed(graph: Graph) -> Tape:
    """The tape of a graph as if each of its equations had just been recorded."""
    tensors: dict[Variable, Tensor] = {}

    def tensor(atom: Atom) -> Tensor:
        return tensors[atom] if isinstance(atom, Variable) else wrap(atom)

    for variable in graph.inputs:
        tensors[variable] = leaf = wrap(variable)
        leaf._requires_grad = variable.dtype.kind == "f"
    for e in graph.equations:
        tensors[e.output] = x = wrap(e.output)
        inputs = tuple(map(tensor, e.inputs))
        floating = e.output.dtype.kind in "fV" and e.op.vjp is not None
        if floating and any(operand._requires_grad for operand in inputs):
            x._node, x._requires_grad = Node(e.op, inputs, e.output, e.attributes), True
    return Tape(
        [tensors[v] for v in graph.inputs], [parent_of(tensor(atom)) for atom in graph.outputs]
    )


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
