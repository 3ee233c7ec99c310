"""Drafts: kernels in the making. A draft is the roots that one kernel computes together.

    loop         values of the same points, each computed at each of them
    reduce       reductions over the same axes of the same space, and values of its points, of
                 which some may be what is reduced; then values of what is left
    contraction  a contraction, then values of its result's points: the epilogue
    scatter      a scatter-add
    line         a sort or a cumulative sum, from an address to an address
    host         what NumPy evaluates, from addresses to an address
    inside       all results of a loop or a branch

A draft is built anew for every root that wants to join it. That fails with a `Conflict` where a
root would read another one of the draft at a point that has not been computed yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from thalweg.compiler.graph import Equation, Variable
from thalweg.compiler.kernels import Buffer
from thalweg.compiler.passes.fusion.body import Body, Conflict, Read
from thalweg.compiler.passes.fusion.layout import Layout
from thalweg.compiler.passes.operations import HOST, REDUCTIONS
from thalweg.compiler.passes.views import (
    Affine,
    Undivided,
    address,
    elements,
    row_major,
    strip_ones,
)

__all__ = ["Draft", "build", "kind_of", "refine", "same_points"]

Shape = tuple[int, ...]
Slots = Mapping[Variable, Buffer]
Kind = Literal["loop", "reduce", "contraction", "scatter", "line", "host", "inside"]
Loops = list[tuple[int, bool]]  # of each loop its size, and whether it is reduced


@dataclass(slots=True)
class Draft:
    """A kernel in the making.

    members     the roots it computes, in order
    main        the scalars at each point; of a reduction over all its axes
    tail        the scalars at each point of the axes that are not reduced; else `main`
    reduced     the numbers of the reduced loops
    reductions  (reduction, its operand's scalar in `main`)
    operands    stored values that are read as a whole: a contraction's, a sort's
    scattered   the scalar and the address that a scatter adds
    """

    kind: Kind
    members: list[Variable]
    main: Body
    tail: Body
    reduced: tuple[int, ...] = ()
    reductions: list[tuple[Variable, int]] = field(default_factory=list)
    operands: list[Variable] = field(default_factory=list)
    scattered: tuple[int, Affine] | None = None
    _sources: set[Variable] | None = None

    def body_of(self, member: Variable) -> Body:
        """Where a root's value is: at each point, or at each of those that are left."""
        return self.main if member in self.main.own else self.tail

    @property
    def bodies(self) -> list[Body]:
        """Main and tail, where they differ."""
        return [self.main] if self.main is self.tail else [self.main, self.tail]

    def reads(self) -> list[Read]:
        """All loads from stored values."""
        return [read for body in self.bodies for read in body.reads]

    def sources(self) -> set[Variable]:
        """The stored values that are read, in whatever way."""
        if self._sources is None:
            self._sources = {read.root for read in self.reads()} | set(self.operands)
        return self._sources

    def origin_equations(self) -> list[Equation]:
        """The equations that this kernel computes, operands first."""
        found: dict[Variable, Equation] = {}
        for body in self.bodies:
            found.update(body.visited)
        return list(found.values())


def kind_of(equation: Equation) -> Kind:
    """The kind of kernel that computes the result of `equation`."""
    name = equation.op.name
    if name in REDUCTIONS or name == "overlap_add":
        return "reduce"
    if name in ("argsort", "cumsum"):
        return "line"
    if name in HOST:
        return "host"
    kinds: dict[str, Kind] = {
        "contraction": "contraction",
        "scatter_add": "scatter",
        "item": "inside",
    }
    return kinds.get(name, "loop")


def build(kind: Kind, layout: Layout, slots: Slots, members: list[Variable]) -> Draft | None:
    """The draft that computes `members`, or None if they do not fit together."""
    try:
        if kind == "reduce":
            return _reduce(layout, slots, members)
        if kind in ("loop", "contraction"):
            return _points(kind, layout, slots, members)
        if kind == "inside":
            return _inside(layout, slots, members)
        return _alone(kind, layout, slots, members)
    except Conflict:
        return None


# --- spaces --------------------------------------------------------------------------------------


def refine(a: Loops, b: Loops) -> Loops | None:
    """The loops of which both `a` and `b` are products, in the same order; None if there are none.

    >>> refine([(6, False), (4, False)], [(2, False), (12, False)])
    [(2, False), (3, False), (4, False)]
    """
    a, b, result = list(a), list(b), []
    while a and b:
        (m, reduced), (n, other) = a.pop(), b.pop()
        if reduced != other or (reduced and m != n):
            return None
        step = min(m, n)
        if max(m, n) % step:
            return None
        result.append((step, reduced))
        if m > step:
            a.append((m // step, reduced))
        if n > step:
            b.append((n // step, reduced))
    return None if a or b else result[::-1]


def _plain(shape: Sequence[int]) -> Loops:
    return [(size, False) for size in strip_ones(tuple(shape))]


def _common(spaces: list[Loops]) -> Loops:
    loops = spaces[0]
    for space in spaces[1:]:
        refined = refine(loops, space)
        if refined is None:
            raise Conflict
        loops = refined
    return loops


# --- one function a kind -------------------------------------------------------------------------


def _points(kind: Kind, layout: Layout, slots: Slots, members: list[Variable]) -> Draft:
    """Values at the same points, one after the other.

    Where a value that is computed on the spot is reshaped, two of its axes become one: then that
    loop is two loops again.
    """
    loops = _common([_plain(member.shape) for member in members])
    while True:
        try:
            return _points_over(loops, kind, layout, slots, members)
        except Undivided as error:
            size = loops[error.loop][0]
            halves = [(size // error.inner, False), (error.inner, False)]
            loops = [*loops[: error.loop], *halves, *loops[error.loop + 1 :]]


def _points_over(
    loops: Loops, kind: Kind, layout: Layout, slots: Slots, members: list[Variable]
) -> Draft:
    body = Body(layout, slots, tuple(size for size, _ in loops))
    body.divisible = True
    draft = Draft(kind, members, body, body)
    rest = members
    if kind == "contraction":
        product, *rest = members
        equation = layout.equations[product]
        body.own[product] = body.emit("sum", (), product.dtype)
        body.visited[product] = equation
        draft.operands = [layout.place[x].root for x in equation.inputs if isinstance(x, Variable)]
    _finish(body, rest)
    return draft


def _finish(body: Body, members: list[Variable]) -> None:
    for member in members:
        equation = body.layout.equations[member]
        body.own[member] = body.compute(equation, body.here(member.shape))


def _reduce(layout: Layout, slots: Slots, members: list[Variable]) -> Draft:
    """Reductions of one space and values of its points, then values of what the former leave."""
    equations = [layout.equations[member] for member in members]
    heads = [e for e in equations if kind_of(e) == "reduce"]
    others = [e.output for e in equations if kind_of(e) != "reduce"]
    loops = _common([_flagged(head) for head in heads])
    points = _count(loops)
    every = [x for x in others if elements(x.shape) == points != _count(_kept(loops))]
    loops = _divided_as(loops, [x.shape for x in every], heads)
    rest = [x for x in others if x not in every]
    kept = _common([_kept(loops), *(_plain(member.shape) for member in rest)])
    loops = _refined(loops, kept)
    sizes = tuple(size for size, _ in loops)
    left = tuple(number for number, (_, reduced) in enumerate(loops) if not reduced)
    main = Body(layout, slots, sizes)
    tail = Body(layout, slots, sizes, left)
    draft = Draft("reduce", members, main, tail)
    draft.reduced = tuple(number for number in range(len(loops)) if number not in left)
    for head in equations:
        if head.output in every:
            main.own[head.output] = main.compute(head, main.here(head.output.shape))
        elif head.output not in rest:
            value = main.at(head.inputs[0], _point(main, head))
            number = len(draft.reductions)
            draft.reductions.append((head.output, value))
            tail.own[head.output] = tail.emit("reduced", (), head.output.dtype, number=number)
            tail.visited[head.output] = head
    if any(read.root in tail.own or read.root in rest for read in main.reads):
        raise Conflict
    _finish(tail, rest)
    if any(read.root in main.own for read in tail.reads):
        raise Conflict
    return draft


def _count(loops: Loops) -> int:
    return elements(tuple(size for size, _ in loops))


def _kept(loops: Loops) -> Loops:
    return [loop for loop in loops if not loop[1]]


def _divided_as(loops: Loops, shapes: Sequence[Shape], heads: Sequence[Equation]) -> Loops:
    """`loops` divided so that values of `shapes` have an index at each of their points."""
    if not shapes:
        return loops
    finer = _common([[(size, False) for size, _ in loops], *map(_plain, shapes)])
    if len(finer) > len(loops) and any(head.op.name.startswith("arg") for head in heads):
        raise Conflict  # a position is counted along one loop
    return _refined(loops, finer, every=True)


def _flagged(head: Equation) -> Loops:
    """The loops over a reduction's operand."""
    if head.op.name == "overlap_add":
        sizes = head.inputs[0].shape[len(head.output.shape) :]
        return [*_plain(head.output.shape), *((size, True) for size in strip_ones(sizes))]
    axes = head.attributes["axes"] if "axes" in head.attributes else (head.attributes["axis"],)
    shape = enumerate(head.inputs[0].shape)
    return [(size, axis in axes) for axis, size in shape if size != 1]


def _point(main: Body, head: Equation) -> list[Affine]:
    """The point of a reduction's operand that is read at the present point of all its loops."""
    if head.op.name != "overlap_add":
        return main.here(head.inputs[0].shape)
    sizes = head.inputs[0].shape[len(head.output.shape) :]
    lead = len(head.output.shape) - len(sizes)
    at = main.here((*head.output.shape, *sizes))
    over, inside = at[lead : lead + len(sizes)], at[lead + len(sizes) :]
    steps = zip(over, inside, sizes, head.attributes["dilations"], strict=True)
    diagonal = [h + i.times(-d).plus(d * (k - 1)) for h, i, k, d in steps]
    return [*at[:lead], *diagonal, *inside]


def _refined(loops: Loops, finer: Loops, every: bool = False) -> Loops:
    """`loops` with those that are not reduced, or `every` one, replaced by what `finer` has."""
    result, rest = [], [size for size, _ in finer]
    for size, reduced in loops:
        reach = 1
        while (every or not reduced) and reach < size:
            result.append((rest.pop(0), reduced))
            reach *= result[-1][0]
        if reduced and not every:
            result.append((size, True))
    return result


def _alone(kind: Kind, layout: Layout, slots: Slots, members: list[Variable]) -> Draft | None:
    """A scatter, a sort, a cumulative sum or a call back, which nothing joins."""
    if len(members) != 1:
        return None
    (member,) = members
    equation = layout.equations[member]
    source, *indices = equation.inputs
    if kind in ("line", "host"):
        body = Body(layout, slots, ())
        stored = [x for x in equation.inputs if isinstance(x, Variable) and elements(x.shape)]
        operands = [layout.place[x].root for x in stored]
        draft = Draft(kind, members, body, body, operands=operands)
    else:
        body = Body(layout, slots, strip_ones(source.shape))
        draft = Draft(kind, members, body, body)
        axes, wrap = equation.attributes["axes"], equation.attributes["wrap"]
        here = body.here(source.shape)
        places = body.places(indices, axes, wrap, member.shape, here)
        where = address(0, row_major(member.shape), places, len(body.sizes))
        draft.scattered = (body.at(source, here), where)
    body.visited[member] = equation
    return draft


def _inside(layout: Layout, slots: Slots, members: list[Variable]) -> Draft:
    """A loop or a branch, whose results come together."""
    bundle = layout.equations[members[0]].inputs[0]
    assert isinstance(bundle, Variable)
    equation, body = layout.equations[bundle], Body(layout, slots, ())
    stored = [x for x in equation.inputs if isinstance(x, Variable) and elements(x.shape)]
    body.visited[bundle] = equation
    operands = [layout.place[x].root for x in stored]
    return Draft("inside", layout.items[bundle], body, body, operands=operands)


def same_points(draft: Draft, member: Variable) -> bool:
    """Whether `member` has as many elements as the kernel has points to store."""
    return elements(member.shape) in map(_points_of, draft.bodies)


def _points_of(body: Body) -> int:
    return elements(tuple(body.sizes[loop] for loop in body.loops))
