"""Random programs, as they are and as kernels."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.passes.running import agree
from tests.compiler.programs import random_program
from thalweg.compiler.parse import parse
from thalweg.compiler.passes.equations.verify import verify


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_random_program(seed: int, length: int) -> None:
    program = random_program(seed, length)
    verify(program.graph)
    agree(program.graph, program.arrays, program.updates, within=1e-4)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**31))
def test_random_program_is_printed_and_parsed(seed: int) -> None:
    graph = random_program(seed).graph
    assert str(parse(str(graph))) == str(graph)
