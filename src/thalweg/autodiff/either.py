"""A cond in a trace or in a function transform: what becomes of it there, and its derivative.

Where the predicate is one bool, in a transform too, a cond is a branch outside of that, of what
values are made of; the transform's rules are applied within its sides. Where it differs from case
to case of a `vmap`, both sides are computed, and of each result that of one side is taken.

On a tape it is one node. Its VJP is another cond, by the same predicate, whose sides are the
backward passes of the first one's, over what those kept: so nothing of the side that was not taken
gets into a derivative, not even NaN, where one is a choice between two. It is written with the
operations that users call, so it holds at any level, and for derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.batching import Batched
from thalweg.autodiff.bundles import bundle, item
from thalweg.autodiff.one_round import Before, Body, Changed, Round, Surroundings, touch
from thalweg.autodiff.rounds import Parts, assign, copied
from thalweg.compiler.graph import Variable
from thalweg.compiler.subgraph import parent_of
from thalweg.compiler.tracing.branches import Side
from thalweg.compiler.tracing.branches import cond as equation
from thalweg.ops.creation import zeros_like
from thalweg.ops.loops import Branch, Results, Tensors, cond_of_lists
from thalweg.primitives.loops import Cotangents
from thalweg.tape import Lifted, Node, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["cond", "is_known"]


def is_known(pred: Tensor) -> bool:
    """Whether a predicate has a value now, the same for all cases there are."""
    level: Any = mode.level
    is_traced = mode.trace is not None if level is None else level.is_traced
    return not (is_traced or _differs(pred))


def _differs(pred: Tensor) -> bool:
    """Whether a predicate has cases of its own."""
    value = pred._value
    while isinstance(value, Lifted):
        if isinstance(value, Batched) and value.has_cases:
            return True
        value = value.tensors()[0]._value
    return bool(value.shape)


def cond(pred: Tensor, true: Branch, false: Branch) -> Tensors:
    """The results of one of two functions that give lists of tensors of the same types."""
    changed: Tensors = []
    reported: set[int] = set()
    while True:
        sides = [
            _Side(pred, partial(_carrying, function, changed), number not in reported)
            for number, function in enumerate((true, false))
        ]
        steps = [side.body.step for side in sides]
        try:
            results, _ = _either(pred, sides)
            break
        except Changed as error:
            if error.step not in steps:
                raise
            reported.add(steps.index(error.step))
            changed += [x for x in error.tensors if all(x is not y for y in changed)]
    count = len(results) - len(changed)
    assign(changed, results[count:])
    return results[:count]


def _carrying(function: Branch, changed: Tensors) -> Results:
    """The results of a function and then the tensors that it changes, which stay as they were."""
    for x in changed:
        if mode.trace is not None:
            mode.trace.touch(x)
    before = [copied(x) for x in changed]
    results = function()
    ends = [copied(x) for x in changed]
    assign(changed, before)
    return [*results, *ends], []


def _either(pred: Tensor, sides: Sequence[_Side]) -> tuple[Tensors, list[Tensors]]:
    """The results of one of two sides, and what each has beside them."""
    touch([pred])
    try:
        results, own = _outside(pred, sides)
    finally:
        for side in sides:
            del side.body.step  # which holds what the function has from around
    if any(side.body.is_recorded for side in sides):
        results, own = _Recorded(pred, sides).connected(results, own)
    return results, [xs[: side.counts[1]] for xs, side in zip(own, sides, strict=True)]


def _outside(pred: Tensor, sides: Sequence[_Side]) -> tuple[Tensors, list[Tensors]]:
    """One equation, or a choice, or inside a level the cond outside of it."""
    level: Any = mode.level
    if level is None:
        return _chosen(pred, sides) if _differs(pred) else equation(pred, *sides)
    made: dict[Any, tuple[Parts, Parts]] = {}
    records = level.records

    def outer(side: Side) -> Results:
        with level.inside(records):
            results, own = side()
        made[side] = Parts(level, results, is_full=True), Parts(level, own)
        return made[side][0].tensors, made[side][1].tensors

    with level.outside():
        (holds,), _ = level.opened(pred, False, bool(pred._value.shape))
        results, own = _either(holds, [_Side(pred, partial(outer, side)) for side in sides])
        pairs = zip(sides, own, strict=True)
        return made[sides[0]][0].closed(results), [made[side][1].closed(xs) for side, xs in pairs]


def _chosen(pred: Tensor, sides: Sequence[Side]) -> tuple[Tensors, list[Tensors]]:
    """The results of both sides, and of each case those of one."""
    (some, mine), (others, own) = (side() for side in sides)
    shape = pred._value.shape
    results = []
    for a, b in zip(some, others, strict=True):
        behind = (1,) * (len(a._value.shape) - len(shape))
        results.append(a.where(pred.reshape(shape + behind), b))
    return results, [mine, own]


# --- one of the two -------------------------------------------------------------------------------


class _Captured(Surroundings):
    """The trace of a side: tensors from around are what they were when it began."""

    def around(self, parent: Node | Tensor) -> Tensor | None:
        slot = self.slots.get(parent) if not isinstance(parent, Node) else None
        if slot is None:
            return super().around(parent)
        x = wrap(slot.array)
        x._node, x._requires_grad = slot.tensor if slot.node is None else slot.node, True
        return x

    def constant(self, value: Any) -> Tensor:
        known = value.__class__ is Variable and value in self.fixed
        return wrap(self.arrays[value] if known else value)


class _Everything(Surroundings):
    """What is around a side that is computed anyway: all values are there, and stay."""

    def __init__(self) -> None:
        self.leaves, self.fixed = {}, {}

    def is_of_a_round(self, value: Any) -> bool:
        return True

    def around(self, parent: Node | Tensor) -> Tensor | None:
        return super().around(parent) if isinstance(parent, Node) else parent


class _Branch(Body):
    """A side of a branch."""

    reports = True

    def surroundings(self) -> Surroundings:
        return _Captured()

    def is_carried(self, x: Tensor, before: Before) -> bool:
        if x._value is before[0] or not self.reports:
            return False
        return isinstance(x._value, Lifted) or (x._node, x._requires_grad) != before[1:]


class _Choice(_Branch):
    """A side that is computed, whether it is taken or not."""

    def surroundings(self) -> Surroundings:
        return _Everything()

    def is_made_here(self, x: Tensor) -> bool:
        return False  # nobody knows; but what was made inside is mostly gone afterwards

    def is_carried(self, x: Tensor, before: Before) -> bool:
        return self.reports and x._value is not before[0]


class _Side:
    """One of two functions, and what it left on the tape when it was called."""

    def __init__(self, pred: Tensor, function: Side, reports: bool = False) -> None:
        self.counts = 0, 0

        def step(state: Tensors, parts: Tensors) -> Results:
            results, own = function()
            self.counts = len(results), len(own)
            return [], [*results, *own]

        self.body = (_Choice if _differs(pred) else _Branch)(step, [], [])
        self.body.reports = reports

    def __call__(self) -> Results:
        """The results; and what it has beside them, with the values that its derivative reads."""
        _, ys = self.body([], [])
        return ys[: self.counts[0]], ys[self.counts[0] :]


class _Recorded:
    """A cond on a tape, and its derivative.

    around    what the tapes of the sides lead to
    inputs    for each side, the numbers in `around` of what its own leads to
    values    for each side, the numbers of its values among all: results, then its own
    """

    def __init__(self, pred: Tensor, sides: Sequence[_Side]) -> None:
        self.pred, self.bodies = pred, [side.body for side in sides]
        self.ends = [sum(side.counts) for side in sides]  # how many are no values kept
        union: dict[Any, Tensor] = {}
        for body in self.bodies:
            for x in body.around.values():
                union.setdefault(parent_of(x), x)
        self.around = list(union.values())
        numbers = {parent: number for number, parent in enumerate(union)}
        self.inputs = [[numbers[parent_of(x)] for x in b.around.values()] for b in self.bodies]

    def connected(self, results: Tensors, own: Sequence[Tensors]) -> tuple[Tensors, list[Tensors]]:
        """The results, and what each side has beside them, behind one node."""
        count, first = len(results), len(results)
        self.values = []
        for xs in own:
            self.values.append([*range(count), *range(first, first + len(xs))])
            first += len(xs)
        constants = [x for body in self.bodies if body.is_recorded for x in body.constants]
        operands = [self.pred, *self.around, *constants]
        del self.pred, self.around
        joint = bundle(
            "cond", self.cotangents, operands, [*results, *(x for xs in own for x in xs)]
        )
        on_tape = {
            number
            for body, numbers in zip(self.bodies, self.values, strict=True)
            if body.is_recorded
            for number, (_, parent) in zip(numbers, body.results, strict=True)
            if parent is not None
        }
        made = [item(joint, number, number in on_tape) for number in range(first)]
        return made[:count], [[made[k] for k in numbers[count:]] for numbers in self.values]

    def cotangents(
        self, g: Cotangents, out: Tensor, pred: Tensor, *operands: Tensor
    ) -> list[Tensor | None]:
        """The cotangents of the operands, by a cond of backward passes."""
        count = 1 + max((k for numbers in self.inputs for k in numbers), default=-1)
        around, constants = operands[:count], iter(operands[count:])
        passes = []
        for number, body in enumerate(self.bodies):
            fixed = [next(constants) for _ in body.constants] if body.is_recorded else []
            passes.append(_Pass(self, number, g, out, around, fixed))
        wanted = sorted({k for one in passes for k in one.reached})
        found: list[Tensor | None] = [None] * (1 + len(operands))
        if wanted:
            sides = (partial(one.cotangents, wanted) for one in passes)
            for k, x in zip(wanted, cond_of_lists(pred, *sides), strict=True):
                found[1 + k] = x
        return found


class _Pass:
    """A backward pass of a side: `reached` are the numbers of what it gives cotangents of."""

    def __init__(
        self,
        cond: _Recorded,
        number: int,
        g: Cotangents,
        out: Tensor,
        around: Sequence[Tensor],
        constants: Tensors,
    ) -> None:
        self.body, self.inputs = cond.bodies[number], cond.inputs[number]
        values, end = cond.values[number], cond.ends[number]
        self.around = around
        self.roots = {k: g[value] for k, value in enumerate(values[:end]) if value in g}
        stacks = [item(out, value, False) for value in values[end:]]
        self.known = {"slice": [], "stack": stacks, "constant": constants}
        reached = self.body.reached(self.roots) if self.body.is_recorded else []
        self.reached = {self.inputs[n] for n in reached}

    def cotangents(self, wanted: Sequence[int]) -> Tensors:
        """The cotangents of what is around, by its numbers; zeros of what this leads nowhere."""
        found: dict[int, Tensor] = {}
        if self.reached:
            inputs = [self.around[k] for k in self.inputs]
            every = Round(self.body, self.known, inputs).cotangents(self.roots)
            for k, x in zip(self.inputs, every, strict=True):
                found[k] = found[k] + x if k in found else x
        return [found[k] if k in found else zeros_like(self.around[k]) for k in wanted]
