"""One random program, all the ways it can be run: eager, interpreted, as a plan, natively."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

import thalweg as tw
from tests.compiler.chaining import any_chain
from tests.compiler.oracle import Native, traced
from tests.compiler.recipes import Recipe
from tests.compiler.rounding import complaint
from thalweg.compiler.interpret import interpret
from thalweg.compiler.reference import run
from thalweg.compiler.tracing.trace import Trace
from thalweg.tape import wrap

__all__ = ["check"]


def check(
    recipe: Recipe,
    plans: bool = False,
    threads: tuple[int, ...] = (),
    chained: bool = False,
) -> None:
    """Raise where two of the ways differ by more than roundings explain.

    plans     also run the kernels one by one, by NumPy, in an arena that is overwritten
    threads   also with so many threads, which must give the same bits
    chained   with loops in chains however small they are
    """
    arrays = recipe.arrays()
    states = recipe.states(arrays)
    function = recipe.function(states)
    given = [a for a, g in zip(arrays, recipe.inputs, strict=True) if not g.state]
    trace = traced(function, *map(wrap, given))
    inputs = [*given, *(slot.array for slot in trace.slots)]
    graph = trace.graph
    wanted = interpret(graph, inputs)
    native = None
    try:
        _check_eager(recipe, states, trace, wanted)
        with any_chain() if chained else nullcontext() as machine:
            native = Native(graph, trace.updates, machine)
        got = native(inputs, 1)
        wrong = complaint(graph, inputs, got, wanted)
        assert not wrong, f"native code: {wrong}"
        for count in threads:
            other = native(inputs, count)
            same = all(a.tobytes() == b.tobytes() for a, b in zip(got, other, strict=True))
            assert same, f"{count} threads give other bits than one"
        if plans:
            wrong = complaint(graph, inputs, run(native.plan, inputs), wanted)
            assert not wrong, f"the plan: {wrong}"
    except Exception as error:
        error.add_note(f"{recipe}\n\n{graph}\nupdates {trace.updates}")
        if native is not None:
            error.add_note(f"\n{native.plan}")
        raise


def _check_eager(recipe: Recipe, traced: list[tw.Tensor], trace: Trace, wanted: list[Any]) -> None:
    """The trace is what was asked for: the interpreter gives what eager code does, to the bit."""
    arrays = recipe.arrays()
    states = recipe.states(arrays)
    given = [wrap(a) for a, g in zip(arrays, recipe.inputs, strict=True) if not g.state]
    results = [x for x in recipe.function(states)(*given) if isinstance(x, tw.Tensor)]
    assert len(results) == trace.results
    for number, result in enumerate(results):
        assert _same(result._value, wanted[number]), f"result {number}: eager code differs"
    eager = dict(zip(map(id, traced), states, strict=True))
    for place, output in trace.updates.items():
        state = eager[id(trace.slots[place - trace.arguments].tensor)]
        assert _same(state._value, wanted[output]), "a state differs in eager code"


def _same(a: Any, b: Any) -> bool:
    return (a.shape, a.dtype) == (b.shape, b.dtype) and np.array_equal(
        a, b, equal_nan=a.dtype.kind == "f"
    )
