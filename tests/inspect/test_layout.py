"""Boxes do not overlap, edges run down, wires pass between boxes, and simple graphs look simple."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.inspect.layout import BEND, DROP, GAP, Layout, layered

Sizes = list[tuple[float, float]]
Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Sizes, Edges]:
    """A connected acyclic graph: every box but the last is read by a later one."""
    count = draw(st.integers(2, 14))
    side = st.floats(20, 220)
    sizes = draw(st.lists(st.tuples(side, st.floats(20, 90)), min_size=count, max_size=count))
    edges = {(a, draw(st.integers(a + 1, count - 1))) for a in range(count - 1)}
    more = st.lists(st.tuples(st.integers(0, count - 2), st.integers(1, count - 1)), max_size=count)
    edges |= {(a, b) for a, b in draw(more) if a < b}
    return sizes, sorted(edges)


def plan(sizes: Sizes, edges: Edges) -> Layout:
    return layered(sizes, edges, [""] * len(edges))


def sides(layout: Layout, sizes: Sizes, box: int) -> tuple[float, float, float, float]:
    (x, y), (width, height) = layout.centres[box], sizes[box]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_boxes_do_not_overlap_and_stay_on_the_page(graph: tuple[Sizes, Edges]) -> None:
    sizes, edges = graph
    layout = plan(sizes, edges)
    boxes = [sides(layout, sizes, box) for box in range(len(sizes))]
    for left, top, right, bottom in boxes:
        assert left >= -1e-6
        assert top >= -1e-6
        assert right <= layout.width + 1e-6
        assert bottom <= layout.height + 1e-6
    for a, b in combinations(boxes, 2):
        beside = a[2] + GAP <= b[0] + 1e-6 or b[2] + GAP <= a[0] + 1e-6
        below = a[3] + DROP <= b[1] + 1e-6 or b[3] + DROP <= a[1] + 1e-6
        assert beside or below


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_wires_lead_down_from_box_to_box(graph: tuple[Sizes, Edges]) -> None:
    sizes, edges = graph
    layout = plan(sizes, edges)
    ends = sorted(end for wire in layout.wires for end in wire.ends)
    tops = sorted((layout.centres[b][0], sides(layout, sizes, b)[1]) for _, b in edges)
    for end, top in zip(ends, tops, strict=True):
        assert end == pytest.approx(top)
    for wire in layout.wires:
        for line in wire.lines:
            assert all(lower[1] >= upper[1] for upper, lower in pairwise(line))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_wires_pass_beside_boxes(graph: tuple[Sizes, Edges]) -> None:
    """Where a wire runs straight down past a layer, no box of the layer is in its way."""
    sizes, edges = graph
    layout = plan(sizes, edges)
    boxes = [sides(layout, sizes, box) for box in range(len(sizes))]
    for wire in layout.wires:
        for (x0, y0), (x1, y1) in pairwise(wire.lines[0]):
            for left, top, right, bottom in boxes:
                if y0 <= top and bottom <= y1 and x0 == x1:
                    assert x0 <= left - BEND / 2 or x0 >= right + BEND / 2


def test_a_chain_is_a_straight_line() -> None:
    layout = plan([(100, 30), (40, 30), (160, 30), (60, 30)], [(0, 1), (1, 2), (2, 3)])
    assert [x for x, _ in layout.centres] == pytest.approx([80.0] * 4)
    assert [y for _, y in layout.centres] == [15 + k * (30 + DROP) for k in range(4)]


def test_leaves_stand_beside_the_line_of_operations() -> None:
    """x and w into op, op and b into op: the operations stand below each other, b beside them."""
    layout = plan([(40, 30)] * 6, [(0, 2), (1, 2), (2, 4), (3, 4), (4, 5)])
    x, y = zip(*layout.centres, strict=True)
    assert x[2] == pytest.approx(x[4])
    assert x[4] == pytest.approx(x[5])
    assert y[3] == y[2]  # just above what reads it, not at the top of the page
    assert abs(x[3] - x[2]) == pytest.approx(40 + GAP)


def test_crossings_that_can_be_avoided_are() -> None:
    layout = plan([(40, 30)] * 6, [(0, 3), (1, 2), (2, 5), (3, 4), (4, 5)])
    x = [x for x, _ in layout.centres]
    assert (x[0] - x[1]) * (x[3] - x[2]) > 0


def test_edges_from_one_box_share_a_wire() -> None:
    chain = [(k, k + 1) for k in range(1, 40)]
    layout = plan([(40, 30)] * 41, [(0, k) for k in range(2, 41)] + chain)
    assert len(layout.wires) == 40
    shared = max(layout.wires, key=lambda wire: len(wire.ends))
    assert len(shared.ends) == 39
    assert sum(len(line) for line in shared.lines) < 200


def test_one_box() -> None:
    layout = plan([(50, 20)], [])
    assert (layout.centres, layout.width, layout.height) == ([(25.0, 10.0)], 50.0, 20.0)
