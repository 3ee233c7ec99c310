"""Rows of the next iteration are asked for in this one's products, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.compiler.kernels import Ahead, Contraction

F = tw.nn.functional
BATCH = 33


def step_on(table: tw.Tensor, width: int = 130) -> Any:
    """A training step on rows of `table`, from the same start each time."""
    tw.manual_seed(0)
    model = tw.nn.Linear(table.shape[1], width)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.01)

    @tw.compile
    def step(index: tw.Tensor) -> tw.Tensor:
        loss = model(table[index].float() / 4).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def asked(step: Any) -> list[Ahead]:
    kernels = step.last.bound.plan.kernels
    return [k.ahead for k in kernels if isinstance(k, Contraction) and k.ahead is not None]


TABLES = {
    "f32": lambda: tw.randn(3000, 401),
    "bytes": lambda: tw.randint(0, 256, (9000, 520), dtype=tw.uint8),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_scan_that_asks_gives_what_single_calls_give(name: str) -> None:
    table = TABLES[name]()
    count = table.shape[0]
    places = tw.randint(-count, count, (5, BATCH))
    scanned, called = step_on(table), step_on(table)
    wanted = tw.stack([called(index) for index in places])
    for threads in (1, 2, 3):
        tw.set_num_threads(threads)
        assert (step_on(table).scan(places) == wanted).all()
    assert (scanned.scan(places) == wanted).all()
    (rows,) = asked(scanned)
    assert (rows.count, rows.length, rows.size) == (BATCH, table.shape[1], count)


def test_a_wrong_place_is_an_error_as_before() -> None:
    table = TABLES["f32"]()
    places = tw.randint(0, 3000, (3, BATCH)).numpy()
    places[2, 5] = 3000
    with pytest.raises(tw.errors.OutOfRangeError, match="iteration 2"):
        step_on(table).scan(tw.tensor(places))


@pytest.mark.parametrize(
    ("shape", "width"),
    [((100, 401), 130), ((20_000, 60), 130), ((3000, 401), 3)],
    ids=["a table that stays near", "short rows", "a short product"],
)
def test_what_is_not_worth_asking_for(shape: tuple[int, int], width: int) -> None:
    step = step_on(tw.randn(*shape), width)
    step(tw.arange(BATCH))
    assert not asked(step)
