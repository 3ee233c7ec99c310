"""A scan taken apart, so that a pass can change it, and put together again.

A `Scanned` has the parts of one scan equation: what goes in, what is carried, what comes out. A
pass changes the lists and adds equations to `before` and `after` the loop; `rebuilt` gives the
equations that stand for it then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from thalweg.compiler.graph import Atom, Equation, Graph, Literal, Variable
from thalweg.compiler.passes.views import elements
from thalweg.compiler.subgraph import Subgraph
from thalweg.primitives import REGISTRY, loops

__all__ = [
    "Carried",
    "Scanned",
    "Stacked",
    "alias",
    "computed",
    "for_each_scan",
    "operands",
    "renamed",
]


@dataclass(slots=True)
class Carried:
    """A value that goes from round to round.

    inner   what it is in the body
    init    its first value, outside
    after   what the body makes of it
    result  its last value, outside, where that is wanted
    kept    whether the result is all there were, in the order of the slices
    """

    inner: Variable
    init: Atom
    after: Atom
    result: Variable | None
    kept: bool = False


@dataclass(slots=True)
class Stacked:
    """An output: its value in the body, and the stack of them outside."""

    value: Atom
    result: Variable


@dataclass(slots=True)
class Scanned:
    """A scan in parts; `consts` and `slices` map what is in the body to what is outside."""

    equation: Equation
    length: int
    reverse: bool
    consts: dict[Variable, Atom]
    carries: list[Carried]
    slices: dict[Variable, Atom]
    stacks: list[Stacked]
    equations: list[Equation]
    before: list[Equation] = field(default_factory=list)
    after: list[Equation] = field(default_factory=list)

    def graph(self) -> Graph:
        """The body."""
        inputs = [*self.consts, *(c.inner for c in self.carries), *self.slices]
        outputs = [*(c.after for c in self.carries), *(s.value for s in self.stacks)]
        return Graph(inputs, self.equations, outputs)

    def substitute(self, same: Mapping[Variable, Atom]) -> None:
        """Let other atoms stand in the body for variables."""

        def now(atom: Atom) -> Atom:
            return same.get(atom, atom) if isinstance(atom, Variable) else atom

        self.equations = [replace(e, inputs=tuple(map(now, e.inputs))) for e in self.equations]
        for carried in self.carries:
            carried.after = now(carried.after)
        for stacked in self.stacks:
            stacked.value = now(stacked.value)

    def optimized(self, optimize: Callable[[Graph], Graph]) -> None:
        """Let a pass work on the body."""
        graph = optimize(self.graph())
        self.equations = graph.equations
        count = len(self.carries)
        for carried, atom in zip(self.carries, graph.outputs[:count], strict=True):
            carried.after = atom
        for stacked, atom in zip(self.stacks, graph.outputs[count:], strict=True):
            stacked.value = atom

    def made(self) -> dict[Variable, Equation]:
        """The equation of each result in the body."""
        return {e.output: e for e in self.equations}

    def readers(self) -> dict[Variable, int]:
        """How often each value of the body is read."""
        count: dict[Variable, int] = defaultdict(int)
        wanted = [*operands(self.equations), *self.graph().outputs]
        for atom in wanted:
            if isinstance(atom, Variable):
                count[atom] += 1
        return count

    def depending(self, sources: Iterable[Variable]) -> set[Variable]:
        """The values of the body that depend on `sources`, these included."""
        found = set(sources)
        for e in self.equations:
            if any(atom in found for atom in e.inputs if isinstance(atom, Variable)):
                found.add(e.output)
        return found

    def rebuilt(self) -> list[Equation]:
        """The equations that stand for the loop."""
        if not (self.carries or self.stacks):
            return [*self.before, *self.after]
        given = [*self.consts.values(), *(c.init for c in self.carries), *self.slices.values()]
        body, count = Subgraph(self.graph()), len(self.carries)
        kept = tuple(number for number, c in enumerate(self.carries) if c.kept)
        kind: Any = loops.results(body, self.length, count, kept)
        attributes: dict[str, Any] = {
            "body": body,
            "length": self.length,
            "reverse": self.reverse,
            "consts": len(self.consts),
            "carry": count,
        }
        if kept:
            attributes["kept"] = kept
        bundle = Variable((), kind)
        origin = self.equation.origin
        results = [*(c.result for c in self.carries), *(s.result for s in self.stacks)]
        items = [
            Equation(loops.item, (bundle,), result, {"index": number}, origin)
            for number, result in enumerate(results)
            if result is not None
        ]
        scan = Equation(loops.scan, tuple(given), bundle, attributes, origin)
        return [*self.before, scan, *items, *self.after]


def for_each_scan(graph: Graph, change: Callable[[Scanned], None]) -> Graph:
    """`graph` with every scan changed, in order."""
    scans = {e.output for e in graph.equations if e.op is loops.scan}
    taken: dict[Variable, dict[int, Variable]] = defaultdict(dict)
    again: list[Equation] = []
    for e in graph.equations:
        if e.op is loops.item and e.inputs[0] in scans:
            bundle, index = e.inputs[0], e.attributes["index"]
            first = taken[bundle].setdefault(index, e.output)
            if first is not e.output:
                again.append(alias(e.output, first))
    equations: list[Equation] = []
    for e in graph.equations:
        if e.op is loops.scan:
            scanned = _apart(e, taken[e.output])
            change(scanned)
            equations += scanned.rebuilt()
            firsts = set(taken[e.output].values())
            equations += [x for x in again if x.inputs[0] in firsts]
        elif not (e.op is loops.item and e.inputs[0] in scans):
            equations.append(e)
    return replace(graph, equations=equations)


def _apart(e: Equation, results: Mapping[int, Variable]) -> Scanned:
    body, how = e.attributes["body"].graph, e.attributes
    consts, carry = how["consts"], how["carry"]
    pairs = list(zip(body.inputs, e.inputs, strict=True))
    states = zip(pairs[consts : consts + carry], body.outputs, strict=False)
    return Scanned(
        equation=e,
        length=how["length"],
        reverse=how["reverse"],
        consts=dict(pairs[:consts]),
        carries=[
            Carried(inner, init, after, results.get(number), number in how.get("kept", ()))
            for number, ((inner, init), after) in enumerate(states)
        ],
        slices=dict(pairs[consts + carry :]),
        stacks=[
            Stacked(atom, results[number])
            for number, atom in enumerate(body.outputs)
            if number >= carry and number in results
        ],
        equations=list(body.equations),
    )


# --- equations ------------------------------------------------------------------------------------


def operands(equations: Iterable[Equation]) -> Iterator[Atom]:
    """All that the equations read."""
    return (atom for e in equations for atom in e.inputs)


def alias(name: Variable, atom: Atom) -> Equation:
    """The equation by which `name` is `atom`, perhaps repeated."""
    same = elements(atom.shape) == elements(name.shape)
    return Equation(
        REGISTRY["reshape" if same and isinstance(atom, Variable) else "broadcast"],
        (atom,),
        name,
        {"shape": name.shape},
    )


def computed(
    into: list[Equation], like: Equation, name: str, *inputs: Atom, **attributes: Any
) -> Variable:
    """A new equation, of the primitive `name`, at the end of `into`; gives its result."""
    op = REGISTRY[name]
    output = Variable(*op.infer(*inputs, **attributes))
    into.append(Equation(op, inputs, output, attributes, like.origin))
    return output


def renamed(equation: Equation, known: dict[Variable, Atom]) -> Equation:
    """The same computation of other operands; `known` learns the new name of its result."""
    output = Variable(equation.output.shape, equation.output.dtype)
    inputs = tuple(
        atom if isinstance(atom, Literal) else known.get(atom, atom) for atom in equation.inputs
    )
    known[equation.output] = output
    return replace(equation, inputs=inputs, output=output)
