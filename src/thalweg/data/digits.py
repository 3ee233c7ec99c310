"""The 1,797 handwritten digits that come with the package; see digits.ATTRIBUTION.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.data.splits import Parts, split

__all__ = ["raw", "read"]


def raw() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images (1797, 64) of 0 to 16 and labels (1797,) of 0 to 9, in the order of the original."""
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as archive:
        images: npt.NDArray[Any] = archive["images"]
        labels: npt.NDArray[Any] = archive["labels"]
    return images.reshape(len(images), -1), labels.astype(np.int64)


def read() -> Parts:
    """1,257 training, 180 development and 360 test digits.

    The original has no such splits. They are drawn once and for all: at random with seed 0,
    stratified by class.
    """
    x, y = raw()
    train, dev, test = split(len(x), dev=180, test=360, seed=0, labels=y)
    return Parts((x[train], y[train]), (x[dev], y[dev]), (x[test], y[test]))
