"""Sums of padded values: written where they belong, exactly as if they had been added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpret import interpret
from thalweg.compiler.parse import parse
from thalweg.compiler.passes import optimize

PAD = "pad[low=(0,{}) high=(0,{}) inner=(0,0) value=0]"


def program(*lines: str) -> str:
    given = "inputs a: f32[2,3], b: f32[2,2], g: f32[2,7]"
    return "\n".join([given, *lines])


def pieces(a: tuple[int, int], b: tuple[int, int]) -> list[str]:
    return [f"p : f32[2,7] = {PAD.format(*a)}(a)", f"q : f32[2,7] = {PAD.format(*b)}(b)"]


def optimized(text: str) -> list[str]:
    """The operations of a program after all passes, which compute the same bits."""
    graph = parse(text)
    generator = np.random.default_rng(0)
    arrays = [generator.choice([0.0, -0.0, 1.5, -2.0], v.shape) for v in graph.inputs]
    arrays = [array.astype(np.float32) for array in arrays]
    smaller = optimize(graph)
    before, after = interpret(graph, arrays), interpret(smaller, arrays)
    assert [x.tobytes() for x in before] == [x.tobytes() for x in after]
    return [e.op.name for e in smaller.equations]


def test_side_by_side() -> None:
    text = program(*pieces((4, 0), (0, 5)), "t : f32[2,7] = p + q", "outputs t")
    assert sorted(optimized(text)) == ["add", "add", "concatenate", "full"]


@pytest.mark.parametrize("order", ["p + g|t + q", "g + p|q + t", "p + q|t + g"])
def test_beside_one_other(order: str) -> None:
    first, second = order.split("|")
    lines = [f"t : f32[2,7] = {first}", f"u : f32[2,7] = {second}", "outputs u"]
    assert "pad" not in optimized(program(*pieces((0, 4), (3, 2)), *lines))


@pytest.mark.parametrize(
    "lines",
    [
        [*pieces((0, 4), (2, 3)), "t : f32[2,7] = p + q", "outputs t"],  # they overlap
        [pieces((0, 4), (3, 2))[0], "t : f32[2,7] = p + g", "outputs t"],
        [
            *pieces((0, 4), (3, 2)),
            "t : f32[2,7] = p + g",
            "u : f32[2,7] = exp(g)",
            "v : f32[2,7] = t + u",
            "w : f32[2,7] = v + q",
            "outputs w",
        ],
    ],
)
def test_what_stays(lines: list[str]) -> None:
    assert "pad" in optimized(program(*lines))


def test_the_gradient_of_a_split_is_written_in_place() -> None:
    w = tw.randn(4, 6, requires_grad=True)

    def run(x: Any) -> Any:
        a, b, c = (x @ w).chunk(3, 1)
        return tw.autograd.grad((a * b.exp() + c.tanh()).sum(), w)[0]

    x = tw.randn(5, 4)
    names = [e.op.name for e in optimize(tw.trace(run, x)).equations]
    assert "pad" not in names
    assert "concatenate" in names
    assert tw.allclose(tw.compile(run)(x), run(x), atol=1e-6)
