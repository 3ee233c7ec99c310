"""Pictures: well-formed, and they show what there is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.drawing.seeing import looked_at, texts
from thalweg.drawing.contours import level_lines, levels_for, linked
from thalweg.drawing.numbers import number
from thalweg.minimize.line import along
from thalweg.minimize.problems import PROBLEMS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(result: Any) -> ET.Element:
    return looked_at(result.draw())


def parts(root: ET.Element, tag: str, name: str) -> list[ET.Element]:
    return [e for e in root.iter(SVG + tag) if e.get("class") == name]


def written(root: ET.Element) -> set[str]:
    return {text.said for text in texts(root)}


def test_of_one_number() -> None:
    result = tw.minimize(lambda x: (x - 1) ** 2, 4.0, "adam", lr=0.3, max_iterations=20,
                         compile=False)  # fmt: skip
    root = drawn(result)
    assert len(parts(root, "path", "line s1")) == 1
    assert 5 < len(parts(root, "circle", "s2")) <= 21  # those that are apart
    assert len(parts(root, "circle", "s3")) == 1
    assert root[0].text == f"adam: {number(result.value)} after 20 iterations"
    assert {"best", "g", "θ"} <= written(root)


def test_of_two_numbers(tmp_path: Path) -> None:
    result = tw.minimize(PROBLEMS["rosenbrock"].g, [-1.2, 1.0], "newton", compile=False)
    root = drawn(result)
    assert len(parts(root, "path", "s1")) == 12
    (path,) = parts(root, "path", "thin s2")
    assert (path.get("d") or "").count("L") == result.iterations
    assert {"start", "best", "θ₀", "θ₁"} <= written(root)
    assert "level lines of g from " in (root[1].text or "")
    text = result.draw(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == text


def test_samples_are_not_joined() -> None:
    result = tw.minimize(PROBLEMS["ackley"].g, bounds=[(-2, 2)] * 2, method="random", seed=0,
                         max_iterations=30)  # fmt: skip
    root = drawn(result)
    assert not parts(root, "path", "thin s2")
    assert len(parts(root, "circle", "s2")) == 30
    assert "start" not in written(root)


def test_a_function_of_many_valleys_has_few_lines() -> None:
    result = tw.minimize(PROBLEMS["ackley"].g, bounds=[(-20, 20)] * 2, method="random", seed=0,
                         max_iterations=5)  # fmt: skip
    assert len(parts(drawn(result), "path", "s1")) < 12


@pytest.mark.parametrize("name", ["tour", "clusters", "architecture", "lasso"])
def test_of_other_domains(name: str) -> None:
    problem = PROBLEMS[name]
    methods = {"tour": "genetic", "clusters": "em", "architecture": "random", "lasso": "admm"}
    result = tw.minimize(problem.g, problem.start, methods[name], domain=problem.domain, seed=0,
                         max_iterations=20)  # fmt: skip
    root = drawn(result)
    assert len(parts(root, "path", "thin s2")) == 1
    if name == "tour":
        assert len(parts(root, "circle", "s1")) == 10
        assert set("0123456789") <= written(root)


def test_where_the_function_is_not_finite() -> None:
    result = tw.minimize(lambda x: (x.log() ** 2).sum(), [2.0, 3.0], compile=False)
    assert np.isfinite(result.values).all()
    drawn(result)


def test_a_constant_function() -> None:
    result = tw.minimize(lambda x: 0 * x.sum() + 1, [2.0, 3.0], "random", seed=0, max_iterations=3)
    assert not parts(drawn(result), "path", "s1")


def test_level_lines_of_a_bowl_are_circles() -> None:
    side = np.linspace(-1, 1, 41)
    heights = np.square(side)[:, None] + np.square(side)
    for level in (0.1, 0.5, 0.9):
        pieces = np.array(level_lines(heights, level)) / 20 - 1
        ends = pieces.reshape(-1, 2)
        np.testing.assert_allclose(np.hypot(*ends.T), np.sqrt(level), atol=2e-3)
        lengths = np.hypot(*(pieces[:, 2:] - pieces[:, :2]).T)
        assert lengths.sum() == pytest.approx(2 * np.pi * np.sqrt(level), rel=0.01)


def test_level_lines_are_linked() -> None:
    side = np.linspace(-1, 1, 21)
    pieces = level_lines(np.square(side)[:, None] + np.square(side), 0.47)
    (circle,) = linked(pieces)
    assert len(circle) == len(pieces) + 1
    assert circle[0] == pytest.approx(circle[-1])
    apart = linked([(0.0, 0.0, 1.0, 0.0), (2.0, 0.0, 3.0, 0.0), (1.0, 0.0, 1.5, 0.0)])
    assert sorted(map(len, apart)) == [2, 3]


def test_every_case_of_a_cell() -> None:
    for case in range(16):
        corners = [(case >> n) & 1 for n in range(4)]
        cell = np.array([[corners[0], corners[3]], [corners[1], corners[2]]], float)
        lines = level_lines(cell, 0.5)
        assert len(lines) == (0 if case in (0, 15) else 2 if case in (5, 10) else 1)
        for line in lines:  # each end is in the middle of an edge
            for end in (line[:2], line[2:]):
                assert sorted(abs(np.array(end) - 0.5)) == [0.0, 0.5]
    assert level_lines(np.array([[np.nan, 0.0], [1.0, 1.0]]), 0.5) == []


def test_levels() -> None:
    assert levels_for(np.ones((3, 3))) == []
    assert levels_for(np.full((2, 2), np.inf)) == []
    found = levels_for(np.array([[1.0, np.nan], [9.0, 2.0]]))
    assert found == sorted(found)
    assert 1 < found[0] < found[-1] < 9


@pytest.mark.parametrize(
    ("f", "start", "wanted"),
    [
        (lambda x: (x - 3) ** 2, 0.0, 3.0),
        (lambda x: (x + 3) ** 2, 0.0, -3.0),
        (lambda x: abs(x - 0.3), 0.0, 0.3),
        (lambda x: x**4 - x, 5.0, 0.25 ** (1 / 3)),
        (lambda x: (x - 20) ** 2, 0.0, 10.0),
        (lambda x: (x + 20) ** 2, 0.0, -10.0),
        (lambda x: (x - 2) ** 2, 2.0, 2.0),
    ],
)
def test_along_a_line(f: Any, start: float, wanted: float) -> None:
    x, value = along(f, start, f(start), 0.1, -10.0, 10.0)
    assert x == pytest.approx(wanted, abs=1e-6)
    assert value == f(x)


def test_a_line_without_end() -> None:
    x, value = along(lambda x: -x, 0.0, 0.0, 0.1)
    assert x > 1e6
    assert value == -x
