"""A CSV file larger than memory: read once into binary files, which are then streamed.

Two passes: the first finds out what the columns hold, the second writes their numbers. Both hold a
few thousand rows at a time. The files stay in the cache folder, under a name made of the CSV file's
path, size and time and of the options, so that a training that goes on finds them again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from thalweg.data.columns import (
    MOST_LEVELS,
    Column,
    Columns,
    is_missing,
    is_mostly_numbers,
    refuse_free_text,
)
from thalweg.data.encoding import Encoding, Task, check_task
from thalweg.data.large import choose_blocks, default_block, streams
from thalweg.data.locate import cache_folder
from thalweg.data.scaling import Standardize
from thalweg.data.source import Sources
from thalweg.data.stream import Array
from thalweg.data.table import Table, number, read_rows
from thalweg.data.tabular import (
    are_few,
    bad_cell,
    check_missing,
    features,
    labels_of,
    not_numbers,
    notes_on,
    nothing_left,
)
from thalweg.errors import ConfigError, DataError

__all__ = ["load_large"]

_ROWS: Final = 4096  # held at a time
_MOST_CLASSES: Final = 1000
_X, _Y, _FACTS = "x.f64", "y.bin", "facts.json"


class _Tally:
    """What a column holds: counts, its different texts while they are few, its first bad cells."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.cells = self.numbers = self.missing = self.empty = 0
        self.texts: set[str] = set()
        self.is_whole = True  # every number is one of 0, 1, -1, 2, ..
        self.first: dict[str, tuple[int, str]] = {}

    def add(self, cell: str, line: int) -> None:
        """Count a cell."""
        self.cells += 1
        self.empty += not cell
        self.missing += is_missing(cell)
        value = number(cell)
        if value is not None:
            self.numbers += 1
            self.is_whole = self.is_whole and value.is_integer()
        else:
            self.first.setdefault("no number", (line, cell))
        if not cell:
            self.first.setdefault("empty", (line, cell))
        elif len(self.texts) <= self.most:
            self.texts.add(cell)

    @property
    def is_numeric(self) -> bool:
        """As `columns.is_numeric` of all its cells."""
        return is_mostly_numbers(self.numbers, self.missing, self.cells)

    @property
    def bad(self) -> int:
        """How many cells cannot be used."""
        return self.cells - self.numbers if self.is_numeric else self.empty

    @property
    def first_bad(self) -> tuple[int, str]:
        """The line and the text of the first of them."""
        return self.first["no number" if self.is_numeric else "empty"]


def load_large(
    path: Path,
    targets: Sequence[str],
    task: Task | None,
    drop: Sequence[str],
    missing: str,
    dev: float,
    test: float,
    seed: int,
    delimiter: str | None,
) -> Sources:
    """What `load_csv` gives with `stream=True`."""
    check_missing(missing)
    options = [list(targets), task, list(drop), missing, delimiter]
    folder = _folder(path, options)
    if not folder.exists():
        _convert(path, folder, targets, task, drop, missing, delimiter)
    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    columns = Columns.from_list(facts["columns"])
    x, y = _mapped(folder, facts, columns)
    block = default_block(len(x))
    blocks = choose_blocks(len(x), dev, test, seed, block)
    classes = tuple(facts["classes"])
    inputs, varies = _fit(x, blocks[0], block, columns.numeric)
    encoding = Encoding(
        name=path.stem,
        task=facts["task"],
        input_shape=(columns.width,),
        inputs=inputs,
        classes=classes,
        columns=columns,
        targets=Standardize() if classes else _fit(y, blocks[0], block, None)[0],
        target_names=() if classes else tuple(targets),
    )
    notes = notes_on(columns, varies, targets, facts["task"], drop)
    notes = (*notes, *facts["dropped"], f"read from binary files in {folder}")
    return streams(x, y, encoding, blocks, notes, block=block)


def _folder(path: Path, options: Sequence[Any]) -> Path:
    """Where the binary files of a CSV file are, or will be."""
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    key = json.dumps([str(path.resolve()), facts.st_size, facts.st_mtime_ns, options])
    return (
        cache_folder() / "tables" / f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    )


def _convert(
    path: Path,
    folder: Path,
    targets: Sequence[str],
    task: Task | None,
    drop: Sequence[str],
    missing: str,
    delimiter: str | None,
) -> None:
    """Write the binary files: all of them, or none."""
    rows = read_rows(path, delimiter)
    _, header = next(rows)
    names = features(path, header, targets, drop)
    tallies = {name: _Tally(MOST_LEVELS) for name in names}
    tallies |= {name: _Tally(_MOST_CLASSES) for name in targets}
    places = [(header.index(name), tally) for name, tally in tallies.items()]
    for line, cells in rows:
        for place, tally in places:
            tally.add(cells[place], line)
    if missing == "error":
        _refuse_bad(path, tallies, targets)
    columns = _columns(path, tallies, names)
    found, labels, classes = _target(path, [tallies[name] for name in targets], targets, task)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        kept = _write(path, aside, columns, targets, labels, tallies, delimiter)
        count = next(iter(tallies.values())).cells
        dropped = [f"{count - kept} of {count} rows left out: cells are missing"] * (kept < count)
        if not kept:
            raise nothing_left(path, {name: t.bad for name, t in tallies.items() if t.bad})
        facts = {"columns": columns.to_list(), "task": found, "classes": classes, "rows": kept,
                 "targets": len(targets), "dropped": dropped}  # fmt: skip
        (aside / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        os.replace(aside, folder)
    except OSError as error:
        raise DataError(
            f"{folder}: the binary files of {path} cannot be written: {error}. Make room, or let "
            "XDG_CACHE_HOME name another folder"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse_bad(path: Path, tallies: Mapping[str, _Tally], targets: Sequence[str]) -> None:
    counts = {name: tally.bad for name, tally in tallies.items() if tally.bad}
    if counts:
        (line, text), name = min((tallies[name].first_bad, name) for name in counts)
        rows = next(iter(tallies.values())).cells
        raise bad_cell(path, (line, name, text), counts, f"some of {rows}", targets)


def _columns(path: Path, tallies: Mapping[str, _Tally], names: Sequence[str]) -> Columns:
    texts = {name: tallies[name].texts for name in names if not tallies[name].is_numeric}
    wide = [name for name in texts if len(texts[name]) > MOST_LEVELS]
    rows = tallies[names[0]].cells
    refuse_free_text(path, dict.fromkeys(wide, f"more than {MOST_LEVELS}"), rows)
    return Columns(tuple(Column(name, tuple(sorted(texts.get(name, ())))) for name in names))


def _target(
    path: Path, tallies: Sequence[_Tally], names: Sequence[str], task: Task | None
) -> tuple[Task, dict[str, int], tuple[str, ...]]:
    """The task, and for classes the label of each text and the classes' names."""
    for tally, name in zip(tallies, names, strict=True):
        if len(tally.texts) < 2:
            raise DataError(f"{path}: {name!r} is {tally.texts} in every row: nothing to learn")
    first = tallies[0]
    if task is None:
        few = first.is_whole and are_few(len({number(text) for text in first.texts}), first.cells)
        is_class = len(names) == 1 and (not first.is_numeric or few)
        task = "classification" if is_class else "regression"
    check_task(task)
    if task == "regression":
        for tally, name in zip(tallies, names, strict=True):
            if not tally.is_numeric:
                raise not_numbers(path, name, min(tally.texts))
        return task, {}, ()
    if len(names) > 1:
        raise ConfigError(f"a classification has one target column, got {', '.join(names)}")
    if len(first.texts) > _MOST_CLASSES:
        raise DataError(f"{path}: {names[0]!r} has more than {_MOST_CLASSES} different texts")
    texts = sorted(text for text in first.texts if not first.is_numeric or number(text) is not None)
    labels, classes = labels_of(texts)
    return task, dict(zip(texts, labels.tolist(), strict=True)), classes


def _write(
    path: Path,
    folder: Path,
    columns: Columns,
    targets: Sequence[str],
    labels: Mapping[str, int],
    tallies: Mapping[str, _Tally],
    delimiter: str | None,
) -> int:
    """The second pass: inputs and targets of the rows without a bad cell. Gives how many."""
    rows = read_rows(path, delimiter)
    _, header = next(rows)
    place = {name: header.index(name) for name in tallies}
    numeric = [place[name] for name, tally in tallies.items() if tally.is_numeric]
    kept = 0
    with (folder / _X).open("wb") as x, (folder / _Y).open("wb") as y:
        while some := list(islice(rows, _ROWS)):
            whole = [
                (line, tuple(cells))
                for line, cells in some
                if all(cells[k] for k in place.values())
                and all(number(cells[k]) is not None for k in numeric)
            ]
            if not whole:
                continue
            lines, cells = zip(*whole, strict=True)
            table = Table(path, tuple(header), cells, lines)
            x.write(np.ascontiguousarray(columns.encode_table(table)).data)
            of_targets = [table.column(name) for name in targets]
            if labels:
                y.write(np.array([labels[cell] for cell in of_targets[0]], np.int64).data)
            else:
                y.write(np.ascontiguousarray(np.array(of_targets, np.float64).T).data)
            kept += len(whole)
    return kept


def _mapped(folder: Path, facts: Mapping[str, Any], columns: Columns) -> tuple[Array, Array]:
    rows = facts["rows"]
    shapes = (rows, columns.width), ((rows,) if facts["classes"] else (rows, facts["targets"]))
    kinds = np.float64, (np.int64 if facts["classes"] else np.float64)
    try:
        x, y = (
            np.memmap(folder / name, kind, "r", shape=shape)
            for name, kind, shape in zip((_X, _Y), kinds, shapes, strict=True)
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: damaged ({error}): remove it, it is made again") from error
    return x, y


def _fit(
    x: Array, blocks: Array, size: int, columns: Sequence[bool] | None
) -> tuple[Standardize, Array]:
    """As `Standardize.fit` of these blocks, and which columns vary in them."""

    def parts() -> Iterator[Array]:
        return (x[b * size : (b + 1) * size] for b in blocks)

    count = sum(map(len, parts()))
    mean = np.sum([part.sum(0) for part in parts()], 0) / count
    square = np.sum([((part - mean) ** 2).sum(0) for part in parts()], 0) / count
    low = np.min([part.min(0) for part in parts()], 0)
    high = np.max([part.max(0) for part in parts()], 0)
    return Standardize.of(mean, np.sqrt(square), low, high, columns), low != high
