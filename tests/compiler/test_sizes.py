"""Every primitive that loops, at sizes that no vector and no block divides, in each dtype."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.oracle import Native, difference, traced
from tests.table.check import TABLE
from thalweg.compiler.interpret import interpret
from thalweg.primitives import REGISTRY
from thalweg.tape import bind, wrap

SIZES = (0, 1, 2, 3, 5, 7, 15, 16, 17, 31, 33)
DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool")
Array = np.ndarray[Any, Any]

_UNARY = """exp expm1 log log1p sqrt sin cos tan asin acos atan tanh logistic erf negative absolute
    sign floor ceil round trunc isfinite isnan bitwise_not"""
_BINARY = """add subtract multiply divide remainder floor_divide maximum minimum power atan2 equal
    not_equal less less_equal greater greater_equal bitwise_and bitwise_or bitwise_xor shift_left
    shift_right"""
UNARY, BINARY = _UNARY.split(), _BINARY.split()
# Worst distances from NumPy, whose own functions are off by some; the others are exact.
ULP = {
    "float32": dict.fromkeys(UNARY[:14], 4.0) | {"power": 4.0, "atan2": 4.0, "sqrt": 0.0},
    "float64": dict.fromkeys(UNARY[:14], 8.0) | {"power": 8.0, "atan2": 8.0, "sqrt": 0.0},
}


def numbers(shape: Sequence[int], dtype: str, seed: int, low: float | None = None) -> Array:
    """Of all magnitudes, with zeros, ties and, of floats, what is not finite."""
    random = np.random.default_rng([seed, *shape])
    if dtype == "bool":
        return random.random(shape) < 0.5
    if dtype.startswith("float"):
        x = random.standard_normal(shape) * np.exp2(random.integers(-6, 6, shape))
        odd = random.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 0.5, -1.5], shape)
        return np.where(random.random(shape) < 0.15, odd, x).astype(dtype)
    least = 0 if dtype == "uint8" or low is not None else -99
    x = random.integers(least, 99 if low is None else 8, shape)
    if low is None and dtype != "uint8":
        x = np.where(random.random(shape) < 0.1, np.iinfo(dtype).min, x)
    return x.astype(dtype)


def takes(name: str, *dtypes: str) -> bool:
    """Whether a primitive takes these dtypes."""
    try:
        REGISTRY[name].infer(*(np.empty(1, d) for d in dtypes))
    except tw.errors.DTypeError:
        return False
    return True


def agree(fn: Callable[..., Any], names: Sequence[str], arrays: Sequence[Array]) -> None:
    """Check the results of fn(*arrays), each of the primitive of the same place in `names`."""
    trace = traced(fn, *map(wrap, arrays))
    assert len(trace.graph.outputs) == len(names)
    got, wanted = Native(trace.graph)(arrays), interpret(trace.graph, arrays)
    wrong = []
    for name, a, b in zip(names, got, wanted, strict=True):
        if problem := difference(a, b, ulp=ULP.get(str(b.dtype), {}).get(name, 0.0)):
            wrong.append(f"{name} {b.shape}: {problem}")
    assert not wrong, "\n".join(wrong)


def test_all_elementwise_primitives_are_here() -> None:
    rows = {row.name.removeprefix("primitives.") for row in TABLE if "primitives." in row.name}
    assert {*UNARY, *BINARY} <= rows


@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise(dtype: str) -> None:
    unary = [name for name in UNARY if takes(name, dtype)]
    binary = [name for name in BINARY if takes(name, dtype, dtype)]
    arrays = [numbers((n,), dtype, seed) for n in SIZES for seed in range(2)]
    small = [numbers((n,), dtype, 3, low=0) for n in SIZES]

    def fn(*tensors: tw.Tensor) -> list[tw.Tensor]:
        results = []
        for k in range(len(SIZES)):
            a, b, few = tensors[2 * k], tensors[2 * k + 1], tensors[2 * len(SIZES) + k]
            results += [bind(REGISTRY[name], a) for name in unary]
            is_few = ("power", "shift_left", "shift_right")
            results += [
                bind(REGISTRY[n], a, few if n in is_few and dtype[0] != "f" else b) for n in binary
            ]
        return results

    agree(fn, (unary + binary) * len(SIZES), [*arrays, *small])


@pytest.mark.parametrize("dtype", DTYPES)
def test_casts_write_no_more_than_their_elements(dtype: str) -> None:
    """The last vector has one element, which is truncated from a wider one."""
    arrays = [numbers((n,), dtype, n, low=0) for n in (1, 5, 9, 17, 33, 65)]
    if dtype.startswith("float"):
        arrays = [np.abs(np.nan_to_num(a, posinf=1.0, neginf=1.0)) for a in arrays]
    to = [d for d in DTYPES if d != dtype]

    def fn(*tensors: tw.Tensor) -> list[tw.Tensor]:
        return [x.to(getattr(tw, d)) for x in tensors for d in to]

    agree(fn, ["cast"] * len(to) * len(arrays), arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_broadcasting_in_every_position(dtype: str) -> None:
    """Each axis of three: in both operands, in one, in the other, or absent in front."""
    full = (3, 5, 17)
    pairs = []
    for kinds in itertools.product("ab=", repeat=3):
        a = tuple(1 if k == "b" else n for k, n in zip(kinds, full, strict=True))
        b = tuple(1 if k == "a" else n for k, n in zip(kinds, full, strict=True))
        pairs += [(a, b), (a, _bare(b)), (_bare(a), b)]
    arrays = [numbers(shape, dtype, 5) for pair in pairs for shape in pair]
    masks = [numbers(pair[n % 2], "bool", 6) for n, pair in enumerate(pairs)]

    def fn(*tensors: tw.Tensor) -> list[tw.Tensor]:
        results = []
        for n in range(len(pairs)):
            a, b, mask = tensors[2 * n], tensors[2 * n + 1], tensors[2 * len(pairs) + n]
            results += [a - b, a.where(mask, b)]
        return results

    agree(fn, ["subtract", "select"] * len(pairs), [*arrays, *masks])


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


REDUCTIONS = ("sum", "prod", "max", "min")


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_reductions(dtype: str) -> None:
    """Of integers, in any order: no result is rounded."""
    shapes = [*((n, 3) for n in SIZES), *((3, n) for n in SIZES), (2, 17, 3), (5, 1, 33)]
    arrays = [
        np.random.default_rng(n).integers(0 if dtype == "uint8" else -2, 3, shape).astype(dtype)
        for n, shape in enumerate(shapes)
    ]
    steps = [
        (k, name, axes)
        for k, shape in enumerate(shapes)
        for axes in _subsets(len(shape))
        for name in REDUCTIONS
        if takes_axes(name, shape, dtype, axes)
    ]

    def fn(*tensors: tw.Tensor) -> list[tw.Tensor]:
        return [bind(REGISTRY[name], tensors[k], axes=axes) for k, name, axes in steps]

    agree(fn, [name for _, name, _ in steps], arrays)


def takes_axes(name: str, shape: Sequence[int], dtype: str, axes: tuple[int, ...]) -> bool:
    try:
        REGISTRY[name].infer(np.empty(shape, dtype), axes=axes)
    except tw.errors.ThalwegError:
        return False
    return True


def _subsets(rank: int) -> list[tuple[int, ...]]:
    return [s for n in range(rank + 1) for s in itertools.combinations(range(rank), n)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_along_an_axis(dtype: str) -> None:
    """The place of an extremum, the order, the running sum: with ties, and NaN."""
    shapes = [*((n, 3) for n in SIZES[1::2]), *((3, n) for n in SIZES[2::2]), (2, 17, 3)]
    arrays = [numbers(shape, dtype, 8) for shape in shapes]
    summed = arrays if dtype != "bool" else []
    whole = [np.nan_to_num(np.rint(a), posinf=5, neginf=-5).astype(dtype) for a in summed]
    steps: list[tuple[int, str, dict[str, Any]]] = []
    for k, shape in enumerate(shapes):
        for axis in range(len(shape)):
            steps += [(k, name, {"axis": axis}) for name in ("argmax", "argmin")]
            steps += [(k, "argsort", {"axis": axis, "descending": d}) for d in (False, True)]
            if whole:
                steps.append((len(shapes) + k, "cumsum", {"axis": axis}))

    def fn(*tensors: tw.Tensor) -> list[tw.Tensor]:
        return [bind(REGISTRY[name], tensors[k], **given) for k, name, given in steps]

    agree(fn, [name for _, name, _ in steps], [*arrays, *whole])
