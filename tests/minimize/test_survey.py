"""The table of docs/minimize.md: its cells are what the methods do; its methods are all of them."""

from __future__ import annotations

import re

import pytest

from tests.markdown import ROOT
from thalweg.minimize.methods import METHODS
from thalweg.minimize.problems import PROBLEMS
from thalweg.minimize.survey import SETTINGS, Outcome, outcome, survey, table

PAGE = (ROOT / "docs" / "minimize.md").read_text(encoding="utf-8")


def rows(first: str) -> list[list[str]]:
    """The cells of the page's table that begins with these words."""
    start = PAGE.index(first)
    lines = PAGE[start : PAGE.index("\n\n", start)].splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells[0], *cells[2:]]


SHOWN = rows("| method | sphere")
# What takes the time of thousands of evaluations is tried on a few problems.
SLOW = {
    "genetic": ("himmelblau", "architecture"),
    "particle-swarm": ("sphere",),
    "cma-es": ("sphere", "rosenbrock"),
    "coordinate-descent": ("sphere", "rastrigin", "beale", "mixed", "architecture", "tour"),
    "projected-gradient": ("sphere", "himmelblau", "rastrigin"),
    "adam": ("himmelblau", "rastrigin", "tour"),
    "random": ("sphere", "architecture", "clusters"),
    "l-bfgs": ("sphere", "rosenbrock", "rastrigin", "himmelblau", "affine-fit", "mixed"),
}


@pytest.mark.parametrize("row", SHOWN[1:], ids=lambda row: row[0])
def test_a_row_is_what_the_method_does(row: list[str]) -> None:
    method, shown = row[0], dict(zip(SHOWN[0][1:], row[1:], strict=True))
    for name in SLOW.get(method, PROBLEMS):
        found = outcome(method, PROBLEMS[name])
        said = "" if found is None else "yes" if found.solved else "no"
        assert shown[name] == said, (name, found)


def test_the_table_has_every_method_and_problem() -> None:
    assert [row[0] for row in SHOWN[1:]] == list(SETTINGS)
    assert SHOWN[0][1:] == list(PROBLEMS)
    assert {*METHODS, "adam"} == set(SETTINGS)
    for column, name in enumerate(PROBLEMS, 1):
        assert "yes" in {row[column] for row in SHOWN}, f"no method solves {name}"


def test_the_list_of_methods_is_the_programs() -> None:
    listed = {row[0]: row[2] for row in rows("| method | takes | is |")[1:]}
    assert listed == {name: method.about for name, method in METHODS.items()}


def test_the_text_of_a_table() -> None:
    outcomes = [
        Outcome("newton", "sphere", 0.0, True, 3),
        Outcome("newton", "tour", 9.0, False, 3),
        Outcome("adam", "tour", 6.0, True, 3),
    ]
    assert table(outcomes).splitlines() == [
        "| method | sphere | tour |",
        "| --- | --- | --- |",
        "| newton | yes | no |",
        "| adam | | yes |",
    ]


def test_a_survey_leaves_out_what_does_not_fit() -> None:
    chosen = {name: PROBLEMS[name] for name in ("architecture", "sphere", "clusters")}
    found = list(survey(["brute-force", "newton"], chosen))
    assert [(o.method, o.problem) for o in found] == [
        ("brute-force", "architecture"), ("newton", "sphere"),
    ]  # fmt: skip
