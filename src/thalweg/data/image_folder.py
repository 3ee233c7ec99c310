"""Pictures in folders, a folder a class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from thalweg.data.encoding import Encoding
from thalweg.data.scaling import Standardize
from thalweg.data.splits import Parts, Splits, split
from thalweg.errors import ConfigError, DataError

__all__ = ["load_images"]

Array = npt.NDArray[Any]
_ENDINGS: Final = (
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
_PARTS: Final = {"train": ("train",), "dev": ("dev", "val", "valid"), "test": ("test",)}
_MODES: Final = {"rgb": ("RGB", 3), "gray": ("L", 1)}


def load_images(
    folder: str | Path,
    size: int | tuple[int, int] | None = None,
    mode: str = "rgb",
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Pictures `folder/CLASS/*.png` (or jpg, bmp, ..) as splits for classification.

    Where there are `folder/train/CLASS`, and `dev` (or `val`) and `test`, those are the splits;
    else the pictures are split at random, each class in proportion. What is missing of dev and test
    is taken from train. An input is (channels, height, width), 0 to 1, with the mean 0.5 taken off
    and divided by 0.5, from -1 to 1.

    size  (height, width), or one number for both: every picture is brought to it; without it all
          must have one size
    mode  "rgb" or "gray"

    Reading pictures is the work of Pillow, in the extra `images`. Raises `DataError`, naming the
    file, for what is no picture, and for sizes that differ.
    """
    if mode not in _MODES:
        raise ConfigError(f"mode = {mode!r}: expected 'rgb' or 'gray'")
    shape = (size, size) if isinstance(size, int) else size
    folder = Path(folder)
    given = {part: _found(folder, names) for part, names in _PARTS.items()}
    root = given["train"] or folder
    classes = _classes(root)
    loaded = {
        part: _load(place, classes, shape, mode)
        for part, place in given.items()
        if place is not None
    }
    notes = [f"{len(classes)} classes from the folders in {root}"]
    if "train" not in loaded:
        loaded = {"train": _load(folder, classes, shape, mode)}
    parts = _parts(loaded, dev, test, seed, notes)
    channels = _MODES[mode][1]
    picture = (channels, *parts.train[0].shape[2:])
    encoding = Encoding(
        folder.resolve().name, "classification", picture, Standardize((127.5,), (127.5,)), classes,
        picture,
    )  # fmt: skip
    return Splits.from_parts(parts, encoding, tuple(notes))


def _found(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _classes(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; expected one folder a class in it")
    names = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and any(_pictures(p))))
    if len(names) < 2:
        raise DataError(
            f"{root}: {len(names)} folder(s) with pictures {list(names)}; expected one for each of "
            f"two classes or more, with files ending in {', '.join(_ENDINGS[:3])}, .."
        )
    return names


def _pictures(folder: Path) -> Iterable[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in _ENDINGS)


def _load(
    root: Path, classes: Sequence[str], size: tuple[int, int] | None, mode: str
) -> tuple[Array, Array]:
    """All pictures (N, C, H, W) in uint8 and their labels."""
    odd = {p.name for p in root.iterdir() if p.is_dir() and any(_pictures(p))} - {*classes}
    if odd and root.name in {name for names in _PARTS.values() for name in names}:
        raise DataError(f"{root}: {sorted(odd)} is no class of the training set: {list(classes)}")
    pixels: list[Array] = []
    labels: list[int] = []
    first: Path | None = None
    for label, name in enumerate(classes):
        for path in _pictures(root / name):
            pixels.append(_read(path, size, mode))
            labels.append(label)
            first = first or path
            if pixels[-1].shape != pixels[0].shape:
                raise DataError(
                    f"{path} has {pixels[-1].shape[1:]} pixels, {first} has {pixels[0].shape[1:]}; "
                    "bring them to one with size=(height, width)"
                )
    if not pixels:
        raise DataError(f"{root}: no picture in the folders {list(classes)}")
    return np.stack(pixels), np.array(labels, np.int64)


def _read(path: Path, size: tuple[int, int] | None, mode: str) -> Array:
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError(
            'pictures need Pillow, which is not installed: pip install "thalweg[images]"'
        ) from None
    try:
        with Image.open(path) as file:
            picture = file.convert(_MODES[mode][0])
            if size is not None and picture.size != size[::-1]:
                picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read as a picture: {error}") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _parts(
    loaded: dict[str, tuple[Array, Array]], dev: float, test: float, seed: int, notes: list[str]
) -> Parts:
    """The three parts; what was not given is drawn from the training set."""
    if len(loaded) == 3:
        return Parts(loaded["train"], loaded["dev"], loaded["test"])
    x, y = loaded["train"]
    wanted = {"dev": dev, "test": test}
    drawn = [part for part in wanted if part not in loaded]
    taken = {part: wanted[part] if part in drawn else 0 for part in wanted}
    rows = dict(zip(("train", "dev", "test"), _split(len(x), taken, seed, y), strict=True))
    notes.append(f"{' and '.join(drawn)} drawn at random from the training pictures, seed {seed}")
    pairs = {part: (x[rows[part]], y[rows[part]]) for part in ("train", *drawn)}
    return Parts(**{**pairs, **{p: loaded[p] for p in wanted if p in loaded}})


def _split(count: int, taken: dict[str, float], seed: int, y: Array) -> tuple[Array, Array, Array]:
    if all(taken.values()):
        return split(count, taken["dev"], taken["test"], seed, labels=y)
    share = max(
        taken.values()
    )  # one of them is given: `split` makes three parts that are not empty
    train, some, rest = split(count, share / 2, share / 2, seed, labels=y)
    both = np.sort(np.concatenate([some, rest]))
    return (train, both, both[:0]) if taken["dev"] else (train, both[:0], both)
