"""Pictures in the terminal: two pixels a character cell, or one of ten densities without colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.errors import DataError

__all__ = ["draw", "side_by_side", "width_of"]

_DENSITIES = " .:-=+*#%@"
_WIDEST = 28  # cells; larger pictures are averaged down


def draw(pixels: npt.NDArray[Any], color: bool) -> list[str]:
    """The lines of a picture of shape (height, width), (1, height, width) or (3, height, width).

    With `color`, text with terminal colour codes, half blocks of two pixels each; without, plain
    characters, one for two rows. Pixels are stretched from the darkest to the lightest.
    """
    image = _normalized(_shrunk(_planes(pixels)))
    if image.shape[1] % 2:
        image = np.concatenate([image, np.zeros_like(image[:, :1])], axis=1)
    pairs = image[:, 0::2], image[:, 1::2]
    if color:
        return [_colored(top, bottom) for top, bottom in zip(*_rgb(pairs), strict=True)]
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


def _colored(top: npt.NDArray[Any], bottom: npt.NDArray[Any]) -> str:
    cells = (
        f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m\x1b[48;2;{b[0]};{b[1]};{b[2]}m▀"
        for a, b in zip(top, bottom, strict=True)
    )
    return "".join(cells) + "\x1b[0m"
