"""The judge of random programs: what it lets pass, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.rounding import complaint
from thalweg.compiler.interpret import interpret
from thalweg.compiler.parse import parse

ROUNDED = """
inputs x: f32[33]
t0 : f32[33] = exp(x)
t1 : f32 = sum[axes=(0)](t0)
outputs t1, t0
"""
EXACT = """
inputs i: f32[33], k: i64[33]
t0 : f32 = sum[axes=(0)](i)
t1 : i64[33] = multiply(k, 3)
outputs t0, t1
"""


def inputs(text: str) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    if text is ROUNDED:
        return [random.standard_normal(33).astype(np.float32)]
    return [random.integers(-9, 9, 33).astype(np.float32), random.integers(-9, 9, 33)]


def verdict(text: str, output: int, change: float) -> str:
    """On outputs of which one is off by a relative change, or by 1."""
    graph, arrays = parse(text), inputs(text)
    wanted = interpret(graph, arrays)
    got = [a.copy() for a in wanted]
    got[output] = np.asarray(got[output] * (1 + change)).astype(wanted[output].dtype)
    return complaint(graph, arrays, got, wanted)


@pytest.mark.parametrize("output", [0, 1])
def test_a_rounding_passes_and_an_error_does_not(output: int) -> None:
    assert not verdict(ROUNDED, output, 0)
    assert not verdict(ROUNDED, output, 3e-7)
    assert f"output {output}" in verdict(ROUNDED, output, 1e-4)


@pytest.mark.parametrize("output", [0, 1])
def test_where_nothing_rounds_nothing_passes(output: int) -> None:
    assert not verdict(EXACT, output, 0)
    assert f"output {output}" in verdict(EXACT, output, 3e-7 if output == 0 else 0.5)


def test_nan_and_shape() -> None:
    graph, arrays = parse(ROUNDED), inputs(ROUNDED)
    wanted = interpret(graph, arrays)
    odd = wanted[1].copy()
    odd[5] = np.nan
    assert "(5,): " in complaint(graph, arrays, [wanted[0], odd], wanted)
    assert "instead of" in complaint(graph, arrays, [wanted[0], odd[:4]], wanted)


def test_what_jumps_by_a_rounding_passes() -> None:
    graph = parse("inputs x: f32[1]\nt0 : f32[1] = exp(x)\nt1 : f32[1] = floor(t0)\noutputs t1")
    three, two = np.float32([3]), np.float32([2])
    assert not complaint(graph, [np.log(three)], [two], [three])
    assert complaint(graph, [np.float32([1.2])], [two], [three])
