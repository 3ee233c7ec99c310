"""Nested state to JSON and tensors, and back, bit for bit."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import CheckpointError
from thalweg.interop.packing import pack, readable, unpack

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.just("$float")
)
state = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["$a", "$tensor"]), inner, max_size=3
        )
        | st.dictionaries(st.integers() | st.text(max_size=2), inner, max_size=3)
    ),
)


def exact(value: Any) -> Any:
    """`value` with every float as its bits (of a NaN only that it is one) and every type named."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, dict):
        return ["dict", *((exact(k), exact(v)) for k, v in value.items())]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(exact, value)]
    return type(value).__name__, value


@given(state)
def test_round_trip(value: Any) -> None:
    text, tensors = pack(value, "training/")
    assert tensors == {}
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert exact(unpack(text, tensors)) == exact(value)


def test_tensors_stand_under_their_path() -> None:
    value = {"optimizer": {"state": {0: {"m": tw.ones(2)}, 1: [tw.zeros(3), (tw.tensor(1),)]}}}
    text, tensors = pack(value, "training/")
    assert sorted(tensors) == [
        "training/optimizer/state/0/m",
        "training/optimizer/state/1/0",
        "training/optimizer/state/1/1/0",
    ]
    back = unpack(text, tensors)["optimizer"]["state"]
    assert back[0]["m"].tolist() == [1, 1]
    assert back[1][0].tolist() == [0, 0, 0]
    assert back[1][1][0].item() == 1


def test_equal_paths_get_names_of_their_own() -> None:
    value = {"a/b": tw.tensor(1), "a": {"b": tw.tensor(2)}, "a/b~2": tw.tensor(3)}
    text, tensors = pack(value, "t")
    assert len(tensors) == 3
    back = unpack(text, tensors)
    assert [back["a/b"].item(), back["a"]["b"].item(), back["a/b~2"].item()] == [1, 2, 3]


def test_a_parameter_comes_back_as_its_value() -> None:
    w = tw.tensor([1.0], requires_grad=True)
    text, tensors = pack([w], "t")
    assert unpack(text, tensors)[0].requires_grad is False


@pytest.mark.parametrize("value", [np.int64(1), np.ones(2), {1, 2}, b"x", 1j, object()])
def test_what_cannot_be_saved_is_named(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"training/a/0/b: a \S+ cannot be saved; expected"):
        pack({"a": [{"b": value}]}, "training/")


def test_a_missing_tensor_is_named() -> None:
    text, _ = pack({"a": tw.ones(1)}, "t")
    with pytest.raises(CheckpointError, match="t/a"):
        unpack(text, {})


def test_readable() -> None:
    text, tensors = pack({"m": tw.ones(2, 3), "s": tw.tensor(1), "h": [{"e": 1}, {"e": 2}]}, "t")
    shown = json.loads(readable(text, tensors, "a note"))
    assert shown == {
        "note": "a note",
        "m": "<float32, 2 x 3: t/m>",
        "s": "<int64, one element: t/s>",
        "h": [{"e": 1}, {"e": 2}],
    }
