from __future__ import annotations

import json
import tomllib
from typing import Any

import numpy as np
import pytest

from thalweg.data import Encoding, Standardize
from thalweg.data.columns import Column, Columns
from thalweg.errors import ConfigError, DataError

PICTURES = Encoding(
    "pictures", "classification", (6,), Standardize((0.0,), (255.0,)), ("cat", "dog"), (1, 2, 3)
)
CARS = Encoding(
    "cars",
    "regression",
    (3,),
    Standardize((2000.0, 0.0, 0.0), (10.0, 1.0, 1.0)),
    columns=Columns((Column("year"), Column("fuel", ("Diesel", "Petrol")))),
    targets=Standardize((9000.0,), (3000.0,)),
    target_names=("price",),
)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 2, 3), (4, 6), (4, 2, 3), (4, 1, 2, 3)])
def test_one_input_or_several_in_any_of_their_shapes(shape: tuple[int, ...]) -> None:
    raw = np.full(shape, 255, np.uint8)
    encoded = PICTURES.encode(raw)
    assert encoded.shape == (raw.size // 6, 6)
    assert encoded.dtype == np.float32
    assert (encoded == 1).all()


def test_pictures_that_keep_their_shape() -> None:
    encoding = Encoding("p", "classification", (1, 2, 3), classes=("a", "b"), image_shape=(1, 2, 3))
    assert encoding.encode(np.zeros((2, 3))).shape == (1, 1, 2, 3)
    assert encoding.encode(np.zeros((5, 1, 2, 3))).shape == (5, 1, 2, 3)


@pytest.mark.parametrize("shape", [(), (5,), (3, 2), (2, 2, 3, 1), (0, 6), (4, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"expected \(6,\) or \(1, 2, 3\)"):
        PICTURES.encode(np.zeros(shape))


@pytest.mark.parametrize(
    ("raw", "message"), [([0, 0, 0, 0, 0, np.nan], r"nan at index \(5,\)"), (["a"] * 6, "numbers")]
)
def test_inputs_that_are_no_numbers(raw: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        PICTURES.encode(raw)


def test_a_row_of_a_table() -> None:
    assert CARS.encode({"year": 2010, "fuel": "Petrol"}).tolist() == [[1, 0, 1]]
    assert CARS.encode([{"year": 2010, "fuel": "Petrol"}] * 2).shape == (2, 3)
    for raw in ([], "2010", [1, 2], [{"year": 2010, "fuel": "Petrol"}, 3]):
        with pytest.raises(DataError, match="column: value"):
            CARS.encode(raw)


def test_answers() -> None:
    assert PICTURES.decode(np.array([[0.0, 1.0], [3.0, -1.0]])) == ["dog", "cat"]
    assert CARS.decode(np.array([[0.0], [1.0]])) == [9000.0, 12000.0]
    two = Encoding("two", "regression", (1,), target_names=("a", "b"))
    assert two.decode(np.array([[1.0, 2.0]])) == [{"a": 1.0, "b": 2.0}]
    assert [e.output_size for e in (PICTURES, CARS, two)] == [2, 1, 2]
    with pytest.raises(DataError, match=r"expected \(N, 2\)"):
        PICTURES.decode(np.zeros((1, 3)))


@pytest.mark.parametrize("encoding", [PICTURES, CARS], ids=lambda e: e.name)
def test_plain_values_survive_a_file(encoding: Encoding) -> None:
    plain = json.loads(json.dumps(encoding.to_dict()))
    assert Encoding.from_dict(plain) == encoding
    assert "None" not in str(plain)  # TOML has no word for it


def test_it_reads_back_from_toml() -> None:
    text = """
        name = "p"
        task = "classification"
        input_shape = [2]
        classes = ["a", "b"]
        [inputs]
        mean = [0]
        std = [16]
    """
    encoding = Encoding.from_dict(tomllib.loads(text))
    assert encoding == Encoding(
        "p", "classification", (2,), Standardize((0.0,), (16.0,)), ("a", "b")
    )


def test_what_is_no_encoding() -> None:
    with pytest.raises(DataError, match="not the description of a data set"):
        Encoding.from_dict({"name": "x"})
    with pytest.raises(ConfigError, match="did you mean 'regression'"):
        Encoding.from_dict({**CARS.to_dict(), "task": "regresion"})
    with pytest.raises(DataError, match="1 class"):
        Encoding("x", "classification", (1,), classes=("only",))
