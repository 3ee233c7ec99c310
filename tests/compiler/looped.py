"""A random program as the body of a scan, natively, against the same loop unrolled.

Each argument of the recipe is a constant of the loop, is sliced, or is carried: handed on from
another argument of the same kind, so that what a recipe takes for exact stays so. The results are
stacked; the loss is added up from round to round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.oracle import Native, traced
from tests.compiler.recipes import FLOATS, Given, Recipe, apply_step
from tests.compiler.rounding import complaint
from thalweg.compiler.interpret import interpret
from thalweg.compiler.passes import optimize
from thalweg.compiler.reference import run as run_plan
from thalweg.ops import loops
from thalweg.tape import wrap

__all__ = ["Looped", "check_looped"]


@dataclass(frozen=True)
class Looped:
    """`recipe`, without its assignments, `rounds` times."""

    recipe: Recipe
    rounds: int
    reverse: bool

    def role(self, number: int) -> str:
        """What input `number` is: const, slice or carry."""
        given = self.recipe.inputs[number]
        if given.state:
            return "const"
        role = ("slice", "carry", "const")[(self.recipe.seed + number) % 3]
        return role if role != "carry" or self._next(number) is not None else "slice"

    def _next(self, number: int) -> int | None:
        """The input that is carried to this one."""
        kind = self.recipe.inputs[number]
        same = [n for n, g in enumerate(self.recipe.inputs) if g == kind and n != number]
        return same[0] if same else None

    def arrays(self) -> list[Any]:
        """Values for the inputs, of slices for all rounds."""
        random = np.random.default_rng(self.recipe.seed)

        def array(number: int, given: Given) -> Any:
            if self.role(number) != "slice":
                return given.array(random)
            return np.stack([given.array(random) for _ in range(self.rounds + 1)])[1:]

        return [array(n, given) for n, given in enumerate(self.recipe.inputs)]

    def __call__(self, *arguments: tw.Tensor) -> list[tw.Tensor | None]:
        given = list(arguments)
        leaves = []
        if self.recipe.loss:
            given = [
                x.detach().requires_grad_() if g.dtype in FLOATS and (n // 2) % 2 == 0 else x
                for n, (x, g) in enumerate(zip(given, self.recipe.inputs, strict=True))
            ]
            leaves = [x for x in given if x.requires_grad]
        numbers = range(len(given))
        carried = [n for n in numbers if self.role(n) == "carry"]
        sliced = [n for n in numbers if self.role(n) == "slice"]

        def body(state: Any, parts: Any) -> Any:
            values = list(given)
            for n, x in zip([*carried, *sliced], [*state[0], *parts[0]], strict=True):
                values[n] = x
            for step in self.recipe.steps:
                if step.name != "assign":
                    apply_step(step, values)
            loss = state[1] + sum(values[n].double().sum() for n in self.recipe.loss)
            after = [values[self._next(n)] for n in carried]  # type: ignore[index]
            return (after, loss), [values[n] for n in self.recipe.results]

        zero = tw.zeros((), dtype=tw.float64)
        xs = [given[n] for n in sliced], tw.arange(self.rounds)
        (last, loss), ys = tw.scan(
            body, ([given[n] for n in carried], zero), xs, reverse=self.reverse
        )
        results: list[tw.Tensor | None] = [x.detach() for x in (*last, *ys)]
        if loss.requires_grad:
            results += tw.autograd.grad(loss, leaves, allow_unused=True)
        return results


def check_looped(looped: Looped, threads: tuple[int, ...] = ()) -> None:
    """Raise where the loop and its rounds one by one differ by more than roundings explain."""
    given = looped.arrays()
    if looped.recipe.loss and not looped.rounds:
        return  # nothing requires a gradient, where a trace does not know that
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "scan_along_0", loops._in_turn)
        unrolled = traced(looped, *map(wrap, given))
    plain = unrolled.graph
    inputs = [*given, *(slot.array for slot in unrolled.slots)]
    wanted = interpret(plain, inputs)
    trace = traced(looped, *map(wrap, given))
    own = [*given, *(slot.array for slot in trace.slots)]
    native = None
    try:
        native = Native(trace.graph, trace.updates)
        ways: list[tuple[str, Callable[[], Any]]] = [
            ("interpreted", lambda: interpret(trace.graph, own)),
            ("optimized", lambda: interpret(optimize(trace.graph), own)),
            ("as a plan", lambda: run_plan(native.plan, own)),
            ("natively", lambda: native(own, 1)),
        ]
        for name, way in ways:
            got = way()
            assert len(got) == len(wanted), name
            wrong = complaint(plain, inputs, got, wanted)
            assert not wrong, f"{name}: {wrong}"
        for count in threads:
            other = native(own, count)
            same = all(a.tobytes() == b.tobytes() for a, b in zip(got, other, strict=True))
            assert same, f"{count} threads give other bits than one"
    except Exception as error:
        error.add_note(f"{looped}\n\n{trace.graph}")
        if native is not None:
            error.add_note(f"\n{native.plan}")
        raise
