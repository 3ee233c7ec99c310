from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.conftest import WriteCsv
from thalweg.data.table import number, read_table
from thalweg.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1.0), ("-2.5e3", -2500.0), (".5", 0.5), ("", None), ("a", None), ("1_000", None),
     ("1,5", None), ("nan", None), ("inf", None), ("-Infinity", None), ("1e999", None),
     ("0x10", None)],
)  # fmt: skip
def test_number(cell: str, value: float | None) -> None:
    assert number(cell) == value


def test_quotes_spaces_line_ends_blank_lines_and_a_byte_order_mark(write_csv: WriteCsv) -> None:
    content = (
        '\ufeffname, price ,note\r\n"Yaris, red", 9000 ,"two\nlines"\r\n'
        '\r\n  \r\nAygo,7000,"a ""b"""\r\n'
    )
    table = read_table(write_csv(content))
    assert table.header == ("name", "price", "note")
    assert table.rows == (("Yaris, red", "9000", "two\nlines"), ("Aygo", "7000", 'a "b"'))
    assert table.lines == (2, 6)
    assert table.column("price") == ["9000", "7000"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end(write_csv: WriteCsv, end: str) -> None:
    table = read_table(write_csv(end.join(["a,b", "1,2", "3,4"])))
    assert table.rows == (("1", "2"), ("3", "4"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen(write_csv: WriteCsv, delimiter: str) -> None:
    assert read_table(write_csv(f"a{delimiter}b\n1{delimiter}2\n")).header == ("a", "b")


def test_the_delimiter_can_be_said(write_csv: WriteCsv) -> None:
    assert read_table(write_csv("a,b;c\n1,2;3\n"), ";").header == ("a,b", "c")


def test_one_column_is_a_table(write_csv: WriteCsv) -> None:
    assert len(read_table(write_csv("a\n1\n2\n"))) == 2


def test_some_rows_of_a_table(write_csv: WriteCsv) -> None:
    some = read_table(write_csv("a,b\n1,2\n3,4\n5,6\n")).take([0, 2])
    assert some.rows == (("1", "2"), ("5", "6"))
    assert some.lines == (2, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n \n\n", "is empty"),
        ("a,b\n", "a header and no rows"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 cells, but the header has 2"),
        ("a,b\n1,2\n\n1\n", "line 4: 1 cells, but the header has 2"),
        ("a,b,a\n1,2,3\n", "line 1: columns 1 and 3 are both 'a'"),
        ("a,,b\n1,2,3\n", "line 1: column 2 has no name"),
        ("1,2\n3,4\n", r"line 1: numbers \(1, 2, ...\)"),
        ('a,b\n1,"2\n3,4\n', "line 2: a double quote .* is never closed"),
        (b"a,b\n1,\xe9\n", "is not UTF-8 text: it holds the byte 0xe9"),
        (b"\xff\xfea\0,\0", "is not UTF-8 text"),
    ],
)
def test_files_that_are_no_table(write_csv: WriteCsv, content: str | bytes, message: str) -> None:
    path = write_csv(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cars\.csv: cannot be read"):
        read_table(tmp_path / "cars.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)


@pytest.mark.parametrize("delimiter", ["", ";;", "\n"])
def test_a_delimiter_that_is_none(write_csv: WriteCsv, delimiter: str) -> None:
    with pytest.raises(ConfigError, match=r"delimiter=.*one character"):
        read_table(write_csv("a,b\n1,2\n"), delimiter)
