"""The TOML writer against the standard library's reader."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import ConfigError
from thalweg.train.toml import to_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


@given(st.dictionaries(texts, values, max_size=5))
def test_round_trip(table: dict[str, Any]) -> None:
    back = tomllib.loads(to_toml(table))
    assert back == table
    assert repr(back) == repr(tomllib.loads(to_toml(back)))  # types too: 1, 1.0 and true are equal


@pytest.mark.parametrize("value", [0.1, 1e-300, 1e16, -0.0, 5e-324, math.inf, -math.inf])
def test_floats_stay_floats_bit_for_bit(value: float) -> None:
    back = tomllib.loads(to_toml({"x": value}))["x"]
    assert (repr(back), type(back)) == (repr(value), float)


def test_nan() -> None:
    assert math.isnan(tomllib.loads(to_toml({"x": math.nan}))["x"])


def test_a_key_after_a_table_stays_outside_it() -> None:
    table = {"inner": {"deeper": {"a": 1}, "b": 2}, "after": 3}
    assert tomllib.loads(to_toml(table)) == table


def test_none_is_left_out_and_tuples_are_lists() -> None:
    assert to_toml({"a": None, "b": (1, 2)}) == "b = [1, 2]\n"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"data": {"path": Path("x")}}, r"data\.path = .*Path.*TOML holds bools, numbers, texts"),
        ({"a": [None]}, "a = None is of type NoneType"),
        ({"a": {1: 2}}, r"a: the key 1 is of type int; TOML has texts as keys\. Use '1'"),
        ({"a": "\ud800"}, "character 1 cannot be written in UTF-8"),
    ],
)
def test_what_toml_cannot_hold(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        to_toml(table)
