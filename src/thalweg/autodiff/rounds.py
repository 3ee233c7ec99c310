"""A scan in a trace: what becomes of it inside function transforms, and its derivative.

Inside a transform it is a scan outside of that, of what values are made of; the transform's rules
are applied within the body. On a tape it is one node for all rounds. Its VJP is another scan, from
the end, whose body is the backward pass of the first one's: with c_{t+1}, y_t = f(w, c_t, x_t),

    c'_t, w'_t, x'_t = f^T(w, c_t, x_t; c'_{t+1}, y'_t),    w' = sum over t of w'_t

where a prime is for cotangents. What that reads of each round the first scan stacks; but what
depends on constants only, or shows what is there anyway, is computed again. It is written with the
operations that users call, so it holds at any level, and for derivatives of any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.autodiff.bundles import bundle, item
from thalweg.autodiff.levels import Transform
from thalweg.autodiff.one_round import Body, Changed, Round, Unreplayable, bare, touch
from thalweg.compiler.tracing.loops import scan as equation
from thalweg.ops.creation import zeros_like
from thalweg.ops.loops import Results, Step, Tensors, scan_along_0
from thalweg.primitives.loops import Cotangents
from thalweg.tape import mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Parts", "assign", "copied", "scan"]


def scan(step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool) -> Results:
    """`scan_along_0` in a trace.

    Raises `Unreplayable` where the rounds have to be recorded one by one.
    """
    try:
        return _scan(step, carry, slices, count, reverse)
    except Changed as error:
        if error.step is not step:
            raise
        changed = error.tensors
    own = len(carry)

    def carrying(state: Tensors, parts: Tensors) -> Results:
        """The step, with the tensors that it changes as further carries."""
        before = [copied(x) for x in changed]
        assign(changed, state[own:])
        after, ys = step(state[:own], parts)
        ends = [copied(x) for x in changed]
        assign(changed, before)
        return [*after, *ends], ys

    try:
        after, ys = _scan(carrying, [*carry, *map(copied, changed)], slices, count, reverse)
    except Changed as error:
        raise (Unreplayable if error.step is carrying else error) from None
    assign(changed, after[own:])
    return after[:own], ys


def copied(x: Tensor) -> Tensor:
    """Another tensor of the same value, at the same place on the tape."""
    y = wrap(x._value)
    if x._requires_grad:
        y._node, y._requires_grad = x if x._node is None else x._node, True
    return y


def assign(xs: Tensors, values: Tensors) -> None:
    """Let tensors be others: their values, at their places on the tape."""
    for x, y in zip(xs, values, strict=True):
        x._value, x._node, x._requires_grad = y._value, y._node, y._requires_grad


def _scan(step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool) -> Results:
    touch((*carry, *slices))
    body = Body(step, carry, slices)
    after, stacks = _outside(body, bare(carry), bare(slices), count, reverse)
    del body.step  # which holds what the function has from around
    if not body.is_recorded:
        return after, stacks
    return _Recorded(body, carry, slices, count, reverse).connected([*after, *stacks])


def _outside(step: Step, carry: Tensors, slices: Tensors, count: int, reverse: bool) -> Results:
    """One equation, or inside a level the scan outside of it, over the parts of the tensors."""
    level: Any = mode.level
    if level is None:
        return equation(step, carry, slices, count, reverse)
    made: Parts
    records = level.records

    def outer(state: Tensors, parts: Tensors) -> Results:
        nonlocal made
        with level.inside(records):
            after, ys = step(kept.closed(state), given.closed(parts))
        now, made = Parts(level, after, is_full=True), Parts(level, ys)
        return now.tensors, made.tensors

    with level.outside():
        kept = Parts(level, carry, is_full=True)
        given = Parts(level, slices, stacked=True)
        state, stacks = scan_along_0(outer, kept.tensors, given.tensors, count, reverse)
        return kept.closed(state), made.closed(stacks, stacked=True)


class Parts:
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


# --- all rounds, as one node ----------------------------------------------------------------------


class _Recorded:
    """A scan of a body, and its derivative."""

    def __init__(
        self, body: Body, carry: Tensors, slices: Tensors, count: int, reverse: bool
    ) -> None:
        self.body, self.count, self.reverse = body, count, reverse
        constants = bare(body.constants)  # what they are now
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
        reached = body.reached(g)
        edges = len(body.carried), len(body.starts)
        live = [n for n, k in enumerate(body.carried) if k in g or n in reached]
        sliced = [n for n in reached if edges[0] <= n < edges[1]]
        summed = [n for n in reached if n >= edges[1]]

        def step(state: Tensors, parts: Tensors) -> Results:
            xs, parts = parts[: len(slices)], parts[len(slices) :]
            own, arrived = parts[: len(stacks)], parts[len(stacks) :]
            known = {"slice": xs, "stack": own, "constant": constants}
            ends = [*(body.carried[n] for n in live), *given]
            roots = dict(zip(ends, [*state[: len(live)], *arrived], strict=True))
            inputs = [
                *(own[place[1]] for place in body.carries),
                *(xs[k] for k in body.sliced),
                *around,
            ]
            found = Round(body, known, inputs).cotangents(roots)
            totals = zip(state[len(live) :], summed, strict=True)
            return (
                [*(found[n] for n in live), *(total + found[n] for total, n in totals)],
                [found[n] for n in sliced],
            )

        first = [carry[body.carried[n]] for n in live]
        after, ys = scan_along_0(
            step,
            [
                *(g.get(body.carried[n], zeros_like(x)) for n, x in zip(live, first, strict=True)),
                *(zeros_like(around[n - edges[1]]) for n in summed),
            ],
            [*slices, *stacks, *(g[k] for k in given)],
            self.count,
            not self.reverse,
        )
        cotangents: list[Tensor | None] = [None] * len(operands)
        places = [
            *body.carried,
            *(len(carry) + k for k in body.sliced),
            *range(len(carry) + len(slices), len(operands)),
        ]
        for n, x in zip([*live, *summed, *sliced], [*after, *ys], strict=True):
            if n in reached or not self.count:
                cotangents[places[n]] = x
        return cotangents
