"""The one face of data: what a training asks of the place its batches come from.

A `Source` says how many examples there are and gives epochs. An `Epoch` is one pass over them, cut
into batches; it hands out chunks of batches, from any number on. What a chunk holds is the source's
own affair: row numbers of arrays in memory, blocks read from files, places in a text. Only `batch`
makes inputs and targets of it, inside the compiled step.

An epoch's order is drawn from the generator it is given when it begins, and from nothing else. So
the generator's state at that moment and the number of batches done are an exact position: a
training that goes on draws the order again, and takes the next chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, DataError

if TYPE_CHECKING:
    from thalweg.data.encoding import Encoding, Task
    from thalweg.ops.random import Generator

__all__ = ["Chunk", "Epoch", "Rows", "Source", "Sources", "check_batch"]

Chunk = tuple[Tensor, ...]  # each (S, ...): an entry for each of S batches of one size


class Epoch(ABC):
    """One pass over a source: `whole` batches of `size` examples, and perhaps a last one of `rest`.

    Raises what `check_batch` refuses.
    """

    def __init__(self, examples: int, size: int, drop_last: bool) -> None:
        check_batch(examples, size, drop_last)
        self.size = size
        self.whole, rest = divmod(examples, size)
        self.rest = 0 if drop_last else rest

    def __len__(self) -> int:
        """Batches in it."""
        return self.whole + bool(self.rest)

    def examples(self, step: int) -> int:
        """The size of one batch."""
        return self.size if step < self.whole else self.rest

    @abstractmethod
    def take(self, start: int, count: int) -> Chunk:
        """Batches of one size from number `start` on: one at least, `count` at most."""

    def close(self) -> None:  # noqa: B027 -- most hold nothing
        """Give back what it holds, such as a thread that reads ahead."""


class Rows(Epoch):
    """An epoch as numbers that its source looks up: `order` (N,), in int64, cut into batches.

    >>> import thalweg as tw
    >>> epoch = Rows(tw.arange(7), 3, drop_last=False)
    >>> epoch.take(0, 5), epoch.take(2, 1)
    ((tensor([[0, 1, 2], [3, 4, 5]]),), (tensor([[6]]),))
    """

    def __init__(self, order: Tensor, size: int, drop_last: bool) -> None:
        super().__init__(len(order), size, drop_last)
        end = self.whole * size
        self.full = order[:end].reshape(self.whole, size)
        self.last = order[end : end + self.rest]

    def take(self, start: int, count: int) -> Chunk:
        """Row numbers (S, size), or those of the last, smaller batch (1, rest)."""
        if start >= self.whole:
            return (self.last.reshape(1, self.rest),)
        return (self.full[start : min(start + count, self.whole)],)


class Source(ABC):
    """Examples that are read batch by batch, for a `Trainer` and to evaluate with.

    `Split` holds arrays in memory, `Stream` reads files, `Windows` cuts stretches out of a text. A
    source of your own has a `name`, `__len__`, `epoch` and `batch`:

    >>> import thalweg as tw
    >>> class Parabola(Source):  # a thousand points, which nothing has to hold
    ...     name = "parabola"
    ...     def __len__(self):
    ...         return 1000
    ...     def epoch(self, size, drop_last=False, generator=None):
    ...         order = tw.arange(1000)
    ...         if generator is not None:
    ...             order = tw.randperm(1000, generator=generator)
    ...         return tw.data.Rows(order, size, drop_last)
    ...     def batch(self, rows):
    ...         x = (rows / 500 - 1).unsqueeze(-1)
    ...         return x, x**2
    >>> epoch = Parabola().epoch(250)
    >>> x, y = Parabola().batch(*epoch.take(0, 2))  # two batches of the epoch's four
    >>> len(epoch), x.shape, y[0, 0]
    (4, Size([2, 250, 1]), tensor([1.]))
    """

    __slots__ = ()
    name: str

    @abstractmethod
    def __len__(self) -> int:
        """Examples in an epoch."""

    @abstractmethod
    def epoch(
        self, size: int, drop_last: bool = False, generator: Generator | None = None
    ) -> Epoch:
        """One pass in batches of `size`: in an order drawn from `generator`, or as they stand."""

    @abstractmethod
    def batch(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of what an epoch's chunk holds of one batch, or of a whole chunk.

        It is traced into the compiled step, so it must be written with tensor operations.
        """

    def settings(self) -> dict[str, Any]:
        """What the order of the batches depends on: plain values, alike in a run that goes on."""
        return {"examples": len(self)}

    def check(self, encoding: Encoding) -> None:  # noqa: B027 -- not every source can
        """Raise `DataError` unless inputs and targets are what `encoding` says."""

    def chunks(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Everything in order: inputs and targets (S, size, ...), S batches at a time."""
        with closing(self.epoch(size)) as epoch:
            step = 0
            while step < len(epoch):
                x, y = self.batch(*epoch.take(step, len(epoch)))
                step += len(x)
                yield x, y


@dataclass(frozen=True, slots=True, repr=False)
class Sources:
    """A training, a development and a test source, and what their numbers mean.

    `encoding` turns raw inputs into network inputs and outputs into answers; `notes` are lines for
    the user on how they were made.

    Raises `DataError` where a source does not fit the encoding.

    >>> import thalweg as tw
    >>> text = tw.data.Characters.fit("ab")
    >>> parts = [tw.data.Windows(text.encode("abab"), 2) for _ in range(3)]
    >>> encoding = tw.data.Encoding("letters", "text", (2,), tokenizer=text)
    >>> tw.data.Sources(*parts, encoding)
    <Sources letters: (2,) -> 2 tokens; 1 train, 1 dev, 1 test>
    """

    train: Source
    dev: Source
    test: Source
    encoding: Encoding
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in (self.train, self.dev, self.test):
            if not isinstance(part, Source):
                raise ConfigError(
                    f"{self.name}: a {type(part).__name__} is no source of batches; expected a "
                    "Split, a Stream, Windows, or a class of your own made from data.Source"
                )
            part.check(self.encoding)

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.encoding.name

    @property
    def task(self) -> Task:
        """The kind of answer: "classification", "regression" or "text"."""
        return self.encoding.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty in a regression."""
        return self.encoding.classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.encoding.input_shape

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """(channels, height, width) where an input is a picture."""
        return self.encoding.image_shape

    @property
    def output_size(self) -> int:
        """Outputs a network needs: one a class, or one a target."""
        return self.encoding.output_size

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else f"{self.output_size} target(s)"
        what = f"{self.output_size} tokens" if self.task == "text" else what
        sizes = f"{len(self.train)} train, {len(self.dev)} dev, {len(self.test)} test"
        return f"<{type(self).__name__} {self.name}: {self.input_shape} -> {what}; {sizes}>"


def check_batch(examples: int, size: int, drop_last: bool) -> None:
    """Raise `ConfigError` for a size below 1, `DataError` if no batch is left."""
    if type(size) is not int or size < 1:  # True is an int too
        raise ConfigError(f"batch_size={size!r}; expected a whole number of 1 or more")
    if not examples:
        raise DataError("there is no example to load: the data set is empty")
    if drop_last and size > examples:
        raise DataError(
            f"{examples} examples in batches of {size} with drop_last=True leave no batch at "
            f"all; give a batch_size of at most {examples}, or drop_last=False"
        )
