"""assert_close draws the line where PyTorch does, for every element type."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import thalweg
from tests.reference.both import BOTH


def passes(tw: Any, *given: Any, **options: Any) -> bool:
    """Whether assert_close lets that pass."""
    try:
        tw.testing.assert_close(*given, **options)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "uint8"])
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0])
def test_tolerances(dtype: str, size: float) -> None:
    found: list[list[bool]] = []
    for tw in BOTH:
        kind = getattr(tw, dtype)
        expected = tw.tensor([size], dtype=tw.float64)
        steps = [0.0, 1e-8, 2e-7, 5e-6, 2e-5, 1.2e-4, 1e-3, 0.02, 0.5, 1.0]
        pairs = [((expected + step).to(kind), expected.to(kind)) for step in steps]
        found.append([passes(tw, *pair) for pair in pairs])
    assert found[0] == found[1]
    assert found[0][0]
    assert not found[0][-1] or (size == 100 and dtype == "bfloat16")


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ((1.0, 1.0 + 5e-8), {}),
        ((1.0, 1.0 + 5e-7), {}),
        ((1, 1.0), {}),
        ((1, 1.0), {"check_dtype": False}),
        (([1.0, 2.0], (1.0, 2.0)), {}),
        (({"a": 1}, {"a": 1}), {}),
        (({"a": 1}, {}), {}),
        ((float("nan"), float("nan")), {}),
        ((float("nan"), float("nan")), {"equal_nan": True}),
        ((float("inf"), float("inf")), {}),
        ((1.0, 1.4), {"rtol": 0.0, "atol": 0.5}),
    ],
    ids=str,
)
def test_plain_values(given: tuple[Any, ...], options: dict[str, Any]) -> None:
    assert passes(thalweg, *given, **options) == passes(torch, *given, **options)
