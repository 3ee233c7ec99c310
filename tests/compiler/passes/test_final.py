"""What every iteration of a scan would write anew is written by the last; nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.compiler.kernels import Contraction
from thalweg.compiler.native import running

F = tw.nn.functional
LENGTH = 6


def batches() -> tw.Tensor:
    tw.manual_seed(1)
    return tw.randn(LENGTH, 33, 70)


def training(clip: float | None = None) -> tuple[Any, tw.nn.Module]:
    """A step, and the model whose gradients it leaves; the same from the start each time."""
    tw.manual_seed(0)
    model = tw.nn.Sequential(tw.nn.Linear(70, 65), tw.nn.ReLU(), tw.nn.Linear(65, 70))
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)

    @tw.compile
    def step(x: tw.Tensor) -> tw.Tensor:
        loss = F.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        if clip:
            tw.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return loss

    return step, model


def left(model: tw.nn.Module) -> list[tw.Tensor]:
    """The parameters and their gradients."""
    found = list(model.parameters())
    return [*found, *(p.grad for p in found if p.grad is not None)]


def final(step: Any) -> list[int]:
    """How many such stores each product has."""
    products = [k for k in step.last.bound.plan.kernels if isinstance(k, Contraction)]
    return [len(kernel.final) for kernel in products]


@pytest.mark.parametrize("pause", [None, 0.0], ids=["at once", "a pause after each iteration"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_scan_leaves_the_gradients_that_calls_leave(
    threads: int, pause: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pause is not None:
        monkeypatch.setattr(running, "_CHUNK_SECONDS", pause)
    (called, wanted), (scanned, model) = training(), training()
    for x in batches():
        called(x)
    tw.set_num_threads(threads)
    for _ in range(2):  # the second time into the arrays of the first
        scanned.scan(batches())
    assert sum(final(scanned)) == 2
    for x in batches():
        called(x)
    pairs = zip(left(model), left(wanted), strict=True)
    assert all((mine == theirs).all() for mine, theirs in pairs)
    assert len(left(model)) == 8


def test_what_the_next_kernel_reads_is_always_written() -> None:
    (called, wanted), (scanned, model) = training(clip=0.01), training(clip=0.01)
    for x in batches():
        called(x)
    scanned.scan(batches())
    assert not any(final(scanned))
    assert all((a == b).all() for a, b in zip(left(model), left(wanted), strict=True))


def test_results_that_are_stacked_are_always_written() -> None:
    weight = tw.randn(70, 130)
    product = tw.compile(lambda x: x @ weight)
    stacked = product.scan(batches())
    assert final(product) == [1]
    assert all((y == product(x)).all() for x, y in zip(batches(), stacked, strict=True))


def test_the_plan_says_so() -> None:
    step, _ = training()
    step(batches()[0])
    told = [line for line in str(step.last.bound.plan).splitlines() if "last run" in line]
    assert [line.strip()[:3] for line in told] == ["out", "out"]


def test_small_results_are_not_worth_a_branch() -> None:
    product = tw.compile(lambda x, y: x @ y)
    product(tw.ones(8, 9), tw.ones(9, 7))
    assert final(product) == [0]
