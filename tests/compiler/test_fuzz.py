"""Random programs of primitives, compiled, against the interpreter.

A few hundred here, the same ones each time; `make fuzz` runs others for as long as it is told.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.compiler.fuzzing import check
from tests.compiler.looped import Looped, check_looped
from tests.compiler.making import recipes
from tests.compiler.recipes import Recipe

SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@settings(SETTINGS, max_examples=220)
@given(recipes())
def test_small_programs(recipe: Recipe) -> None:
    check(recipe)


@settings(SETTINGS, max_examples=60)
@given(recipes(most=12, largest=400))
def test_plans(recipe: Recipe) -> None:
    check(recipe, plans=True)


@settings(SETTINGS, max_examples=60)
@given(recipes(most=8, largest=400), st.sampled_from((3, 2, 1, 0)), st.booleans())
def test_bodies_of_loops(recipe: Recipe, rounds: int, reverse: bool) -> None:
    check_looped(Looped(recipe, rounds, reverse), threads=(2, 3))


@settings(SETTINGS, max_examples=60)
@given(recipes(most=10, largest=3000, rows=True))
def test_chains(recipe: Recipe) -> None:
    check(recipe, plans=True, threads=(2, 3, 8), chained=True)


@settings(SETTINGS, max_examples=20)
@given(recipes(most=6, largest=300_000))
def test_large_programs(recipe: Recipe) -> None:
    check(recipe, threads=(2, 3))
