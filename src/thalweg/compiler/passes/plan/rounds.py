"""From a scan to a loop of kernels, from a cond to a branch: their bodies have plans of their own.

What a scan carries is its body's state, and stands where the last carry is wanted: it is filled
there before the first round, and each round gives it its next value. Slices are addresses that
advance; results are written where they are stacked. Both sides of a cond write to one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from thalweg.compiler.graph import Atom, Equation, Graph, Variable
from thalweg.compiler.kernels import (
    Access,
    Branch,
    Buffer,
    Link,
    Loop,
    Plan,
    Repeat,
    Scalar,
    Store,
)
from thalweg.compiler.passes.fusion.layout import Layout
from thalweg.compiler.passes.views import Place
from thalweg.primitives import loops

_BYTE = np.dtype(np.uint8)

__all__ = ["Inside", "Plans", "carried", "with_results"]

Plans = Mapping[Variable, Sequence[Plan]]  # of the bodies, by the result of each scan or cond


def carried(equation: Equation) -> dict[int, int]:
    """The carry as state: the number of each input to that of the output that is its new value.

    A carry that is kept is read in one place and written to the next: no state.
    """
    if equation.op is not loops.scan:
        return {}
    how = equation.attributes
    changing = (number for number in range(how["carry"]) if number not in how.get("kept", ()))
    return {how["consts"] + number: number for number in changing}


def with_results(graph: Graph) -> Graph:
    """`graph` with an item for each result of its scans and conds, for all are written."""
    taken = {(e.inputs[0], e.attributes["index"]) for e in graph.equations if e.op is loops.item}

    def all_of(e: Equation) -> Iterator[Equation]:
        yield e
        for index, kind in enumerate(loops.parts_of(e.output)):
            if (e.output, index) not in taken:
                yield Equation(loops.item, (e.output,), Variable(*kind), {"index": index}, e.origin)

    return replace(graph, equations=[x for e in graph.equations for x in all_of(e)])


class Inside:
    """The kernels of a scan or a cond, over the buffers around.

    plans  of its bodies
    slots, outlets  the buffers of stored values, and those that results are written to
    """

    def __init__(
        self,
        equation: Equation,
        layout: Layout,
        slots: Mapping[Variable, Buffer],
        outlets: Mapping[Variable, Sequence[Buffer]],
        plans: Sequence[Plan],
    ) -> None:
        self.equation, self.layout, self.slots, self.plans = equation, layout, slots, plans
        items = layout.items[equation.output]
        self.targets = {layout.equations[v].attributes["index"]: outlets.get(v) for v in items}
        self.origins = (equation.origin,) if equation.origin is not None else ()
        size = max(plan.arena for plan in plans)
        self.arena = Buffer("inside", size, _BYTE, "temporary")

    def loop(self) -> Repeat:
        """The loop of kernels of a scan."""
        how = self.equation.attributes
        (plan,), turn = self.plans, -1 if how["reverse"] else 1
        last = how["length"] - 1 if how["reverse"] else 0
        first, links = list[Loop](), list[Link]()
        for number, (inner, atom) in enumerate(zip(plan.inputs, self.equation.inputs, strict=True)):
            if not inner.size:
                continue
            (outer, place), index = self._place(atom), number - how["consts"]
            if index < 0:
                links.append(Link(inner, outer, place.offset))
            elif index < how["carry"]:
                kept, size = index in how.get("kept", ()), inner.size
                start = how["length"] * size if kept and how["reverse"] else 0
                links.append(Link(inner, self._target(index), start, turn * size if kept else 0))
                first.append(_copy(outer, place.offset, self._target(index), start, size))
            else:
                step = place.strides[0]
                links.append(Link(inner, outer, place.offset + last * step, turn * step))
        for index, view in enumerate(plan.outputs):
            size = view.buffer.size
            if index >= how["carry"] and size:
                links.append(Link(view.buffer, self._target(index), last * size, turn * size))
            elif index in how.get("kept", ()) and size:
                start = last * size if how["reverse"] else size
                links.append(Link(view.buffer, self._target(index), start, turn * size))
        return Repeat(
            count=how["length"],
            first=tuple(first),
            kernels=tuple(plan.kernels),
            links=tuple(links),
            arena=self.arena,
            origins=self.origins,
            label="scan",
        )

    def branch(self) -> Branch:
        """The kernels of a cond's sides."""
        pred, *given = self.equation.inputs
        links = []
        for plan in self.plans:
            for inner, atom in zip(plan.inputs, given, strict=True):
                if inner.size:
                    outer, place = self._place(atom)
                    links.append(Link(inner, outer, place.offset))
            for index, view in enumerate(plan.outputs):
                if view.buffer.size:
                    links.append(Link(view.buffer, self._target(index)))
        buffer, place = self._place(pred)
        true, false = (tuple(plan.kernels) for plan in self.plans)
        return Branch(
            pred=(buffer, place.offset),
            sides=(true, false),
            links=tuple(links),
            arena=self.arena,
            origins=self.origins,
            label="cond",
        )

    def _place(self, atom: Atom) -> tuple[Buffer, Place]:
        """Where an operand stands."""
        assert isinstance(atom, Variable)  # literals stand in memory here
        place = self.layout.place[atom]
        return self.slots[place.root], place

    def _target(self, index: int) -> Buffer:
        """Where a result is written."""
        (target,) = self.targets[index] or ()
        return target


def _copy(source: Buffer, offset: int, target: Buffer, start: int, size: int) -> Loop:
    sizes = (size,) if size != 1 else ()
    strides = (1,) * len(sizes)
    load = Scalar("load", (), source.dtype, {"access": Access(source, offset, strides)})
    return Loop(sizes, (load,), (Store(0, Access(target, start, strides)),), label="copy")
