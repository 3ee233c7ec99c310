"""The recorded graph, to read and to look at: `tw.graph(loss)`.

The tape as the decks write it down: every operation on a line of its own, in the order in which it
was computed, from the leaves to the output. Source: deck 004, "Sequence of operations".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from thalweg.autodiff.backward import Step, backward_steps
from thalweg.errors import ConfigError, GradientError
from thalweg.inspect.dot import dot
from thalweg.inspect.drawing import svg
from thalweg.inspect.listing import listing, program
from thalweg.inspect.naming import Names
from thalweg.inspect.spelling import spell, spell_number
from thalweg.inspect.vertex import Kind, Vertex
from thalweg.tape import Node, TensorBase, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Graph", "graph"]


def graph(
    output: Tensor,
    named: Any = None,
    /,
    *,
    values: bool = False,
    cotangents: bool | Iterable[Step] = False,
    **names: Tensor,
) -> Graph:
    """The operations that `output` was computed by, to print and to draw.

    `named` gives names to tensors: a module, for its parameters; a mapping, such as `locals()`; or
    pairs. Keywords name tensors one by one. Without a name, parameters are w1, w2, .., constants
    x1, x2, .., and the result of line k is tk; a constant of rank 0 is written as its number.

    `values` shows what was computed; `cotangents` also d output / d value, or, given steps of
    `backward_steps`, as many of them as those steps hold. Nothing is freed, no `.grad` changes.

    Raises `GradientError` where nothing was recorded, or backward has freed what was.

    >>> import thalweg as tw
    >>> w, b = tw.tensor(0.5, requires_grad=True), tw.tensor(0.1, requires_grad=True)
    >>> x, t = tw.tensor(2.0), tw.tensor(1.0)
    >>> y = tw.sigmoid(w * x + b)
    >>> print(tw.graph((y - t) ** 2 / 2, w=w, x=x, b=b, y=y, t=t))
    w  ()  float32  parameter
    x  ()  float32  input
    b  ()  float32  parameter
    t  ()  float32  input
    <BLANKLINE>
    t1 = w * x        ()  float32
    t2 = t1 + b       ()  float32
    y  = sigmoid(t2)  ()  float32
    t4 = y - t        ()  float32
    t5 = t4 ** 2      ()  float32
    t6 = t5 / 2       ()  float32
    """
    steps: Iterable[Step] = backward_steps(output) if cotangents is True else cotangents or ()
    builder = _Builder(_recorded(output), Names(named, names), bool(values), steps)
    return builder.build()


class Graph:
    """What `tw.graph` gives: the vertices, leaves first, then operations as they were computed.

    `str(g)` and `g.print()` are the sequence of operations; notebooks show the drawing, and
    `g.save("loss.svg")` writes it.
    """

    def __init__(self, vertices: tuple[Vertex, ...], absent: tuple[str, ...] = ()) -> None:
        self.vertices = vertices
        self.absent = absent

    def text(self, *, shapes: bool = True) -> str:
        """The leaves and the sequence of operations; without `shapes` the sequence alone."""
        if not shapes:
            return program(self.vertices)
        absent = f"\n\nnot in this graph: {', '.join(self.absent)}" if self.absent else ""
        return listing(self.vertices) + absent

    def print(self, *, shapes: bool = True, file: TextIO | None = None) -> None:
        """Print `text`.

        >>> import thalweg as tw
        >>> a = tw.tensor([2.0, 3.0], requires_grad=True)
        >>> tw.graph(3 * a**3, a=a).print(shapes=False)
        t1 = a ** 3
        t2 = 3 * t1
        """
        print(self.text(shapes=shapes), file=file)

    def dot(self) -> str:
        """The graph in the DOT language, for Graphviz and what reads it."""
        return dot(self.vertices)

    def svg(self) -> str:
        """The drawing: leaves above what uses them, the output at the bottom."""
        return svg(self.vertices)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the drawing (.svg), the DOT text (.dot, .gv) or the sequence (.txt), by suffix."""
        path = Path(path)
        write = _WRITERS.get(path.suffix.lower())
        if write is None:
            raise ConfigError(
                f"graph.save: {path.name!r} has the suffix {path.suffix!r}, expected one of "
                f"{', '.join(_WRITERS)}. A browser opens an .svg, and prints it as PDF or picture"
            )
        path.write_text(write(self) + "\n", encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__


_WRITERS: dict[str, Callable[[Graph], str]] = {
    ".svg": Graph.svg,
    ".dot": Graph.dot,
    ".gv": Graph.dot,
    ".txt": Graph.text,
}


def _recorded(output: Any) -> list[Node]:
    """The nodes below `output`, in order of creation, or an error that says why there are none."""
    if not isinstance(output, TensorBase):
        raise ConfigError(f"graph: expected a tensor, got {type(output).__name__}")
    if not isinstance(output._node, Node):
        raise GradientError(
            "graph: no operation was recorded on the way to this tensor. Set requires_grad=True on "
            "the parameters before the computation, and compute outside of no_grad"
        )
    found, waiting = {output._node}, [output._node]
    while waiting:
        for parent in waiting.pop().parents:
            if isinstance(parent, Node) and parent not in found:
                found.add(parent)
                waiting.append(parent)
    nodes = sorted(found, key=lambda node: node.index)
    for node in nodes:
        if node.values is None:
            raise GradientError(
                f"graph: backward has freed the values of {node.name!r}. Look at the graph "
                "before backward, or keep it: loss.backward(retain_graph=True)"
            )
    return nodes


class _Builder:
    """Turns nodes into vertices: first the leaves they read, then the nodes themselves.

    A value is known by the node or the leaf it is, a constant by the id of its array, which the
    tape keeps alive.
    """

    def __init__(
        self, nodes: list[Node], names: Names, values: bool, steps: Iterable[Step]
    ) -> None:
        self.nodes, self.names, self.values = nodes, names, values
        self.cotangents = {step.node or step.leaf: step.cotangent for step in steps}
        self.vertices: list[Vertex] = []
        self.place: dict[Any, int] = {}
        self.nameless = {"parameter": 0, "input": 0}
        # Values that have a gradient elsewhere: read off the tape they are detached.
        self.on_tape: dict[int, Any] = {}
        for node in nodes:
            self.on_tape[id(node.output)] = node
            for parent, value in _operands(node):
                if parent is not None:
                    self.on_tape.setdefault(id(value), parent)

    def build(self) -> Graph:
        for node in self.nodes:
            for parent, value in _operands(node):
                self._meet(parent, value)
        for line, node in enumerate(self.nodes, start=1):
            vertex = self._operation(node, line)
            self.place[node] = len(self.vertices)
            self.vertices.append(vertex)
        return Graph(tuple(self.vertices), tuple(self.names.absent))

    def _meet(self, parent: Any, value: Any) -> None:
        """Enter an operand that is a leaf, or a constant that is neither a number nor detached."""
        key = id(value) if parent is None else parent
        if key in self.place or isinstance(parent, Node):
            return
        if parent is not None:
            self._leaf(key, "parameter", self.names.of_leaf(parent), value)
        else:
            name = self.names.of_value(value)
            if key not in self.on_tape and (name or value.shape):
                self._leaf(key, "input", name, value)

    def _leaf(self, key: Any, kind: Kind, name: str | None, value: Any) -> None:
        if name is None:
            self.nameless[kind] += 1
            name = self.names.free("w" if kind == "parameter" else "x", self.nameless[kind])
        self.place[key] = len(self.vertices)
        self.vertices.append(self._vertex(key, name, kind, value))

    def _operation(self, node: Node, line: int) -> Vertex:
        found = [self._operand(parent, value) for parent, value in _operands(node)]
        texts = [text for text, _, _ in found]
        places = [(place, grad) for _, place, grad in found if place is not None]
        attached = tuple(dict.fromkeys(place for place, grad in places if grad))
        detached = tuple(dict.fromkeys(place for place, grad in places if not grad))
        shapes = [value.shape for _, value in _operands(node)]
        expression = spell(node.name, texts, node.attributes, shapes)
        kind: Kind = "output" if node is self.nodes[-1] else "operation"
        name = self.names.of_node(node) or self.names.free("t", line)
        return self._vertex(node, name, kind, node.output, expression, (attached, detached))

    def _operand(self, parent: Any, value: Any) -> tuple[str, int | None, bool]:
        """How an operand is written; its place, if it has one; whether it is not detached."""
        place = self.place.get(id(value) if parent is None else parent)
        if place is not None:
            return self.vertices[place].name, place, True
        source = self.on_tape.get(id(value))
        if source is None:
            return spell_number(value[()]), None, True
        place = self.place[source]
        return f"detach({self.vertices[place].name})", place, False

    def _vertex(
        self,
        key: Any,
        name: str,
        kind: Kind,
        value: Any,
        expression: str = "",
        operands: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
    ) -> Vertex:
        x = wrap(value)
        shown = x if self.values else None
        cotangent = self.cotangents.get(key)
        return Vertex(
            name,
            kind,
            expression,
            operands[0],
            tuple(x.shape),
            x.dtype,
            operands[1],
            shown,
            cotangent,
        )


def _operands(node: Node) -> list[tuple[Node | Tensor | None, Any]]:
    """The operands of a node whose values are there: where each came from, and its array."""
    assert node.values is not None
    return list(zip(node.parents, node.values, strict=True))
