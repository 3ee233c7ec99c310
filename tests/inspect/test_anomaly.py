"""Where a NaN was born: in the forward pass, in a backward pass, in a compiled step."""

from __future__ import annotations

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
