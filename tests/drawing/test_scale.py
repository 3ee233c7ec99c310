"""Axes: every value has its place, and the numbers beside are round."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from thalweg.drawing.scale import Scale, scale_for

values = st.lists(st.floats(-1e12, 1e12).filter(lambda v: v == 0 or abs(v) > 1e-12), min_size=1)


@given(values)
def test_every_value_lies_on_the_axis_and_in_order(given_values: list[float]) -> None:
    scale = scale_for(given_values).over(0.0, 100.0)
    places = [scale(value) for value in sorted(given_values)]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(places))


@given(values)
def test_ticks_are_few_round_and_on_the_axis(given_values: list[float]) -> None:
    scale = scale_for(given_values).over(0.0, 100.0)
    assume(scale.high - scale.low > 1e-9 * max(abs(scale.high), abs(scale.low)))
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 10
    assert ticks == sorted(set(ticks))
    assert all(-1e-3 <= scale(tick) <= 100.001 for tick in ticks)


@pytest.mark.parametrize(
    ("given_values", "is_log", "ticks"),
    [
        ([0.0, 1.0], False, [0, 0.25, 0.5, 0.75, 1.0]),
        ([0.31, 0.97], False, [0.4, 0.6, 0.8, 1.0]),
        ([2.3], False, [2.1, 2.2, 2.3, 2.4, 2.5]),
        ([0.0], False, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ([1e-4, 1.0], True, [1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        ([0.001, 0.5, 0.9, 1.0], False, [0, 0.25, 0.5, 0.75, 1.0]),
        ([0.02, 2.0], True, [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]),
        ([], False, [0, 0.25, 0.5, 0.75, 1.0]),
        ([math.nan, math.inf], False, [0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_known_axes(given_values: list[float], is_log: bool, ticks: list[float]) -> None:
    scale = scale_for(given_values).over(0.0, 100.0)
    assert scale.is_log == is_log
    assert scale.ticks() == pytest.approx(ticks)


def test_an_accuracy_ends_at_one() -> None:
    assert scale_for([0.5, 1.0], ceiling=1.0).high == 1.0
    assert scale_for([0.5, 1.0]).high > 1.0


def test_logarithm() -> None:
    scale = Scale(0.01, 1.0, 100.0, 0.0, is_log=True)
    assert [scale(0.01), scale(0.1), scale(1.0)] == pytest.approx([100, 50, 0])
