"""`scan` of a compiled function: separate calls, to the bit."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ShapeError


def running_mean() -> tuple[tw.Tensor, Any]:
    mean = tw.zeros(5)

    @tw.compile
    def step(x: tw.Tensor, k: tw.Tensor) -> Any:
        mean.lerp_(x, 0.25)
        return mean * k, {"norm": (mean * mean).sum().sqrt()}

    return mean, step


def test_scan_is_separate_calls_bit_for_bit() -> None:
    tw.manual_seed(0)
    xs, ks = tw.randn(7, 5), tw.arange(7.0)
    one, step = running_mean()
    stacked, norms = step.scan(xs, ks)
    other, single = running_mean()
    results = [single(x, k) for x, k in zip(xs, ks, strict=True)]
    assert stacked.shape == (7, 5)
    assert norms["norm"].shape == (7,)
    assert tw.equal(stacked, tw.stack([r[0] for r in results]))
    assert tw.equal(norms["norm"], tw.stack([r[1]["norm"] for r in results]))
    assert tw.equal(one, other)


def test_scan_adds_to_gradients_as_separate_calls_do() -> None:
    def run(scanned: bool) -> list[tw.Tensor]:
        tw.manual_seed(0)
        body, head = tw.nn.Linear(4, 3), tw.nn.Linear(3, 2)
        optimizer = tw.optim.SGD(head.parameters(), lr=0.1)
        parameters = [*body.parameters(), *head.parameters()]

        @tw.compile
        def step(x: tw.Tensor) -> tw.Tensor:
            loss = head(body(x).relu()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            tw.nn.utils.clip_grad_norm_(parameters, 0.1)  # those of `body` are never cleared
            optimizer.step()
            return loss

        xs = tw.randn(4, 5, 4)
        losses = step.scan(xs) if scanned else tw.stack([step(x) for x in xs])
        return [losses, *(p.grad for p in parameters if p.grad is not None), *parameters]

    one, other = run(True), run(False)
    assert len(one) == len(other) == 9
    assert all(map(tw.equal, one, other))


def test_scan_sees_what_the_function_counts() -> None:
    counts = {"calls": 0}

    @tw.compile
    def step(x: tw.Tensor) -> tuple[tw.Tensor, str]:
        counts["calls"] += 1
        return x * counts["calls"], "a constant"

    assert step.scan(tw.ones(4))[0].tolist() == [1, 2, 3, 4]
    assert step.scan(tw.ones(2))[1] == "a constant"


def test_scan_of_other_things() -> None:
    mean, step = running_mean()
    with pytest.raises(ShapeError, match="no iteration"):
        step.scan(tw.zeros(0, 5), tw.zeros(0))
    with pytest.raises(ShapeError, match="leading size"):
        step.scan(tw.zeros(2, 5), tw.zeros(3))
    with pytest.raises(ShapeError, match="at least one tensor"):
        step.scan()
    with pytest.raises(ShapeError, match="leading size"):
        step.scan(tw.zeros(()), tw.zeros(()))
    assert mean.tolist() == [0] * 5
    flipped = tw.compile(lambda x: x + 1).scan(tw.arange(6.0).reshape(2, 3).t())
    assert flipped.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert tw.compile(lambda x: 7).scan(tw.zeros(3)) == 7
    assert tuple(tw.compile(lambda x: tw.zeros(0, 2)).scan(tw.zeros(3)).shape) == (3, 0, 2)


def test_scan_draws_on() -> None:
    step = tw.compile(lambda x: tw.rand(3) + x)
    tw.manual_seed(5)
    scanned = step.scan(tw.zeros(4))
    tw.manual_seed(5)
    assert tw.equal(scanned, tw.stack([step.fn(tw.tensor(0.0)) for _ in range(4)]))


def test_scan_and_calls_take_turns() -> None:
    total = tw.zeros(())
    step = tw.compile(lambda x: total.add_(x))
    step(tw.tensor(1.0))
    before = total.detach()
    assert step.scan(tw.ones(3)).tolist() == [2, 3, 4]
    assert before.item() == 1
    total.fill_(0)
    assert step(tw.tensor(1.0)).item() == 1
    assert total.item() == 1
