"""Verification, common sub-expressions, dead code, the parser and the interpreter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.compiler.graph import Variable
from thalweg.compiler.interpret import interpret
from thalweg.compiler.parse import parse
from thalweg.compiler.passes.equations.cse import share_common
from thalweg.compiler.passes.equations.dce import remove_dead_code
from thalweg.compiler.passes.equations.verify import verify
from thalweg.errors import ShapeError, TraceError

TEXT = """\
inputs x: f32[4,3], y: f32[3], i: i64[2], b: bool[4,3], k: i64
t1 : f32[4,3] = x + y
t2 : f32[2,3] = gather[axes=(0) wrap=True](t1, i)
t3 : f64[2,3] = cast[dtype=f64](t2)
t4 : f32[4]   = contraction[spec=ab,b->a](t1, y)
t5 : f32[4,3] = select(b, -1.5, t1)
t6 : i64[4]   = argmax[axis=1](t5)
t7 : u32[8]   = random_bits[shape=(8)](k, 0)
t8 : f32[4,3] = full[shape=(4,3) value=nan dtype=f32]()
t9 : f32[4,3] = t8 ** -0.5
outputs t3, t4, t6, t7, t9, x, 2.5"""


def test_what_is_printed_can_be_parsed() -> None:
    assert str(parse(TEXT)) == TEXT
    verify(parse(TEXT))


def test_what_is_no_equation_cannot() -> None:
    with pytest.raises(TraceError, match="no equation: 'x plus y'"):
        parse("inputs x: f32\nx plus y")


def test_interpreter() -> None:
    graph = parse("inputs x: f32[2], y: f32[2]\nt1 : f32[2] = x / y\noutputs t1, x, 1")
    x, y = np.float32([1, -1]), np.float32([0, 2])
    quotient, same, one = interpret(graph, [x, y])
    assert quotient.tolist() == [np.inf, -0.5]
    assert same is x
    assert (one.shape, one.dtype) == ((), np.int64)
    with pytest.raises(ShapeError, match=r"input 1 is f32\[2\], got float32 of shape \(3,\)"):
        interpret(graph, [x, np.zeros(3, np.float32)])


WRONG = {
    "shape": ("inputs x: f32[3]\nt1 : f32[4] = exp(x)\noutputs t1", r"gives f32\[3\]"),
    "dtype": ("inputs x: f32[3]\nt1 : f32[3] = equal(x, x)\noutputs t1", r"gives bool\[3\]"),
    "rule": (
        "inputs x: f32[3], y: f32[2]\nt1 : f32[3] = x + y\noutputs t1",
        "do not broadcast",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_types_are_checked(text: str, message: str) -> None:
    with pytest.raises((TraceError, ShapeError), match=message):
        verify(parse(text))


def test_variables_are_checked() -> None:
    graph = parse("inputs x: f32\nt1 : f32 = exp(x)\nt2 : f32 = log(t1)\noutputs t2")
    first, second = graph.equations
    with pytest.raises(TraceError, match=r"equation 0, log: .* before it is assigned"):
        verify(replace(graph, equations=[second, first]))
    with pytest.raises(TraceError, match="assigned twice"):
        verify(replace(graph, equations=[first, first, second]))
    with pytest.raises(TraceError, match="output 0: .* before it is assigned"):
        verify(replace(graph, outputs=[Variable((), np.dtype(np.float32))]))


def test_equal_equations_are_shared() -> None:
    graph = parse("""
        inputs x: f32[3], k: i64
        t1 : f32[3] = exp(x)
        t2 : f32[3] = exp(x)
        t3 : f32[3] = t1 + 0.0
        t4 : f32[3] = -0.0 + t2
        t5 : f32[3] = 0.0 + t2
        t6 : u32[4] = random_bits[shape=(4)](k, 0)
        t7 : u32[4] = random_bits[shape=(4)](k, 0)
        t8 : u32[4] = random_bits[shape=(4)](k, 1)
        outputs t3, t4, t5, t6, t7, t8""")
    assert (
        str(share_common(graph))
        == """\
inputs x: f32[3], k: i64
t1 : f32[3] = exp(x)
t2 : f32[3] = t1 + 0.0
t3 : f32[3] = -0.0 + t1
t4 : u32[4] = random_bits[shape=(4)](k, 0)
t5 : u32[4] = random_bits[shape=(4)](k, 1)
outputs t2, t3, t2, t4, t4, t5"""
    )


def test_derivative_of_relu_reads_its_result() -> None:
    graph = parse("""
        inputs x: f32[3]
        t1 : bool[3] = greater(x, 0.0)
        t2 : f32[3]  = maximum(x, 0.0)
        t3 : bool[3] = greater(x, 0.0)
        t4 : bool[3] = greater(x, 1.0)
        t5 : bool[3] = less(x, 0.0)
        outputs t1, t2, t4, t5""")
    read = share_common(graph)
    assert [e.inputs[0] in read.inputs for e in read.equations] == [True, True, True, True]
    later = replace(graph, equations=graph.equations[1:], outputs=[graph.equations[2].output])
    assert "greater(t1, 0.0)" in str(share_common(later))


def test_dead_code_goes() -> None:
    graph = parse("""
        inputs x: f32[3]
        t1 : f32[3] = exp(x)
        t2 : f32[3] = log(x)
        t3 : f32[3] = sin(t1)
        outputs t2""")
    assert str(remove_dead_code(graph)) == "inputs x: f32[3]\nt1 : f32[3] = log(x)\noutputs t1"
