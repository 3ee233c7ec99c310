"""Which values are stored, and where every value that is not computed on the spot stands.

A value is one of

    root      computed by a kernel of its own or with others, and stored if another kernel reads it
    joined    stored, but written by others: a concatenation by its operands' kernels, each its
              part; a padded value by a fill and its operand; a transposed one by its operand
    placed    movement of something stored: other strides over it (`views.Place`), at no cost
    inline    computed at each point where it is read, inside the reader's loop

Reductions, contractions, scatters, sorts and cumulative sums are roots; so are the values that an
address is needed for: their operands, and what the graph gives back. What else is worth storing,
`costs` says.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.passes.operations import ELEMENTWISE, HEAVY, MOVEMENT, SOURCES
from thalweg.compiler.passes.views import Place, contiguous, elements, moved, row_major
from thalweg.errors import TraceError
from thalweg.primitives import REGISTRY

__all__ = ["Layout", "lay_out"]


@dataclass(slots=True)
class Layout:
    """The sorts of values of a graph.

    equations   how each value is computed
    roots       in an order in which they can be computed
    place       of inputs, roots, joined and placed values
    targets     of a root: the parts of joined values that it writes
    parts       of a joined value: the roots that write it
    after       of a root: roots that must be written before it, since it overwrites a part of them
    """

    equations: dict[Variable, Equation] = field(default_factory=dict)
    roots: dict[Variable, None] = field(default_factory=dict)
    place: dict[Variable, Place] = field(default_factory=dict)
    targets: dict[Variable, list[Place]] = field(default_factory=lambda: defaultdict(list))
    parts: dict[Variable, list[Variable]] = field(default_factory=lambda: defaultdict(list))
    after: dict[Variable, list[Variable]] = field(default_factory=lambda: defaultdict(list))

    def writers(self, root: Variable) -> list[Variable]:
        """The roots whose kernels write the stored value `root`."""
        return self.parts.get(root) or [root]


def lay_out(graph: Graph, stored: set[Variable]) -> Layout:
    """The layout of `graph` in which at least the values in `stored` are roots.

    Adds to `stored` what turns out to need an address.
    """
    while True:
        pass_ = _Pass(graph, stored)
        if not pass_.demanded:
            return pass_.layout
        stored |= pass_.demanded


class _Pass:
    """One look at every equation in order; `demanded` are values that ought to have been stored."""

    def __init__(self, graph: Graph, stored: set[Variable]) -> None:
        self.stored = stored
        self.demanded: set[Variable] = set()
        self.layout = Layout()
        self.readers: dict[Variable, int] = defaultdict(int)
        for equation in graph.equations:
            for atom in equation.inputs:
                if isinstance(atom, Variable):
                    self.readers[atom] += 1
        for variable in graph.inputs:
            self.layout.place[variable] = contiguous(variable)
        for equation in graph.equations:
            self.visit(equation)

    def visit(self, equation: Equation) -> None:
        """Say what sort of value the result of `equation` is."""
        name, output = equation.op.name, equation.output
        self.layout.equations[output] = equation
        if not elements(output.shape):
            return
        if name in HEAVY:
            wanted = 1 if name in ("cumsum", "argsort") else 2 if name == "contraction" else 0
            for atom in equation.inputs[:wanted]:
                self.demand(atom)
            self.root(output)
        elif name == "concatenate":
            self.join(equation)
        elif name == "pad":
            self.pad(equation)
        elif name in MOVEMENT:
            self.movement(equation)
        elif name in ELEMENTWISE or name in SOURCES or name == "gather":
            if name == "gather":
                self.gathered(equation.inputs[0])
            if output in self.stored:
                self.root(output)
        else:
            raise TraceError(f"the compiler has no kernel for the primitive {name}")

    def root(self, output: Variable) -> None:
        self.layout.roots[output] = None
        self.layout.place[output] = contiguous(output)

    def demand(self, atom: Atom) -> None:
        """`atom` needs an address: store it, or what it is only another view of."""
        place = self.layout.place
        if not isinstance(atom, Variable):
            raise TraceError(f"a literal where an array is needed: {atom}")
        if atom in place:
            return
        made = self.layout.equations[atom]
        source = made.inputs[0] if made.op.name in MOVEMENT else None
        if isinstance(source, Variable) and elements(source.shape) <= elements(atom.shape):
            if source in place:  # a reshape that strides cannot tell of what lies otherwise
                self.demanded.add(source)
            else:
                self.demand(source)
            return
        self.demanded.add(atom)

    def gathered(self, atom: Atom) -> None:
        """What is read at computed places: elementwise values can be computed there."""
        if not isinstance(atom, Variable) or atom in self.layout.place:
            return
        if self.layout.equations[atom].op.name not in ELEMENTWISE:
            self.demand(atom)

    def movement(self, equation: Equation) -> None:
        name, output = equation.op.name, equation.output
        (source,) = equation.inputs
        place = self.layout.place.get(source) if isinstance(source, Variable) else None
        if output in self.stored:
            onto = place is None or source in self.layout.roots
            if name in ("transpose", "flip") and onto and isinstance(source, Variable):
                self.turned(equation, source)
            else:
                self.root(output)
        elif place is not None:
            result = moved(name, equation.attributes, place)
            if result is not None:
                self.layout.place[output] = result
            elif isinstance(source, Variable):  # a reshape of what does not lie in order: copied
                self.demanded.add(source)
        elif name == "reshape" and isinstance(source, Variable) and _merges(source, output):
            self.demand(source)

    # --- joined values ---------------------------------------------------------------------------

    def turned(self, equation: Equation, source: Variable) -> None:
        """A transposed value that must be stored: its operand writes it, in its own order."""
        output = equation.output
        self.layout.place[output] = contiguous(output)
        inverse = dict(equation.attributes)
        if equation.op.name == "transpose":
            axes = equation.attributes["axes"]
            inverse = {"axes": tuple(axes.index(axis) for axis in range(len(axes)))}
        target = moved(equation.op.name, inverse, contiguous(output))
        assert target is not None
        self.part(output, source, target)

    def join(self, equation: Equation) -> None:
        """Each operand of a concatenation is written where it belongs."""
        output, axis, start = equation.output, equation.attributes["axis"], 0
        self.layout.place[output] = contiguous(output)
        strides = row_major(output.shape)
        for source in equation.inputs:
            if elements(source.shape):
                self.part(
                    output, source, Place(output, start * strides[axis], source.shape, strides)
                )
            start += source.shape[axis]

    def pad(self, equation: Equation) -> None:
        """A padded value is filled, then its operand written into it."""
        output, how = equation.output, equation.attributes
        self.layout.place[output] = contiguous(output)
        (source,) = equation.inputs
        attributes = {"shape": output.shape, "value": how["value"], "dtype": output.dtype}
        fill = self.clone(Equation(REGISTRY["full"], (), output, attributes, equation.origin))
        self.layout.targets[fill].append(contiguous(output))
        self.layout.parts[output].append(fill)
        strides = row_major(output.shape)
        start = sum(low * stride for low, stride in zip(how["low"], strides, strict=True))
        steps = [(between + 1) * s for between, s in zip(how["inner"], strides, strict=True)]
        part = self.part(output, source, Place(output, start, source.shape, tuple(steps)))
        self.layout.after[part].append(fill)

    def part(self, output: Variable, source: Atom, target: Place) -> Variable:
        """Let `source` be written to `target`, a part of `output`."""
        layout = self.layout
        if isinstance(source, Variable) and source in layout.roots:
            writer = source
        elif isinstance(source, Variable) and self.is_shared(source):
            self.demanded.add(source)
            writer = source
        elif isinstance(source, Variable) and source not in layout.place:
            writer = self.clone(layout.equations[source])
        else:
            spread = {"shape": source.shape}
            writer = self.clone(Equation(REGISTRY["broadcast"], (source,), output, spread), source)
        layout.targets[writer].append(target)
        layout.parts[output].append(writer)
        return writer

    def is_shared(self, source: Variable) -> bool:
        """Whether others read this value too, so that computing it anew would be work twice."""
        made = self.layout.equations.get(source)
        sole = self.readers[source] == 1 or (made is not None and made.op.name in SOURCES)
        return source not in self.layout.place and not sole

    def clone(self, equation: Equation, like: Atom | None = None) -> Variable:
        """A new root that is computed as `equation` says."""
        like = like if like is not None else equation.output
        copy = Variable(like.shape, like.dtype)
        self.layout.equations[copy] = replace(equation, output=copy)
        self.root(copy)
        return copy


def _merges(source: Variable, output: Variable) -> bool:
    """Whether a reshape joins axes, so that its operand's indices are quotients."""
    ones = [size for size in source.shape if size != 1]
    for size in output.shape:
        if size == 1:
            continue
        if not ones:
            return True
        while ones and size % ones[0] == 0 and size > ones[0]:
            return True
        if size == ones[0]:
            ones.pop(0)
        elif ones[0] % size == 0:
            ones[0] //= size
        else:
            return True
    return False
