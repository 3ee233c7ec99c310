"""From a scan to a loop of kernels: its body has a plan of its own, with the carry as its state.

What is carried stands where the last carry is wanted: it is filled there before the first round,
and each round gives it its next value, as a program does with its state. Slices are addresses that
advance; results are written where they are stacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.kernels import Access, Buffer, Link, Loop, Plan, Repeat, Scalar, Store
from thalweg.compiler.passes.layout import Layout
from thalweg.compiler.passes.views import Place, elements
from thalweg.primitives import loops

_BYTE = np.dtype(np.uint8)

__all__ = ["Plans", "carried", "repeat", "with_results"]

Plans = Mapping[Variable, Plan]  # of the bodies, by the result of each scan


def carried(equation: Equation) -> dict[int, int]:
    """The carry as state: the number of each input to that of the output that is its new value."""
    consts, carry = equation.attributes["consts"], equation.attributes["carry"]
    return {consts + number: number for number in range(carry)}


def with_results(graph: Graph) -> Graph:
    """`graph` with an item for each result of its scans, wanted or not: all are written."""
    taken = {(e.inputs[0], e.attributes["index"]) for e in graph.equations if e.op is loops.item}

    def all_of(e: Equation) -> Iterator[Equation]:
        yield e
        for index, kind in enumerate(loops.parts_of(e.output)):
            if (e.output, index) not in taken:
                yield Equation(loops.item, (e.output,), Variable(*kind), {"index": index}, e.origin)

    return replace(graph, equations=[x for e in graph.equations for x in all_of(e)])


def repeat(
    equation: Equation,
    plan: Plan,
    layout: Layout,
    slots: Mapping[Variable, Buffer],
    outlets: Mapping[Variable, Sequence[Buffer]],
) -> Repeat:
    """The loop of kernels of a scan, whose body has this plan."""
    how = equation.attributes
    length, last = how["length"], how["length"] - 1 if how["reverse"] else 0
    turn = -1 if how["reverse"] else 1
    results = {layout.equations[v].attributes["index"]: v for v in layout.items[equation.output]}
    first, links = list[Loop](), list[Link]()
    for number, (inner, atom) in enumerate(zip(plan.inputs, equation.inputs, strict=True)):
        place = _place(atom, layout)
        if place is None or not inner.size:
            continue
        outer, index = slots[place.root], number - how["consts"]
        if index < 0:
            links.append(Link(inner, outer, place.offset))
        elif index < how["carry"]:
            (target,) = outlets[results[index]]
            links.append(Link(inner, target))
            first.append(_copy(outer, place.offset, target))
        else:
            step = place.strides[0]
            links.append(Link(inner, outer, place.offset + last * step, turn * step))
    for index, view in enumerate(plan.outputs):
        if index >= how["carry"] and view.buffer.size:
            (target,) = outlets[results[index]]
            size = view.buffer.size
            links.append(Link(view.buffer, target, last * size, turn * size))
    origins = (equation.origin,) if equation.origin is not None else ()
    return Repeat(
        count=length,
        first=tuple(first),
        kernels=tuple(plan.kernels),
        links=tuple(links),
        arena=Buffer("rounds", plan.arena, _BYTE, "temporary"),
        origins=origins,
        label="scan",
    )


def _place(atom: Atom, layout: Layout) -> Place | None:
    assert isinstance(atom, Variable)  # literals stand in memory here
    return layout.place[atom] if elements(atom.shape) else None


def _copy(source: Buffer, offset: int, target: Buffer) -> Loop:
    sizes = (target.size,) if target.size != 1 else ()
    strides = (1,) * len(sizes)
    load = Scalar("load", (), source.dtype, {"access": Access(source, offset, strides)})
    return Loop(sizes, (load,), (Store(0, Access(target, 0, strides)),), label="copy")
