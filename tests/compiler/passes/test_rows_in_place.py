"""Rows that narrow products read where they lie: the same as copies, in every product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.native import WIDTHS, of_width
from tests.compiler.oracle import Native, traced
from thalweg.compiler.interpret import interpret
from thalweg.compiler.kernels import Contraction, Plan
from thalweg.compiler.machine import host
from thalweg.compiler.passes.plan import ahead
from thalweg.compiler.reference import run

Product = Callable[[tw.Tensor, tw.Tensor], tw.Tensor]

# What is made of rows x (n, 131) and a weight; its shape; whether the rows are read in place.
PRODUCTS: dict[str, tuple[Product, tuple[int, ...], bool]] = {
    "x w": (lambda x, w: x @ w, (131, 30), True),
    "x w, one column": (lambda x, w: x @ w, (131, 1), True),
    "x w.T": (lambda x, w: x @ w.T, (30, 131), True),
    "x.T w": (lambda x, w: x.T @ w, (33, 30), True),
    "w.T x": (lambda x, w: w.T @ x, (33, 30), True),
    "w x.T": (lambda x, w: w @ x.T, (30, 131), True),
    "a part of the rows": (lambda x, w: x[:, 3:120] @ w, (117, 7), True),
    "rows cut in two": (lambda x, w: x[:, 1:].reshape(-1, 2, 65) @ w, (65, 9), False),
    "both ways": (lambda x, w: (x @ w).T @ x, (131, 30), True),
    "wide": (lambda x, w: x @ w, (131, 65), False),
    "read by others too": (lambda x, w: x @ w + x.sum(1, keepdim=True), (131, 30), False),
    "by itself": (lambda x, w: x @ x.T + w, (1,), False),
    "turned round": (lambda x, w: x.flip(1) @ w, (131, 30), False),
}


@pytest.fixture(autouse=True)
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of small tables are worth it here."""
    monkeypatch.setattr(ahead, "_TABLE", 1)
    monkeypatch.setattr(ahead, "_ROW", 1)


def in_place(plan: Plan) -> int:
    return sum(isinstance(k, Contraction) and k.places is not None for k in plan.kernels)


def made(name: str, count: int, dtype: Any = np.float32) -> tuple[Any, list[Any]]:
    """A trace of a product, and its arguments: rows counted from both ends, some twice."""
    product, shape, _ = PRODUCTS[name]
    rng = np.random.default_rng(0)
    table, w = (rng.standard_normal(s).astype(dtype) for s in ((200, 131), shape))
    index = rng.integers(-200, 200, count)
    given = [tw.tensor(x) for x in (table, w, index)]
    trace = traced(lambda table, w, index: product(table[index], w), *given)
    return trace.graph, [table, w, index]


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
def test_products_of_rows(name: str, dtype: Any) -> None:
    graph, given = made(name, 33, dtype)
    native = Native(graph)
    (wanted,) = interpret(graph, given)
    (slow,) = run(native.plan, given)
    bits = {native(given, threads)[0].tobytes() for threads in (1, 2, 3, 8)}
    (got,) = native(given)
    assert len(bits) == 1
    within = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, wanted, within, within)
    np.testing.assert_allclose(slow, wanted, within, within)
    assert (in_place(native.plan) > 0) == PRODUCTS[name][2]


@pytest.mark.parametrize("count", [2, 3, 5, 16, 17, 64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["x w", "x w.T"])
def test_any_number_of_rows_at_any_width(name: str, width: int, count: int) -> None:
    graph, given = made(name, count)
    native = Native(graph, machine=of_width(width))
    np.testing.assert_allclose(native(given)[0], interpret(graph, given)[0], 1e-4, 1e-4)
    assert in_place(native.plan)


def step_on(table: tw.Tensor, wide: bool) -> Any:
    tw.manual_seed(0)
    model = tw.nn.Linear(131, 80 if wide else 30)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.01)

    @tw.compile
    def step(index: tw.Tensor) -> tw.Tensor:
        loss: tw.Tensor = model(table[index]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("wide", [False, True])
def test_a_training_step(wide: bool) -> None:
    table = tw.randn(200, 131)
    places = tw.randint(-200, 200, (5, 40))
    scanned, called = step_on(table, wide), step_on(table, wide)
    wanted = tw.stack([called(index) for index in places])
    for threads in (1, 2, 3):
        tw.set_num_threads(threads)
        assert (step_on(table, wide).scan(places) == wanted).all()
    assert (scanned.scan(places) == wanted).all()
    assert in_place(scanned.last.bound.plan) == (0 if wide else 2)


@pytest.mark.parametrize("place", [200, -201, 1 << 40])
def test_a_place_out_of_range_is_an_error_as_before(place: int) -> None:
    table = tw.randn(200, 131)
    places = tw.randint(0, 200, (3, 40)).numpy()
    places[2, 5] = place
    step = step_on(table, wide=False)
    with pytest.raises(tw.errors.OutOfRangeError, match="iteration 2"):
        step.scan(tw.tensor(places))
    again = step_on(table, wide=False)
    again.scan(tw.tensor(places[:2]))
    same = tw.tensor(places[:1])
    assert (step.scan(same) == again.scan(same)).all()  # the state is that of two iterations
    assert in_place(step.last.bound.plan) == 2


def test_the_plan_says_so() -> None:
    graph, _ = made("x w", 33)
    assert "rows of A at" in str(Native(graph, machine=host()).plan)
