"""Colours: legible on their paper, and told apart by everybody."""

from __future__ import annotations

import itertools

import pytest

from tests.drawing.seeing import apart, contrast
from thalweg.drawing.palette import COLOURS, series, sheet

SERIES = [name for name in COLOURS if name.startswith("s")]


@pytest.mark.parametrize("shade", [0, 1])
@pytest.mark.parametrize("name", ["ink", "quiet", *SERIES])
def test_text_is_legible(name: str, shade: int) -> None:
    """4.5 to 1, WCAG's level AA: the names of lines are written in their colours."""
    assert contrast(COLOURS[name][shade], COLOURS["paper"][shade]) >= 4.5


@pytest.mark.parametrize("shade", [0, 1])
@pytest.mark.parametrize("lacking", ["none", "protan", "deutan", "tritan"])
def test_series_are_told_apart(lacking: str, shade: int) -> None:
    for one, other in itertools.combinations(SERIES, 2):
        assert apart(COLOURS[one][shade], COLOURS[other][shade], lacking) > 20, (one, other)


def test_twelve_series_are_twelve() -> None:
    assert len({series(n) for n in range(12)}) == 12
    assert series(12) == series(0)


def test_a_style_reaches_no_other_picture() -> None:
    text = sheet("here", ".here{font:12px}", {".ink{color": ("#000000", "#ffffff")})
    assert text == (
        "<style>.here{font:12px}.here .ink{color:#000000}"
        "@media (prefers-color-scheme:dark){.here .ink{color:#ffffff}}</style>"
    )
