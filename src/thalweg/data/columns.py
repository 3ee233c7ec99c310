"""The columns of a table as numbers: numeric ones as they are, text one-hot.

A text column with L different texts (its levels) becomes L columns of 0 or 1, one a level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from thalweg.data.table import Table, number
from thalweg.errors import DataError, nearest

__all__ = [
    "BadCell",
    "Column",
    "Columns",
    "MOST_LEVELS",
    "bad_cells",
    "is_missing",
    "is_mostly_numbers",
    "is_numeric",
    "refuse_free_text",
]

Array = npt.NDArray[Any]

MOST_LEVELS: Final = 50
# What people write where a number is missing. In a column of text these are texts like others.
_MISSING: Final = frozenset({"", "-", "?", "na", "n/a", "nan", "null", "none", "missing"})


class BadCell(NamedTuple):
    """A cell that cannot be used: its row in the table, its column, its text."""

    row: int
    column: str
    text: str


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column is one of numbers: no fewer cells are numbers than are some other text."""
    numbers = sum(number(cell) is not None for cell in cells)
    return is_mostly_numbers(numbers, sum(map(is_missing, cells)), len(cells))


def is_missing(cell: str) -> bool:
    """Whether a cell is what people write where a number is missing."""
    return cell.casefold() in _MISSING


def is_mostly_numbers(numbers: int, missing: int, cells: int) -> bool:
    """Whether a column with so many cells, numbers and missing ones is one of numbers."""
    return numbers >= cells - numbers - missing


def bad_cells(table: Table, names: Sequence[str]) -> list[BadCell]:
    """Cells of these columns that are missing, or no number in a column of numbers, by row."""
    found = []
    for name in names:
        cells = table.column(name)
        numeric = is_numeric(cells)
        for row, cell in enumerate(cells):
            if not cell or (numeric and number(cell) is None):
                found.append(BadCell(row, name, cell))
    return sorted(found, key=lambda bad: bad.row)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, and its levels where it holds text."""

    name: str
    levels: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return len(self.levels) or 1

    def encode(self, cells: Sequence[str], place: Callable[[int], str]) -> Array:
        """Cells (N) as numbers (N, width) in float64. `place(i)` names cell i in an error."""
        read = self._level if self.levels else self._number
        values = [read(cell, place, row) for row, cell in enumerate(cells)]
        if not self.levels:
            return np.array(values, np.float64).reshape(-1, 1)
        return np.eye(len(self.levels))[np.array(values, np.int64)]

    def _number(self, cell: str, place: Callable[[int], str], row: int) -> float:
        value = number(cell)
        if value is None:
            raise DataError(f"{place(row)}, column {self.name!r}: {cell!r} is not a number")
        return value

    def _level(self, cell: str, place: Callable[[int], str], row: int) -> int:
        if cell not in self.levels:
            raise DataError(
                f"{place(row)}, column {self.name!r}: {cell!r} did not occur in training; "
                f"{nearest(cell, self.levels)}"
            )
        return self.levels.index(cell)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a network is given, in order.

    >>> columns = Columns((Column("year"), Column("fuel", ("Diesel", "Petrol"))))
    >>> columns.encode([{"year": 2017, "fuel": "Petrol"}])
    array([[2.017e+03, 0.000e+00, 1.000e+00]])
    """

    columns: tuple[Column, ...]

    @classmethod
    def infer(cls, table: Table, names: Sequence[str]) -> Columns:
        """Numeric or text by what the cells hold.

        Raises `DataError` for text columns with more than 50 levels (names, free text, codes).
        """
        columns = []
        for name in names:
            cells = table.column(name)
            columns.append(Column(name, () if is_numeric(cells) else tuple(sorted(set(cells)))))
        counts = {c.name: str(len(c.levels)) for c in columns if len(c.levels) > MOST_LEVELS}
        refuse_free_text(table.path, counts, len(table))
        return cls(tuple(columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def width(self) -> int:
        """How many numbers a row becomes."""
        return sum(column.width for column in self.columns)

    @property
    def numeric(self) -> list[bool]:
        """For each number of a row, whether it came from a numeric column."""
        return [not column.levels for column in self.columns for _ in range(column.width)]

    def encode_table(self, table: Table) -> Array:
        """Numbers (N, width) in float64 of the rows of `table`."""

        def place(row: int) -> str:
            return f"{table.path}, line {table.lines[row]}"

        return np.hstack([c.encode(table.column(c.name), place) for c in self.columns])

    def encode(self, rows: Sequence[Mapping[str, object]]) -> Array:
        """Numbers (N, width) in float64 of rows given as {column: value}; other keys are ignored.

        Raises `DataError` for a column that is missing, no number where one is expected, or a text
        that did not occur in training.
        """
        for index, row in enumerate(rows):
            for name in self.names:
                if name not in row:
                    raise DataError(
                        f"row {index} has no column {name!r}: {nearest(name, map(str, row))}; "
                        f"needed: {', '.join(self.names)}"
                    )
        cells = {name: [str(row[name]).strip() for row in rows] for name in self.names}
        return np.hstack([c.encode(cells[c.name], "row {}".format) for c in self.columns])

    def to_list(self) -> list[dict[str, Any]]:
        """Plain dictionaries and lists, for a JSON or TOML file."""
        return [
            {"name": c.name, "levels": list(c.levels)} if c.levels else {"name": c.name}
            for c in self.columns
        ]

    @classmethod
    def from_list(cls, plain: Sequence[Mapping[str, Any]]) -> Columns:
        """What `to_list` gave, read back. Raises `DataError` for anything else."""
        try:
            read = [Column(str(c["name"]), tuple(map(str, c.get("levels", ())))) for c in plain]
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"expected a list of columns with a 'name', got {plain!r}") from error
        return cls(tuple(read))


def refuse_free_text(path: Path, wide: Mapping[str, str], rows: int) -> None:
    """Raise `DataError` for columns, by name, of so many different texts."""
    if wide:
        listed = "; ".join(f"{name!r} has {count}" for name, count in wide.items())
        names = [*wide]
        raise DataError(
            f"{path}: a column of text becomes one input for each different text, of which "
            f"{listed} in {rows} rows; at most {MOST_LEVELS} are taken. "
            f"Leave it out with drop={names} (--drop {','.join(names)}), or group its texts"
        )
