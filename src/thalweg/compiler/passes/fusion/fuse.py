"""Fusion: which roots are computed together, in one kernel.

Roots are taken in order. Each tries to join a kernel that exists: first those that compute what
it reads (an elementwise value joins the contraction or the reduction it follows, or the loop
whose value it goes on with), then loops over the same points (the three results of an Adam step).
It may join if all it reads of that kernel has been computed at the very same point, and if nothing
else it reads depends on that kernel. Everything that is not a root is computed on the spot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.compiler.graph import Graph, Variable
from thalweg.compiler.kernels import Buffer
from thalweg.compiler.passes.fusion.body import Unreachable
from thalweg.compiler.passes.fusion.channels import Order
from thalweg.compiler.passes.fusion.costs import worth_storing
from thalweg.compiler.passes.fusion.drafts import Draft, build, kind_of, same_points
from thalweg.compiler.passes.fusion.layout import Layout, lay_out
from thalweg.compiler.passes.views import elements
from thalweg.primitives.contraction import parse

__all__ = ["Fused", "fuse"]

_SMALL = 1 << 14  # points up to which loops that share nothing but their size are worth joining
_NEAR = 8  # how many of the latest kernels a root looks at
_MOST_SCALARS = 384  # operations in one loop
_NARROW = 8  # neighbours that are not worth a vector
_SHORT_SUM = 64  # products; below, storing a sum takes as long as making it
_MOST_STREAMS = 20  # arrays that one loop reads and writes at a time


@dataclass(slots=True)
class Fused:
    """The kernels, in no order yet; the kernel of each root; a buffer for each stored value."""

    layout: Layout
    slots: Mapping[Variable, Buffer]
    drafts: list[Draft] = field(default_factory=list)
    home: dict[Variable, int] = field(default_factory=dict)
    needed: list[set[int]] = field(default_factory=list)

    def needs(self, draft: Draft) -> set[int]:
        """The kernels that must have run before `draft`."""
        roots = [w for root in draft.sources() for w in self.layout.writers(root)]
        roots += [root for member in draft.members for root in self.layout.after.get(member, ())]
        return {self.home[root] for root in roots if root in self.home}

    def enter(self, number: int, draft: Draft) -> None:
        """Let `draft` be kernel `number`."""
        if number == len(self.drafts):
            self.drafts.append(draft)
            self.needed.append(set())
        self.drafts[number] = draft
        self.home.update(dict.fromkeys(draft.members, number))
        self.needed[number] = self.needs(draft)


def fuse(
    graph: Graph, stored: set[Variable], groups: Sequence[Mapping[Variable, Order]] = ()
) -> Fused:
    """The kernels that compute `graph`; the values in `stored`, at least, are roots. `groups` are
    inputs and results that are to lie in an order of their own.

    Where a kernel turns out to need a value that has no address, that is stored, and all begins
    anew.
    """
    stored, straight = set(stored), set[Variable]()
    layout = lay_out(graph, stored, straight, groups)
    while chosen := worth_storing(graph, layout) - stored:
        stored |= chosen
        layout = lay_out(graph, stored, straight, groups)
    while True:
        try:
            return _fused(layout)
        except Unreachable as error:
            value = error.value
            place = layout.alone(value) if value in layout.place else None
            if place is not None and (place.root in layout.orders or value in layout.own):
                straight.add(place.root)
            elif error.value in stored:
                raise
            stored.add(error.value)
            layout = lay_out(graph, stored, straight, groups)


def _fused(layout: Layout) -> Fused:
    fused = Fused(layout, _slots(layout))
    fills = {fill for fills in layout.after.values() for fill in fills}
    for root in sorted(layout.roots, key=lambda root: root not in fills):
        if root in fused.home:
            continue  # a loop's results come together
        kind = kind_of(layout.equations[root])
        alone = build(kind, layout, fused.slots, [root])
        assert alone is not None, root
        for number in _candidates(fused, alone):
            joined = _joined(fused, number, alone)
            if joined is not None:
                fused.enter(number, joined)
                break
        else:
            fused.enter(len(fused.drafts), alone)
    return fused


def _slots(layout: Layout) -> dict[Variable, Buffer]:
    """A buffer for every value that others may read, to be replaced when memory is planned."""
    roots = {place.root: None for place in layout.place.values()}
    return {
        root: Buffer(f"v{number}", elements(root.shape), root.dtype, "temporary")
        for number, root in enumerate(roots)
    }


def _candidates(fused: Fused, alone: Draft) -> list[int]:
    """The kernels that the root of `alone` may join, the likeliest first."""
    if alone.kind not in ("loop", "reduce"):
        return []
    before = sorted(fused.needs(alone), reverse=True)
    latest = list(range(len(fused.drafts)))[-_NEAR:][::-1]
    return [*before, *(number for number in latest if number not in before)]


def _joined(fused: Fused, number: int, alone: Draft) -> Draft | None:
    """Kernel `number` with the root of `alone`, if it may join and saves anything."""
    draft, (root,) = fused.drafts[number], alone.members
    if not _may_join(draft, alone) or _length(draft) + _length(alone) > _MOST_SCALARS:
        return None
    if not _worthwhile(fused.layout, draft, alone):
        return None
    kind = "reduce" if alone.kind == "reduce" else draft.kind
    try:
        joined = build(kind, fused.layout, fused.slots, [*draft.members, root])
    except Unreachable:  # each for itself has an address for all it reads
        return None
    if joined is None:
        return None
    if joined.kind == "contraction" and not _fits_product(joined):
        return None
    needs = fused.needs(alone)
    if any(number in _all_needs(fused, other) for other in needs - {number}):
        return None
    written = [root for source in joined.sources() for root in fused.layout.writers(source)]
    filled = [fill for member in joined.members for fill in fused.layout.after.get(member, ())]
    if any(member in draft.members for member in (*written, *filled)):
        return None
    return joined


def _may_join(draft: Draft, alone: Draft) -> bool:
    """Whether the root of `alone` may be computed at the points of `draft`, or at those left.

    A loop that may meet an index out of range is not reduced at once: what follows may be a state,
    which then stays as it was.
    """
    if alone.kind == "reduce" == draft.kind:
        return True
    if alone.kind == "loop" and draft.kind in ("loop", "contraction"):
        return same_points(draft, alone.members[0])
    if {alone.kind, draft.kind} != {"loop", "reduce"}:
        return False
    if _as_many_points(draft, alone):
        return not (_may_fail(draft) or _may_fail(alone))
    return alone.kind == "loop" and same_points(draft, alone.members[0])


def _may_fail(draft: Draft) -> bool:
    return any(read.at.indirect for read in draft.reads())


def _as_many_points(a: Draft, b: Draft) -> bool:
    return elements(a.main.sizes) == elements(b.main.sizes)


def _length(draft: Draft) -> int:
    """How many operations a kernel has at a point."""
    return sum(len(body.scalars) for body in draft.bodies)


def _all_needs(fused: Fused, number: int) -> set[int]:
    """All kernels that kernel `number` depends on, itself included."""
    found, rest = {number}, [number]
    while rest:
        new = fused.needed[rest.pop()] - found
        found |= new
        rest.extend(new)
    return found


def _worthwhile(layout: Layout, draft: Draft, alone: Draft) -> bool:
    """Whether computing the root of `alone` within `draft` saves a load, or a short kernel."""
    sources = alone.sources()
    if any(root in draft.members for source in sources for root in layout.writers(source)):
        return True
    if draft.kind == "contraction" or not _as_many_points(draft, alone):
        return False
    if draft.kind == alone.kind and elements(draft.main.sizes) <= _SMALL:
        return True
    streams = len(draft.sources() | sources) + len(draft.members) + 1
    return bool({*draft.reads()} & {*alone.reads()}) and streams <= _MOST_STREAMS


def _plain_epilogue(draft: Draft) -> bool:
    """An epilogue computes and reads at strides: no random bits, no computed places."""
    plain = all(scalar.op != "bits" for scalar in draft.tail.scalars)
    return plain and not any(read.at.indirect for read in draft.tail.reads)


def _fits_product(draft: Draft) -> bool:
    """Whether what follows a product is computed well at the end of its sums."""
    return _plain_epilogue(draft) and _in_step(draft) and not _is_scattered(draft)


def _is_scattered(draft: Draft) -> bool:
    """Whether neighbours in a large result are few, as the taps of a convolution's weight, and so
    are not vectors of sums, and as much is read as is written: an optimizer's state. A loop of its
    own runs through all of that in order."""
    product, body = draft.members[0], draft.tail
    size, fastest = elements(product.shape), _fastest(draft, product)
    if size < _SMALL or fastest < 0 or body.sizes[fastest] >= _NARROW:
        return False
    return any(elements(read.root.shape) >= size for read in body.reads)


def _in_step(draft: Draft) -> bool:
    """Whether the results of an epilogue lie along the product's own. Those in another order are
    stored one by one, which takes longer than a short sum: a loop turns them faster."""
    product, *rest = draft.members
    equation = draft.tail.layout.equations[product]
    left, _, result = parse(equation.attributes["spec"])
    sizes = dict(zip(left, equation.inputs[0].shape, strict=True))
    depth = math.prod(size for name, size in sizes.items() if name not in result)
    if depth > _SHORT_SUM or product in draft.tail.layout.orders:
        return True
    return all(_fastest(draft, x) == _fastest(draft, product) for x in rest)


def _fastest(draft: Draft, root: Variable) -> int:
    """The loop along which neighbours in memory follow each other."""
    body = draft.tail
    strides = body.stored_at(root).strides
    moving = [loop for loop in body.loops if strides[loop] and body.sizes[loop] > 1]
    return min(moving, key=lambda loop: abs(strides[loop]), default=-1)
