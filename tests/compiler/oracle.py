"""A graph as native code and by the interpreter, and how near the two must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.compiler.graph import Graph
from thalweg.compiler.kernels import Plan
from thalweg.compiler.machine import Machine, host
from thalweg.compiler.native.program import Program
from thalweg.compiler.passes import build_plan
from thalweg.compiler.tracing.structure import flatten
from thalweg.compiler.tracing.trace import Trace, trace_program

__all__ = ["Native", "difference", "traced"]

Array = np.ndarray[Any, Any]


def traced(fn: Callable[..., Any], *args: Any) -> Trace:
    """The trace of fn(*args)."""
    leaves, structure = flatten((args, {}))
    return trace_program(fn, structure, leaves)


class Native:
    """The native program of a graph, run on arrays; its memory is filled with NaN before.

    What lies around the arrays that it writes to must not change.
    """

    def __init__(
        self,
        graph: Graph,
        updates: Mapping[int, int] | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.graph = graph
        self.plan: Plan = build_plan(graph, dict(updates or {}))
        self.program = Program(self.plan, machine or host())

    def __call__(self, arrays: Sequence[Any], threads: int | None = None) -> list[Array]:
        """The outputs, in order; `arrays` stay as they are."""
        rooms = [_Room(np.asarray(a)) for a in arrays]
        state = {number: rooms[place] for place, number in self.plan.updates.items()}
        outputs = [
            state[number] if number in state else _Room(np.full(atom.shape, 77, atom.dtype))
            for number, atom in enumerate(self.graph.outputs)
        ]
        rooms += [room for number, room in enumerate(outputs) if number not in state]
        self.program.poison()
        self.program.run([room.array.ctypes.data for room in rooms], threads)
        for number, room in enumerate(rooms):
            assert room.is_whole(), f"the program wrote outside of array {number}"
        return [room.array for room in outputs]


class _Room:
    """A copy of an array, and known bytes before and after it."""

    EDGE = 128

    def __init__(self, array: Array) -> None:
        self.bytes = np.full(array.nbytes + 2 * self.EDGE, 0xA5, np.uint8)
        inside = self.bytes[self.EDGE : self.EDGE + array.nbytes]
        self.array = inside.view(array.dtype).reshape(array.shape)
        self.array[...] = array

    def is_whole(self) -> bool:
        """Whether nobody wrote to the edges."""
        edges = self.bytes[: self.EDGE], self.bytes[self.bytes.size - self.EDGE :]
        return all((edge == 0xA5).all() for edge in edges)


def difference(
    got: Array, wanted: Array, ulp: float = 0.0, within: float | Array = 0.0
) -> str | None:
    """What is wrong with `got`, or None: shape, dtype, NaN and infinity as in `wanted`, numbers
    within `ulp` units in the last place, or `within` of it.
    """
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        return f"{got.dtype}{got.shape} instead of {wanted.dtype}{wanted.shape}"
    if got.dtype.kind != "f":
        wrong = got != wanted
    else:
        finite = np.isfinite(wanted) & np.isfinite(got)
        with np.errstate(all="ignore"):
            allowed = ulp * np.spacing(np.abs(wanted)) + within
            far = ~(np.abs(got - wanted) <= allowed)
        other = ~((got == wanted) | (np.isnan(got) & np.isnan(wanted)))
        wrong = np.where(finite, far, other)
    if not np.any(wrong):
        return None
    place = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
    a, b = np.atleast_1d(got)[place], np.atleast_1d(wanted)[place]
    return f"{np.count_nonzero(wrong)} of {wrong.size} differ, at {place}: {a!r} instead of {b!r}"
