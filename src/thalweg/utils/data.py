"""`torch.utils.data` by its names: data sets of examples, and loaders that make batches of them.

`tw.data` is what Thalweg itself trains from, in batches of row numbers that a compiled epoch reads
natively. What stands here is for programs written for PyTorch: an example is fetched at a time, by
Python, in the calling process.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Generic, TypeVar, cast

import numpy as np

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ConfigTypeError, DataError, OutOfRangeError, ShapeError
from thalweg.ops.creation import tensor
from thalweg.ops.joining import stack
from thalweg.ops.random import Generator, randint, randperm

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]

T = TypeVar("T", covariant=True)


# -- data sets -------------------------------------------------------------------------------------


class Dataset(Generic[T]):
    """Examples by number: a subclass defines `__getitem__` and, for a `DataLoader`, `__len__`.

    >>> import thalweg as tw
    >>> class Squares(tw.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return tw.tensor(index), tw.tensor(index**2)
    >>> next(iter(tw.utils.data.DataLoader(Squares(), batch_size=3)))
    [tensor([0, 1, 2]), tensor([0, 1, 4])]
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(self, index)")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Examples in the order they come: a subclass defines `__iter__`.

    >>> import thalweg as tw
    >>> class Count(tw.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(5))
    >>> list(tw.utils.data.DataLoader(Count(), batch_size=2))
    [tensor([0, 1]), tensor([2, 3]), tensor([4])]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__(self)")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """The rows of tensors of one leading size: example k is (x[k], y[k], ...).

    >>> import thalweg as tw
    >>> from thalweg.utils.data import TensorDataset
    >>> TensorDataset(tw.arange(6).reshape(3, 2), tw.arange(3))[1]
    (tensor([2, 3]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors or any(x.shape[:1] != tensors[0].shape[:1] or not x.ndim for x in tensors):
            shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
            raise ShapeError(f"TensorDataset: tensors of one leading size, got shapes {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(x[index] for x in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class ConcatDataset(Dataset[Any]):
    """Data sets one after the other; `a + b` gives one too."""

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise DataError("ConcatDataset: no data set was given")
        self.cumulative_sizes = list(itertools.accumulate(map(_length, self.datasets)))

    def __getitem__(self, index: Any) -> Any:
        count = len(self)
        if not -count <= index < count:
            raise OutOfRangeError(f"example {index} of {count}")
        index %= count
        part = bisect_right(self.cumulative_sizes, index)
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class Subset(Dataset[T]):
    """Some of the examples of a data set, by their numbers there."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[k] for k in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[Any], lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset[Any]]:
    """Parts of these sizes, drawn at random, no example in two; fractions of 1 are shares.

    Raises `ConfigError` where sizes do not add up to the whole.

    >>> import thalweg as tw
    >>> from thalweg.utils.data import TensorDataset, random_split
    >>> [len(part) for part in random_split(TensorDataset(tw.arange(10)), [0.75, 0.25])]
    [8, 2]
    """
    count = _length(dataset)
    sizes = _sizes(lengths, count)
    if sum(sizes) != count or min(sizes, default=0) < 0:
        raise ConfigError(f"random_split: sizes {list(lengths)} do not add up to {count} examples")
    order = randperm(count, generator=generator).tolist()
    ends = itertools.accumulate(sizes)
    return [Subset(dataset, order[e - n : e]) for n, e in zip(sizes, ends, strict=True)]


def _sizes(lengths: Sequence[float], count: int) -> list[int]:
    if not math.isclose(sum(lengths), 1) or any(n > 1 for n in lengths):
        return [int(n) for n in lengths]
    sizes = [math.floor(count * share) for share in lengths]
    for k in range(count - sum(sizes)):  # what is left goes round
        sizes[k % len(sizes)] += 1
    return sizes


def _length(x: Any) -> int:
    if not isinstance(x, Sized):
        raise DataError(f"{type(x).__name__} has no length: define __len__(self)")
    return len(x)


# -- the order -------------------------------------------------------------------------------------


class Sampler(Generic[T]):
    """The numbers of examples, or lists of them, in the order to load them: defines `__iter__`."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__(self)")


class SequentialSampler(Sampler[int]):
    """One after the other."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return _length(self.data_source)


class RandomSampler(Sampler[int]):
    """In random order, each once; with `replacement`, `num_samples` independent draws."""

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self.num_samples = _length(data_source) if num_samples is None else num_samples
        if self.num_samples < 1:
            raise ConfigError(f"RandomSampler: {self.num_samples} examples; expected at least 1")

    def __iter__(self) -> Iterator[int]:
        count = _length(self.data_source)
        if self.replacement:
            return iter(randint(0, count, (self.num_samples,), generator=self.generator).tolist())
        rounds = -(-self.num_samples // count)
        orders = (randperm(count, generator=self.generator).tolist() for _ in range(rounds))
        return itertools.islice(itertools.chain.from_iterable(orders), self.num_samples)

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """What another sampler gives, in lists of `batch_size`; the last one may be shorter."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if type(batch_size) is not int or batch_size < 1:
            raise ConfigError(f"batch_size={batch_size!r}: expected an integer, 1 or more")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        for batch in _batched(self.sampler, self.batch_size):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = _length(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    them = iter(items)
    while batch := list(itertools.islice(them, size)):
        yield batch


# -- batches ---------------------------------------------------------------------------------------


class DataLoader:
    """Batches of a data set: `for x, y in DataLoader(dataset, batch_size=64, shuffle=True)`.

    Arguments are PyTorch's. Examples are put together by `collate_fn`, `default_collate` unless
    given; with `batch_size=None` each comes by itself. `shuffle` draws from `generator`, or the
    default stream. What is about other processes and other devices is taken and changes nothing:
    `num_workers`, `pin_memory`, `timeout`, `worker_init_fn`, `prefetch_factor`, ...

    Raises `ConfigError` for arguments that do not go together.

    >>> import thalweg as tw
    >>> from thalweg.utils.data import DataLoader, TensorDataset
    >>> [x.tolist() for (x,) in DataLoader(TensorDataset(tw.arange(5)), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        self.dataset, self.num_workers, self.generator = dataset, num_workers, generator
        self.collate_fn = collate_fn or (default_collate if batch_size is not None else _alone)
        self._is_stream = isinstance(dataset, IterableDataset)
        if not self._is_stream and not hasattr(dataset, "__getitem__"):
            raise ConfigTypeError(
                f"DataLoader: dataset is a {type(dataset).__name__}; expected examples by number: "
                "a Dataset, a list, or TensorDataset(x, y) of tensors"
            )
        if (sampler is not None and shuffle) or (
            self._is_stream and (shuffle or sampler is not None or batch_sampler is not None)
        ):
            whose = "an IterableDataset" if self._is_stream else "a sampler"
            raise ConfigError(
                f"DataLoader: {whose} has its own order: leave out shuffle and the like"
            )
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler or drop_last):
            raise ConfigError(
                "DataLoader: a batch_sampler says all of batch_size, shuffle, drop_last"
            )
        if batch_size is None and drop_last:
            raise ConfigError("DataLoader: drop_last=True needs a batch_size")
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop_last
        self.sampler: Any = sampler
        if sampler is None and not self._is_stream:
            self.sampler = (
                RandomSampler(dataset, generator=generator)
                if shuffle
                else SequentialSampler(dataset)
            )
        self.batch_sampler: Any = batch_sampler
        if batch_sampler is None and batch_size is not None:
            order = () if self._is_stream else self.sampler
            self.batch_sampler = BatchSampler(order, batch_size, drop_last)

    def __iter__(self) -> Iterator[Any]:
        if self._is_stream:
            yield from self._stream()
        elif self.batch_sampler is None:
            yield from (self.collate_fn(self.dataset[k]) for k in self.sampler)
        else:
            yield from map(self._batch, self.batch_sampler)

    def _stream(self) -> Iterator[Any]:
        if self.batch_size is None:
            yield from map(self.collate_fn, self.dataset)
            return
        for batch in _batched(self.dataset, self.batch_size):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def _batch(self, indices: Sequence[int]) -> Any:
        if isinstance(self.dataset, TensorDataset) and self.collate_fn is default_collate:
            return list(self.dataset[tensor(list(indices))])
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(list(indices)))
        return self.collate_fn([self.dataset[k] for k in indices])

    def __len__(self) -> int:
        if self._is_stream:
            return math.ceil(len(self.dataset) / (self.batch_size or 1))
        return _length(self.sampler if self.batch_sampler is None else self.batch_sampler)


def _alone(example: Any) -> Any:
    return tensor(example) if isinstance(example, np.ndarray) else example


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch of examples: tensors, arrays and numbers become one tensor with a leading axis.

    Tuples and lists become lists of what their parts become, dictionaries dictionaries; texts stay
    in a list. Python floats become float64, as in PyTorch.

    >>> from thalweg.utils.data import default_collate
    >>> default_collate([({"x": 1}, "a"), ({"x": 2}, "b")])
    [{'x': tensor([1, 2])}, ['a', 'b']]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray | np.generic):
        return stack([tensor(x) for x in batch])
    if isinstance(first, float):
        return tensor(list(batch), dtype="float64")
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, str | bytes):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([example[key] for example in batch]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(example) != len(first) for example in batch):
            raise ShapeError("default_collate: the examples of a batch have different lengths")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return cast(Any, type(first))(*parts) if hasattr(first, "_fields") else parts
    raise DataError(
        f"default_collate: no batch can be made of {type(first).__name__}: tensors, arrays, "
        "numbers, texts, and tuples, lists and dictionaries of them expected; or pass collate_fn"
    )
