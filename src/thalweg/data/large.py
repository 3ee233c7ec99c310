"""Arrays in files that are larger than memory, as training, development and test streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thalweg.data.encoding import Encoding, Task
from thalweg.data.scaling import Standardize
from thalweg.data.source import Sources
from thalweg.data.splits import class_names, split, target_names
from thalweg.data.stream import Array, Readable, Stream, check_pair, mapped
from thalweg.errors import DataError
from thalweg.settings import refuse_unknown, whole

__all__ = ["choose_blocks", "default_block", "load_arrays", "streams"]


def load_arrays(
    x: str | Path | Readable,
    y: str | Path | Array,
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    task: Task | None = None,
    *,
    inputs: Standardize | None = None,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    **sizes: int,
) -> Sources:
    """Two `.npy` files that may be larger than memory, as streams, which a `Trainer` takes.

    x, y       paths of `.npy` files, or mapped arrays, of what `Splits.from_arrays` takes; but
               labels are numbers from 0 up
    dev, test  shares of the blocks, drawn at random: all neighbours of a block are in one set
    inputs     what makes network inputs of the numbers in the file, such as
               Standardize((0.0,), (255.0,)) for pixels; they become float32 in the compiled step
    sizes      `block`, `mixed` and `prefetch` of the `Stream`s; there are 64 blocks at least, and
               of 1024 examples at most, unless you say otherwise

    Raises `DataError` for what `Stream` refuses, and for files of too few blocks to share out.

    >>> load_arrays(np.ones((500, 4), np.uint8), np.arange(500) % 2, block=10, name="some")
    <Sources some: (4,) -> 2 classes; 400 train, 50 dev, 50 test>
    """
    name = name or (Path(x).stem if isinstance(x, str | Path) else "own data")
    refuse_unknown("load_arrays", sizes, ("block", "mixed", "prefetch"))
    for option, size in sizes.items():
        whole(f"load_arrays: {option}", size, 1)
    x, y = mapped(x), np.asanyarray(mapped(y))
    if isinstance(x, list | np.ndarray):
        x = np.asanyarray(x)
        x = x[:, None] if x.ndim == 1 else x
    check_pair(x, y)
    sizes.setdefault("block", default_block(len(x)))
    if y.dtype.kind not in "fiub":
        raise DataError(f"{name}: the targets are {y.dtype}; expected numbers: labels from 0 up")
    task = task or ("regression" if y.dtype.kind == "f" else "classification")
    names: tuple[str, ...] = ()
    if task == "classification":
        if int(y.min()) < 0:
            raise DataError(f"{name}: a label of {int(y.min())}; classes are numbered from 0")
        names = tuple(classes) if classes else class_names(y, name)
    elif y.ndim == 1:
        y = y[:, None]
    encoding = Encoding(
        name,
        task,
        tuple(x.shape[1:]) or (1,),
        inputs or Standardize(),
        names,
        image_shape,
        target_names=() if names else target_names(y.shape[1]),
    )
    return streams(x, y, encoding, choose_blocks(len(x), dev, test, seed, **sizes), (), **sizes)


def default_block(count: int) -> int:
    """The size of a block where nobody said one: 64 blocks of `count` examples, or more."""
    return max(1, min(1024, count // 64))


def choose_blocks(
    count: int, dev: float, test: float, seed: int, block: int, **_: int
) -> tuple[Array, Array, Array]:
    """Which blocks of `count` examples are to train, for development, to test: at random."""
    blocks = -(-count // block)
    try:
        return split(blocks, dev, test, seed)
    except DataError as error:
        if block == 1:
            raise
        raise DataError(
            f"{count} examples in blocks of {block}: {error}, or smaller blocks (block=..)"
        ) from error


def streams(
    x: Readable,
    y: Array,
    encoding: Encoding,
    blocks: Sequence[Array],
    notes: tuple[str, ...],
    **sizes: int,
) -> Sources:
    """Streams of three disjoint sets of blocks of the same files."""
    train, dev, test = (
        Stream(
            x,
            y,
            inputs=encoding.inputs,
            targets=encoding.targets,
            blocks=chosen,
            name=part,
            **sizes,
        )
        for part, chosen in zip(("train", "dev", "test"), blocks, strict=True)
    )
    return Sources(train, dev, test, encoding, notes)
