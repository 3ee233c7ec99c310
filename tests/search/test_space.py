"""What may be tried, and how it is written."""

from __future__ import annotations

from typing import Any

import pytest

from thalweg.errors import ConfigError
from thalweg.search.space import Choice, Range, grid, parse_space


def test_lists_are_choices_and_tables_are_ranges() -> None:
    space = parse_space(
        {"hidden": [[30], [60, 60]], "lr": {"low": 1e-3, "high": 1, "log": True}, "n": [1, 2]}
    )
    assert space == {
        "hidden": Choice(([30], [60, 60])),
        "lr": Range(1e-3, 1, log=True),
        "n": Choice((1, 2)),
    }
    assert space["hidden"].value("[60, 60]") == [60, 60]
    assert not Range(1e-3, 1).is_whole
    assert Range(1, 9).is_whole
    assert not Range(1, 9, step=0.5).is_whole


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "nothing to search"),
        ({"lr": 0.1}, "expected a list of values, or a range"),
        ({"lr": []}, "one value or more"),
        ({"lr": [1, 1]}, "twice"),
        ({"lr": {"low": 1, "hgh": 2}}, "did you mean 'high'"),
        ({"lr": {"low": 1}}, "low = NUMBER, high = NUMBER"),
        ({"lr": {"low": "a", "high": 2}}, "low = NUMBER, high = NUMBER"),
        ({"lr": {"low": 2, "high": 1}}, "expected low < high"),
        ({"lr": {"low": 0, "high": 1, "log": True}}, "expected more than 0"),
        ({"lr": {"low": 1, "high": 2, "log": True, "step": 1}}, "logarithmic range has no step"),
        ({"lr": {"low": 1, "high": 2, "step": 5}}, "0 < step"),
    ],
)
def test_what_is_no_space_says_why(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_space(given)


def test_a_grid_is_every_combination_once() -> None:
    space = parse_space({"a": [[1], [2]], "b": {"low": 0, "high": 1, "step": 0.25}})
    points = list(grid(space))
    assert len(points) == 10
    assert points[0] == {"a": "[1]", "b": 0}
    assert points[-1] == {"a": "[2]", "b": 1.0}
    with pytest.raises(ConfigError, match="give the range a step"):
        list(grid(parse_space({"b": {"low": 0.0, "high": 1.0}})))
