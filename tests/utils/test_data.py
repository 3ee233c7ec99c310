"""`tw.utils.data`: batches as PyTorch's loaders make them, and what is refused."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, ConfigTypeError, DataError, OutOfRangeError, ShapeError
from thalweg.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)

ROWS = TensorDataset(tw.arange(14).reshape(7, 2), tw.arange(7) * 10)
Pair = namedtuple("Pair", ["a", "b"])  # noqa: PYI024 -- as programs have them


class Squares(Dataset[Any]):
    def __init__(self, count: int) -> None:
        self.count = count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return {"x": float(index), "square": index**2, "name": f"n{index}"}

    def __len__(self) -> int:
        return self.count


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(5))


class Fetched(Squares):
    """Examples that are fetched many at a time."""

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return [self.count + k for k in indices]


def labels(loader: DataLoader) -> list[list[int]]:
    return [y.tolist() for _, y in loader]


def test_batches_in_order() -> None:
    loader = DataLoader(ROWS, batch_size=3)
    assert labels(loader) == [[0, 10, 20], [30, 40, 50], [60]]
    assert len(loader) == 3
    assert len(loader.dataset) == 7
    assert labels(DataLoader(ROWS, 3, drop_last=True)) == [[0, 10, 20], [30, 40, 50]]
    assert [y.item() for _, y in DataLoader(ROWS, batch_size=None)] == list(range(0, 70, 10))
    x, y = next(iter(DataLoader(ROWS, 7, num_workers=2, pin_memory=True)))
    assert (tuple(x.shape), y.dtype) == ((7, 2), tw.int64)


def test_a_tensor_data_set_is_any_other() -> None:
    plain = DataLoader(Subset(ROWS, range(7)), batch_size=3)
    for a, b in zip(plain, DataLoader(ROWS, batch_size=3), strict=True):
        assert all(tw.equal(x, y) for x, y in zip(a, b, strict=True))


def test_shuffled_batches_are_all_of_it_and_the_seed_s() -> None:
    def drawn(seed: int) -> list[int]:
        generator = tw.Generator().manual_seed(seed)
        batches = labels(DataLoader(ROWS, 2, shuffle=True, generator=generator))
        return [label for batch in batches for label in batch]

    assert sorted(drawn(1)) == list(range(0, 70, 10))
    assert drawn(1) == drawn(1) != drawn(2)
    loader = DataLoader(ROWS, 7, shuffle=True)
    assert labels(loader) != labels(loader), "an epoch has an order of its own"


def test_other_orders() -> None:
    assert labels(DataLoader(ROWS, 2, sampler=[6, 0, 3])) == [[60, 0], [30]]
    assert labels(DataLoader(ROWS, batch_sampler=[[1, 2], [0]])) == [[10, 20], [0]]
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    assert len(list(RandomSampler(range(3), replacement=True, num_samples=8))) == 8
    assert sorted(RandomSampler(range(3), num_samples=6)) == [0, 0, 1, 1, 2, 2]


def test_streams() -> None:
    assert [x.tolist() for x in DataLoader(Stream(), 2)] == [[0, 1], [2, 3], [4]]
    assert [x.tolist() for x in DataLoader(Stream(), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(), batch_size=None)) == [0, 1, 2, 3, 4]


def test_examples_of_all_kinds() -> None:
    (batch,) = DataLoader(Squares(3), 3)
    assert (batch["x"].dtype, batch["square"].tolist()) == (tw.float64, [0, 1, 4])
    assert batch["name"] == ["n0", "n1", "n2"]
    assert next(iter(DataLoader(Fetched(5), 2))).tolist() == [5, 6]
    pair = default_collate([Pair(np.ones(2), (1, [2])), Pair(np.zeros(2), (3, [4]))])
    assert isinstance(pair, Pair)
    assert (tuple(pair.a.shape), pair.b[0].tolist(), pair.b[1][0].tolist()) == (
        (2, 2),
        [1, 3],
        [2, 4],
    )
    assert list(DataLoader(Squares(2), 2, collate_fn=len)) == [2]


def test_data_sets_of_others() -> None:
    both = ROWS + Subset(ROWS, [1])
    assert isinstance(both, ConcatDataset)
    assert [both[k][1].item() for k in (0, 6, 7, -1)] == [0, 60, 10, 10]
    with pytest.raises(OutOfRangeError, match="example 8 of 8"):
        both[8]
    parts = random_split(ROWS, [0.6, 0.4], generator=tw.Generator().manual_seed(3))
    assert [len(part) for part in parts] == [5, 2]
    assert sorted(int(y) for part in parts for _, y in part) == list(range(0, 70, 10))  # type: ignore[attr-defined]  # iterated by index


WRONG: list[tuple[type[Exception], str, Callable[[], Any]]] = [
    (ConfigTypeError, "dataset is a int; expected examples", lambda: DataLoader(3)),
    (ConfigError, "batch_size=0", lambda: DataLoader(ROWS, 0)),
    (ConfigError, "a sampler has its own", lambda: DataLoader(ROWS, shuffle=True, sampler=[1])),
    (ConfigError, "IterableDataset has its own", lambda: DataLoader(Stream(), shuffle=True)),
    (ConfigError, "says all", lambda: DataLoader(ROWS, 2, batch_sampler=[[1]])),
    (ConfigError, "drop_last=True needs", lambda: DataLoader(ROWS, None, drop_last=True)),
    (ConfigError, r"sizes \[3, 3\] do not", lambda: random_split(ROWS, [3, 3])),
    (ConfigError, "at least 1", lambda: RandomSampler(range(0))),
    (ShapeError, r"shapes \(2,\), \(3,\)", lambda: TensorDataset(tw.ones(2), tw.ones(3))),
    (TypeError, "Stream' has no len", lambda: len(DataLoader(Stream()))),
    (DataError, "batch can be made of object", lambda: default_collate([object()])),
    (ShapeError, "different lengths", lambda: default_collate([(1,), (1, 2)])),
    (DataError, "no data set", lambda: ConcatDataset([])),
    (NotImplementedError, "__getitem__", lambda: Dataset()[0]),
]


@pytest.mark.parametrize(("kind", "said", "do"), WRONG, ids=[said for _, said, _ in WRONG])
def test_what_is_refused(kind: type[Exception], said: str, do: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=said):
        do()
