"""Where a NaN was born: in the forward pass, in a backward pass, in a compiled step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import AnomalyError


def test_the_operation_and_the_line_are_named() -> None:
    x = tw.tensor([1.0, -1.0])
    with tw.detect_anomaly(), pytest.raises(AnomalyError, match="sqrt made 1 NaN") as caught:
        (x * 2).sqrt().sum()
    assert __file__ in str(caught.value)
    assert "from -2 to 2" in str(caught.value)


def test_what_was_bad_before_is_not_blamed_on_those_who_pass_it_on() -> None:
    x = tw.tensor([float("nan"), float("inf")])
    with tw.detect_anomaly():
        assert not (x * 2 + 1).isfinite().any()


def test_infinities_can_be_let_pass() -> None:
    zero = tw.zeros(1)
    with tw.detect_anomaly(infinities=False):
        assert zero.log().isinf().all()
    with tw.detect_anomaly(), pytest.raises(AnomalyError, match="infinity"):
        zero.log()


def test_backward_passes_are_looked_at() -> None:
    x = tw.full((2,), 88.0, requires_grad=True)
    y = x.exp()
    with tw.detect_anomaly(), pytest.raises(AnomalyError, match="multiply made 2 infinity"):
        y.backward(gradient=tw.full((2,), 100.0))


def test_a_compiled_function_is_looked_at_step_by_step() -> None:
    step = tw.compile(lambda x: (x.log() * 0).sum())
    assert step(tw.zeros(2)).isnan()
    with tw.detect_anomaly(), pytest.raises(AnomalyError, match="log made 2 infinity"):
        step(tw.zeros(2))
    with tw.detect_anomaly(), pytest.raises(AnomalyError, match="log made 1 infinity"):
        step.scan(tw.tensor([[1.0, 2.0], [3.0, 0.0]]))
    assert step(tw.ones(2)) == 0


def test_outside_of_the_block_nothing_is_looked_at() -> None:
    with tw.detect_anomaly(), pytest.raises(AnomalyError):
        tw.zeros(1).log()
    assert tw.zeros(1).log().isinf().all()


class Ratio(tw.autograd.Function):
    """2 x, with a derivative that is 0 / 0 at 0."""

    @staticmethod
    def forward(ctx: Any, x: tw.Tensor) -> tw.Tensor:
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: tw.Tensor) -> tw.Tensor:
        (x,) = ctx.saved_tensors
        return g * (x / x)


def trapped(y: tw.Tensor) -> tw.Tensor:
    return tw.where(y > 0, y.log(), 0.0).sum()


def of_own(y: tw.Tensor) -> tw.Tensor:
    return Ratio.apply(y).sum()


def in_a_loop(y: tw.Tensor) -> tw.Tensor:
    def body(h: tw.Tensor, x: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
        return h + 1, tw.where(h * x > 0, (h * x).log(), 0.0)

    return tw.scan(body, y, tw.ones(3))[1].sum()


BORN_BACKWARDS = [(trapped, "log", "trapped"), (of_own, "Ratio", "forward"),
                  (in_a_loop, "log", "body")]  # fmt: skip


@pytest.mark.parametrize(("loss", "name", "where"), BORN_BACKWARDS)
@pytest.mark.parametrize("compiled", ["no", "step", "scan", "forward"])
def test_a_nan_of_the_backward_pass_names_what_was_differentiated(
    loss: Callable[[tw.Tensor], tw.Tensor], name: str, where: str, compiled: str
) -> None:
    w = tw.tensor([0.0, 4.0], requires_grad=True)
    forward = tw.compile(loss) if compiled == "forward" else loss

    def step(x: tw.Tensor) -> tw.Tensor:
        found = forward(w * x)
        found.backward()
        return found

    run = tw.compile(step) if compiled in ("step", "scan") else step
    words = rf"divide made 1 NaN.* It is in the derivative of {name}, computed at .* in {where}"
    with tw.detect_anomaly(infinities=False), pytest.raises(AnomalyError, match=words):
        run.scan(tw.ones(2, 2)) if compiled == "scan" else run(tw.ones(2))
    assert w.grad is None
    assert w.tolist() == [0, 4]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_block_around_the_backward_pass_alone(compiled: bool) -> None:
    x = tw.tensor([0.0, 4.0], requires_grad=True)
    y = tw.compile(trapped)(x) if compiled else trapped(x)
    with tw.detect_anomaly(), pytest.raises(AnomalyError) as caught:
        y.backward()
    assert ("log made 1 infinity" if compiled else "divide made 1 NaN") in str(caught.value)
    assert __file__ in str(caught.value)
