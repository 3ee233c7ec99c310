"""Files of pictures, read as numbers. It is the work of Pillow, in the extra `images`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from thalweg.errors import ConfigError, DataError

__all__ = ["CHANNELS", "PICTURES", "Pictures", "opened"]

Array = npt.NDArray[Any]
T = TypeVar("T")
PICTURES: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".webp",
    ".ppm",
    ".pgm",
    ".tif",
    ".tiff",
)
CHANNELS: Final = {"rgb": 3, "gray": 1}
_MODES: Final = {3: "RGB", 1: "L"}  # Pillow's names


class Pictures:
    """Files as an array (N, C, H, W) of bytes, of which slices are read when they are asked for.

    Every picture is brought to `picture`, (channels, height, width): gray for one channel.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, paths: Array, picture: tuple[int, ...]) -> None:
        self.paths = paths
        self.shape = (len(paths), *picture)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice) -> Array:
        paths = self.paths[rows]
        pixels = np.empty((len(paths), *self.shape[1:]), np.uint8)
        for place, path in enumerate(paths):
            pixels[place] = opened(path, self._read)
        return pixels

    def _read(self, file: Any) -> Array:
        from PIL import Image

        channels, height, width = self.shape[1:]
        picture = file.convert(_MODES[channels])
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        found = np.asarray(picture, np.uint8)
        return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


def opened(path: Path, use: Callable[[Any], T]) -> T:
    """What `use` makes of an open picture. Raises `DataError`, naming the file."""
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError(
            'pictures need Pillow, which is not installed: pip install "thalweg[images]"'
        ) from None
    try:
        with Image.open(path) as file:
            return use(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: cannot be read as a picture: {error}. Repair it or take it out"
        ) from error
