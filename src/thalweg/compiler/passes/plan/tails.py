"""Tails of short rows, in a loop of their own.

A log-softmax takes the logarithm of each row's sum. In the loop that sums, that is a scalar
computation a row, as long as the sum itself where rows are short. In a loop over the rows, behind
the one that sums, it is done for a vector of rows at once:

    for i < 16, over j < 64: sum; log    becomes    for i < 16, over j < 64: sum to x[i]
                                                    for i < 16: log of x[i]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from thalweg.compiler.kernels import Access, Buffer, Loop, Scalar, Store
from thalweg.compiler.passes.operations import COST
from thalweg.compiler.passes.plan.split import over
from thalweg.compiler.passes.views import row_major

__all__ = ["tail_apart"]

_WORTH = COST["divide"]  # from which on a tail's work is worth storing what it works on
_ROWS = 8  # of a row of a chain, at least, for vectors to run along


def tail_apart(loop: Loop, lead: int) -> list[Loop]:
    """`loop`, whose first `lead` axes count the rows of a chain; in two, if each of these is many
    short rows, with much to do after their reductions."""
    kept = [axis for axis in range(len(loop.space)) if axis not in loop.reduced]
    rows = math.prod(loop.space[axis] for axis in kept if axis >= lead)
    work = sum(COST.get(scalar.op, 0) for scalar in loop.tail)
    if rows < _ROWS or work < _WORTH or len(loop.space) - 1 not in loop.reduced:
        return [loop]
    sizes = tuple(loop.space[axis] for axis in kept)
    strides = [0] * len(loop.space)
    for axis, stride in zip(kept, row_major(sizes), strict=True):
        strides[axis] = stride
    name = repr(loop.tail_stores[0].access.buffer)
    places = [
        Access(Buffer(f"{name}.{n}", math.prod(sizes), r.dtype, "temporary"), 0, tuple(strides))
        for n, r in enumerate(loop.reductions)
    ]
    return [_reduced(loop, places), _tail(loop, places, kept)]


def _reduced(loop: Loop, places: Sequence[Access]) -> Loop:
    """What is reduced, stored as it is."""
    first = len(loop.body)
    stores = [Store(first + n, place) for n, place in enumerate(places)]
    results = [Scalar("reduced", (), r.dtype, {"number": n}) for n, r in enumerate(loop.reductions)]
    return replace(loop, tail=tuple(results), stores=(*loop.body_stores, *stores))


def _tail(loop: Loop, places: Sequence[Access], kept: Sequence[int]) -> Loop:
    """The tail, over the axes that are kept."""
    first = len(loop.body)

    def at(access: Access) -> Access:
        parts = tuple(replace(part, index=part.index - first) for part in access.indirect)
        return replace(access, indirect=parts)

    def taken(scalar: Scalar) -> Scalar:
        if scalar.op == "reduced":
            place = places[int(scalar.attributes["number"])]
            return Scalar("load", (), scalar.dtype, {"access": place})
        inputs = tuple(number - first for number in scalar.inputs)
        if scalar.op == "load":
            return replace(scalar, attributes={"access": at(scalar.attributes["access"])})
        return replace(scalar, inputs=inputs)

    whole = Loop(
        space=loop.space,
        body=tuple(map(taken, loop.tail)),
        stores=tuple(Store(s.value - first, at(s.access)) for s in loop.tail_stores),
        origins=loop.origins,
        label=f"{loop.label}, rows",
    )
    terms = [[(kept.index(a), 1)] if a in kept else [] for a in range(len(loop.space))]
    return over(whole, tuple(loop.space[axis] for axis in kept), terms)
