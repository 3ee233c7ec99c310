"""Pictures in the terminal."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from thalweg.errors import DataError
from thalweg.train.pictures import draw, side_by_side


def test_plain_pictures_use_densities() -> None:
    corner = np.zeros((4, 4))
    corner[:2] = 1
    assert draw(corner, colors="none") == ["@@@@", "    "]


def test_constant_pictures_do_not_divide_by_zero() -> None:
    assert draw(np.full((2, 2), 7.0), colors="none") == ["  "]


def test_coloured_pictures_hold_two_rows_a_line() -> None:
    lines = draw(np.array([[0.0, 1.0], [1.0, 0.0]]), colors="full")
    assert len(lines) == 1
    assert lines[0].count("▀") == 2
    assert "38;2;0;0;0m" in lines[0]
    assert lines[0].endswith("\x1b[0m")


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 32, 32), (64, 64), (5, 3)])
def test_any_usual_shape_fits_a_terminal(shape: tuple[int, ...]) -> None:
    pixels = np.arange(np.prod(shape)).reshape(shape)
    modes: tuple[Literal["none", "256", "full"], ...] = ("none", "256", "full")
    for colors in modes:
        lines = draw(pixels, colors)
        assert all(line.count("▀") <= 32 for line in lines)


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(DataError, match=r"\(2, 2, 2\)"):
        draw(np.zeros((2, 2, 2)), colors="none")


def test_side_by_side_pads_and_captions() -> None:
    text = side_by_side([["ab", "cd"], ["ef"]], ["one", "two"], width=2)
    assert text.splitlines() == ["ab  ef", "cd    ", "on  tw"]


def test_256_colours_have_greys_of_their_own() -> None:
    (line,) = draw(np.array([[0.0, 1.0], [1.0, 0.0]]), colors="256")
    assert "38;5;232m" in line
    assert "48;5;255m" in line
    red = np.zeros((3, 2, 2))
    red[0, 0, 0] = 1
    assert "38;5;196m" in draw(red, colors="256")[0]
