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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.passes.fusion.channels import Order, convolved, followed, place_in_order
from thalweg.compiler.passes.operations import ELEMENTWISE, HEAVY, HOST, MOVEMENT, SOURCES
from thalweg.compiler.passes.views import Place, contiguous, elements, moved, row_major
from thalweg.errors import TraceError
from thalweg.primitives import REGISTRY

__all__ = ["Layout", "lay_out"]

_WRITTEN_IN_ORDER = HOST | {
    "scatter_add",
    "argsort",
    "cumsum",
    "item",
}  # their targets are row-major
# How many operands need an address.
_WHOLE = {"contraction": 2, "cumsum": 1, "argsort": 1, **dict.fromkeys(HOST, 2)}
_AS_IT_LIES = HOST | {"argsort", "cumsum", "scan"}
_RUN = 64  # elements that must be neighbours for a padded value to be read where it was padded
_LARGE = 1 << 14  # elements from which filling only the border saves more than kernels cost


@dataclass(slots=True)
class Layout:
    """The sorts of values of a graph.

    equations   how each value is computed
    roots       in an order in which they can be computed
    place       of inputs, roots, joined and placed values: where they are read
    own         of roots that are read in what was padded from them: where they would stand alone
    targets     of a root: the parts of joined values that it writes
    parts       of a joined value: the roots that write it
    after       of a root: roots that must be written before it, since it overwrites a part of them
    orders      of stored values whose axes do not lie in row-major order
    items       the results of each scan, which one kernel writes
    """

    equations: dict[Variable, Equation] = field(default_factory=dict)
    roots: dict[Variable, None] = field(default_factory=dict)
    place: dict[Variable, Place] = field(default_factory=dict)
    own: dict[Variable, Place] = field(default_factory=dict)
    targets: dict[Variable, list[Place]] = field(default_factory=lambda: defaultdict(list))
    parts: dict[Variable, list[Variable]] = field(default_factory=lambda: defaultdict(list))
    after: dict[Variable, list[Variable]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[Variable, Order] = field(default_factory=dict)
    items: dict[Atom, list[Variable]] = field(default_factory=lambda: defaultdict(list))

    def alone(self, root: Variable) -> Place:
        """Where a root stands in a buffer of its own."""
        return self.own.get(root) or self.place[root]

    def writers(self, root: Variable) -> list[Variable]:
        """The roots whose kernels write the stored value `root`."""
        return self.parts.get(root) or [root]


def lay_out(
    graph: Graph,
    stored: set[Variable],
    straight: set[Variable],
    groups: Sequence[Mapping[Variable, Order]] = (),
) -> Layout:
    """The layout of `graph` in which at least the values in `stored` are roots.

    Those in `straight`, and inputs and results, lie in row-major order, but for `groups` of these
    (see `held`) of which none is in `straight`. Adds to `stored` what turns out to need an address,
    to `straight` what is reshaped.
    """
    results = {atom for atom in graph.outputs if isinstance(atom, Variable)}
    wanted = convolved(graph)
    while True:
        turned = (group for group in groups if straight.isdisjoint(group))
        held = {value: order for group in turned for value, order in group.items()}
        pass_ = _Pass(graph, stored, straight | results, wanted, held)
        if not (pass_.demanded or pass_.straight):
            return pass_.layout
        stored |= pass_.demanded
        straight |= pass_.straight


class _Pass:
    """One look at every equation in order.

    `demanded` are values that ought to have been stored, `straight` those that ought to have been
    stored in row-major order.
    """

    def __init__(
        self,
        graph: Graph,
        stored: set[Variable],
        plain: set[Variable],
        wanted: Mapping[Variable, Order],
        held: Mapping[Variable, Order],
    ) -> None:
        self.held = held
        self.stored = stored
        self.plain = plain
        self.wanted = wanted
        self.demanded: set[Variable] = set()
        self.straight: set[Variable] = set()
        self.layout = Layout()
        self.readers: dict[Variable, int] = defaultdict(int)
        self.whole: set[Atom] = set()  # read as it lies, from its first element to its last
        self.cut: dict[Atom, int] = defaultdict(int)  # elements of all slices of a value
        for equation in graph.equations:
            if equation.op.name in _AS_IT_LIES:
                self.whole.update(equation.inputs)
            if equation.op.name == "slice":
                self.cut[equation.inputs[0]] += elements(equation.output.shape)
            for atom in equation.inputs:
                if isinstance(atom, Variable):
                    self.readers[atom] += 1
        for variable in graph.inputs:
            self.put(variable, held.get(variable))
        for equation in graph.equations:
            self.visit(equation)

    def visit(self, equation: Equation) -> None:
        """Say what sort of value the result of `equation` is."""
        name, output = equation.op.name, equation.output
        others = {
            "concatenate": self.join,
            "pad": self.pad,
            "overlap_add": self.overlap_add,
            "scan": self.inside,
            "cond": self.inside,
            "item": self.item,
        }
        self.layout.equations[output] = equation
        if not elements(output.shape):
            return
        if name in others:
            others[name](equation)
        elif name in HEAVY:
            for atom in equation.inputs[: _WHOLE.get(name, 0)]:
                if elements(atom.shape):
                    self.demand(atom)
            self.root(output)
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
        self.lay(output)

    def lay(self, output: Variable) -> Place:
        """Give a stored value its place, its axes in a fitting order."""
        layout = self.layout
        equation = layout.equations[output]
        order = self.held.get(output)
        if order is None and output not in self.plain and equation.op.name not in _WRITTEN_IN_ORDER:
            order = self.wanted.get(output)
            if order is None and layout.orders:
                order = followed(equation, layout.equations, layout.place, layout.orders)
        self.put(output, order)
        return layout.place[output]

    def put(self, value: Variable, order: Order | None) -> None:
        """Let a stored value lie in this order; None: row-major."""
        layout = self.layout
        if order is None:
            layout.place[value] = contiguous(value)
        else:
            layout.orders[value] = order
            layout.place[value] = place_in_order(value, order)

    def demand(self, atom: Atom) -> None:
        """`atom` needs an address: store it, or what it is only another view of, or what it is
        cut from, where the pieces are all of that.
        """
        place = self.layout.place
        if not isinstance(atom, Variable):
            raise TraceError(f"a literal where an array is needed: {atom}")
        if atom in place:
            return
        made = self.layout.equations[atom]
        source = made.inputs[0] if made.op.name in MOVEMENT else None
        shown = max(elements(atom.shape), self.cut.get(source, 0)) if source is not None else 0
        if isinstance(source, Variable) and elements(source.shape) <= shown:
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

    def inside(self, equation: Equation) -> None:
        """Operands of a loop or a branch stand in row-major order; what is sliced, by slices."""
        how = equation.attributes
        whole = how["consts"] + how["carry"] if "carry" in how else len(equation.inputs)
        for number, atom in enumerate(equation.inputs):
            if not elements(atom.shape):
                continue
            self.demand(atom)
            place = self.layout.place.get(atom) if isinstance(atom, Variable) else None
            if place is not None and not _in_order(place, int(number >= whole)):
                permuted = place.root in self.layout.orders
                again = place.root if permuted or not isinstance(atom, Variable) else atom
                (self.straight if permuted else self.demanded).add(again)

    def item(self, equation: Equation) -> None:
        """A result of a loop or a branch, which its kernels write."""
        self.layout.items[equation.inputs[0]].append(equation.output)
        self.root(equation.output)

    def movement(self, equation: Equation) -> None:
        name, output = equation.op.name, equation.output
        (source,) = equation.inputs
        place = self.layout.place.get(source) if isinstance(source, Variable) else None
        result = moved(name, equation.attributes, place) if place is not None else None
        if result is None and source in self.layout.own:
            place = self.layout.own[source]
            result = moved(name, equation.attributes, place)
        if place is not None and result is None and isinstance(source, Variable):
            # A reshape of what does not lie in order.
            permuted = place.root in self.layout.orders
            (self.straight if permuted else self.demanded).add(place.root if permuted else source)
        if output in self.stored:
            onto = place is None or source in self.layout.roots
            if name in ("transpose", "flip") and onto and isinstance(source, Variable):
                self.turned(equation, source)
            else:
                self.root(output)
        elif result is not None:
            self.layout.place[output] = result

    # --- joined values ---------------------------------------------------------------------------

    def turned(self, equation: Equation, source: Variable) -> None:
        """A transposed value that must be stored: its operand writes it, in its own order."""
        output = equation.output
        own = self.lay(output)
        inverse = dict(equation.attributes)
        if equation.op.name == "transpose":
            axes = equation.attributes["axes"]
            inverse = {"axes": tuple(axes.index(axis) for axis in range(len(axes)))}
        target = moved(equation.op.name, inverse, own)
        assert target is not None
        self.part(output, source, target)

    def join(self, equation: Equation) -> None:
        """Each operand of a concatenation is written where it belongs."""
        output, axis, start = equation.output, equation.attributes["axis"], 0
        strides = self.lay(output).strides
        for source in equation.inputs:
            if elements(source.shape):
                self.part(
                    output, source, Place(output, start * strides[axis], source.shape, strides)
                )
            start += source.shape[axis]

    def pad(self, equation: Equation) -> None:
        """A padded value is filled, then its operand written into it."""
        output, how = equation.output, equation.attributes
        own = self.lay(output)
        (source,), strides = equation.inputs, own.strides
        start = sum(low * stride for low, stride in zip(how["low"], strides, strict=True))
        steps = [(between + 1) * s for between, s in zip(how["inner"], strides, strict=True)]
        target = Place(output, start, source.shape, tuple(steps))
        slabs = _border(own, source.shape, how["low"], how["high"])
        bordered = elements(output.shape) > _LARGE and 2 * sum(map(_size, slabs)) < _size(target)
        if bordered and not any(how["inner"]):
            self.fill(equation, how["value"], slabs)
            writer = self.part(output, source, target)
        else:
            fill = self.fill(equation, how["value"], [own])
            writer = self.part(output, source, target)
            self.layout.after[writer] += fill
        if writer is source and self.may_share(source, target):
            self.layout.own[source] = self.layout.place[source]
            self.layout.place[source] = target  # from here on it is read there

    def may_share(self, source: Variable, part: Place) -> bool:
        """Whether a padded value may be read as part of what it is padded to, and not be stored
        twice: where neighbours stay neighbours over a long way."""
        if source not in self.layout.roots or source in self.plain | self.whole | {
            *self.layout.own
        }:
            return False
        run = 1
        for axis in sorted(range(len(part.shape)), key=lambda axis: part.strides[axis]):
            if part.strides[axis] != run:
                break
            run *= part.shape[axis]
        return run >= _RUN

    def fill(self, equation: Equation, value: float, slabs: list[Place]) -> list[Variable]:
        """Write `value` to parts of a result; equal parts are written together."""
        output = equation.output
        fills: dict[tuple[int, ...], Variable] = {}
        for slab in slabs:
            if slab.shape not in fills:
                attributes = {"shape": slab.shape, "value": value, "dtype": output.dtype}
                like = Variable(slab.shape, output.dtype)
                constant = Equation(REGISTRY["full"], (), like, attributes, equation.origin)
                fills[slab.shape] = self.clone(constant)
                self.layout.parts[output].append(fills[slab.shape])
            self.layout.targets[fills[slab.shape]].append(slab)
        return list(fills.values())

    def overlap_add(self, equation: Equation) -> None:
        """Windows, added up: where none overlap, each element is written where it belongs.

        Otherwise element h of the result is the sum of y[(h - d i) / s, i] over the elements i of
        a window. With y spread by s and padded, that is a sum over a diagonal of the padded y.
        """
        output, how = equation.output, equation.attributes
        (source,) = equation.inputs
        rank = len(how["shape"])
        lead = len(source.shape) - 2 * rank
        counts, sizes = source.shape[lead : lead + rank], source.shape[lead + rank :]
        steps = list(zip(sizes, how["strides"], how["dilations"], strict=True))
        if all((k - 1) * d < s for k, s, d in steps):
            own = self.lay(output)
            along = own.strides[lead:]
            over = tuple(a * b for a, b in zip(along, how["strides"], strict=True))
            inside = tuple(a * b for a, b in zip(along, how["dilations"], strict=True))
            target = Place(output, 0, source.shape, (*own.strides[:lead], *over, *inside))
            gaps = _size(target) != elements(output.shape)
            fill = self.fill(equation, 0, [own]) if gaps else []
            self.layout.after[self.part(output, source, target)] += fill
            return
        nothing = (0,) * lead
        low = tuple(d * (k - 1) for k, _, d in steps)
        ends = zip(how["shape"], counts, how["strides"], strict=True)
        high = tuple(n - (c - 1) * s - 1 for n, c, s in ends)
        inner = tuple(s - 1 for s in how["strides"])
        attributes = {
            "low": (*nothing, *low, *(0,) * rank),
            "high": (*nothing, *high, *(0,) * rank),
            "inner": (*nothing, *inner, *(0,) * rank),
            "value": 0,
        }
        shape, dtype = REGISTRY["pad"].infer(source, **attributes)
        padded = Variable(shape, dtype)
        made = Equation(REGISTRY["pad"], (source,), padded, attributes, equation.origin)
        self.layout.equations[padded] = made
        self.pad(made)
        self.layout.equations[output] = replace(equation, inputs=(padded,))
        self.root(output)

    def part(self, output: Variable, source: Atom, target: Place) -> Variable:
        """Let `source` be written to `target`, a part of `output`."""
        layout = self.layout
        if isinstance(source, Variable) and self.may_write(source):
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

    def may_write(self, source: Variable) -> bool:
        """Whether the kernel of `source` can store it anywhere."""
        made = self.layout.equations.get(source)
        return (
            made is not None
            and source in self.layout.roots
            and (made.op.name not in _WRITTEN_IN_ORDER)
        )

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


def _in_order(place: Place, lead: int) -> bool:
    """Whether elements stand in row-major order behind the first `lead` axes."""
    shape, strides = place.shape[lead:], place.strides[lead:]
    axes = zip(shape, strides, row_major(shape), strict=True)
    return all(size == 1 or stride == wanted for size, stride, wanted in axes)


def _size(place: Place) -> int:
    return elements(place.shape)


def _border(
    output: Place, inside: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...]
) -> list[Place]:
    """What is around a value of shape `inside` within `output`: two slabs an axis."""
    strides, slabs = output.strides, []
    for axis, (before, after) in enumerate(zip(low, high, strict=True)):
        corner = sum(a * b for a, b in zip(low[:axis], strides, strict=False))
        for width, start in ((before, 0), (after, output.shape[axis] - after)):
            if width:
                shape = (*inside[:axis], width, *output.shape[axis + 1 :])
                slabs.append(Place(output.root, corner + start * strides[axis], shape, strides))
    return slabs
