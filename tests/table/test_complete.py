"""Nothing is missing from the table: every primitive, every function, every method of a tensor."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from tests.table.cases import TABLE
from tests.table.row import spelled
from thalweg.primitives import REGISTRY

NAMES = {row.name for row in TABLE}
TESTS = Path(__file__).parent.parent

# What is no operation on values, or random, and the file that tests it instead.
ELSEWHERE = {
    "test_tensor.py": """allclose as_tensor byte bfloat16 bool contiguous cpu dim double
        element_size equal float from_numpy half int is_contiguous is_floating_point is_tensor
        item long nelement numel numpy size tensor to tolist type type_as detach_""",
    "test_random.py": """bernoulli bernoulli_ get_rng_state initial_seed manual_seed multinomial
        normal normal_ rand rand_like randint randint_like randn randn_like randperm seed
        set_rng_state uniform_""",
    "test_indexing.py": "broadcast_shapes",
    "nn/test_gumbel.py": "gumbel_softmax",
    "ops/test_loops.py": "cond scan",
    "test_inplace.py": "copy_ fill_ zero_ masked_fill_ lerp_",
    "autodiff/test_engine.py": "backward requires_grad_",
    "autodiff/test_hooks.py": "register_hook retain_grad",
}
LOOPS = {"scan", "cond", "item"}  # of traces: tests/compiler/test_loops.py, test_branches.py
LISTED = {name: file for file, names in ELSEWHERE.items() for name in names.split()}


def functions(home: ModuleType) -> set[str]:
    """The names of a module's operations; what is no operation is not defined in `ops`."""
    found = {name: vars(home).get(name) for name in home.__all__}
    homes = ("thalweg.ops", "thalweg._tensor", "thalweg.nn")
    return {n for n, f in found.items() if inspect.isroutine(f) and f.__module__.startswith(homes)}


METHODS = {
    name
    for kind in tw.Tensor.__mro__[:-1]
    for name, value in vars(kind).items()
    if not name.startswith("_") and inspect.isroutine(value)
}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_primitive_has_a_row(name: str) -> None:
    assert f"primitives.{name}" in NAMES or name in LOOPS


@pytest.mark.parametrize("name", sorted(functions(tw)))
def test_every_function_has_a_row(name: str) -> None:
    assert name in NAMES or name in LISTED


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_a_row(name: str) -> None:
    """Under its own name or its function's; one in place under that of the method it spells."""
    rows = {name, f"Tensor.{name}", name.removesuffix("_"), f"Tensor.{name.removesuffix('_')}"}
    assert rows & NAMES or name in LISTED


@pytest.mark.parametrize("name", sorted(functions(F)))
def test_every_function_of_networks_has_a_row(name: str) -> None:
    same = name in NAMES and spelled(name) is getattr(F, name)
    assert same or f"nn.functional.{name}" in NAMES or name in LISTED


@pytest.mark.parametrize(("name", "file"), sorted(LISTED.items()))
def test_what_is_tested_elsewhere_is_there(name: str, file: str) -> None:
    assert name in (TESTS / file).read_text(encoding="utf-8")


def test_rows_are_named_after_what_they_call() -> None:
    for name in NAMES:
        assert name.startswith("primitives.") or callable(spelled(name)) or name[7:] in ("T", "mT")
