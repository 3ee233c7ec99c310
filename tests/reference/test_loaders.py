"""Data loaders beside PyTorch's: the same batches for the same arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import data as theirs

import thalweg as tw
from thalweg.utils import data as ours

VALUES = np.arange(22, dtype=np.float32).reshape(11, 2)
ARGUMENTS: list[dict[str, Any]] = [
    {}, {"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": None},
    {"sampler": [3, 1, 2], "batch_size": 2}, {"batch_sampler": [[0, 5], [7]]},
    {"batch_size": 5, "shuffle": False, "num_workers": 0, "pin_memory": False},
]  # fmt: skip


def plain(x: Any) -> Any:
    """Batches as lists and NumPy's element types."""
    if isinstance(x, torch.Tensor | tw.Tensor):
        return str(x.dtype).split(".")[-1], x.tolist()
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return [plain(y) for y in x] if isinstance(x, list | tuple) else x


@pytest.mark.parametrize("kind", ["tensors", "examples"])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_the_same_batches(arguments: dict[str, Any], kind: str) -> None:
    found = []
    for library, loaders in ((torch, theirs), (tw, ours)):
        rows = library.from_numpy(VALUES)
        dataset: Any = loaders.TensorDataset(rows, library.arange(11))
        if kind == "examples":
            dataset = [{"x": x, "n": int(n), "p": (float(n), str(n.item()))} for x, n in dataset]
        loader = loaders.DataLoader(dataset, **arguments)
        found.append((len(loader), [plain(batch) for batch in loader]))
    assert found[0] == found[1]


@pytest.mark.parametrize("lengths", [[5, 6], [0.5, 0.5], [0.3, 0.3, 0.4], [11], [0.25] * 4])
def test_the_same_sizes_of_a_split(lengths: list[float]) -> None:
    sizes = [
        [len(part) for part in loaders.random_split(range(11), lengths)]
        for loaders in (theirs, ours)
    ]
    assert sizes[0] == sizes[1]
