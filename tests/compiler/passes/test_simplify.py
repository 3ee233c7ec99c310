"""Each rewrite of the table, on printed graphs."""

from __future__ import annotations

import pytest

from tests.compiler.passes.running import arrays_for
from thalweg.compiler.interpret import interpret
from thalweg.compiler.parse import parse
from thalweg.compiler.passes.equations.dce import remove_dead_code
from thalweg.compiler.passes.equations.simplify import simplify
from thalweg.compiler.passes.equations.verify import verify

# ruff: noqa: E501  # a row of the table is a line
# fmt: off
REWRITES = {
    "x * 1": ("t0 : f32[3] = multiply(x, 1.0)", "outputs x"),
    "1 * x": ("t0 : f32[3] = multiply(1.0, x)", "outputs x"),
    "x * -1": ("t0 : f32[3] = multiply(x, -1.0)", "t0 : f32[3] = negative(x)"),
    "x / 1": ("t0 : f32[3] = divide(x, 1.0)", "outputs x"),
    "x / 4": ("t0 : f32[3] = divide(x, 4.0)", "t0 : f32[3] = multiply(x, 0.25)"),
    "x - 0": ("t0 : f32[3] = subtract(x, 0.0)", "outputs x"),
    "x + -0.0": ("t0 : f32[3] = add(x, -0.0)", "outputs x"),
    "i + 0": ("t0 : i64[2,2] = add(0, i)", "outputs i"),
    "x + -y": ("t1 : f32[3] = negative(y)\nt0 : f32[3] = add(x, t1)", "t0 : f32[3] = subtract(x, y)"),
    "-y + x": ("t1 : f32[3] = negative(y)\nt0 : f32[3] = add(t1, x)", "t0 : f32[3] = subtract(x, y)"),
    "x - -y": ("t1 : f32[3] = negative(y)\nt0 : f32[3] = subtract(x, t1)", "t0 : f32[3] = add(x, y)"),
    "-(-x)": ("t1 : f32[3] = negative(x)\nt0 : f32[3] = negative(t1)", "outputs x"),
    "not not b": ("t1 : bool[3] = bitwise_not(b)\nt0 : bool[3] = bitwise_not(t1)", "outputs b"),
    "x ** 1": ("t0 : f32[3] = scalar_power[exponent=1](x)", "outputs x"),
    "x ** 2": ("t0 : f32[3] = scalar_power[exponent=2](x)", "t0 : f32[3] = multiply(x, x)"),
    "x ** 0.5": ("t0 : f32[3] = scalar_power[exponent=0.5](x)", "t0 : f32[3] = sqrt(x)"),
    "x ** -1": ("t0 : f32[3] = scalar_power[exponent=-1](x)", "t0 : f32[3] = divide(1.0, x)"),
    "max(x, x)": ("t0 : f32[3] = maximum(x, x)", "outputs x"),
    "where(True)": ("t0 : f32[3] = select(True, x, y)", "outputs x"),
    "where(False)": ("t0 : f32[3] = select(False, x, y)", "outputs y"),
    "where same": ("t0 : f32[3] = select(b, y, y)", "outputs y"),
    "of no element": ("t0 : f32[0] = exp(e)", "t0 : f32[0] = full[shape=(0) value=0 dtype=f32]()"),
    "cast to itself": ("t0 : f32[3] = cast[dtype=f32](x)", "outputs x"),
    "cast of a wider": ("t1 : f64[3] = cast[dtype=f64](x)\nt0 : i32[3] = cast[dtype=i32](t1)",
                        "t0 : i32[3] = cast[dtype=i32](x)"),
    "literals": ("t1 : f32 = multiply(2.0, 3.0)\nt0 : f32[3] = add(x, t1)", "t0 : f32[3] = add(x, 6.0)"),
    "full": ("t1 : f32[3] = full[shape=(3) value=2.0 dtype=f32]()\nt0 : f32[3] = add(x, t1)",
             "t0 : f32[3] = add(x, 2.0)"),
    "full times 1": ("t1 : f32[3] = full[shape=(3) value=1 dtype=f32]()\nt0 : f32[3] = multiply(t1, x)", "outputs x"),
    "exp of full": ("t1 : f32[3] = full[shape=(3) value=0 dtype=f32]()\nt0 : f32[3] = exp(t1)",
                    "t0 : f32[3] = full[shape=(3) value=1.0 dtype=f32]()"),
    "moved full": ("t1 : f32[3] = full[shape=(3) value=2 dtype=f32]()\nt0 : f32[4,3] = broadcast[shape=(4,3)](t1)",
                   "t0 : f32[4,3] = full[shape=(4,3) value=2.0 dtype=f32]()"),
    "broadcast literal": ("t0 : f32[2] = broadcast[shape=(2)](1.5)", "t0 : f32[2] = full[shape=(2) value=1.5 dtype=f32]()"),
    "reshape twice": ("t1 : f32[3,1] = reshape[shape=(3,1)](x)\nt0 : f32[1,3] = reshape[shape=(1,3)](t1)",
                      "t0 : f32[1,3] = reshape[shape=(1,3)](x)"),
    "reshape back": ("t1 : f32[3,1] = reshape[shape=(3,1)](x)\nt0 : f32[3] = reshape[shape=(3)](t1)", "outputs x"),
    "transpose twice": ("t1 : i64[2,2] = transpose[axes=(1,0)](i)\nt0 : i64[2,2] = transpose[axes=(1,0)](t1)", "outputs i"),
    "broadcast twice": ("t1 : f32[1,3] = broadcast[shape=(1,3)](x)\nt0 : f32[2,3] = broadcast[shape=(2,3)](t1)",
                        "t0 : f32[2,3] = broadcast[shape=(2,3)](x)"),
    "slice of all": ("t0 : f32[3] = slice[starts=(0) sizes=(3) steps=(1)](x)", "outputs x"),
    "slice twice": ("t1 : f32[2] = slice[starts=(0) sizes=(2) steps=(2)](x)\nt0 : f32[1] = slice[starts=(1) sizes=(1) steps=(1)](t1)",
                    "t0 : f32[1] = slice[starts=(2) sizes=(1) steps=(2)](x)"),
    "flip back": ("t1 : i64[2,2] = flip[axes=(0,1)](i)\nt0 : i64[2,2] = flip[axes=(1)](t1)", "t0 : i64[2,2] = flip[axes=(0)](i)"),
    "broadcast operand": ("t1 : f32[3] = broadcast[shape=(3)](r)\nt0 : f32[3] = add(x, t1)", "t0 : f32[3] = add(x, r)"),
    "pad by nothing": ("t0 : f32[3] = pad[low=(0) high=(0) inner=(0) value=0](x)", "outputs x"),
    "pad of the same": ("t1 : f32[3] = full[shape=(3) value=2.0 dtype=f32]()\nt0 : f32[5] = pad[low=(1) high=(1) inner=(0) value=2.0](t1)",
                        "t0 : f32[5] = full[shape=(5) value=2.0 dtype=f32]()"),
    "pad of nothing": ("t0 : f32[5] = pad[low=(1) high=(4) inner=(0) value=2.0](e)", "t0 : f32[5] = full[shape=(5) value=2.0 dtype=f32]()"),
    "cat with nothing": ("t0 : f32[3] = concatenate[axis=0](e, x)", "outputs x"),
    "cat of three": ("t0 : f32[6] = concatenate[axis=0](x, e, y)", "t0 : f32[6] = concatenate[axis=0](x, y)"),
    "sum over one": ("t1 : f32[3,1] = reshape[shape=(3,1)](x)\nt0 : f32[3] = sum[axes=(1)](t1)", "outputs x"),
    "sum of nothing": ("t0 : f32 = sum[axes=(0)](e)", "outputs 0.0"),
    "argmax of one": ("t1 : f32[3,1] = reshape[shape=(3,1)](x)\nt0 : i64[3] = argmax[axis=1](t1)",
                      "t0 : i64[3] = full[shape=(3) value=0 dtype=i64]()"),
    "cumsum of one": ("t1 : f32[3,1] = reshape[shape=(3,1)](x)\nt0 : f32[3,1] = cumsum[axis=1](t1)", "t0 : f32[3,1] = reshape[shape=(3,1)](x)"),
    "order of one": ("t0 : i64[1] = argsort[axis=0 descending=False](s)", "t0 : i64[1] = full[shape=(1) value=0 dtype=i64]()"),
    "inner product": ("t0 : f32 = contraction[spec=k,k->](x, y)",
                      "t1 : f32[3] = multiply(x, y)\nt0 : f32 = sum[axes=(0)](t1)"),
    "product of nothing": ("t0 : f32 = contraction[spec=k,k->](e, e)", "outputs 0.0"),
}
KEPT = {
    "x + 0.0 makes 0.0 of -0.0": "t0 : f32[3] = add(x, 0.0)",
    "x * 0 keeps NaN": "t0 : f32[3] = multiply(x, 0.0)",
    "0 - x is not -x": "t0 : f32[3] = subtract(0.0, x)",
    "x / 3": "t0 : f32[3] = divide(x, 3.0)",
    "x - x keeps NaN": "t0 : f32[3] = subtract(x, x)",
    "r * 1 of another shape": "t0 : f32[3] = select(b, r, r)",
    "float64 to float32 and back": "t1 : i32[3] = cast[dtype=i32](x)\nt0 : f32[3] = cast[dtype=f32](t1)",
    "a product of truths": "t0 : bool = contraction[spec=a,a->](b, b)",
    "a transpose": "t0 : i64[2,2] = transpose[axes=(1,0)](i)",
}
# fmt: on
INPUTS = "inputs x: f32[3], y: f32[3], b: bool[3], i: i64[2,2], r: f32, e: f32[0], s: f32[1]"


def spelled(equations: str, result: str = "t0") -> str:
    return f"{INPUTS}\n{equations}\noutputs {result}"


@pytest.mark.parametrize(("before", "after"), REWRITES.values(), ids=REWRITES)
def test_rewrite(before: str, after: str) -> None:
    graph = verify(parse(spelled(before)))
    simplified = verify(remove_dead_code(simplify(graph)))
    expected = f"{INPUTS}\n{after}" if after.startswith("outputs") else spelled(after)
    assert str(simplified) == str(parse(expected))
    arrays = arrays_for(graph)
    (value,), (simple,) = interpret(graph, arrays), interpret(simplified, arrays)
    assert value.dtype == simple.dtype
    assert value.tobytes() == simple.tobytes()


@pytest.mark.parametrize("equations", KEPT.values(), ids=KEPT)
def test_what_is_not_exact_stays(equations: str) -> None:
    graph = parse(spelled(equations))
    assert str(simplify(graph)) == str(graph)
