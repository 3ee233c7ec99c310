"""Pictures in the terminal: two pixels a character cell, or one of ten densities without colour."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, TextIO

import numpy as np
import numpy.typing as npt

from thalweg.errors import DataError

__all__ = ["colors_of_terminal", "draw", "side_by_side", "width_of"]

_DENSITIES = " .:-=+*#%@"
_WIDEST = 28  # cells; larger pictures are averaged down


Colors = Literal["none", "256", "full"]


def colors_of_terminal(stream: TextIO) -> Colors:
    """How many colours the terminal behind `stream` shows; none where it is no terminal."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return "none"
    return "full" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else "256"


def draw(pixels: npt.NDArray[Any], colors: Colors = "none") -> list[str]:
    """The lines of a picture of shape (height, width), (1, height, width) or (3, height, width).

    With `colors`, half blocks of two pixels each in terminal colours; without, plain characters,
    one for two rows. Pixels are stretched from the darkest to the lightest.
    """
    image = _normalized(_shrunk(_planes(pixels)))
    if image.shape[1] % 2:
        image = np.concatenate([image, np.zeros_like(image[:, :1])], axis=1)
    pairs = image[:, 0::2], image[:, 1::2]
    if colors != "none":
        spell = _full if colors == "full" else _of_256
        return [_colored(top, bottom, spell) for top, bottom in zip(*_rgb(pairs), strict=True)]
    grey = (pairs[0] + pairs[1]).mean(0) / 2
    levels = (grey * (len(_DENSITIES) - 1)).round().astype(int)
    return ["".join(_DENSITIES[level] for level in row) for row in levels]


def width_of(pixels: npt.NDArray[Any]) -> int:
    """How many cells wide `draw` makes a picture."""
    return int(_shrunk(_planes(pixels)).shape[2])


def side_by_side(
    pictures: list[list[str]], captions: list[str], width: int, gap: str = "  "
) -> str:
    """Pictures of `width` cells in a row, a caption under each."""
    height = max(map(len, pictures))
    blank = " " * width
    rows = [gap.join(p[i] if i < len(p) else blank for p in pictures) for i in range(height)]
    rows.append(gap.join(caption[:width].center(width) for caption in captions))
    return "\n".join(rows)


def _planes(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    image = pixels if pixels.ndim == 3 else pixels[None] if pixels.ndim == 2 else None
    if image is None or image.shape[0] not in (1, 3):
        raise DataError(
            f"a picture of shape {pixels.shape}; expected (height, width), or 1 or 3 of them"
        )
    return image.astype(float)


def _shrunk(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Averaged over squares of k x k pixels, so that it is at most `_WIDEST` wide."""
    k = -(-image.shape[2] // _WIDEST)
    if k == 1:
        return image
    planes, height, width = image.shape
    whole = image[:, : height - height % k, : width - width % k]
    squares = whole.reshape(planes, height // k, k, width // k, k)
    return np.asarray(squares.mean((2, 4)))


def _normalized(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)


def _rgb(pairs: tuple[npt.NDArray[Any], ...]) -> list[npt.NDArray[Any]]:
    """Each half as rows of (red, green, blue) bytes."""
    full = [np.broadcast_to(half, (3, *half.shape[1:])) for half in pairs]
    return [(half.transpose(1, 2, 0) * 255).round().astype(int) for half in full]


def _colored(top: npt.NDArray[Any], bottom: npt.NDArray[Any], spell: Callable[[Any], str]) -> str:
    cells = (f"\x1b[38;{spell(a)}m\x1b[48;{spell(b)}m▀" for a, b in zip(top, bottom, strict=True))
    return "".join(cells) + "\x1b[0m"


def _full(rgb: Any) -> str:
    return "2;" + ";".join(map(str, rgb))


def _of_256(rgb: Any) -> str:
    """The nearest of the 24 greys, or of the 6 x 6 x 6 colours."""
    red, green, blue = (int(c) for c in rgb)
    if red == green == blue:
        return f"5;{232 + round(red * 23 / 255)}"
    levels = (round(c * 5 / 255) for c in (red, green, blue))
    return f"5;{16 + sum(level * step for level, step in zip(levels, (36, 6, 1), strict=True))}"
