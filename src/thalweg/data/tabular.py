"""A table of your own, from a CSV file, as training, development and test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from thalweg.data.columns import BadCell, Columns, bad_cells, is_numeric
from thalweg.data.encoding import Encoding, Task, check_task
from thalweg.data.scaling import Standardize
from thalweg.data.splits import Parts, Splits, split
from thalweg.data.table import Table, number, read_table
from thalweg.errors import ConfigError, DataError, nearest

__all__ = ["load_csv"]

Array = npt.NDArray[Any]

_MOST_CLASSES: Final = 20
_ROWS_PER_CLASS: Final = 5


def load_csv(
    path: Path | str,
    target: str | Sequence[str],
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
    missing: Literal["error", "drop"] = "error",
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    delimiter: str | None = None,
) -> Splits:
    """Read a CSV file with a header; learn column `target` from all others except `drop`.

    Inputs: numeric columns get mean 0 and standard deviation 1 in the training rows; a column of
    text with at most 50 different texts becomes one input of 0 or 1 for each.
    Target: text is a class. Numbers are a regression, learnt at mean 0 and standard deviation 1 in
    the training rows (`splits.encoding.decode` gives real units), unless they are whole, at most 20
    different and each five times there on average: then they are classes. `task` overrides that.
    Several targets are a regression with as many outputs.
    `missing="drop"` leaves out rows with a cell that is empty or, in a column of numbers, is none.
    `dev`, `test` and `seed` are those of `split`; classes are split in proportion.

    Raises `DataError` for a file `read_table` refuses, for a missing or non-numeric cell (named by
    line and column, with the number of such cells), for a column of free text, for one class or
    value only; `ConfigError` for an unknown column (with the nearest name), task or option.
    """
    table = read_table(path, delimiter)
    targets = [target] if isinstance(target, str) else list(target)
    names = _features(table, targets, drop)
    table, dropped = _usable(table, names, targets, missing)
    columns = Columns.infer(table, names)
    y, task, classes = _target(table, targets, task)
    rows = split(len(table), dev, test, seed, labels=y if classes else None)
    x = columns.encode_table(table)
    inputs = Standardize.fit(x[rows[0]], columns.numeric)
    encoding = Encoding(
        name=Path(path).stem,
        task=task,
        input_shape=(columns.width,),
        inputs=inputs,
        classes=classes,
        columns=columns,
        targets=Standardize() if classes else Standardize.fit(y[rows[0]]),
        target_names=() if classes else tuple(targets),
    )
    parts = Parts(*((x[part], y[part]) for part in rows))
    notes = (*_notes(columns, x[rows[0]], targets, task, drop), *dropped)
    return Splits.from_parts(parts, encoding, notes)


def _features(table: Table, targets: Sequence[str], drop: Sequence[str]) -> list[str]:
    """The columns that are inputs: all but the targets and those left out."""
    if isinstance(drop, str):
        raise ConfigError(f"drop={drop!r}; expected a list of columns, [{drop!r}]")
    for what, names in (("target", targets), ("drop", drop)):
        for name in names:
            if name not in table.header:
                raise ConfigError(
                    f"{what} {name!r} is no column of {table.path}: {nearest(name, table.header)}"
                )
    names = [name for name in table.header if name not in (*targets, *drop)]
    if not names or not targets:
        what = "no column is left to learn from" if targets else "no target is given"
        raise ConfigError(f"{table.path}: {what}; columns: {', '.join(table.header)}")
    return names


def _usable(
    table: Table, names: Sequence[str], targets: Sequence[str], missing: str
) -> tuple[Table, tuple[str, ...]]:
    """The table without rows that have a bad cell, and a note; a `DataError` if none may go."""
    if missing not in ("error", "drop"):
        raise ConfigError(f"unknown missing={missing!r}: {nearest(missing, ['drop', 'error'])}")
    bad = bad_cells(table, [*names, *targets])
    if not bad:
        return table, ()
    gone = {cell.row for cell in bad}
    if missing == "error":
        raise DataError(_explain(table, bad, len(gone), targets))
    kept = [row for row in range(len(table)) if row not in gone]
    if not kept:
        raise DataError(f"{table.path}: every row has a missing or non-numeric cell. {_tally(bad)}")
    return table.take(kept), (f"{len(gone)} of {len(table)} rows left out: {_tally(bad)}",)


def _explain(table: Table, bad: Sequence[BadCell], rows: int, targets: Sequence[str]) -> str:
    row, column, text = bad[0]
    what = f"{text!r} is not a number" if text else "the cell is empty"
    names = sorted({cell.column for cell in bad} - set(targets))
    without = f"the column with drop={names} (--drop {','.join(names)}), or " if names else ""
    return (
        f"{table.path}, line {table.lines[row]}, column {column!r}: {what}. {_tally(bad)}, "
        f"in {rows} of {len(table)} rows. Leave the rows out with missing='drop' (--missing drop), "
        f"or {without}fill the cells in"
    )


def _tally(bad: Sequence[BadCell]) -> str:
    counts = Counter(cell.column for cell in bad)
    listed = ", ".join(f"{count} in {name!r}" for name, count in counts.items())
    return f"{len(bad)} missing or non-numeric cell{'s' * (len(bad) != 1)} ({listed})"


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
    labels, classes = _labels(cells[0])
    return labels, task, classes


def _looks_like_classes(cells: Sequence[str]) -> bool:
    if not is_numeric(cells):
        return True
    values = {float(cell) for cell in cells}
    few = len(values) <= min(_MOST_CLASSES, len(cells) / _ROWS_PER_CLASS)
    return few and all(value.is_integer() for value in values)


def _numbers(table: Table, names: Sequence[str], cells: Sequence[Sequence[str]]) -> Array:
    for name, column in zip(names, cells, strict=True):
        if not is_numeric(column):
            raise DataError(
                f"{table.path}: {name!r} holds text such as {column[0]!r}; a regression learns "
                "numbers: name another target, or say task='classification'"
            )
    return np.array([[float(cell) for cell in column] for column in cells]).T


def _labels(cells: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Each cell's class, the classes in order of number or of text; 1 and 1.0 are one class."""
    if is_numeric(cells):
        values = np.array([number(cell) for cell in cells], np.float64)
        distinct, labels = np.unique(values, return_inverse=True)
        return labels.astype(np.int64), tuple(f"{value:.12g}" for value in distinct)
    names, labels = np.unique(np.array(cells), return_inverse=True)
    return labels.astype(np.int64), tuple(names.tolist())


def _notes(
    columns: Columns, train: Array, targets: Sequence[str], task: Task, drop: Sequence[str]
) -> tuple[str, ...]:
    """Lines for the user: which columns are used, and which of them say nothing."""
    used = [f"{c.name} ({len(c.levels)} texts)" if c.levels else c.name for c in columns.columns]
    notes = [f"{task} of {', '.join(targets)} from {', '.join(used)}"]
    if drop:
        notes.append(f"columns left out: {', '.join(drop)}")
    varies = train.min(0) != train.max(0)
    ends = np.cumsum([column.width for column in columns.columns])
    spans = zip(columns.names, np.split(varies, ends[:-1]), strict=True)
    constant = [name for name, varying in spans if not varying.any()]
    if constant:
        notes.append(f"the same in every training row, so of no use: {', '.join(constant)}")
    return tuple(notes)
