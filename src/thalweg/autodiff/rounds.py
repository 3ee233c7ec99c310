"""A scan inside a function transform, in a trace: a scan outside of it, of what values are made of.

The transform's rules are applied within the body. Where a tape inside the transform goes through
the scan, as in vmap(grad(f)), it gets one node for all rounds. Its VJP is another scan, from the
end, whose body is the backward pass of the first one's. With c_{t+1}, y_t = f(w, c_t, x_t), and a
bar for cotangents:

    c'_t, w'_t, x'_t = f^T(w, c_t, x_t; c'_{t+1}, y'_t),    w' = sum over t of w'_t

What that reads of each round is stacked by the first scan. It is written with the operations that
users call, so it holds at any level, and for derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from thalweg.autodiff.bundles import Bundled, bundle, item
from thalweg.autodiff.levels import Transform
from thalweg.autodiff.reverse import cotangents_of, source
from thalweg.compiler.graph import Variable
from thalweg.compiler.subgraph import parent_of
from thalweg.ops.creation import zeros_like
from thalweg.ops.loops import Results, Step, Tensors, scan_along_0
from thalweg.primitives.loops import Cotangents
from thalweg.tape import Composite, Lifted, Node, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Unreplayable", "scan"]

Place: TypeAlias = "tuple[str, Any]"


class Unreplayable(Exception):
    """The derivative of something in the body reads what a later round cannot give it."""


def scan(
    level: Transform, step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool
) -> Results:
    """`scan_along_0` inside a transform that is traced.

    Raises `Unreplayable` where the rounds have to be recorded one by one.
    """
    if not mode.grad:
        return _outside(level, step, carry, slices, count, reverse)
    body = _Body(step, carry, slices)
    after, stacks = _outside(level, body, _bare(carry), _bare(slices), count, reverse)
    if not body.is_recorded:
        return after, stacks
    return _Recorded(body, carry, slices, count, reverse).connected([*after, *stacks])


def _bare(xs: Tensors) -> Tensors:
    return [wrap(x._value) for x in xs]


def _outside(
    level: Transform, step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool
) -> Results:
    """The scan outside of the level, over the parts of the tensors inside."""
    made: _Parts
    records = level.records

    def outer(state: Tensors, parts: Tensors) -> Results:
        nonlocal made
        with level.inside(records):
            after, ys = step(kept.closed(state), given.closed(parts))
        now, made = _Parts(level, after, is_full=True), _Parts(level, ys)
        return now.tensors, made.tensors

    with level.outside():
        kept = _Parts(level, carry, is_full=True)
        given = _Parts(level, slices, stacked=True)
        state, stacks = scan_along_0(outer, kept.tensors, given.tensors, count, reverse)
        return kept.closed(state), made.closed(stacks, stacked=True)


class _Parts:
    """The tensors outside that tensors of a level are made of; `closed` makes such again."""

    def __init__(
        self, level: Transform, xs: Tensors, stacked: bool = False, is_full: bool = False
    ) -> None:
        opened = [level.opened(x, stacked, is_full) for x in xs]
        self.tensors = [part for parts, _ in opened for part in parts]
        self.level, self.kinds = level, [(len(parts), varies) for parts, varies in opened]

    def closed(self, tensors: Tensors, stacked: bool = False) -> Tensors:
        """Tensors of the level, of other parts of the same kinds."""
        rest = iter(tensors)
        groups = [([next(rest) for _ in range(n)], varies) for n, varies in self.kinds]
        return [self.level.closed(parts, varies, stacked) for parts, varies in groups]


# --- what a round leaves on the tape --------------------------------------------------------------


class _Body:
    """The step of a scan, and what it left on the tape when it was called.

    starts     the nodes of inputs: of floating carries, then of slices that are differentiated by
    nodes      the others, in order
    around     tensors from around that the tape leads to, by the node or the leaf that it leads to
    results    a place for each carry, output and stacked value, and the node that it came from
    held       tensors that the rules of nodes read, beside their operands

    Values have places: ("slice", k), ("stack", k), ("constant", k); ("bundle", places) is that of
    the results of a scan within.
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
        seen = [(state, k) for k in self.carried] + [(parts, k) for k in self.sliced]
        for xs, k in seen:
            xs[k] = source(xs[k], "scan")
        self.starts = [xs[k]._node for xs, k in seen]
        carries, values = [state[k]._value for k in self.carried], [x._value for x in parts]
        after, ys = self.step(state, parts)
        self._walk([*after, *ys], first)
        is_live = any(x._requires_grad for x in (*after, *ys))
        self.is_recorded = is_live and (self.is_wanted or bool(self.around))
        if not self.is_recorded:
            return _bare(after), _bare(ys)
        self._note(carries, values, [*after, *ys])
        return _bare(after), [*_bare(ys), *map(wrap, self.stacked)]

    def _walk(self, results: Tensors, first: int) -> None:
        """Find the nodes that this step has made, and what was there before."""
        trace = _Trace()
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
        self.trace = _Trace()
        self.stacked: list[Any] = []
        self.constants: Tensors = []
        self.places: dict[int, Place] = {id(v): ("slice", k) for k, v in enumerate(slices)}
        self.kept = [*carries, *slices]  # so that no other value gets their identity
        self.held: Tensors = []
        starts = {self.place(v): node for v, node in zip(carries, self.starts, strict=False)}
        self.carries = list(starts)
        for node in self.nodes:
            held = _held(node.op)
            if held is None or node.values is None:
                raise Unreplayable
            self.held += held
            for value in (*node.values, node.output, *(x._value for x in held)):
                self.place(value)
        self.results = [(self.place(x._value), parent_of(x)) for x in results]
        stacked: list[Place] = [("stack", k) for k in range(len(self.stacked))]
        self.results += [(place, starts.get(place)) for place in stacked]

    def place(self, value: Any) -> Place:
        """Where a later round finds a value of this one."""
        found = self.places.get(id(value))
        if found is None:
            if isinstance(value, Bundled):
                found = "bundle", tuple(map(self.place, value.values))
            elif self.trace.is_of_a_round(value):
                found = "stack", len(self.stacked)
                self.stacked.append(value)
            else:
                found = "constant", len(self.constants)
                self.constants.append(self.trace.constant(value))
            self.places[id(value)] = found
        return found


def _held(op: Any) -> Sequence[Tensor] | None:
    """What the rules of an operation read beside its operands; None if nobody knows."""
    return op.held() if isinstance(op, Composite) and op.held is not None else ()


class _Trace:
    """The trace of a body: which values are of a round, and which come from around the loop."""

    def __init__(self) -> None:
        trace: Any = mode.trace
        while isinstance(trace, Transform):
            trace = trace.trace_outside
        self.made: set[Variable] = trace.known
        slots = trace.slots.values()
        self.leaves = {leaf: trace.slots[key].tensor for key, leaf in trace.leaves.items()}
        self.fixed = {s.variable: s.tensor for s in slots if s.tensor._value is s.variable}
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


# --- all rounds, as one node ----------------------------------------------------------------------


class _Recorded:
    """A scan of a body, and its derivative."""

    def __init__(
        self, body: _Body, carry: Tensors, slices: Tensors, count: int, reverse: bool
    ) -> None:
        self.body, self.count, self.reverse = body, count, reverse
        constants = _bare(body.constants)  # what they are now
        self.groups = [carry, slices, [*body.around.values()], constants]

    def connected(self, results: Tensors) -> Results:
        """The results of all rounds, behind one node."""
        operands = [x for group in self.groups for x in group]
        joint = bundle("scan", self.cotangents, operands, results)
        first, shown = len(self.groups[0]), len(results) - len(self.body.stacked)
        found = [self._item(joint, number) for number in range(shown)]
        return found[:first], found[first:]

    def _item(self, joint: Tensor, number: int) -> Tensor:
        return item(joint, number, self.body.results[number][1] is not None)

    def cotangents(self, g: Cotangents, out: Tensor, *operands: Tensor) -> list[Tensor | None]:
        """The cotangents of the operands, by a scan from the end."""
        rest, body = iter(operands), self.body
        carry, slices, around, constants = ([next(rest) for _ in group] for group in self.groups)
        results = body.results
        stacks = [self._item(out, k) for k in range(len(results) - len(body.stacked), len(results))]
        given = [k for k in sorted(g) if k >= len(carry)]

        def step(state: Tensors, parts: Tensors) -> Results:
            xs, parts = parts[: len(slices)], parts[len(slices) :]
            own, arrived = parts[: len(stacks)], parts[len(stacks) :]
            known = {"slice": xs, "stack": own, "constant": constants}
            roots = dict(zip([*body.carried, *given], [*state[: len(live)], *arrived], strict=True))
            inputs = [
                *(own[place[1]] for place in body.carries),
                *(xs[k] for k in body.sliced),
                *around,
            ]
            found = _Round(body, known, inputs).cotangents(roots)
            sums = found[len(live) + len(body.sliced) :]
            totals = [a + b for a, b in zip(state[len(live) :], sums, strict=True)]
            return [*found[: len(live)], *totals], found[len(live) : len(live) + len(body.sliced)]

        live = [g[k] if k in g else zeros_like(carry[k]) for k in body.carried]
        first = [*live, *map(zeros_like, around)]
        after, ys = scan_along_0(
            step,
            first,
            [*slices, *stacks, *(g[k] for k in given)],
            self.count,
            not self.reverse,
        )
        cotangents: list[Tensor | None] = [None] * len(operands)
        places = [*body.carried, *(len(carry) + len(slices) + k for k in range(len(around)))]
        for k, x in zip(places, after, strict=True):
            cotangents[k] = x
        for k, y in zip(body.sliced, ys, strict=True):
            cotangents[len(carry) + k] = y
        return cotangents


class _Round:
    """The tape of one round, built again over its values."""

    def __init__(self, body: _Body, known: Mapping[str, Tensors], inputs: Tensors) -> None:
        self.body, self.known = body, known
        self.sources = [source(x, "scan") for x in inputs]
        parents = [*body.starts, *body.around]
        self.given: dict[Any, Tensor] = dict(zip(parents, self.sources, strict=True))
        self.made: dict[Any, Node] = {}
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
        return self.known[kind][number]._value

    def _tensor(self, place: Place, parent: Any) -> Tensor:
        if parent in self.given:
            return self.given[parent]  # the tape outside goes through its value
        x = wrap(self._value(place))
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
