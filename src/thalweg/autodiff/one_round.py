"""One round of a scan: what it leaves on the tape, where its values are found later, and that tape
built again over the values of any round."""

from __future__ import annotations

import math
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from thalweg.autodiff.bundles import Bundled
from thalweg.autodiff.levels import Transform
from thalweg.autodiff.reverse import cotangents_of, source
from thalweg.compiler.graph import Variable
from thalweg.compiler.subgraph import parent_of
from thalweg.ops.loops import Results, Step, Tensors
from thalweg.primitives import loops
from thalweg.tape import Composite, Lifted, Node, bind, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Before", "Body", "Changed", "Round", "Surroundings", "Unreplayable", "bare", "touch"]

Place: TypeAlias = "tuple[str, Any]"
Before: TypeAlias = "tuple[Any, Any, bool]"  # the value of a tensor, its node, whether it needs one
_SHOWS = frozenset(
    {"reshape", "transpose", "broadcast", "slice", "flip", "windows", "full", "iota"}
)


class Unreplayable(Exception):
    """The derivative of something in the body reads what a later round cannot give it."""


class Changed(Exception):
    """A step gave tensors from around values that are on the tape, or of a level."""

    def __init__(self, step: Step, tensors: Tensors) -> None:
        self.step, self.tensors = step, tensors


def bare(xs: Tensors) -> Tensors:
    """The same values, off the tape."""
    return [wrap(x._value) for x in xs]


def touch(xs: Iterable[Tensor]) -> None:
    """Let tensors hold what they are in the innermost trace, before nodes note it."""
    for x in xs:
        if x._value.__class__ is Variable and mode.trace is not None:
            mode.trace.touch(x)


class Body:
    """The step of a scan, and what it left on the tape when it was called.

    starts     the nodes of inputs: of floating carries, then of slices that are differentiated by
    nodes      the others, in order
    around     tensors from around that the tape leads to, by the node or the leaf that it leads to
    results    a place for each carry, output and stacked value, and the node that it came from
    held       tensors that the rules of nodes read, beside their operands

    Values have places: ("slice", k), ("stack", k), ("constant", k); ("bundle", places) is that of
    the results of a scan within, ("again", node) of what is computed again.
    """

    def __init__(self, step: Step, carry: Tensors, slices: Tensors) -> None:
        self.step = step
        self.carried = [k for k, x in enumerate(carry) if x._value.dtype.kind == "f"]
        self.sliced = [k for k, x in enumerate(slices) if x._requires_grad]
        self.is_wanted = any(x._requires_grad for x in (*carry, *slices))
        self.is_recorded = False

    def __call__(self, state: Tensors, parts: Tensors) -> Results:
        """One step; its outputs have the values after them that a backward pass reads."""
        first = Node(Composite("scan", ()), (), None, {}).index
        state, parts = list(state), list(parts)
        if not mode.grad:
            return self._watched(state, parts)
        seen = [(state, k) for k in self.carried] + [(parts, k) for k in self.sliced]
        for xs, k in seen:
            xs[k] = source(xs[k], "scan")
        self.starts = [xs[k]._node for xs, k in seen]
        carries, values = [state[k]._value for k in self.carried], [x._value for x in parts]
        after, ys = self._watched(state, parts)
        self._walk([*after, *ys], first)
        is_live = any(x._requires_grad for x in (*after, *ys))
        self.is_recorded = is_live and (self.is_wanted or bool(self.around))
        if not self.is_recorded:
            return bare(after), bare(ys)
        self._note(carries, values, [*after, *ys])
        return bare(after), [*bare(ys), *map(wrap, self.stacked)]

    def _watched(self, state: Tensors, parts: Tensors) -> Results:
        """One step, if it gives no tensor from around a value that is to be carried."""
        written: dict[int, tuple[weakref.ref[Tensor], Before]] = {}
        outer = mode.written

        def note(x: Tensor) -> None:
            if outer is not None:
                outer(x)
            known = written.get(id(x))
            if (known is None or known[0]() is not x) and not self.is_made_here(x):
                written[id(x)] = weakref.ref(x), (x._value, x._node, x._requires_grad)

        mode.written = note
        try:
            after, ys = self.step(state, parts)
        finally:
            mode.written = outer
        there = [(ref(), before) for ref, before in written.values()]
        carried = [(x, b) for x, b in there if x is not None and self.is_carried(x, b)]
        for x, before in carried:
            x._value, x._node, x._requires_grad = before
        if carried:
            raise Changed(self.step, [x for x, _ in carried])
        return after, ys

    def is_made_here(self, x: Tensor) -> bool:
        """Whether `x`, which is about to be written to, is of this step alone."""
        return self.surroundings().is_of_a_round(x._value)

    def surroundings(self) -> Surroundings:
        """The trace that the step is called in."""
        return Surroundings()

    def is_carried(self, x: Tensor, before: Before) -> bool:
        """Whether what `x`, a tensor from around, holds now is more than a value of a trace."""
        return x._requires_grad or isinstance(x._value, Lifted)

    def _walk(self, results: Tensors, first: int) -> None:
        """Find the nodes that this step has made, and what was there before."""
        trace = self.surroundings()
        pending: list[Any] = [parent_of(x) for x in results]
        seen: set[Any] = set(self.starts)
        self.around: dict[Any, Tensor] = {}
        while pending:
            parent = pending.pop()
            if parent is None or parent in seen or parent in self.around:
                continue
            if isinstance(parent, Node) and parent.index > first:
                seen.add(parent)
                pending += parent.parents
            elif (x := trace.around(parent)) is not None:
                self.around[parent] = x
        self.nodes = sorted(seen.difference(self.starts), key=lambda node: node.index)

    def _note(self, carries: Sequence[Any], slices: Sequence[Any], results: Tensors) -> None:
        """Give every value that is read a place."""
        self.trace = self.surroundings()
        self.stacked: list[Any] = []
        self.constants: Tensors = []
        self.places: dict[int, Place] = {id(v): ("slice", k) for k, v in enumerate(slices)}
        self.kept = [*carries, *slices]  # so that no other value gets their identity
        self.held: Tensors = []
        self.fixed: set[Place] = set()
        self.makers = {id(node.output): node for node in self.nodes}
        starts = {self.place(v): node for v, node in zip(carries, self.starts, strict=False)}
        self.carries = list(starts)
        for node in self.nodes:
            if node.values is None:
                raise Unreplayable  # a backward pass in the body has freed it
            held = _held(node.op)
            self.held += held
            for value in (*node.values, node.output, *(x._value for x in held)):
                self.place(value)
        self.results = [(self.place(x._value), parent_of(x)) for x in results]
        stacked: list[Place] = [("stack", k) for k in range(len(self.stacked))]
        self.results += [(place, starts.get(place)) for place in stacked]
        del self.trace  # which holds tensors that nobody else may hold any more

    def reached(self, given: Collection[int]) -> list[int]:
        """The numbers of inputs, carries first, then slices, then what is from around, that any of
        the results `given` depends on, in any round."""
        parents = [*self.starts, *self.around]
        inside, ends = set(self.nodes), set(given)
        while True:
            pending: list[Any] = [parent for k in ends for parent in self.results[k][1:]]
            seen: set[Any] = set()
            while pending:
                parent = pending.pop()
                if parent is not None and parent not in seen:
                    seen.add(parent)
                    pending += parent.parents if parent in inside else ()
            numbers = [n for n, parent in enumerate(parents) if parent in seen]
            more = {self.carried[n] for n in numbers if n < len(self.carried)}
            if more <= ends:
                return numbers
            ends |= more

    def place(self, value: Any) -> Place:
        """Where a later round finds a value of this one."""
        found = self.places.get(id(value))
        if found is None:
            if isinstance(value, Bundled):
                found = "bundle", tuple(map(self.place, value.values))
            elif self._is_shown(value):
                found = "again", self.makers[id(value)]
            elif self.trace.is_of_a_round(value):
                found = "stack", len(self.stacked)
                self.stacked.append(value)
            else:
                found = "constant", len(self.constants)
                self.constants.append(self.trace.constant(value))
            self.places[id(value)] = found
        return found

    def _is_shown(self, value: Any) -> bool:
        """Whether a value is computed again rather than stacked."""
        node = self.makers.get(id(value))
        if node is None or not node.values or node.op is loops.item:
            return False
        if isinstance(node.op, Composite):
            return False
        places = [self.place(v) for v in node.values]
        if all(kind == "constant" or place in self.fixed for place in places for kind in place[:1]):
            self.fixed.add(("again", node))
            return True
        return node.op.name in _SHOWS and all(
            place[0] in ("slice", "constant") or place in self.fixed or _size(v) <= _size(value)
            for v, place in zip(node.values, places, strict=True)
        )


def _size(value: Any) -> int:
    size: int = math.prod(value.shape) * value.dtype.itemsize
    return size


def _held(op: Any) -> Sequence[Tensor]:
    """What the rules of an operation read beside its operands."""
    return op.held() if isinstance(op, Composite) and op.held is not None else ()


class Surroundings:
    """The trace of a body: which values are of a round, and which come from around the loop."""

    def __init__(self) -> None:
        trace: Any = mode.trace
        while isinstance(trace, Transform):
            trace = trace.trace_outside
        self.made: set[Variable] = trace.known
        slots = trace.slots.values()
        self.slots = {leaf: trace.slots[key] for key, leaf in trace.leaves.items()}
        self.leaves = {leaf: slot.tensor for leaf, slot in self.slots.items()}
        self.fixed = {s.variable: s.tensor for s in slots if s.tensor._value is s.variable}
        self.arrays = {s.variable: s.array for s in slots}
        self.captured = {id(x) for x in self.fixed.values()}

    def is_of_a_round(self, value: Any) -> bool:
        """Whether each round has a value of its own of it."""
        if isinstance(value, Lifted):
            return any(
                self.is_of_a_round(x._value) or x._value in self.fixed
                for x in value.tensors()
                if id(x) not in self.captured
            )
        is_made = value.__class__ is Variable and value in self.made
        return is_made and value not in self.fixed

    def constant(self, value: Any) -> Tensor:
        """What has the value of a constant outside of the loop."""
        known = value.__class__ is Variable and value in self.fixed
        return self.fixed[value] if known else wrap(value)

    def around(self, parent: Node | Tensor) -> Tensor | None:
        """The tensor outside of the loop that the tape leads to; None if that was made inside."""
        if isinstance(parent, Node):
            behind = wrap(parent.output)
            behind._node, behind._requires_grad = parent, True
            return behind
        x: Tensor = self.leaves.get(parent, parent)
        if self.is_of_a_round(x._value):
            if parent in self.leaves:
                raise Unreplayable  # a parameter that a round gives another value
            return None
        return x


class Round:
    """The tape of one round, built again over its values."""

    def __init__(self, body: Body, known: Mapping[str, Tensors], inputs: Tensors) -> None:
        self.body, self.known = body, known
        touch(x for xs in known.values() for x in xs)
        self.sources = [source(x, "scan") for x in inputs]
        parents = [*body.starts, *body.around]
        self.given: dict[Any, Tensor] = dict(zip(parents, self.sources, strict=True))
        self.made: dict[Any, Node] = {}
        self.again: dict[Node, Any] = {}
        for node in body.nodes:
            assert node.values is not None
            operands = zip(node.values, node.parents, strict=True)
            inputs = [self._tensor(body.places[id(v)], parent) for v, parent in operands]
            output = self._value(body.places[id(node.output)])
            again = self.made[node] = Node(node.op, tuple(inputs), output, node.attributes)
            again.hooks = node.hooks

    def _value(self, place: Place) -> Any:
        kind, number = place
        if kind == "bundle":
            return Bundled([self._value(part) for part in number])
        if kind == "again":
            if number not in self.again:
                operands = zip(number.values, number.parents, strict=True)
                inputs = [self._tensor(self.body.places[id(v)], p, False) for v, p in operands]
                self.again[number] = bind(number.op, *inputs, **number.attributes)._value
            return self.again[number]
        return self.known[kind][number]._value

    def _tensor(self, place: Place, parent: Any, is_recorded: bool = True) -> Tensor:
        if parent in self.given:  # the tape outside goes through its value
            x = self.given[parent]
            return x if is_recorded else wrap(x._value)
        x = wrap(self._value(place))
        if not is_recorded:
            return x
        x._node = self.made.get(parent)
        x._requires_grad = x._node is not None
        return x

    def cotangents(self, roots: Mapping[int, Tensor]) -> Tensors:
        """The cotangents of the inputs, for cotangents of results by their numbers."""
        results = self.body.results
        pairs = [(self._tensor(*results[k]), g) for k, g in roots.items()]
        with self._holding():
            return cotangents_of(self.sources, pairs)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Tensors that rules read have the values of this round."""
        held = self.body.held
        before = [x._value for x in held]
        for x in held:
            x._value = self._value(self.body.places[id(x._value)])
        try:
            yield
        finally:
            for x, value in zip(held, before, strict=True):
                x._value = value
