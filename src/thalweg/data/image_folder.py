"""Pictures in folders, a folder a class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, overload

import numpy as np
import numpy.typing as npt

from thalweg.data.encoding import Encoding
from thalweg.data.pictures import CHANNELS, PICTURES, Pictures, opened
from thalweg.data.scaling import Standardize
from thalweg.data.source import Sources
from thalweg.data.splits import Parts, Splits, split
from thalweg.data.stream import Stream
from thalweg.errors import ConfigError, DataError
from thalweg.nn.functional.arguments import is_listed, is_whole

__all__ = ["load_images", "picture_bytes"]

Array = npt.NDArray[Any]
Size = int | tuple[int, int] | None
_PARTS: Final = {"train": ("train",), "dev": ("dev", "val", "valid"), "test": ("test",)}


@overload
def load_images(
    folder: str | Path, size: Size = None, mode: str = "rgb", dev: float = 0.1, test: float = 0.1,
    seed: int = 0, stream: Literal[False] = False, mixed: int = 512,
) -> Splits: ...  # fmt: skip


@overload
def load_images(
    folder: str | Path, size: Size = None, mode: str = "rgb", dev: float = 0.1, test: float = 0.1,
    seed: int = 0, *, stream: bool, mixed: int = 512,
) -> Sources: ...  # fmt: skip


def load_images(
    folder: str | Path,
    size: Size = None,
    mode: str = "rgb",
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    stream: bool = False,
    mixed: int = 512,
) -> Sources:
    """Pictures `folder/CLASS/*.png` (or jpg, bmp, ..) as splits for classification.

    Where there are `folder/train/CLASS`, and `dev` (or `val`) and `test`, those are the splits;
    else the pictures are split at random, each class in proportion. What is missing of dev and test
    is taken from train. An input is (channels, height, width), 0 to 1, with the mean 0.5 taken off
    and divided by 0.5, from -1 to 1.

    size    (height, width), or one number for both: every picture is brought to it; without it all
            must have one size
    mode    "rgb" or "gray"
    stream  read each picture when its turn comes, in every epoch anew, `mixed` at a time, a thread
            ahead of the training: for more pictures than memory holds. Else it gives `Splits`

    Reading pictures is the work of Pillow, in the extra `images`. Raises `DataError`, naming the
    file, for what is no picture, and for sizes that differ: before anything is trained, but for a
    file of a stream that begins as a picture and does not end as one.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("day", "night"):
    ...         (Path(folder) / name).mkdir()
    ...         for number in range(20):
    ...             picture = Image.new("RGB", (6, 4), "white" if name == "day" else "navy")
    ...             picture.save(Path(folder) / name / f"{number}.png")
    ...     splits = load_images(folder)
    >>> splits.classes, splits.train.x.shape
    (('day', 'night'), Size([32, 3, 4, 6]))
    """
    if mode not in CHANNELS:
        raise ConfigError(f"mode = {mode!r}: expected 'rgb' or 'gray'")
    shape = (size, size) if isinstance(size, int) else size
    if shape is not None and not (
        is_listed(shape) and len(shape) == 2 and all(is_whole(n) and n > 0 for n in shape)
    ):
        raise ConfigError(f"size = {size!r}: expected (height, width), or one number for both")
    folder = Path(folder)
    given = {part: _found(folder, names) for part, names in _PARTS.items()}
    root = given["train"] or folder
    classes = _classes(root)
    listed = {part: _list(place, classes) for part, place in given.items() if place is not None}
    if "train" not in listed:
        listed["train"] = _list(folder, classes)
    everything = [path for paths, _ in listed.values() for path in paths]
    pixels = shape or _one_size(everything)
    if stream:
        for path in everything:  # what is no picture is said now, not in the middle of an epoch
            opened(path, lambda file: file.size)
    notes = [f"{len(classes)} classes from the folders in {root}"]
    parts = _parts(listed, dev, test, seed, notes)
    picture = (CHANNELS[mode], *pixels)
    encoding = Encoding(
        folder.resolve().name, "classification", picture, Standardize((127.5,), (127.5,)), classes,
        picture,
    )  # fmt: skip
    files = [(Pictures(paths, picture), labels) for paths, labels in parts]
    if not stream:
        read = Parts(*((pictures[:], labels) for pictures, labels in files))
        return Splits.from_parts(read, encoding, tuple(notes))
    train, dev_part, test_part = (
        Stream(pictures, labels, block=1, mixed=mixed, inputs=encoding.inputs, name=part)
        for part, (pictures, labels) in zip(_PARTS, files, strict=True)
    )
    return Sources(train, dev_part, test_part, encoding, tuple(notes))


def _found(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _classes(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; expected one folder a class in it")
    names = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and any(_pictures(p))))
    if len(names) < 2:
        raise DataError(
            f"{root}: {len(names)} folder(s) with pictures {list(names)}; expected one for each of "
            f"two classes or more, with files ending in {', '.join(PICTURES[:3])}, .."
        )
    return names


def _pictures(folder: Path) -> Iterable[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in PICTURES)


def picture_bytes(folder: Path, size: int, gray: bool) -> int:
    """About how much memory the pictures in a folder take as numbers of a byte each."""
    paths = [*_pictures(folder)]
    pixels = size * size
    if paths and not size:
        pixels = opened(paths[0], lambda file: file.height * file.width)
    return len(paths) * pixels * (1 if gray else 3)


def _list(root: Path, classes: Sequence[str]) -> tuple[Array, Array]:
    """The files of all pictures (N,), of a class after another, and their labels."""
    odd = {p.name for p in root.iterdir() if p.is_dir() and any(_pictures(p))} - {*classes}
    if odd and root.name in {name for names in _PARTS.values() for name in names}:
        raise DataError(f"{root}: {sorted(odd)} is no class of the training set: {list(classes)}")
    found = [(path, k) for k, name in enumerate(classes) for path in _pictures(root / name)]
    if not found:
        raise DataError(f"{root}: no picture in the folders {list(classes)}")
    paths, labels = zip(*found, strict=True)
    return np.array(paths, object), np.array(labels, np.int64)


def _one_size(paths: Sequence[Path]) -> tuple[int, int]:
    """The (height, width) that all pictures have, by what their files begin with."""
    sizes = ((path, opened(path, lambda file: (file.height, file.width))) for path in paths)
    first, one = next(sizes)
    for path, size in sizes:
        if size != one:
            raise DataError(
                f"{path} has {size} pixels, {first} has {one}; "
                "bring them to one with size=(height, width) (--size)"
            )
    return one


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
    share = max(taken.values())  # one is given: `split` makes three parts that are not empty
    train, some, rest = split(count, share / 2, share / 2, seed, labels=y)
    both = np.sort(np.concatenate([some, rest]))
    return (train, both, both[:0]) if taken["dev"] else (train, both[:0], both)
