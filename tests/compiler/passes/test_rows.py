"""Every row of the op table as a plan, at odd sizes, against the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.passes.running import agree, example
from thalweg.compiler.graph import Equation, Graph, Variable
from thalweg.compiler.passes.operations import ELEMENTWISE, HEAVY, MOVEMENT, SOURCES
from thalweg.errors import ThalwegError
from thalweg.primitives import REGISTRY

F32, F64, I64, I32, U8, U32, BOOL = map(
    np.dtype, ("float32", "float64", "int64", "int32", "uint8", "uint32", "bool")
)
ARITY = {"select": 3, "scalar_power": 1, "cast": 1}
# fmt: off
UNARY = frozenset((
    "negative", "absolute", "sign", "floor", "ceil", "round",
    "trunc", "exp", "expm1", "log", "log1p", "sqrt",
    "sin", "cos", "tan", "asin", "acos", "atan",
    "tanh", "logistic", "erf", "isfinite", "isnan", "bitwise_not",
    "cast", "scalar_power",
))
# fmt: on
SHAPES = [
    [(), ()],
    [(3,), ()],
    [(2, 1, 5), (3, 1)],
    [(1, 7), (7, 1)],
    [(0, 3), (3,)],
    [(2, 3, 4), (2, 3, 4)],
]


def single(name: str, inputs: list[Any], **attributes: Any) -> None:
    """Run one equation over `inputs`, arrays, both ways."""
    variables = [Variable(x.shape, x.dtype) for x in inputs]
    op = REGISTRY[name]
    output = Variable(*op.infer(*variables, **attributes))
    graph = Graph(variables, [Equation(op, tuple(variables), output, attributes)], [output])
    agree(graph, inputs, {}, within=2e-5)


def test_every_row_has_a_family() -> None:
    known = (
        ELEMENTWISE | MOVEMENT | SOURCES | HEAVY | {"gather", "concatenate", "pad", "item", "hold"}
    )
    assert set(REGISTRY) - known == set(), "say in operations.py how the compiler computes it"
    assert known - set(REGISTRY) == set()


@pytest.mark.parametrize("dtype", [F32, F64, I64, I32, U8, U32, BOOL], ids=str)
@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_elementwise(name: str, dtype: np.dtype[Any]) -> None:
    generator = np.random.default_rng(0)
    attributes: dict[str, Any] = {}
    if name == "cast":
        attributes = {"dtype": F64 if dtype == F32 else F32}
    if name == "scalar_power":
        attributes = {"exponent": 3}
    tried = 0
    for shapes in SHAPES:
        first, second = (example(generator, shape, dtype) for shape in shapes)
        inputs = [first] if name in UNARY else [first, second]
        if name == "select":
            inputs = [example(generator, shapes[1], BOOL), first, second]
        try:
            REGISTRY[name].infer(*inputs, **attributes)
        except ThalwegError:
            continue
        single(name, inputs, **attributes)
        tried += 1
    assert tried in (0, len(SHAPES))


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (1, 3), (17, 1)])
@pytest.mark.parametrize(
    "name", ["sum", "prod", "max", "min", "argmax", "argmin", "cumsum", "argsort"]
)
def test_reductions(name: str, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    for dtype in (F32, F64, I64, U8):
        x = example(generator, shape, dtype)
        for axis in range(len(shape)):
            if name in ("sum", "prod", "max", "min"):
                single(name, [x], axes=(axis,))
                single(name, [x], axes=tuple(range(axis + 1)))
            elif name == "argsort":
                single(name, [x], axis=axis, descending=bool(axis % 2))
            else:
                single(name, [x], axis=axis)


def test_nan_in_reductions() -> None:
    x = np.float32([[1, np.nan, 3], [np.nan, 2, np.nan], [5, 4, 5]])
    for name in ("sum", "prod", "max", "min"):
        single(name, [x], axes=(1,))
    for name in ("argmax", "argmin"):
        single(name, [x], axis=1)
    single("argsort", [x], axis=1, descending=False)


CONTRACTIONS = {
    "mk,nk->mn": [(5, 3), (7, 3)],
    "mk,kn->nm": [(5, 3), (3, 7)],
    "km,kn->mn": [(3, 5), (3, 7)],
    "k,k->": [(9,), (9,)],
    "mk,k->m": [(5, 3), (3,)],
    "m,n->mn": [(5,), (7,)],
    "bmk,bkn->bmn": [(2, 5, 3), (2, 3, 7)],
    "abmk,mk->abm": [(2, 3, 1, 4), (1, 4)],
    "abk,kn->abn": [(2, 3, 4), (4, 5)],
    "ijk,ijk->": [(2, 3, 4), (2, 3, 4)],
    "ia,jb->bija": [(2, 3), (4, 5)],
    "i,i->i": [(4,), (4,)],
    "mk,nk->nm": [(1, 3), (7, 3)],
}


@pytest.mark.parametrize(("spec", "shapes"), CONTRACTIONS.items(), ids=CONTRACTIONS)
def test_contraction(spec: str, shapes: list[tuple[int, ...]]) -> None:
    generator = np.random.default_rng(0)
    for dtype in (F32, F64, I64):
        single("contraction", [example(generator, shape, dtype) for shape in shapes], spec=spec)


def test_movement() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    single("reshape", [x], shape=(4, 6))
    single("transpose", [x], axes=(2, 0, 1))
    single("broadcast", [x[:1]], shape=(5, 2, 3, 4))
    single("slice", [x], starts=(0, 1, 1), sizes=(2, 2, 2), steps=(1, 1, 2))
    single("flip", [x], axes=(0, 2))
    single("pad", [x], low=(1, 0, 2), high=(0, 1, 0), inner=(0, 2, 1), value=-1.5)
    single("concatenate", [x, x, x[:, :2]], axis=1)
    single("slice", [x], starts=(0, 0, 0), sizes=(2, 0, 4), steps=(1, 1, 1))


def test_places() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    i, j = np.int64([[0], [-1]]), np.int32([3, 0, -2])
    single("gather", [x, i, j], axes=(0, 2), wrap=True)
    single("gather", [x, np.uint8([2, 2, 0, 1])], axes=(1,), wrap=False)
    single("gather", [x, np.int64([])], axes=(1,), wrap=False)
    updates = np.ones((2, 3, 3), np.float32)
    single("scatter_add", [updates, i, j], shape=(2, 3, 4), axes=(0, 2), wrap=True)
    single("scatter_add", [np.ones((5, 2), np.int64), np.int64([0, 2, 2, 0, 2])],
           shape=(2, 3), axes=(1,), wrap=False)  # fmt: skip


def test_sources() -> None:
    single("iota", [], shape=(3, 4), axis=1, dtype=F32)
    single("iota", [], shape=(3, 1), axis=1, dtype=I32)
    single("full", [], shape=(3, 4), value=2, dtype=U8)
    for shape in ((), (1,), (5, 7), (2, 16)):
        single("random_bits", [np.int64(2**40 + 3), np.int64(2**33)], shape=shape)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_storage_types(name: str) -> None:
    import thalweg as tw

    dtype = tw.dtypes.as_dtype(name).numpy
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    single("cast", [x], dtype=dtype)
    stored = REGISTRY["cast"].evaluate(x, dtype=dtype)
    single("cast", [stored], dtype=F32)
    single("transpose", [stored], axes=(1, 0))


WINDOWS = {
    "one axis": ((11,), (3,), (2,), (1,)),
    "apart": ((12,), (2,), (4,), (1,)),
    "tiles": ((2, 6, 8), (2, 2), (2, 2), (1, 1)),
    "tiles and a rest": ((7, 8), (2, 2), (2, 2), (1, 1)),
    "overlapping": ((2, 3, 7, 8), (3, 3), (1, 1), (1, 1)),
    "dilated": ((2, 9, 8), (3, 2), (2, 1), (2, 3)),
    "dilated and apart": ((12,), (2,), (5,), (3,)),
    "one element": ((4, 4), (1, 1), (1, 1), (1, 1)),
}


@pytest.mark.parametrize(("shape", "sizes", "strides", "dilations"), WINDOWS.values(), ids=WINDOWS)
def test_windows(
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> None:
    x = example(np.random.default_rng(0), shape, F32)
    how: dict[str, Any] = {"strides": strides, "dilations": dilations}
    single("windows", [x], sizes=sizes, **how)
    y = np.ascontiguousarray(REGISTRY["windows"].evaluate(x, sizes=sizes, **how))
    single("overlap_add", [y], shape=shape[len(shape) - len(sizes) :], **how)


@pytest.mark.parametrize(("low", "high"), [((0, 1, 1), (0, 1, 1)), ((0, 0, 3), (2, 0, 0))])
def test_wide_padding_fills_only_the_border(low: tuple[int, ...], high: tuple[int, ...]) -> None:
    x = example(np.random.default_rng(0), (4, 64, 70), F32)
    single("pad", [x], low=low, high=high, inner=(0, 0, 0), value=-0.5)
