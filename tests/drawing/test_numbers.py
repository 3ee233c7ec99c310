"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.drawing.numbers import column, labels, number, percent
from thalweg.drawing.scale import scale_for


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-2.5, "−2.5"), (0.12345, "0.1235"), (1e-4, "0.0001"),
        (1e-5, "10⁻⁵"), (-1e-5, "−10⁻⁵"), (2.5e-7, "2.5×10⁻⁷"), (99999.9, "100,000"),
        (123456.0, "123,456"), (1e6, "10⁶"), (1.5e300, "1.5×10³⁰⁰"), (5e-324, "4.941×10⁻³²⁴"),
        (math.nan, "NaN"), (-math.inf, "−∞"), (3190, "3,190"),
    ],
)  # fmt: skip
def test_a_number(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("ticks", "said"),
    [
        ([0.0, 0.25, 0.5], ["0.00", "0.25", "0.50"]),
        ([1000000.0, 1000000.5], ["1,000,000.0", "1,000,000.5"]),
        ([-1.0, 0.0, 1.0], ["−1", "0", "1"]),
        ([1e-9, 1.5e-9, 2e-9], ["1.0×10⁻⁹", "1.5×10⁻⁹", "2.0×10⁻⁹"]),
        ([0.0009, 0.001, 0.0011], ["0.0009", "0.0010", "0.0011"]),
        ([50000.0, 100000.0], ["50,000", "100,000"]),
        ([7.0], ["7"]),
        ([], []),
    ],
)
def test_numbers_beside_an_axis(ticks: list[float], said: list[str]) -> None:
    assert labels(ticks) == said


@given(st.lists(st.floats(-1e300, 1e300, allow_subnormal=False), min_size=1))
def test_no_two_ticks_are_written_alike(values: list[float]) -> None:
    scale = scale_for(values)
    ticks = scale.ticks()
    said = labels(ticks, scale.is_log)
    assert len(set(said)) == len(set(ticks))
    assert max(map(len, said), default=0) < 26


def test_percent() -> None:
    assert [percent(x) for x in (1.0, 0.5, 0.12345, math.nan)] == ["100 %", "50 %", "12.3 %", "NaN"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([2.449, 2.1, 12.0], ["2.449", "2.100", "12.00"]),
        ([1.0, 2.0], ["1", "2"]),
        ([0.003, 0.0015, 0.0], ["0.0030", "0.0015", "0"]),
        ([0.5, 2e-9, math.nan, -math.inf], ["0.5", "2×10⁻⁹", "NaN", "−∞"]),
        ([123456.0, -0.25], ["123,456", "−0.25"]),
        ([], []),
    ],
)
def test_numbers_below_one_another(values: list[float], said: list[str]) -> None:
    assert column(values) == said
