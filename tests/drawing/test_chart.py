"""Charts: whatever they are given, no text lies on another and all is inside."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drawing.seeing import looked_at, numbers, texts
from thalweg.drawing.axis import Axis
from thalweg.drawing.chart import Chart
from thalweg.drawing.contours import levels_for
from thalweg.drawing.frame import rows_of, spread
from thalweg.drawing.palette import series
from thalweg.drawing.svg import path, shortened, text_width, wrapped

EVIL = '<script>alert("&")</script> and a name much longer than the picture is wide ' * 2


def said(chart: Chart) -> list[str]:
    return [t.said for t in texts(looked_at(chart.svg()))]


def lines(*curves: list[float], is_log: bool | None = None, x_log: bool = False) -> Chart:
    chart = Chart("some curves", Axis("x", is_log=x_log), Axis("y", is_log=is_log))
    for n, values in enumerate(curves):
        chart.line(range(1, len(values) + 1), values, series(n), name=f"curve {n}")
    return chart


CHARTS: dict[str, Callable[[], Chart]] = {
    "one point": lambda: lines([3.0]),
    "all equal": lambda: lines([2.0] * 9),
    "zeros": lambda: lines([0.0, 0.0]),
    "decades": lambda: lines([1e-9, 1.0, 1e9]),
    "the whole range of numbers": lambda: lines([-1.7e308, 0.0, 1.7e308]),
    "one large number": lambda: lines([1.25e307]),
    "the largest number": lambda: lines([1.7976931348623157e308]),
    "tiny": lambda: lines([5e-324, 1e-310], [1e-300, 2e-300]),
    "close together": lambda: lines([1e6 + 1, 1e6 + 2]),
    "closer than digits": lambda: lines([1.0, 1.0 + 2e-16]),
    "a gap": lambda: lines([1.0, math.nan, 3.0, math.inf, 2.0]),
    "nothing finite": lambda: lines([math.nan, -math.inf]),
    "nothing positive on a logarithmic axis": lambda: lines([-1.0, 0.0], is_log=True),
    "a logarithmic axis across": lambda: lines([float(n) for n in range(900)], x_log=True),
    "nothing at all": lambda: Chart("empty", Axis("x"), Axis("y")),
    "forty curves": lambda: lines(*[[math.sin(n), n / 40] for n in range(40)]),
    "many values": lambda: lines([math.sin(n / 99) for n in range(10_000)]),
}


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_overlaps_or_leaves_the_picture(name: str) -> None:
    looked_at(CHARTS[name]().svg())


@given(st.lists(st.floats(), min_size=1, max_size=8), st.sampled_from([None, False, True]))
@settings(max_examples=60, derandomize=True)
def test_any_values(values: list[float], is_log: bool | None) -> None:
    root = looked_at(lines(values, is_log=is_log).svg())
    drawn = [v for v in values if math.isfinite(v) and (v > 0 or not is_log)]
    assert bool(numbers(root)) == bool(drawn)


def test_names_are_texts_and_shortened() -> None:
    chart = Chart(EVIL, Axis("x"), Axis("y"))
    for n in range(3):
        chart.line([0, 1], [n, n], series(n), name=EVIL)
        chart.mark(0.5, EVIL)
    chart.point(0.5, 0.5, "here")
    root = looked_at(chart.svg())
    assert root[0].text == EVIL
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_what_is_left_out_is_said() -> None:
    assert "2 values are not finite: left out" in said(CHARTS["a gap"]())
    assert "nothing to draw: not finite" in said(CHARTS["nothing finite"]())
    chart = Chart("held", y=Axis(ceiling=10.0))
    chart.line([0, 1, 2], [1.0, 11.0, 3.0])
    assert "1 value is not finite, or above 10: left out" in said(chart)


def test_the_only_value_is_the_only_tick() -> None:
    assert "0.001" in said(lines([0.001, 0.001]))
    assert len(said(lines([0.001, 0.001]))) == len(said(lines([0.3, 0.3])))


def test_names_stand_at_the_ends_of_their_lines() -> None:
    written = texts(looked_at(lines([0.0, 1.0], [1.0, 0.0]).svg()))
    first, second = (next(t for t in written if t.said == f"curve {n}") for n in (0, 1))
    assert first.top < second.top
    assert first.left == second.left
    assert any(t.startswith("and ") for t in said(CHARTS["forty curves"]()))


def test_marks_of_one_place_stand_above_one_another() -> None:
    chart = lines([1.0, 2.0, 3.0])
    for n in range(4):
        chart.mark(2.0, f"the mark number {n}")
    assert sum(t.startswith("the mark") for t in said(chart)) == 4


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("lies", [False, True])
def test_names_beside_an_axis(count: int, lies: bool) -> None:
    names = Axis(labels=[f"class {n} with a long name" for n in range(count)])
    chart = Chart("", *((Axis(), names) if lies else (names, Axis())))
    places = list(range(count))
    chart.dots(*((places, places)))
    looked_at(chart.svg())


def test_bars() -> None:
    axis = Axis(ends=(0.0, 1.0), is_percent=True, is_bare=True)
    chart = Chart("shares", axis, Axis(labels=["least", "most"]))
    chart.bars([0.75, 0.25])
    root = looked_at(chart.svg())
    rects = list(root.iter("{http://www.w3.org/2000/svg}rect"))[1:]
    widths = [float(r.get("width", "")) for r in rects]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)
    assert root[1].text == "most: 75 %; least: 25 %"
    assert [t.said for t in texts(root)] == ["shares", "least", "most", "75 %", "25 %"]
    assert float(rects[0].get("y", "")) < float(rects[1].get("y", ""))


def test_a_label_covers_as_little_as_it_can() -> None:
    chart = Chart("", Axis(ends=(0.0, 1.0)), Axis(ends=(0.0, 1.0)))
    chart.dots([0.5 + k / 200 for k in range(90)], [0.55] * 90)
    chart.point(0.5, 0.5, "here")
    root = looked_at(chart.svg())
    (here,) = (t for t in texts(root) if t.said == "here")
    inside = [
        p for p in numbers(root) if here.left < p[0] < here.right and here.top < p[1] < here.bottom
    ]
    assert not inside


def test_one_value_between_gaps_is_a_dot() -> None:
    assert len(list(looked_at(lines([1.0, math.nan, 3.0]).svg()).iter(
        "{http://www.w3.org/2000/svg}circle"))) == 2  # fmt: skip
    assert path([(1.0, 2.0), (math.nan, 0.0), (3.0, 4.0), (5.0, 6.0)], "s1").count("M") == 2


def test_few_values_are_dots_too() -> None:
    chart = Chart("few")
    chart.line([0, 1, 2, 3], [1.0, math.nan, 3.0, 4.0], dots=True)
    root = looked_at(chart.svg())
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 3


def test_many_values_keep_their_peak() -> None:
    values = [1.0] * 100_000
    values[31_415] = 50.0
    chart = lines(values, is_log=False)
    assert len(chart.svg()) < 40_000
    assert len({y for _, y in numbers(looked_at(chart.svg()))}) == 2


@given(st.lists(st.floats(0, 200), max_size=12))
def test_spread_keeps_the_order_and_the_distance(wanted: list[float]) -> None:
    places = spread(wanted, 14.0, 0.0, 200.0)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    ordered = [places[n] for n in order]
    assert all(b - a >= 14 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert all(-1e-9 <= place <= 200 + 1e-9 for place in places)


def test_rows() -> None:
    assert rows_of([]) == []
    assert rows_of([(0, 10), (5, 15), (11, 20), (30, 40)]) == [0, 1, 2, 0]


def test_texts_are_fitted() -> None:
    for room in range(10, 300, 7):
        assert text_width(shortened(EVIL, room)) <= max(room, text_width("…"))
        assert all(text_width(line) <= room or line == "…" for line in wrapped(EVIL, room))
    assert shortened("short", 100) == "short"
    assert wrapped("one two", 1000) == ["one two"]
    assert wrapped("", 100) == []


def test_level_lines_of_a_bowl_stand_evenly() -> None:
    import numpy as np

    side = np.linspace(-1, 1, 201)
    radius = np.hypot(side[:, None], side)
    for power in (1, 2, 6):
        bowl = np.where(radius <= 1, radius**power, np.nan)
        radii = np.array(levels_for(bowl, 9)) ** (1 / power)
        np.testing.assert_allclose(radii, np.arange(1, 10) / 10, atol=0.01)
