"""assert_close: what it lets pass, and what it says of what it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.testing import assert_close

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (tw.tensor([1.0, INF, -INF]), tw.tensor([1.0, INF, -INF]), {}),
        (tw.tensor([NAN]), tw.tensor([NAN]), {"equal_nan": True}),
        (tw.tensor([1]), tw.tensor([1.0]), {"check_dtype": False}),
        (tw.tensor([1.0]).half(), tw.tensor([1.0005]).half(), {}),
        (tw.tensor([1.0]).bfloat16(), tw.tensor([1.008]).bfloat16(), {}),
        (tw.zeros(0, 2), tw.zeros(0, 2), {}),
        (np.ones(2), np.ones(2), {}),
        ({"a": [1.0, (2, None)]}, {"a": [1.0, (2, None)]}, {}),
        (tw.tensor([1.0], requires_grad=True), tw.tensor([1.05]), {"rtol": 0.1, "atol": 0.0}),
        (2**62 + 1, 2**62 + 1, {}),
        (np.float32(1), np.float32(1), {}),
    ],
    ids=str,
)
def test_close(actual: Any, expected: Any, options: dict[str, Any]) -> None:
    assert_close(actual, expected, **options)


@pytest.mark.parametrize(
    ("actual", "expected", "options", "said"),
    [
        (tw.ones(2), tw.ones(3), {}, r"shape \(2,\), expected \(3,\)"),
        (tw.ones(2), tw.ones(2).double(), {}, r"thalweg\.float32, expected thalweg\.float64"),
        (tw.tensor([NAN]), tw.tensor([NAN]), {}, "1 of 1 elements differ"),
        (tw.tensor([INF]), tw.tensor([1.0]), {}, r"difference: inf at \(0,\)"),
        (tw.tensor([1.0]), tw.tensor([INF]), {"rtol": 1.0, "atol": 1.0}, "1 of 1"),
        (tw.tensor([1, 2, 4]), tw.tensor([1, 2, 3]), {}, r"at \(2,\): 4, expected 3"),
        (2**62 + 1, 2**62, {}, "4611686018427387905, expected 4611686018427387904"),
        (1.0, 1.1, {}, "they differ by 0.1, allowed 1e-07"),
        (1, 1.0, {}, r"int64, expected thalweg\.float64"),
        (1.0, tw.tensor(1.0), {}, "a number, expected a tensor"),
        ([1.0], [1.0, 2.0], {}, "1 values, expected 2"),
        ({"a": 1}, {"b": 1}, {}, r"missing \['b'\], unexpected \['a'\]"),
        ({"a": [1, 2]}, {"a": [1, 3]}, {}, r"at \['a'\]\[1\]: 2, expected 3"),
        (None, 1.0, {}, r"None, expected 1\.0"),
        ("a", "a", {}, "str is no tensor, array or number: 'a'"),
        (1.0, 2.0, {"msg": "no"}, "^no$"),
        (1.0, 2.0, {"msg": lambda text: f"here: {text}"}, r"^here: 1\.0, expected 2\.0"),
    ],
)
def test_not_close(actual: Any, expected: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        assert_close(actual, expected, **options)


def test_the_message_lists_a_few() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_close(tw.zeros(3, 4), tw.ones(3, 4))
    lines = str(caught.value).splitlines()
    assert lines[0] == "12 of 12 elements differ (100.0%)"
    assert lines[3:] == [*(f"  at {p}: 0.0, expected 1.0" for p in PLACES), "  ..."]


PLACES = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"rtol": 1.0}, "rtol is given alone"), ({"rtol": -1.0, "atol": 0.0}, "rtol=-1.0; expected")],
)
def test_tolerances_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        assert_close(1.0, 1.0, **options)
