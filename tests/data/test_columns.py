from __future__ import annotations

import json

import numpy as np
import pytest

from tests.data.conftest import WriteCsv
from thalweg.data.columns import Column, Columns, bad_cells, is_numeric
from thalweg.data.table import read_table
from thalweg.errors import DataError

CARS = Columns((Column("year"), Column("fuel", ("Diesel", "Hybrid", "Petrol")), Column("km")))


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["1", "2.5"], True),
        (["1", "", "?", "NA"], True),
        (["1", "2", "oops"], True),
        (["red", "blue"], False),
        (["a", "b", "7"], False),
        (["", "x", "x"], False),
    ],
)
def test_numbers_or_text(cells: list[str], numeric: bool) -> None:
    assert is_numeric(cells) is numeric


def test_numbers_stay_and_text_becomes_indicators() -> None:
    rows = [
        {"fuel": "Petrol", "km": 10, "year": 2017},
        {"year": "2018", "fuel": " Diesel ", "km": 0.5},
    ]
    assert CARS.encode(rows).tolist() == [[2017, 0, 0, 1, 10], [2018, 1, 0, 0, 0.5]]
    assert CARS.width == 5
    assert CARS.numeric == [True, False, False, False, True]


def test_a_table_and_its_rows_encode_alike(write_csv: WriteCsv) -> None:
    table = read_table(write_csv("year,fuel,km,owner\n2017,Petrol,1e3,me\n2018,Diesel,5,you\n"))
    columns = Columns.infer(table, ["year", "fuel", "km"])
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert columns.columns[1].levels == ("Diesel", "Petrol")
    assert np.array_equal(columns.encode_table(table), columns.encode(rows))


def test_bad_cells_come_in_the_order_of_rows(write_csv: WriteCsv) -> None:
    table = read_table(write_csv("a,b\n1,x\n2,\n?,y\n4,z\n"))
    assert bad_cells(table, ["a", "b"]) == [(1, "b", ""), (2, "a", "?")]
    assert bad_cells(table, ["b"]) == [(1, "b", "")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"year": 1, "fuel": "Petrol"}, "row 0 has no column 'km'"),
        ({"Year": 1, "fuel": "Petrol", "km": 1}, "row 0 has no column 'year': did you mean 'Year'"),
        ({"year": "new", "fuel": "Petrol", "km": 1}, "row 0, column 'year': 'new' is not a number"),
        ({"year": float("nan"), "fuel": "Petrol", "km": 1}, "'nan' is not a number"),
        (
            {"year": 1, "fuel": "petrol", "km": 1},
            "'petrol' did not occur in training; did you mean 'Petrol'",
        ),
    ],
)
def test_rows_that_do_not_fit(row: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        CARS.encode([row])


def test_free_text_is_refused_with_the_fix(write_csv: WriteCsv) -> None:
    lines = "\n".join(f"{i},car {i}" for i in range(60))
    table = read_table(write_csv("a,name\n" + lines))
    with pytest.raises(
        DataError, match=r"'name' has 60 in 60 rows.*drop=\['name'\] \(--drop name\)"
    ):
        Columns.infer(table, ["a", "name"])


def test_plain_values_survive_a_file() -> None:
    plain = json.loads(json.dumps(CARS.to_list()))
    assert Columns.from_list(plain) == CARS
    with pytest.raises(DataError, match="'name'"):
        Columns.from_list([{"levels": ["a"]}])
