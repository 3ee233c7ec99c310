"""Rows of images read between their pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.table.resizing import cubic
from tests.table.row import Array, Bad, Row, normal, row, s
from thalweg.errors import ConfigError

__all__ = ["ROWS"]


def f(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    return row(f"nn.functional.{name}", oracle, *samples, **settings)


def on_grid(theta: Array, size: Any, align_corners: bool = False) -> Array:
    """Every pixel's centre, mapped."""
    n, _, height, width = size
    found = np.empty((n, height, width, 2), theta.dtype)
    for k, i, j in itertools.product(range(n), range(height), range(width)):
        place = [centre(j, width, align_corners), centre(i, height, align_corners), 1]
        found[k, i, j] = theta[k] @ place
    return found


def centre(i: int, size: int, align_corners: bool) -> float:
    if align_corners:
        return 2 * i / (size - 1) - 1 if size > 1 else 0.0
    return (2 * i + 1) / size - 1


def sampled(
    x: Array, grid: Array, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Array:  # fmt: skip
    """Pixel by pixel, weighed by how near it is."""
    n, channels, height, width = x.shape
    found = np.zeros((n, channels, *grid.shape[1:3]), x.dtype)
    for k, i, j in itertools.product(range(n), *map(range, grid.shape[1:3])):
        across = in_pixels(grid[k, i, j, 0], width, align_corners)
        down = in_pixels(grid[k, i, j, 1], height, align_corners)
        if mode == "bicubic":
            for a, b in itertools.product(range(-1, 3), range(-1, 3)):
                at = math.floor(down) + a, math.floor(across) + b
                weight = cubic(down - at[0]) * cubic(across - at[1])
                r = folded(at[0], height, padding_mode, align_corners)
                c = folded(at[1], width, padding_mode, align_corners)
                if 0 <= r < height and 0 <= c < width:
                    found[k, :, i, j] += weight * x[k, :, round(r), round(c)]
            continue
        column = folded(across, width, padding_mode, align_corners)
        line = folded(down, height, padding_mode, align_corners)
        if mode == "nearest":
            near = {(round(line), round(column)): 1.0}
        else:
            near = {
                (a, b): (1 - abs(line - a)) * (1 - abs(column - b))
                for a in (math.floor(line), math.floor(line) + 1)
                for b in (math.floor(column), math.floor(column) + 1)
            }
        for (a, b), weight in near.items():
            if 0 <= a < height and 0 <= b < width:
                found[k, :, i, j] += weight * x[k, :, a, b]
    return found


def in_pixels(place: float, size: int, align_corners: bool) -> float:
    return (place + 1) * (size - 1) / 2 if align_corners else ((place + 1) * size - 1) / 2


def folded(at: float, size: int, padding_mode: str, align_corners: bool) -> float:
    """The place in pixels, brought into the image where that is asked for."""
    low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
    while padding_mode == "reflection" and not low <= at <= high:
        at = 2 * low - at if at < low else 2 * high - at
    return at if padding_mode == "zeros" else min(max(at, 0.0), size - 1.0)


IMAGE, THETA = normal(2, 3, 4, 5), normal(2, 2, 3)
GRID = normal(2, 3, 2, 2)

# fmt: off
ROWS = [
    f("affine_grid", on_grid, s(THETA, args=((2, 3, 4, 5),)), s(THETA, args=((2, 1, 3, 1), True)),
        bad=Bad((THETA,), ((1, 3, 4, 5),), mentions=("(2, 2, 3)", "(N, 2, 3)"))),
    f("grid_sample", sampled, s(IMAGE, GRID), s(IMAGE, GRID, align_corners=True),
        s(IMAGE, GRID, args=("bilinear", "border")),
        s(IMAGE, GRID, args=("bilinear", "border", True)),
        s(IMAGE, GRID, args=("bilinear", "reflection")),
        s(IMAGE, GRID, args=("bilinear", "reflection", True)),
        s(IMAGE, GRID, args=("bicubic", "zeros")), s(IMAGE, GRID, args=("bicubic", "border", True)),
        s(IMAGE, GRID, args=("bicubic", "reflection")),
        bad=(Bad((IMAGE, THETA), mentions=("(2, 2, 3)", "(N, H', W', 2)")),
             Bad((IMAGE, GRID), ("cubic",), error=ConfigError, mentions=("mode 'cubic'",)),
             Bad((IMAGE, GRID), ("nearest", "wrap"), error=ConfigError, mentions=("'wrap'",)))),
    f("grid_sample", sampled, *(s(IMAGE, GRID, args=("nearest", padding), smooth=False)
                                for padding in ("zeros", "border", "reflection")),
        result="first"),
]
# fmt: on
