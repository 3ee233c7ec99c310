"""MNIST and the data sets published in its form: four IDX files of images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from thalweg.data.checks import check_label_range
from thalweg.data.idx import read_idx
from thalweg.data.splits import Parts

__all__ = ["TEST", "TRAIN", "read"]

TRAIN: Final = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
TEST: Final = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
_SIDE: Final = 28
_CLASSES: Final = 10


def read(folder: Path, train: int = 60_000, test: int = 10_000, dev: int = 10_000) -> Parts:
    """50,000 training and 10,000 test images (N, 784) of 0 to 255, labels (N,) of 0 to 9.

    The development set is the last `dev` of the `train` training images; the test set is the
    standard one. Raises `DataError` naming the file that is damaged or of another kind.
    """
    x, y = _pair(folder, TRAIN, train)
    return Parts((x[:-dev], y[:-dev]), (x[-dev:], y[-dev:]), _pair(folder, TEST, test))


def _pair(
    folder: Path, names: tuple[str, str], count: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    images, labels = (folder / name for name in names)
    x = read_idx(images, (count, _SIDE, _SIDE)).reshape(count, -1)
    y = read_idx(labels, (count,)).astype(np.int64)
    check_label_range(y, _CLASSES, str(labels))
    return x, y
