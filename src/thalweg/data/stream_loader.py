"""Batches of a stream for a loop of one's own, with an exact position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.source import check_batch
from thalweg.data.stream import Array, Reading, Stream
from thalweg.errors import ConfigError
from thalweg.tape import wrap

__all__ = ["StreamLoader"]


class StreamLoader:
    """Batches (x, y) of arrays in files, of which only a few blocks are in memory at a time.

    x, y        what a `Stream` takes, and so are block, mixed and prefetch
    batch_size  examples in a batch; the last batch of an epoch may be smaller, or is left out with
                `drop_last`
    seed        of the order, which is a new one each epoch

    Every example comes once an epoch. `state_dict()` is the exact position: a loader with other
    memory limits is another order, one with the same goes on with the next batch, also after the
    process was killed. Iterating gives the rest of the current epoch. A `Trainer` takes a `Stream`
    itself, see `load_arrays`.

    Raises `DataError` for files that cannot be read or do not fit, `ConfigError` for sizes below 1.

    >>> import numpy as np
    >>> loader = StreamLoader(np.arange(10.0), np.arange(10), batch_size=4, block=2, mixed=2)
    >>> batches = [y.tolist() for _, y in loader]
    >>> [len(batch) for batch in batches], sorted(sum(batches, []))
    ([4, 4, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    def __init__(
        self,
        x: str | Path | Array,
        y: str | Path | Array,
        batch_size: int,
        *,
        block: int = 1024,
        mixed: int = 16,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        prefetch: int = 1,
    ) -> None:
        self.stream = Stream(x, y, block=block, mixed=mixed, prefetch=prefetch)
        check_batch(len(self.stream), batch_size, False)
        self.batch_size, self.seed = batch_size, seed
        self.shuffle, self.drop_last = shuffle, drop_last
        self.epoch, self.step = 0, 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(len(self.stream), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def state_dict(self) -> dict[str, Any]:
        """The position, and what it depends on: plain numbers."""
        return {"epoch": self.epoch, "step": self.step, **self._order()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a position. Raises `ConfigError` where the loader would give another order."""
        mine = self._order()
        other = {k: state.get(k) for k in mine if state.get(k) != mine[k]}
        if other:
            listed = ", ".join(f"{k} = {mine[k]!r} (was {v!r})" for k, v in other.items())
            raise ConfigError(f"a position in another order of batches: {listed}")
        self.epoch, self.step = int(state["epoch"]), int(state["step"])

    def _order(self) -> dict[str, Any]:
        names = ("batch_size", "seed", "shuffle", "drop_last")
        return {**self.stream.settings(), **{name: getattr(self, name) for name in names}}

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        number = self.epoch
        if not len(self):  # fewer examples than a batch has, and the last is dropped
            return
        key = (self.seed, number) if self.shuffle else None
        with closing(Reading(self.stream, key, self.batch_size, self.drop_last)) as epoch:
            while self.epoch == number:
                x, y = epoch.take(self.step, 1)
                self.step += 1  # before the batch is given: a checkpoint after it counts it as done
                if self.step == len(self):
                    self.epoch, self.step = number + 1, 0
                yield wrap(x.numpy()[0]), wrap(y.numpy()[0])
