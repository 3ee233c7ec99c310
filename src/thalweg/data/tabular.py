"""A table of your own, from a CSV file, as training, development and test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, overload

import numpy as np
import numpy.typing as npt

from thalweg.data.columns import Columns, bad_cells, is_numeric
from thalweg.data.encoding import Encoding, Task, check_task
from thalweg.data.scaling import Standardize
from thalweg.data.source import Sources
from thalweg.data.splits import Parts, Splits, split
from thalweg.data.table import Table, number, read_table
from thalweg.errors import ConfigError, DataError, nearest

__all__ = [
    "are_few",
    "bad_cell",
    "check_missing",
    "features",
    "labels_of",
    "load_csv",
    "not_numbers",
    "notes_on",
    "nothing_left",
]

Array = npt.NDArray[Any]

Missing = Literal["error", "drop"]
_MOST_CLASSES: Final = 20
_ROWS_PER_CLASS: Final = 5


@overload
def load_csv(
    path: Path | str, target: str | Sequence[str], *, task: Task | None = None,
    drop: Sequence[str] = (), missing: Missing = "error", dev: float = 0.1, test: float = 0.1,
    seed: int = 0, delimiter: str | None = None, stream: Literal[False] = False,
) -> Splits: ...  # fmt: skip


@overload
def load_csv(
    path: Path | str, target: str | Sequence[str], *, task: Task | None = None,
    drop: Sequence[str] = (), missing: Missing = "error", dev: float = 0.1, test: float = 0.1,
    seed: int = 0, delimiter: str | None = None, stream: bool,
) -> Sources: ...  # fmt: skip


def load_csv(
    path: Path | str,
    target: str | Sequence[str],
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
    missing: Missing = "error",
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    delimiter: str | None = None,
    stream: bool = False,
) -> Sources:
    """Read a CSV file with a header; learn column `target` from all others except `drop`.

    Inputs: numeric columns get mean 0 and standard deviation 1 in the training rows; a column of
    text with at most 50 different texts becomes one input of 0 or 1 for each.
    Target: text is a class. Numbers are a regression, learnt at mean 0 and standard deviation 1 in
    the training rows (`splits.encoding.decode` gives real units), unless they are whole, at most 20
    different and each five times there on average: then they are classes. `task` overrides that.
    Several targets are a regression with as many outputs.
    `missing="drop"` leaves out rows with a cell that is empty or, in a column of numbers, is none.
    `dev`, `test` and `seed` are those of `split`; classes are split in proportion.
    `stream` is for a file larger than memory: it is read once, into binary files in the cache
    folder, from which blocks are read while training; see `Stream`. The development and the test
    set are whole blocks of it, drawn at random. Else it gives `Splits`.

    Raises `DataError` for a file `read_table` refuses, for a missing or non-numeric cell (named by
    line and column, with the number of such cells), for a column of free text, for one class or
    value only; `ConfigError` for an unknown column (with the nearest name), task or option.

    >>> import tempfile
    >>> rows = [f"{age},{'gas' if age % 3 else 'diesel'},{20 - age}" for age in range(1, 13)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cars.csv"
    ...     _ = path.write_text("\\n".join(["age,fuel,price", *rows]))
    ...     cars = load_csv(path, target="price")
    >>> cars, cars.encoding.encode({"age": 5, "fuel": "gas"}).shape
    (<Splits cars: (3,) -> 1 target(s); 10 train, 1 dev, 1 test>, (1, 3))
    """
    path = Path(path)
    targets = [target] if isinstance(target, str) else list(target)
    if stream:
        from thalweg.data.large_table import load_large

        return load_large(path, targets, task, drop, missing, dev, test, seed, delimiter)
    table = read_table(path, delimiter)
    names = features(path, table.header, targets, drop)
    table, dropped = _usable(table, names, targets, missing)
    columns = Columns.infer(table, names)
    y, task, classes = _target(table, targets, task)
    rows = split(len(table), dev, test, seed, labels=y if classes else None)
    x = columns.encode_table(table)
    inputs = Standardize.fit(x[rows[0]], columns.numeric)
    encoding = Encoding(
        name=path.stem,
        task=task,
        input_shape=(columns.width,),
        inputs=inputs,
        classes=classes,
        columns=columns,
        targets=Standardize() if classes else Standardize.fit(y[rows[0]]),
        target_names=() if classes else tuple(targets),
    )
    parts = Parts(*((x[part], y[part]) for part in rows))
    varies = x[rows[0]].min(0) != x[rows[0]].max(0)
    notes = (*notes_on(columns, varies, targets, task, drop), *dropped)
    return Splits.from_parts(parts, encoding, notes)


def features(
    path: Path, header: Sequence[str], targets: Sequence[str], drop: Sequence[str]
) -> list[str]:
    """The columns that are inputs: all but the targets and those left out."""
    if isinstance(drop, str):
        raise ConfigError(f"drop={drop!r}; expected a list of columns, [{drop!r}]")
    for what, names in (("target", targets), ("drop", drop)):
        for name in names:
            if name not in header:
                raise ConfigError(
                    f"{what} {name!r} is no column of {path}: {nearest(name, header)}"
                )
    names = [name for name in header if name not in (*targets, *drop)]
    if not names or not targets:
        what = "no column is left to learn from" if targets else "no target is given"
        raise ConfigError(f"{path}: {what}; columns: {', '.join(header)}")
    return names


def _usable(
    table: Table, names: Sequence[str], targets: Sequence[str], missing: str
) -> tuple[Table, tuple[str, ...]]:
    """The table without rows that have a bad cell, and a note; a `DataError` if none may go."""
    check_missing(missing)
    bad = bad_cells(table, [*names, *targets])
    if not bad:
        return table, ()
    gone = {cell.row for cell in bad}
    counts = Counter(cell.column for cell in bad)
    if missing == "error":
        first = bad[0]
        where = table.lines[first.row], first.column, first.text
        raise bad_cell(table.path, where, counts, f"{len(gone)} of {len(table)}", targets)
    kept = [row for row in range(len(table)) if row not in gone]
    if not kept:
        raise nothing_left(table.path, counts)
    return table.take(kept), (f"{len(gone)} of {len(table)} rows left out: {_tally(counts)}",)


def check_missing(missing: str) -> None:
    """Raise `ConfigError` for what can be done with missing cells."""
    if missing not in ("error", "drop"):
        raise ConfigError(f"unknown missing={missing!r}: {nearest(missing, ['drop', 'error'])}")


def bad_cell(
    path: Path,
    first: tuple[int, str, str],
    counts: Mapping[str, int],
    rows: str,
    targets: Sequence[str],
) -> DataError:
    """What is wrong with cells: the line, the column and the text of the first, and how many."""
    line, column, text = first
    what = f"{text!r} is not a number" if text else "the cell is empty"
    names = sorted(set(counts) - set(targets))
    without = f"the column with drop={names} (--drop {','.join(names)}), or " if names else ""
    return DataError(
        f"{path}, line {line}, column {column!r}: {what}. {_tally(counts)}, "
        f"in {rows} rows. Leave the rows out with missing='drop' (--missing drop), "
        f"or {without}fill the cells in"
    )


def nothing_left(path: Path, counts: Mapping[str, int]) -> DataError:
    """Every row has a bad cell."""
    return DataError(f"{path}: every row has a missing or non-numeric cell. {_tally(counts)}")


def _tally(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count} in {name!r}" for name, count in counts.items())
    total = sum(counts.values())
    return f"{total} missing or non-numeric cell{'s' * (total != 1)} ({listed})"


def _target(
    table: Table, names: Sequence[str], task: Task | None
) -> tuple[Array, Task, tuple[str, ...]]:
    """Labels (N,) and class names, or numbers (N, K) and no names."""
    cells = [table.column(name) for name in names]
    for name, column in zip(names, cells, strict=True):
        if len(set(column)) < 2:
            raise DataError(
                f"{table.path}: {name!r} is {column[0]!r} in every row: nothing to learn"
            )
    if task is None:
        is_class = len(names) == 1 and _looks_like_classes(cells[0])
        task = "classification" if is_class else "regression"
    check_task(task)
    if task == "regression":
        return _numbers(table, names, cells), task, ()
    if len(names) > 1:
        raise ConfigError(f"a classification has one target column, got {', '.join(names)}")
    labels, classes = labels_of(cells[0])
    return labels, task, classes


def _looks_like_classes(cells: Sequence[str]) -> bool:
    if not is_numeric(cells):
        return True
    values = {float(cell) for cell in cells}
    return are_few(len(values), len(cells)) and all(value.is_integer() for value in values)


def are_few(values: int, rows: int) -> bool:
    """Whether so many different whole numbers are classes."""
    return values <= min(_MOST_CLASSES, rows / _ROWS_PER_CLASS)


def _numbers(table: Table, names: Sequence[str], cells: Sequence[Sequence[str]]) -> Array:
    for name, column in zip(names, cells, strict=True):
        if not is_numeric(column):
            raise not_numbers(table.path, name, column[0])
    return np.array([[float(cell) for cell in column] for column in cells]).T


def not_numbers(path: Path, name: str, text: str) -> DataError:
    """A target of a regression holds text."""
    return DataError(
        f"{path}: {name!r} holds text such as {text!r}; a regression learns "
        "numbers: name another target, or say task='classification'"
    )


def labels_of(cells: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Each cell's class, the classes in order of number or of text; 1 and 1.0 are one class."""
    if is_numeric(cells):
        values = np.array([number(cell) for cell in cells], np.float64)
        distinct, labels = np.unique(values, return_inverse=True)
        return labels.astype(np.int64), tuple(f"{value:.12g}" for value in distinct)
    names, labels = np.unique(np.array(cells), return_inverse=True)
    return labels.astype(np.int64), tuple(names.tolist())


def notes_on(
    columns: Columns, varies: Array, targets: Sequence[str], task: Task, drop: Sequence[str]
) -> tuple[str, ...]:
    """Lines for the user: which columns are used, and which of them say nothing."""
    used = [f"{c.name} ({len(c.levels)} texts)" if c.levels else c.name for c in columns.columns]
    notes = [f"{task} of {', '.join(targets)} from {', '.join(used)}"]
    if drop:
        notes.append(f"columns left out: {', '.join(drop)}")
    ends = np.cumsum([column.width for column in columns.columns])
    spans = zip(columns.names, np.split(varies, ends[:-1]), strict=True)
    constant = [name for name, varying in spans if not varying.any()]
    if constant:
        notes.append(f"the same in every training row, so of no use: {', '.join(constant)}")
    return tuple(notes)
