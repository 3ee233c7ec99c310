"""A few test pictures in the terminal, and what the network took them for."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import numpy as np

from thalweg.data import Sources
from thalweg.nn.module import Module
from thalweg.train.evaluation import predict
from thalweg.train.pictures import colors_of_terminal, draw, side_by_side, width_of

__all__ = ["gallery"]

_CAPTION = 20  # cells, at most: room for "Sneaker, is Sandal"
_MOST = 8


def gallery(model: Module, splits: Sources) -> str:
    """Some test pictures that the network took for what they are, and some that it did not.

    Of a test set that is not in memory, a few hundred are looked at.
    """
    shape = splits.image_shape
    assert shape is not None
    x, y = (part.flatten(0, 1) for part in next(splits.test.chunks(min(250, len(splits.test)))))
    predicted = predict(model, x).argmax(1).numpy()
    labels = y.numpy()
    pixels = x.numpy().reshape(-1, *shape)
    parts = []
    for title, chosen in (("Right", predicted == labels), ("Wrong", predicted != labels)):
        rows = np.flatnonzero(chosen)
        shown = "\n" + _strip(rows, pixels, predicted, labels, splits) if len(rows) else " none"
        parts.append(f"{title}:{shown}")
    return "\n\n".join(parts)


def _strip(rows: Any, pixels: Any, predicted: Any, labels: Any, splits: Sources) -> str:
    """As many pictures as fit beside one another, each with what it was taken for."""
    cells = width_of(pixels[0])
    longest = max(map(len, splits.classes))
    width = max(cells, min(2 * longest + len(", is "), _CAPTION) + 1)
    widest = shutil.get_terminal_size((80, 24)).columns
    count = min(max(1, (widest + 2) // (width + 2)), _MOST, len(rows))
    left, colors = (width - cells) // 2, colors_of_terminal(sys.stdout)
    drawn, captions = [], []
    for row in rows[np.linspace(0, len(rows) - 1, count).astype(int)]:
        lines = draw(pixels[row], colors)
        drawn.append([" " * left + line + " " * (width - cells - left) for line in lines])
        said, truth = splits.classes[predicted[row]], splits.classes[labels[row]]
        captions.append(said if said == truth else f"{said}, is {truth}")
    return side_by_side(drawn, captions, width)
