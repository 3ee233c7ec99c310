"""Training, development and test sets, and how to make them out of one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.data.checks import check_inputs, check_label_range, check_targets
from thalweg.data.encoding import Encoding, Task, check_task
from thalweg.data.source import Chunk, Epoch, Rows, Source, Sources
from thalweg.dtypes import get_default_dtype
from thalweg.errors import ConfigError, DataError
from thalweg.ops.random import Generator, randperm
from thalweg.tape import wrap

__all__ = ["Parts", "Split", "Splits", "check_against", "class_names", "split", "target_names"]

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]


class Parts(NamedTuple):
    """A data set's three parts as its reader returns them: inputs and targets as arrays."""

    train: Pair
    dev: Pair
    test: Pair


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Split(Source):
    """Inputs `x` (N, ...) with int64 labels `y` (N,), or targets `y` (N, K) of the inputs' dtype.

    Raises `DataError` for an empty set, x and y of different lengths, NaN or infinity, labels that
    are negative or not int64. `name` says in messages which set it is.

    >>> import thalweg as tw
    >>> len(Split(tw.zeros(3, 2), tw.tensor([0, 1, 1])))
    3
    """

    x: Tensor
    y: Tensor
    name: str = "data"

    def __post_init__(self) -> None:
        check_inputs(_values(self.x), self.name)
        check_targets(_values(self.y), len(self), self.name)

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def epoch(
        self, size: int, drop_last: bool = False, generator: Generator | None = None
    ) -> Epoch:
        """Row numbers in a random order; without a generator slices of x and y, in order."""
        if generator is None:
            return _Slices(self, size, drop_last)
        return Rows(randperm(len(self), generator=generator), size, drop_last)

    def batch(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of these numbers; slices as they are."""
        if len(parts) == 2:
            return parts
        (rows,) = parts
        return self.x[rows], self.y[rows]

    def check(self, encoding: Encoding) -> None:
        """Shapes, types and labels. Raises `DataError`."""
        check_against(encoding, self.name, tuple(self.x.shape[1:]), _values(self.y))

    def __repr__(self) -> str:
        x, y = self.x, self.y
        return f"<Split {self.name}: x {x.dtype} {tuple(x.shape)}, y {y.dtype} {tuple(y.shape)}>"


class _Slices(Epoch):
    """A split in order: nothing is looked up, so nothing is copied."""

    def __init__(self, data: Split, size: int, drop_last: bool) -> None:
        super().__init__(len(data), size, drop_last)
        self.data = data

    def take(self, start: int, count: int) -> Chunk:
        """x (S, size, ...) and y (S, size, ...)."""
        size = self.examples(start)
        count = min(count, self.whole - start) if start < self.whole else 1
        rows = slice(start * self.size, start * self.size + count * size)
        x, y = self.data.x[rows], self.data.y[rows]
        return x.reshape(count, size, *x.shape[1:]), y.reshape(count, size, *y.shape[1:])


@dataclass(frozen=True, slots=True, repr=False)
class Splits(Sources):
    """A training, a development and a test set in memory, and what their numbers mean.

    `encoding` turns raw inputs into network inputs and outputs into answers; `notes` are lines for
    the user on how the sets were made.

    Raises `DataError` if the sets' shapes differ or a label has no class.
    """

    train: Split
    dev: Split
    test: Split

    @classmethod
    def from_parts(
        cls, parts: Parts, encoding: Encoding, notes: tuple[str, ...] = (), *, raw: bool = True
    ) -> Splits:
        """Splits of arrays; where they are `raw` the encoding scales inputs and float targets."""

        def made(name: str, x: Array, y: Array) -> Split:
            if raw:
                x = encoding.inputs.apply(x)
                y = encoding.targets.apply(y) if y.dtype.kind == "f" else y
            x = x.reshape(len(x), *encoding.input_shape)
            return Split(_tensor(x), _tensor(y), name)

        train, dev, test = parts
        return cls(made("train", *train), made("dev", *dev), made("test", *test), encoding, notes)

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        dev: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
        task: Task | None = None,
        *,
        classes: Sequence[str] | None = None,
        name: str = "own data",
        image_shape: tuple[int, ...] | None = None,
    ) -> Splits:
        """Split inputs `x` (N, ...) and targets `y` into training, development and test sets.

        Labels: integers (N,) of 0 and up, or texts (N,), which are numbered in sorted order.
        Targets of a regression: floats (N,) or (N, K); they become (N, K), so that they fit what a
        `Linear(..., K)` returns. `task=None` decides by the type of `y`. Inputs are converted to
        float32 and not scaled (`Standardize` does that); N numbers (N,) become (N, 1).
        `dev` and `test` are fractions (floats) or counts (ints).

        Raises `DataError` for what `Split` and `split` refuse.

        >>> import numpy as np
        >>> x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
        >>> Splits.from_arrays(x, y)
        <Splits own data: (2,) -> 2 classes; 16 train, 2 dev, 2 test>
        """
        x, y = _array(x), _array(y)
        check_inputs(x, name)
        y, task, names = _targets(y, task, classes, name)
        check_targets(y, len(x), name)
        if names:
            check_label_range(y, len(names), name)
        rows = split(len(x), dev, test, seed, labels=y if names else None)
        x, y = _default_float(x), (y if names else _default_float(y))
        x = x[:, None] if x.ndim == 1 else x
        encoding = Encoding(
            name,
            task,
            x.shape[1:],
            classes=names,
            image_shape=image_shape,
            target_names=() if names else target_names(y.shape[1]),
        )
        return cls.from_parts(Parts(*((x[r], y[r]) for r in rows)), encoding, raw=False)


def split(
    count: int,
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    labels: Array | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row numbers of a training, a development and a test set out of `count` rows, each ascending.

    `dev` and `test` are fractions (floats) or counts (ints). The choice is random, the same for the
    same seed everywhere. With `labels` (count,) it is stratified: the development and test sets
    hold each label in the proportion of the whole, to within one row.

    Raises `DataError` if one of the three would be empty.

    >>> [len(rows) for rows in split(100, dev=0.1, test=25)]
    [65, 10, 25]
    """
    sizes = {"dev": _size("dev", dev, count), "test": _size("test", test, count)}
    sizes["train"] = count - sum(sizes.values())
    if min(sizes.values()) < 1:
        listed = ", ".join(f"{sizes[part]} {part}" for part in ("train", "dev", "test"))
        raise DataError(
            f"{count} rows split into {listed} (dev={dev}, test={test}); "
            "expected at least one in each: give more rows, or other fractions"
        )
    order = randperm(count, generator=Generator().manual_seed(seed)).numpy()
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    order, test_rows = _draw(order, sizes["test"])
    train_rows, dev_rows = _draw(order, sizes["dev"])
    return np.sort(train_rows), np.sort(dev_rows), np.sort(test_rows)


def _size(name: str, wanted: float, count: int) -> int:
    if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
        size = int(wanted)
    elif 0 <= wanted <= 1:
        size = round(wanted * count)
    else:
        raise ConfigError(
            f"{name}={wanted}: expected a fraction between 0 and 1, or a whole number of rows"
        )
    if size < 0:
        raise ConfigError(f"{name}={wanted}: expected a positive number of rows")
    return size


def _draw(order: Array, size: int) -> tuple[Array, Array]:
    """Take `size` rows at equal distances: what is left, and what was taken.

    Rows that are grouped by label are so drawn from each in proportion.
    """
    taken = np.zeros(len(order), np.bool_)
    taken[(2 * np.arange(size) + 1) * len(order) // (2 * size)] = True
    return order[~taken], order[taken]


def _targets(
    y: Array, task: Task | None, classes: Sequence[str] | None, name: str
) -> tuple[Array, Task, tuple[str, ...]]:
    """Targets as int64 labels or as columns of numbers, the task, the classes' names."""
    if task is None:
        task = "regression" if y.dtype.kind == "f" else "classification"
    check_task(task)
    if task == "regression":
        if y.dtype.kind not in "fiub":
            raise DataError(f"{name}: the targets of a regression are {y.dtype}; expected numbers")
        y = y.astype(np.float64) if y.dtype.kind != "f" else y
        return (y[:, None] if y.ndim == 1 else y), task, ()
    if y.dtype.kind == "U" or (y.dtype.kind == "O" and all(isinstance(v, str) for v in y.flat)):
        names, labels = np.unique(y.astype(str), return_inverse=True)
        return labels.astype(np.int64), task, tuple(names.tolist())
    if y.dtype.kind not in "iub":
        raise DataError(
            f"{name}: the labels are {y.dtype}; expected integers or texts. "
            "Convert them, for example y.astype(numpy.int64), or say task='regression'"
        )
    labels = y.astype(np.int64)
    return labels, task, tuple(classes) if classes else class_names(labels, name)


def class_names(labels: Array, name: str) -> tuple[str, ...]:
    """The numbers 0 to the highest label as names. Raises `DataError` for numbers that are none."""
    highest = int(labels.max(initial=0))
    if highest >= max(1000, len(labels)):
        raise DataError(
            f"{name}: a label of {highest} in {len(labels)} rows; expected classes from 0 up. "
            "Number them with numpy.unique(y, return_inverse=True), or say task='regression'"
        )
    return tuple(str(label) for label in range(highest + 1))


def target_names(count: int) -> tuple[str, ...]:
    """Names of a regression's targets where nobody gave any."""
    return ("target",) if count == 1 else tuple(f"target {i}" for i in range(count))


def check_against(encoding: Encoding, name: str, shape: tuple[int, ...], y: Array) -> None:
    """Raise `DataError` unless inputs of `shape` with targets `y` are what `encoding` says."""
    if shape != encoding.input_shape:
        raise DataError(
            f"{encoding.name}: an input of {name} has shape {shape}; "
            f"expected {encoding.input_shape}"
        )
    if encoding.task == "classification":
        if y.dtype.kind == "f":
            raise DataError(f"{name}: labels of {y.dtype} in a classification; expected int64")
        check_label_range(y, len(encoding.classes), name)
    elif y.dtype.kind != "f" or y.shape[1:] != (encoding.output_size,):
        raise DataError(
            f"{name}: targets of {y.dtype} {y.shape} in a regression; "
            f"expected floats of shape ({len(y)}, {encoding.output_size})"
        )


def _array(values: Any) -> Array:
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)


def _values(tensor: Tensor) -> Array:
    """The numbers of a tensor to look at, without the copy that `numpy()` makes."""
    return np.asarray(tensor._plain("checking a data set"))


def _default_float(array: Array) -> Array:
    """Numbers in the default floating type."""
    with np.errstate(over="ignore"):  # `Split` names what became infinite
        return array.astype(get_default_dtype().numpy, copy=False)


def _tensor(array: Array) -> Tensor:
    """A tensor of a new array that nobody else holds, without a copy."""
    return wrap(np.ascontiguousarray(array))
