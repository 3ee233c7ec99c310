"""A CSV file as a table of text cells that knows which line of the file each row came from."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thalweg.errors import ConfigError, DataError

__all__ = ["Table", "number", "read_rows", "read_table"]

_DELIMITERS: Final = ",;\t|"


def number(cell: str) -> float | None:
    """The finite number a cell's text stands for, or None.

    >>> number("1e3"), number("1,000"), number("nan"), number("")
    (1000.0, None, None, None)
    """
    if "_" in cell:  # Python reads 1_000 as a number; a data file means text
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None  # False for NaN too


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text cells under a header; `lines[i]` is the line of the file row i starts on."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """The cells under `name`, from the top."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def take(self, rows: Sequence[int]) -> Table:
        """The table of these rows only."""
        picked = tuple(self.rows[row] for row in rows)
        return Table(self.path, self.header, picked, tuple(self.lines[row] for row in rows))


def read_table(path: Path | str, delimiter: str | None = None) -> Table:
    """Read a UTF-8 CSV file with a header, quoted fields, any line ends; blank lines are skipped.

    Without `delimiter` it is the one of comma, semicolon, tab and bar that the header has most of.
    Spaces around a cell are not part of it. Raises `DataError` naming the line for a file that is
    missing, not text, empty, without a header, with two columns of one name, or with a row that is
    shorter or longer than the header; `ConfigError` for a delimiter that is not one character.
    """
    path = Path(path)
    (_, header), *body = read_rows(path, delimiter)
    rows = tuple(tuple(cells) for _, cells in body)
    return Table(path, tuple(header), rows, tuple(line for line, _ in body))


def read_rows(path: Path, delimiter: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """The header, then each row, with the line it starts on; what `read_table` raises."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ConfigError(f"delimiter={delimiter!r}: expected one character, such as ';'")
    records = _records(path, delimiter)
    line, header = next(records, (0, []))
    if not header:
        raise DataError(f"{path} is empty; expected a header line, then one line an example")
    _check_header(path, line, header)
    yield line, header
    count = 0
    for count, (line, cells) in enumerate(records, start=1):  # noqa: B007 -- counted to its end
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)} "
                "columns. Put a cell that contains the delimiter in double quotes"
            )
        yield line, cells
    if not count:
        raise DataError(f"{path} holds a header and no rows; expected one line an example")


def _records(path: Path, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not blank, with the line it starts on."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter or _delimiter(path), strict=True)
            start = 1
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if stripped not in ([], [""]):
                    yield start, stripped
                start = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: it holds the byte {error.object[error.start]:#04x}. "
            "Save it as CSV in UTF-8"
        ) from error
    except csv.Error as error:
        cause = str(error)
        if "end of data" in cause:
            cause = "a double quote in the row that begins here is never closed"
        raise DataError(f"{path}, line {start}: {cause}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _delimiter(path: Path) -> str:
    """The candidate that the first line that is not blank has most of; the comma in doubt."""
    with path.open(encoding="utf-8-sig") as file:
        header = next((line for line in file if line.strip()), "")
    return max(_DELIMITERS, key=header.count)


def _check_header(path: Path, line: int, header: list[str]) -> None:
    if all(number(name) is not None for name in header):
        raise DataError(
            f"{path}, line {line}: numbers ({', '.join(header[:3])}, ...) where the columns' names "
            "were expected. Put a header line at the top"
        )
    for index, name in enumerate(header):
        if not name:
            raise DataError(
                f"{path}, line {line}: column {index + 1} has no name. Name it in the header; "
                "pandas writes such a column for its index unless it saves with index=False"
            )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        places = [index + 1 for index, name in enumerate(header) if name == twice[0]]
        raise DataError(
            f"{path}, line {line}: columns {' and '.join(map(str, places))} are both {twice[0]!r}. "
            "Give every column a name of its own"
        )
