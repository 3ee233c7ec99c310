"""Batches of a data set that is larger than memory: mapped files, shuffled by blocks."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, DataError
from thalweg.ops.random import Generator, randperm
from thalweg.tape import wrap

__all__ = ["StreamLoader"]

Array = npt.NDArray[Any]


class StreamLoader:
    """Batches (x, y) of arrays in files, of which only a few blocks are in memory at a time.

    x, y        paths of `.npy` files, or arrays (such as `numpy.memmap`), whose first axis is the
                examples
    batch_size  examples in a batch; the last batch of an epoch may be smaller, or is left out with
                `drop_last`
    block       examples that are read together: neighbours in the file
    mixed       blocks whose examples are shuffled together: the more, the closer to a shuffle of
                everything, and the more memory
    seed        of the order, which is a new one each epoch
    prefetch    shuffled groups of blocks that a thread reads ahead

    Every example comes once an epoch. `state_dict()` is the exact position: a loader with other
    memory limits is another order, one with the same goes on with the next batch, also after the
    process was killed. Iterating gives the rest of the current epoch.

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
        sizes = {"batch_size": batch_size, "block": block, "mixed": mixed, "prefetch": prefetch}
        for name, size in sizes.items():
            if type(size) is not int or size < 1:
                raise ConfigError(f"{name} = {size!r}; expected a whole number of 1 or more")
        self.x, self.y = _mapped(x), _mapped(y)
        self.examples = len(self.x)
        if len(self.y) != self.examples or not self.examples:
            raise DataError(
                f"{self.examples} inputs and {len(self.y)} targets; expected as many of one as of "
                "the other, and one at least"
            )
        self.batch_size, self.block, self.mixed = batch_size, block, mixed
        self.seed, self.shuffle, self.drop_last = seed, shuffle, drop_last
        self.prefetch = prefetch
        self.epoch, self.step = 0, 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.examples, self.batch_size)
        return full + bool(rest and not self.drop_last)

    # --- position ---

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
        names = ("examples", "batch_size", "block", "mixed", "seed", "shuffle", "drop_last")
        return {name: getattr(self, name) for name in names}

    # --- batches ---

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = self.epoch
        for x, y in self._cut(self._ahead(epoch, self.step * self.batch_size)):
            self.step += 1  # before the batch is given: a checkpoint after it counts it as done
            if self.step == len(self):
                self.epoch, self.step = epoch + 1, 0
            yield wrap(x), wrap(y)
            if self.epoch != epoch:
                return

    def _cut(self, groups: Iterator[tuple[Array, Array]]) -> Iterator[tuple[Array, Array]]:
        """Batches out of groups of any size."""
        held: list[tuple[Array, Array]] = []
        count = 0
        for group in groups:
            held.append(group)
            count += len(group[0])
            if count < self.batch_size:
                continue
            x, y = (np.concatenate(part) for part in zip(*held, strict=True))
            whole = count - count % self.batch_size
            for start in range(0, whole, self.batch_size):
                rows = slice(start, start + self.batch_size)
                yield x[rows].copy(), y[rows].copy()
            held, count = [(x[whole:], y[whole:])], count - whole
        if count and not self.drop_last:
            x, y = (np.concatenate(part) for part in zip(*held, strict=True))
            yield x, y

    def _groups(self, epoch: int, skip: int) -> Iterator[tuple[Array, Array]]:
        """Groups of blocks in the epoch's order, shuffled; without the first `skip` examples."""
        blocks = self._permutation(epoch, 0, -(-self.examples // self.block))
        for number, first in enumerate(range(0, len(blocks), self.mixed), start=1):
            chosen = blocks[first : first + self.mixed]
            counts = np.minimum(self.block, self.examples - chosen * self.block)
            total = int(counts.sum())
            if skip >= total:
                skip -= total
                continue
            order = self._permutation(epoch, number, total)[skip:]
            skip = 0
            yield self._read(self.x, chosen)[order], self._read(self.y, chosen)[order]

    def _read(self, array: Array, blocks: Array) -> Array:
        return np.concatenate([array[b * self.block : (b + 1) * self.block] for b in blocks])

    def _permutation(self, epoch: int, number: int, count: int) -> Array:
        """Of the blocks (number 0) or of a group's examples: the same for the same place."""
        if not self.shuffle:
            return np.arange(count)
        stream = Generator(self.seed)
        key = np.random.SeedSequence((self.seed, epoch, number)).generate_state(2, np.uint32)
        stream.manual_seed(int(key[0]) << 31 | int(key[1]) >> 1)
        return np.asarray(randperm(count, generator=stream).numpy())

    def _ahead(self, epoch: int, skip: int) -> Iterator[tuple[Array, Array]]:
        """`_groups`, read by a thread while the last one is in use."""
        ready: queue.Queue[Any] = queue.Queue(self.prefetch)
        over = threading.Event()

        def put(item: Any) -> None:
            while not over.is_set():
                with contextlib.suppress(queue.Full):
                    ready.put(item, timeout=0.1)
                    return

        def read() -> None:
            try:
                for group in self._groups(epoch, skip):
                    put(group)
                    if over.is_set():
                        return
                put(None)
            except BaseException as error:  # a file that is gone: for the one who iterates
                put(error)

        thread = threading.Thread(target=read, name="thalweg-prefetch", daemon=True)
        thread.start()
        try:
            while (group := ready.get()) is not None:
                if isinstance(group, BaseException):
                    raise DataError(f"a block could not be read: {group}") from group
                yield group
        finally:
            over.set()
            thread.join()


def _mapped(source: str | Path | Array) -> Array:
    if isinstance(source, np.ndarray):
        return source
    try:
        array: Array = np.load(source, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: cannot be mapped as a .npy file: {error}") from error
    if array.ndim == 0:
        raise DataError(f"{source}: one number; expected an array of examples")
    return array
