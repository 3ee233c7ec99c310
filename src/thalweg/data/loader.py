"""Mini-batches of a set, in a fresh random order each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.source import Rows, check_batch
from thalweg.data.splits import Split
from thalweg.errors import DataError
from thalweg.ops.creation import arange
from thalweg.ops.random import Generator, randperm

__all__ = ["Loader"]


class Loader:
    """Batches (x, y) of a `Split` or of a pair of tensors whose first axis is the examples.

    Iterating draws one permutation of the examples from `generator` (the default one if None) and
    yields its pieces of `batch_size`; every example comes once an epoch. The last batch is smaller
    where `batch_size` does not divide the number of examples, unless `drop_last` leaves it out.
    Unlike PyTorch's loader it shuffles unless told not to.

    `grid()` and `indices()` give the same epoch as numbers of rows, which is what a training loop
    scans over with the data captured whole.

    Raises `DataError` if there is no example, or if dropping the last batch leaves none;
    `ConfigError` for a `batch_size` below 1.

    >>> import thalweg as tw
    >>> loader = Loader((tw.arange(10), tw.arange(10)), batch_size=4, shuffle=False)
    >>> [x.tolist() for x, y in loader]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    >>> len(loader), len(Loader((tw.arange(10), tw.arange(10)), 4, drop_last=True))
    (3, 2)
    """

    def __init__(
        self,
        data: Split | tuple[Tensor, Tensor],
        batch_size: int = 1,
        shuffle: bool = True,
        drop_last: bool = False,
        generator: Generator | None = None,
    ) -> None:
        pair: Any = (data.x, data.y) if isinstance(data, Split) else data
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(
                f"Loader: a Split, or a pair of tensors (x, y), expected; got a "
                f"{type(data).__name__}. Single examples are for utils.data.DataLoader"
            )
        self.x, self.y = pair
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator
        self.examples = _count(self.x, self.y)
        check_batch(self.examples, batch_size, drop_last)

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.examples, self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in self.indices():
            yield self.x[rows], self.y[rows]

    def order(self) -> Tensor:
        """The examples' numbers (N,) in int64 in the order of one epoch. Draws if it shuffles."""
        if self.shuffle:
            return randperm(self.examples, generator=self.generator)
        return arange(self.examples)

    def grid(self) -> tuple[Tensor, Tensor]:
        """One epoch as the full batches (S, batch_size) and the last, smaller one (R,).

        R is 0 where nothing is left over or `drop_last` leaves it out. Draws if it shuffles.
        """
        epoch = Rows(self.order(), self.batch_size, self.drop_last)
        return epoch.full, epoch.last

    def indices(self) -> list[Tensor]:
        """One epoch as a list of batches of row numbers (int64). Draws if it shuffles."""
        full, rest = self.grid()
        return [*full, rest] if len(rest) else [*full]


def _count(x: Tensor, y: Tensor) -> int:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(
            f"inputs of shape {tuple(x.shape)} and targets of shape {tuple(y.shape)}; "
            "expected as many of one as of the other along the first axis"
        )
    return len(x)
