"""Running a graph both ways: by the interpreter, and as a plan of kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.compiler.graph import Graph
from thalweg.compiler.interpret import interpret
from thalweg.compiler.kernels import Plan
from thalweg.compiler.parse import parse
from thalweg.compiler.passes import build_plan, optimize
from thalweg.compiler.reference import run

__all__ = ["agree", "arrays_for", "example", "plan_of"]


def plan_of(text: str, updates: Mapping[int, int] | None = None) -> Plan:
    """The plan of a printed graph, which has been run against the interpreter."""
    graph = parse(text)
    return agree(graph, arrays_for(graph), updates or {})


def agree(
    graph: Graph, arrays: Sequence[Any], updates: Mapping[int, int], within: float = 1e-5
) -> Plan:
    """Check that the plan of `graph` computes what the interpreter does; the plan."""
    plan = build_plan(graph, updates)
    expected = interpret(graph, arrays)
    for simplified in (interpret(optimize(graph), arrays), run(plan, arrays)):
        for position, (a, b) in enumerate(zip(expected, simplified, strict=True)):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), position
            if a.dtype.kind == "f":
                scale = within * max(1.0, float(np.abs(a[np.isfinite(a)]).max(initial=0)))
                np.testing.assert_allclose(b, a, rtol=within, atol=scale, err_msg=str(position))
            else:
                np.testing.assert_array_equal(b, a, err_msg=str(position))
    return plan


def arrays_for(graph: Graph, seed: int = 0) -> list[Any]:
    """Numbers for the inputs of a graph: floats around 0, small integers from 0 to 2."""
    generator = np.random.default_rng(seed)
    return [example(generator, v.shape, v.dtype) for v in graph.inputs]


def example(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """An array of `shape` and `dtype`."""
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 2 if dtype.kind == "b" else 3, shape).astype(dtype)
