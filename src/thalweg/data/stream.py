"""Examples in files, of which only a few blocks are in memory at a time: read ahead, shuffled."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.data.checks import check_finite, describe
from thalweg.data.scaling import Standardize
from thalweg.data.source import Chunk, Epoch, Source
from thalweg.data.splits import check_against
from thalweg.dtypes import get_default_dtype
from thalweg.errors import ConfigError, DataError, ThalwegError
from thalweg.ops.creation import tensor
from thalweg.ops.random import Generator, randint, randperm
from thalweg.tape import wrap

if TYPE_CHECKING:
    from thalweg.data.encoding import Encoding

__all__ = ["Readable", "Reading", "Stream", "check_pair", "mapped"]

Array = npt.NDArray[Any]
_KEY: Final = 2**31  # an epoch's order is one of its square


class Readable(Protocol):
    """What a stream reads from: an array, a mapped file, or anything with slices of examples."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Examples first."""

    @property
    def dtype(self) -> Any:
        """Of the numbers."""

    def __len__(self) -> int:
        """How many examples."""

    def __getitem__(self, rows: slice) -> Array:
        """These examples, read now."""


class Stream(Source):
    """Examples in files that are larger than memory, for a `Trainer`; see `load_arrays`.

    x, y      paths of `.npy` files, or arrays (such as `numpy.memmap`), whose first axis is the
              examples. Anything else that has shape, dtype and slices will do
    block     examples that are read together: neighbours in the file
    mixed     blocks whose examples are shuffled together: the more, the closer to a shuffle of
              everything, and the more memory
    prefetch  shuffled groups of blocks that a thread reads ahead
    inputs    what makes network inputs of the numbers in the file, in the compiled step; None
              leaves them as they are
    targets   the same of the targets of a regression
    blocks    the numbers of the blocks that belong to it; None for all

    In memory are prefetch + 3 groups of block * mixed examples. Every example comes once an epoch.
    Labels become int64. Each block is checked as it is read: NaN or infinity is a `DataError` that
    names the example, before it has been trained on.

    Raises `DataError` for files that cannot be read or do not fit, `ConfigError` for sizes below 1.

    >>> import thalweg as tw
    >>> stream = Stream(np.arange(10.0), np.arange(10), block=2, mixed=2)
    >>> epoch = stream.epoch(4, generator=tw.default_generator)
    >>> taken = [epoch.take(step, 1) for step in range(len(epoch))]
    >>> taken[0][0].shape, len(epoch), sorted(n for _, y in taken for n in y.flatten().tolist())
    (Size([1, 4]), 3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    def __init__(
        self,
        x: str | Path | Readable,
        y: str | Path | Array,
        *,
        block: int = 1024,
        mixed: int = 16,
        prefetch: int = 1,
        inputs: Standardize | None = None,
        targets: Standardize | None = None,
        blocks: Array | None = None,
        name: str = "stream",
    ) -> None:
        for option, size in {"block": block, "mixed": mixed, "prefetch": prefetch}.items():
            if type(size) is not int or size < 1:
                raise ConfigError(f"{option} = {size!r}; expected a whole number of 1 or more")
        self.x, self.y = mapped(x), np.asanyarray(mapped(y))
        check_pair(self.x, self.y)
        self.block, self.mixed, self.prefetch = block, mixed, prefetch
        self.inputs, self.targets, self.name = inputs, targets, name
        self.blocks = np.arange(-(-len(self.x) // block)) if blocks is None else np.asarray(blocks)
        self.counts = np.minimum(block, len(self.x) - self.blocks * block)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def epoch(
        self, size: int, drop_last: bool = False, generator: Generator | None = None
    ) -> Reading:
        """The examples, blocks and their examples shuffled; without a generator in order."""
        key = None
        if generator is not None:
            key = tuple(randint(0, _KEY, (2,), generator=generator).tolist())
        return Reading(self, key, size, drop_last)

    def batch(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs and the targets scaled; labels as they are."""
        x, y = parts
        x = x if self.inputs is None else _scaled(x, self.inputs)
        is_label = not y.dtype.is_floating_point
        return x, (y if self.targets is None or is_label else _scaled(y, self.targets))

    def settings(self) -> dict[str, Any]:
        """The number of examples and the sizes of which the order is made."""
        return {"examples": len(self), "block": self.block, "mixed": self.mixed}

    def check(self, encoding: Encoding) -> None:
        """The inputs' shape and all targets. Raises `DataError`."""
        for start in range(0, len(self.y), 1 << 20):
            y = _label(self.y[start : start + (1 << 20)])
            where = self.name if len(self.y) <= 1 << 20 else f"{self.name}, from {start}"
            check_against(encoding, where, tuple(self.x.shape[1:]), y)

    def __repr__(self) -> str:
        x, y = describe(self.x), describe(self.y)
        return f"<Stream {self.name}: {len(self)} examples, x {x}, y {y}>"

    # --- reading ---

    def groups(self, key: tuple[int, ...] | None, skip: int) -> Iterator[tuple[Array, Array]]:
        """Groups of blocks in an epoch's order, shuffled; without the first `skip` examples."""
        order = self._permutation(key, 0, len(self.blocks))
        for number, first in enumerate(range(0, len(order), self.mixed), start=1):
            chosen = order[first : first + self.mixed]
            total = int(self.counts[chosen].sum())
            if skip >= total:
                skip -= total
                continue
            places = np.empty(total, np.int64)  # where each example comes to stand
            places[self._permutation(key, number, total)] = np.arange(-skip, total - skip)
            skip = 0
            yield self._group(self.x, chosen, places), _label(self._group(self.y, chosen, places))

    def _group(self, array: Readable, chosen: Array, places: Array) -> Array:
        """The blocks' examples in their places; what would stand before the first is left out."""
        group = np.empty((np.count_nonzero(places >= 0), *array.shape[1:]), array.dtype)
        start = 0
        for k in chosen:
            values = self._read(array, self.blocks[k])
            place = places[start : start + len(values)]
            start += len(values)
            if place.min() < 0:
                place, values = place[place >= 0], values[place >= 0]
            group[place] = values
        return group

    def _read(self, array: Readable, block: int) -> Array:
        first = int(block) * self.block
        values = array[first : first + self.block]
        last = first + len(values) - 1
        check_finite(values, f"{self.name}, counted from example {first} (to {last})")
        return values

    def _permutation(self, key: tuple[int, ...] | None, number: int, count: int) -> Array:
        """Of the blocks (number 0) or of a group's examples: the same for the same place."""
        if key is None:
            return np.arange(count)
        word = np.random.SeedSequence((*key, number)).generate_state(2, np.uint32)
        stream = Generator().manual_seed(int(word[0]) << 31 | int(word[1]) >> 1)
        return np.asarray(randperm(count, generator=stream).numpy())

    def ahead(self, key: tuple[int, ...] | None, skip: int) -> Iterator[tuple[Array, Array]]:
        """`groups`, read by a thread while the last one is in use."""
        ready: queue.Queue[Any] = queue.Queue(self.prefetch)
        over = threading.Event()

        def put(item: Any) -> None:
            while not over.is_set():
                with contextlib.suppress(queue.Full):
                    ready.put(item, timeout=0.1)
                    return

        def read() -> None:
            try:
                for group in self.groups(key, skip):
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
                if isinstance(group, ThalwegError):
                    raise group
                if isinstance(group, BaseException):
                    raise DataError(f"{self.name}: a block could not be read: {group}") from group
                yield group
        finally:
            over.set()
            thread.join()


class Reading(Epoch):
    """One pass over a stream, read ahead; any batch may be asked for, the next one is at hand."""

    def __init__(
        self, stream: Stream, key: tuple[int, ...] | None, size: int, drop_last: bool
    ) -> None:
        super().__init__(len(stream), size, drop_last)
        self.stream, self.key = stream, key
        self.at = -1  # the number of the batch that comes next
        self.coming: Any = None
        self.held: list[Array] = []

    def take(self, start: int, count: int) -> Chunk:
        """x (S, size, ...) and y (S, size, ...): as many as are read already, at most `count`."""
        if start != self.at:
            self._seek(start)
        size = self.examples(start)
        while not self.held or len(self.held[0]) < size:
            group = next(self.coming)
            if self.held and len(self.held[0]):
                group = map(np.concatenate, zip(self.held, group, strict=True))
            self.held = [*group]
        count = min(count, len(self.held[0]) // size) if start < self.whole else 1
        rows = count * size
        given = [part[:rows].reshape(count, size, *part.shape[1:]) for part in self.held]
        self.held = [part[rows:] for part in self.held]
        self.at = start + count
        x, y = map(wrap, given)
        return x, y

    def _seek(self, start: int) -> None:
        self.close()
        self.coming = self.stream.ahead(self.key, start * self.size)
        self.at, self.held = start, []

    def close(self) -> None:
        """End the thread that reads ahead."""
        if self.coming is not None:
            self.coming.close()
        self.coming, self.held, self.at = None, [], -1


def check_pair(x: Readable, y: Readable) -> None:
    """Raise `DataError` unless there are as many inputs as targets, and one at least."""
    if len(y) != len(x) or not len(x):
        raise DataError(
            f"{len(x)} inputs and {len(y)} targets; expected as many of one as of the other, and "
            "one at least"
        )


def mapped(source: str | Path | Readable) -> Readable:
    """What a path names, mapped; anything else as it is. Raises `DataError`, naming the file."""
    if not isinstance(source, str | Path):
        return source
    try:
        array: Array = np.load(source, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: cannot be mapped as a .npy file: {error}") from error
    if array.ndim == 0:
        raise DataError(f"{source}: one number; expected an array of examples")
    return array


def _label(y: Array) -> Array:
    """Whole numbers as labels."""
    return y.astype(np.int64, copy=False) if y.dtype.kind in "iub" else y


def _scaled(x: Tensor, inputs: Standardize) -> Tensor:
    """What `inputs.apply` gives, by tensor operations, in the default floating type."""
    dtype = get_default_dtype()
    exact = x.double() if x.dtype.itemsize > 4 else x.to(dtype)
    if any(inputs.mean):
        exact = exact - _constant(inputs.mean, exact)
    if any(std != 1 for std in inputs.std):
        exact = exact / _constant(inputs.std, exact)
    return exact.to(dtype)


def _constant(values: tuple[float, ...], like: Tensor) -> Any:
    return values[0] if len(values) == 1 else tensor(values, dtype=like.dtype)
