"""Programs with loops and branches, traced, against what they do eagerly; a recurrent cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.compiler.oracle import Native, traced
from thalweg.compiler.graph import Graph, inner_graphs
from thalweg.compiler.interpret import interpret
from thalweg.compiler.parse import parse
from thalweg.compiler.passes import build_plan, optimize
from thalweg.compiler.passes.equations.verify import verify
from thalweg.compiler.reference import run as run_plan
from thalweg.compiler.tracing.structure import flatten

__all__ = ["F64", "Cell", "check", "names", "near", "scans"]

F64 = tw.float64


def check(fn: Callable[..., Any], *args: Any) -> Graph:
    """fn(*args), traced, against the eager loop: interpreted, optimized, as a plan, natively."""
    trace = traced(fn, *args)
    given = [x._value for x in flatten(args)[0]]
    arrays = [*given, *(slot.array for slot in trace.slots)]
    graph = trace.graph
    wanted = interpret(verify(graph), arrays)
    count = trace.results
    eager = [x._value for x in flatten(fn(*args))[0]]
    near(wanted[:count], eager)
    near(interpret(optimize(graph), arrays), wanted)
    near(run_plan(build_plan(graph, trace.updates), arrays), wanted)
    native = Native(graph, trace.updates)
    one = native(arrays, threads=1)
    near(one, wanted)
    for threads in (2, 3, 8):
        for a, b in zip(native(arrays, threads=threads), one, strict=True):
            np.testing.assert_array_equal(a, b)
    assert str(parse(str(graph))) == str(graph)
    return optimize(graph)


def near(got: Any, wanted: Any) -> None:
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def scans(graph: Graph) -> list[Graph]:
    """The bodies of the scans of a graph."""
    return [inner for e in graph.equations for inner in inner_graphs(e)]


class Cell:
    """h' = tanh(x U + h W + b), in float64, and a loss of all of its states."""

    def __init__(self) -> None:
        tw.manual_seed(1)
        self.w = tw.randn(3, 3, dtype=F64, requires_grad=True)
        self.u = tw.randn(2, 3, dtype=F64, requires_grad=True)
        self.b = tw.randn(3, dtype=F64, requires_grad=True)
        self.h = tw.zeros(4, 3, dtype=F64)
        self.xs = tw.randn(5, 4, 2, dtype=F64)

    @property
    def weights(self) -> list[Any]:
        return [self.w, self.u, self.b]

    def step(self, h: Any, x: Any) -> Any:
        h = tw.tanh(x @ self.u + h @ self.w + self.b)
        return h, h

    def loss(self, xs: Any, **how: Any) -> Any:
        h, ys = tw.scan(self.step, self.h, xs, **how)
        return (ys * ys).sum() + h.sum()


def names(graph: Graph) -> list[str]:
    """The operations of a graph."""
    return [e.op.name for e in graph.equations]
