"""Scatter, sort and cumulative-sum kernels against NumPy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.compiler.native import WIDTHS, Compiled, of_width
from tests.compiler.slow import run_scatter
from thalweg.compiler.kernels import (
    Access,
    Buffer,
    Indirect,
    Scalar,
    Scan,
    Scatter,
    Sort,
    Store,
    View,
)
from thalweg.compiler.lower import lower
from thalweg.compiler.machine import host
from thalweg.primitives.core import REGISTRY

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)
NUMBERS = [np.dtype(t) for t in ("f4", "f8", "i4", "i8", "u1", "u4")]


def numbers(size: int, dtype: Any, seed: int = 0) -> Any:
    """Many equal ones, and every special one."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        x = (3 * rng.standard_normal(size)).round().astype(dtype)
        for place, special in enumerate([np.nan, -0.0, np.inf, -np.inf, 0.0]):
            x[place::11] = special
        return x
    if dtype.kind == "b":
        return rng.random(size) < 0.5
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, size, dtype=dtype, endpoint=True)
    x[::3] = rng.integers(0, 4, len(x[::3]))
    return x


def scattered(
    space: tuple[int, ...], strides: tuple[int, ...], index_strides: tuple[int, ...], rows: int,
    width: int, dtype: Any, wrap: bool, seed: int = 0,
) -> tuple[Scatter, dict[Buffer, Any]]:  # fmt: skip
    """target[index, ..] += update, with an index at `index_strides`, rows of `width`."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(space))
    dense = tuple(int(np.prod(space[axis + 1 :])) for axis in range(len(space)))
    updates = Buffer("updates", count, dtype, "input")
    indices = Buffer("indices", count, I64, "input")
    target = Buffer("target", rows * width + 3, dtype, "output")
    kernel = Scatter(
        space,
        (
            Scalar("load", (), dtype, {"access": Access(updates, 0, dense)}),
            Scalar("load", (), I64, {"access": Access(indices, 0, index_strides)}),
            Scalar("add", (0, 0), dtype),
        ),
        Store(2, Access(target, 3, strides, (Indirect(1, width, rows, wrap),))),
        rows * width + 3,
    )
    values = rng.standard_normal(count) * 8
    arrays = {
        updates: np.abs(values).astype(dtype),
        indices: rng.integers(-rows if wrap else 0, rows, count),
        target: np.ones(rows * width + 3, dtype),
    }
    return kernel, arrays


CASES = [
    ((50, 20), (0, 1), (1, 0), 10, 20),  # rows of an embedding
    ((50, 1), (0, 1), (1, 0), 10, 1),
    ((37,), (0,), (1,), 5, 1),  # labels: one element a point
    ((6, 7), (0, 0), (7, 1), 9, 1),
    ((20, 6), (1, 0), (0, 1), 4, 20),  # the unit stride is not innermost
    ((4, 5, 3), (0, 3, 1), (1, 0, 0), 6, 15),
    ((4, 3, 33), (0, 33, 1), (1, 0, 0), 6, 99),
    ((9, 3), (0, 2), (1, 0), 5, 6),
    ((0, 4), (0, 1), (1, 0), 5, 4),
    ((), (), (), 3, 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("bits", WIDTHS)
def test_scatter(case: Any, bits: int) -> None:
    others = NUMBERS[1 + WIDTHS.index(bits) :: 3]
    for dtype, wrap in [(F32, False), *((dtype, True) for dtype in others)]:
        kernel, arrays = scattered(*case, dtype, wrap)
        expected = {b: a.copy() for b, a in arrays.items()}
        assert not run_scatter(kernel, expected)
        assert not Compiled(kernel, of_width(bits))(arrays)
        for buffer, array in arrays.items():
            np.testing.assert_array_equal(array, expected[buffer])


@pytest.mark.parametrize("width", [64, 200])
def test_scatter_by_columns_in_any_order(width: int) -> None:
    rng = np.random.default_rng(0)
    updates = Buffer("updates", 5000 * width, F32, "input")
    indices = Buffer("indices", 5000, I64, "input")
    target = Buffer("target", 40 * width, F32, "output")
    load = Scalar("load", (), F32, {"access": Access(updates, 0, (width, 1))})
    row = Scalar("load", (), I64, {"access": Access(indices, 0, (1, 0))})
    store = Store(0, Access(target, 0, (0, 1), (Indirect(1, width, 40, True),)))
    kernel = Scatter((5000, width), (load, row), store, 40 * width)
    arrays = {
        updates: rng.standard_normal(5000 * width).astype("f4"),
        indices: rng.integers(-40, 40, 5000),
        target: np.ones(40 * width, "f4"),
    }
    expected = {b: a.copy() for b, a in arrays.items()}
    run_scatter(kernel, expected)
    code = Compiled(kernel)
    blocks = code.lowered.blocks
    assert blocks > 1
    assert not code(arrays, [(n, n + 1) for n in reversed(range(blocks))])
    np.testing.assert_array_equal(arrays[target], expected[target])


# Space, its order in the updates, the target's strides, those of the index, its stride and size.
STRETCHES = {
    "the index in front": ((9, 50, 40, 7), (1, 2, 3, 0), (0, 880, 22, 3), (1, 0, 0, 0), 1, 4),
    "an index of every point": ((200, 60, 5), (0, 1, 2), (300, 5, 0), (300, 5, 1), 1, 5),
    "vectors inside": ((300, 6, 40), (0, 1, 2), (320, 0, 1), (6, 1, 0), 40, 8),
    "the first axis inside": (
        (50, 400, 3),
        (1, 2, 0),
        (7, 350, 0),
        (1, 50, 20_000),
        1,
        7,
    ),
    "room between": ((300, 20, 9), (0, 1, 2), (90, 4, 0), (20, 1, 0), 1, 3),
}


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("case", STRETCHES)
def test_scatter_into_stretches_in_any_order(case: str, bits: int) -> None:
    space, order, strides, index, step, size = STRETCHES[case]
    rng = np.random.default_rng(0)
    count = int(np.prod(space))
    beside = [0] * len(space)
    reach = 1
    for axis in reversed(order):
        beside[axis], reach = reach, reach * space[axis]
    most = max(zip(strides, space, strict=True))
    updates = Buffer("updates", count, F32, "input")
    indices = Buffer("indices", 60_000, I64, "input")
    target = Buffer("target", most[0] * most[1], F32, "output")
    load = Scalar("load", (), F32, {"access": Access(updates, 0, tuple(beside))})
    place = Scalar("load", (), I64, {"access": Access(indices, 0, index)})
    store = Store(0, Access(target, 0, strides, (Indirect(1, step, size, True),)))
    kernel = Scatter(space, (load, place), store, target.size)
    arrays = {
        updates: rng.standard_normal(count).astype("f4"),
        indices: rng.integers(-size, size, indices.size),
        target: np.ones(target.size, "f4"),
    }
    expected = {b: a.copy() for b, a in arrays.items()}
    run_scatter(kernel, expected)
    code = Compiled(kernel, of_width(bits))
    blocks = code.lowered.blocks
    assert not code(arrays, [(n, n + 1) for n in reversed(range(blocks))])
    np.testing.assert_array_equal(arrays[target], expected[target])


def test_a_large_scatter_into_stretches_is_shared() -> None:
    updates = Buffer("updates", 2_000_000, F32, "input")
    indices = Buffer("indices", 2_000_000, I64, "input")
    target = Buffer("target", 1_000_000, F32, "output")
    load = Scalar("load", (), F32, {"access": Access(updates, 0, (1, 200_000))})
    place = Scalar("load", (), I64, {"access": Access(indices, 0, (1, 200_000))})
    store = Store(0, Access(target, 0, (5, 0), (Indirect(1, 1, 5, False),)))
    assert lower(Scatter((200_000, 10), (load, place), store, 1_000_000), "s", host()).blocks > 8


@pytest.mark.parametrize("bad", [-1, 10, -(2**63), 2**40])
def test_scatter_outside_adds_to_the_first_and_says_so(bad: int) -> None:
    kernel, arrays = scattered(CASES[0][0], *CASES[0][1:], F32, wrap=False)
    arrays[list(arrays)[1]][7] = bad
    expected = {b: a.copy() for b, a in arrays.items()}
    assert run_scatter(kernel, expected)
    assert Compiled(kernel)(arrays)
    target = kernel.store.access.buffer
    np.testing.assert_array_equal(arrays[target], expected[target])


def views(shape: tuple[int, ...], dtype: Any, transposed: bool) -> tuple[View, View, int]:
    """A source, its axes turned round in memory or not, and a dense int64 target."""
    size = int(np.prod(shape))
    dense = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    turned = tuple(int(np.prod(shape[:axis])) for axis in range(len(shape)))
    source = View(Buffer("source", size, dtype, "input"), 0, shape, turned if transposed else dense)
    return source, View(Buffer("target", size, I64, "output"), 0, shape, dense), size


SHAPES = [(1,), (2,), (48,), (49,), (300,), (3, 7), (5, 60), (2, 3, 50), (0,), (0, 5), (5, 0)]


@pytest.mark.parametrize("dtype", [*NUMBERS, np.dtype("?")], ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable_with_nan_largest(dtype: Any, descending: bool) -> None:
    for number, shape in enumerate(SHAPES):
        transposed = number % 2 == descending
        source, target, size = views(shape, dtype, transposed)
        x, order = numbers(size, dtype), np.full(size, -1, np.int64)
        Compiled(Sort(source, target, descending))({source.buffer: x, target.buffer: order})
        tensor = x.reshape(shape[::-1]).T if transposed else x.reshape(shape)
        argsort = REGISTRY["argsort"].evaluate
        expected = argsort(tensor, axis=len(shape) - 1, descending=descending)
        np.testing.assert_array_equal(order.reshape(shape), expected)


def test_sort_row_by_row_in_any_order() -> None:
    source, target, size = views((40, 3000), F32, False)
    x, order = numbers(size, F32), np.full(size, -1, np.int64)
    code = Compiled(Sort(source, target, False))
    assert code.lowered.blocks > 3
    parts = [(n, n + 1) for n in reversed(range(code.lowered.blocks))]
    code({source.buffer: x, target.buffer: order}, parts)
    np.testing.assert_array_equal(
        order.reshape(40, 3000), np.argsort(x.reshape(40, 3000), kind="stable")
    )


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_scan_adds_in_order(dtype: Any) -> None:
    for shape, transposed in itertools.product(
        [(7,), (2, 3, 50), (0, 5), (5, 0), (400, 300)], (False, True)
    ):
        source, target, size = views(shape, dtype, transposed)
        into = View(Buffer("target", size, dtype, "output"), 0, shape, target.strides)
        x = np.nan_to_num(numbers(size, dtype), posinf=5, neginf=-5) / 7
        x = x.astype(dtype)
        total = np.zeros(size, dtype)
        code = Compiled(Scan(source, into))
        parts = [(n, n + 1) for n in reversed(range(code.lowered.blocks))]
        code({source.buffer: x, into.buffer: total}, parts)
        tensor = x.reshape(shape[::-1]).T if transposed else x.reshape(shape)
        expected = np.add.accumulate(tensor, axis=-1, dtype=dtype)
        np.testing.assert_array_equal(total.reshape(shape), expected)
