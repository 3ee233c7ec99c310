"""Loop kernels against NumPy: shapes, strides, reductions, indices, blocks."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from tests.compiler.native import WIDTHS, Compiled, of_width
from tests.compiler.sketch import BOOL, F32, F64, I32, I64, U8, U32, Sketch, check, dense
from tests.compiler.slow import run_loop
from thalweg.compiler.kernels import Access, Indirect, Loop, Reduce, Store

SPACES = [
    (), (1,), (2,), (3,), (5,), (7,), (15,), (16,), (17,), (31,), (33,), (64,), (100,), (257,),
    (0,), (1, 1), (3, 5), (16, 1), (1, 33), (4, 0), (0, 4), (17, 3), (3, 17), (2, 3, 4), (5, 1, 7),
    (2, 3, 2, 3), (2, 1, 2, 3, 2), (2, 2, 1, 2, 3, 2),
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_pointwise_over_every_kind_of_stride(space: tuple[int, ...]) -> None:
    rank = len(space)
    backwards = tuple(-s for s in dense(space))
    for bits, order in zip(WIDTHS, [None, list(range(rank))[::-1], None], strict=True):
        sketch = Sketch(space)
        a = sketch.load(dense(space))
        b = sketch.load(dense(space, order))
        c = sketch.load(backwards)
        d = sketch.load(tuple(0 if axis % 2 else s for axis, s in enumerate(dense(space))))
        e = sketch.load(tuple(3 * s for s in dense(space)))
        total = sketch.do("add", sketch.do("multiply", a, b), sketch.do("subtract", c, d))
        last = sketch.do("maximum", total, e)
        sketch.store(last, dense(space))
        sketch.store(total, dense(space, order))
        sketch.store(sketch.do("less", a, b, dtype=BOOL), backwards, BOOL)
        check(sketch, sketch.loop(), of_width(bits))


@pytest.mark.parametrize("dtype", [F32, F64, I32, I64, U8, U32, BOOL], ids=str)
def test_copies_of_every_dtype(dtype: Any) -> None:
    for space, bits in itertools.product([(1,), (67,), (5, 13)], WIDTHS):
        sketch = Sketch(space)
        sketch.store(sketch.load(dense(space), dtype), dense(space, range(len(space))[::-1]), dtype)
        check(sketch, sketch.loop(), of_width(bits))


REDUCED_SPACES = [
    ((5,), (0,)), ((1,), (0,)), ((100,), (0,)), ((3000,), (0,)), ((40000,), (0,)),
    ((3, 7), (0,)), ((3, 7), (1,)), ((3, 7), (0, 1)), ((33, 100), (0,)), ((33, 100), (1,)),
    ((700, 70), (0,)), ((2, 3, 5), (1,)), ((2, 3, 5), (0, 2)), ((4, 1, 6), (1,)), ((1, 9), (0,)),
    ((17, 3, 18, 2), (0, 2)), ((3, 600, 5), (1,)), ((0, 4), (0,)), ((4, 0), (0,)), ((4, 0), (1,)),
    ((2, 3, 4, 5, 2), (0, 1, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("space", "reduced"), REDUCED_SPACES, ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_reductions(space: tuple[int, ...], reduced: tuple[int, ...], transposed: bool) -> None:
    rank = len(space)
    kept = tuple(1 if axis in reduced else n for axis, n in enumerate(space))
    strides = tuple(0 if axis in reduced else s for axis, s in enumerate(dense(kept)))
    empty = any(space[axis] == 0 for axis in reduced)
    for bits in (512, WIDTHS[1 + (len(space) + transposed) % 2]):
        sketch = Sketch(space)
        x = sketch.load(dense(space, range(rank)[::-1] if transposed else None))
        whole = sketch.load(dense(space), I32)
        same = sketch.load(strides)
        y = sketch.do("multiply", x, same)
        count = len(sketch.body)
        kinds = ["sum", "prod"] if empty else ["sum", "prod", "max", "min"]
        sketch.reductions = [Reduce(kind, y, F32) for kind in kinds]
        sketch.reductions += [Reduce(kind, whole, I32) for kind in kinds]
        results = [
            sketch.do("reduced", dtype=r.dtype, number=n) for n, r in enumerate(sketch.reductions)
        ]
        if not empty:  # NumPy, the oracle, then has no value of `same` either
            sketch.store(sketch.do("add", results[0], same), strides)
        for number, reduction in zip(results, sketch.reductions, strict=True):
            sketch.store(number, strides, reduction.dtype)
        check(sketch, sketch.loop(reduced, count), of_width(bits), tolerance=1e-4)


@pytest.mark.parametrize("dtype", [F32, F64, I32, I64, U8, U32, BOOL], ids=str)
@pytest.mark.parametrize("kind", ["argmax", "argmin", "max", "min"])
def test_extremes_of_every_dtype(dtype: Any, kind: str) -> None:
    for (space, axis), bits in itertools.product(
        [((1,), 0), ((100,), 0), ((9, 40), 0), ((9, 40), 1), ((3, 70, 5), 1)],
        (512, WIDTHS[1 + dtype.itemsize % 3 % 2]),
    ):
        result = I64 if kind.startswith("arg") else dtype
        sketch = Sketch(space, seed=axis)
        kept = tuple(1 if a == axis else n for a, n in enumerate(space))
        strides = [0 if a == axis else s for a, s in enumerate(dense(kept))]
        x = sketch.load(dense(space), dtype)
        sketch.reductions = [Reduce(kind, x, result)]
        sketch.store(sketch.do("reduced", dtype=result, number=0), strides, result)
        check(sketch, sketch.loop((axis,), 1), of_width(bits))


@pytest.mark.parametrize("kind", ["argmax", "argmin", "max", "min"])
@pytest.mark.parametrize("along", [0, 1])
def test_extremes_of_nan_and_infinities(kind: str, along: int) -> None:
    inf, nan = np.inf, np.nan
    rows = np.array(
        [[-inf] * 5, [inf] * 5, [1, nan, nan, 2, 3], [-inf, nan, inf, 0, 0], [0, 5, 5, -5, -5]],
        "f4",
    )
    values = np.repeat(rows, 7, axis=1)
    values = values if along == 1 else np.ascontiguousarray(values.T)
    sketch = Sketch(values.shape)
    x = sketch.load(dense(values.shape))
    sketch.arrays[next(iter(sketch.arrays))] = values.ravel()
    result = I64 if kind.startswith("arg") else F32
    sketch.reductions = [Reduce(kind, x, result)]
    sketch.store(
        sketch.do("reduced", dtype=result, number=0), (0, 1) if along == 0 else (1, 0), result
    )
    check(sketch, sketch.loop((along,), 1))


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("wrap", [False, True])
def test_rows_and_elements_at_computed_places(bits: int, wrap: bool) -> None:
    low = -6 if wrap else 0
    for bad in (False, True):
        sketch = Sketch((9, 21))
        row = sketch.load((1, 0), I64)
        column = sketch.load((0, 1), U8)
        both = sketch.load((21, 1), I32)
        rng = np.random.default_rng(1)
        for buffer, number in zip(list(sketch.arrays), (row, column, both), strict=True):
            begin = 0 if buffer.dtype.kind == "u" else low
            sketch.arrays[buffer] = rng.integers(begin, 6, buffer.size).astype(buffer.dtype)
            if bad and number == both:
                sketch.arrays[buffer][[20, 100]] = 6
        rows = sketch.load((0, 1), F32, (Indirect(row, 30, 6, wrap),))
        elements = sketch.load((7, 0), F32, (Indirect(column, 1, 6, wrap),))
        points = sketch.load((0, 0), F32, (Indirect(both, 5, 6, wrap), Indirect(row, 40, 6, wrap)))
        sketch.store(sketch.do("add", rows, sketch.do("add", elements, points)), (21, 1))
        check(sketch, sketch.loop(), of_width(bits))


def test_an_index_into_nothing_is_an_error() -> None:
    sketch = Sketch((3,))
    index = sketch.load((1,), I64)
    nothing = sketch.load((0,), F32, (Indirect(index, 1, 0, True),), size=1)
    sketch.store(nothing, (1,))
    found = {b: a.copy() for b, a in sketch.arrays.items()}
    assert Compiled(sketch.loop())(found)


@pytest.mark.parametrize("bits", WIDTHS)
def test_counters_and_random_bits(bits: int) -> None:
    for space in [(1,), (3,), (64,), (1000,), (5, 13), (6, 16), (1, 1)]:
        sketch = Sketch(space)
        key, counter = (sketch.load([0] * len(space), I64) for _ in range(2))
        for buffer, value in zip(sketch.arrays, (-(2**62) + 12345, 2**32 - 3), strict=True):
            sketch.arrays[buffer][:] = value
        axes = [sketch.do("index", dtype=I64, axis=axis) for axis in range(len(space))]
        n = axes[0]
        for axis, size in zip(axes[1:], space[1:], strict=True):
            width = sketch.do("literal", dtype=I64, value=size)
            n = sketch.do("add", sketch.do("multiply", n, width, dtype=I64), axis, dtype=I64)
        word = sketch.do("bits", key, counter, n, dtype=U32)
        sketch.store(word, dense(space), U32)
        sketch.store(axes[-1], dense(space), I64)
        check(sketch, sketch.loop(), of_width(bits))


@pytest.mark.parametrize("bits", WIDTHS)
def test_state_updated_in_place(bits: int) -> None:
    sketch = Sketch((67, 5))
    place = Access(sketch.buffer(67 * 5, F32, "state"), 0, (5, 1))
    state = sketch.do("load", access=place)
    grad, rate = sketch.load((1, 67)), sketch.load((0, 0))
    sketch.stores.append(
        Store(sketch.do("subtract", state, sketch.do("multiply", grad, rate)), place)
    )
    check(sketch, sketch.loop(), of_width(bits))


def test_an_update_in_the_tail_of_a_reduction() -> None:
    sketch = Sketch((64, 37))
    grad = sketch.load((37, 1))
    place = Access(sketch.buffer(37, F32, "state"), 0, (0, 1))
    sketch.reductions = [Reduce("sum", grad, F32)]
    total = sketch.do("reduced", number=0)
    state = sketch.do("load", access=place)
    rate = sketch.load((0, 0))
    sketch.stores.append(
        Store(sketch.do("subtract", state, sketch.do("multiply", total, rate)), place)
    )
    check(sketch, sketch.loop((0,), 1), tolerance=1e-5)


def big(kind: str) -> tuple[Sketch, Loop]:
    """Kernels that are worth several blocks, in each of the ways they are split."""
    if kind == "rows":
        sketch = Sketch((1000, 300))
        x = sketch.load((300, 1))
        sketch.reductions = [Reduce("sum", sketch.do("exp", x), F32)]
        sketch.store(sketch.do("reduced", number=0), (1, 0))
        return sketch, sketch.loop((1,), 2)
    if kind == "columns":
        sketch = Sketch((70, 5003))
        x = sketch.load((5003, 1))
        sketch.reductions = [Reduce("sum", sketch.do("exp", x), F32)]
        sketch.store(sketch.do("reduced", number=0), (0, 1))
        return sketch, sketch.loop((0,), 2)
    space = {"flat": (200_003,), "nested": (90, 70, 37), "wide": (3, 100_001)}[kind]
    sketch = Sketch(space)
    x = sketch.load(dense(space))
    y = sketch.load((*[0] * (len(space) - 1), 2))
    sketch.store(sketch.do("add", sketch.do("tanh", x), y), dense(space))
    return sketch, sketch.loop()


@pytest.mark.parametrize("kind", ["rows", "columns", "flat", "nested", "wide"])
@pytest.mark.parametrize("bits", WIDTHS)
def test_blocks_in_any_order_give_the_same_bits(kind: str, bits: int) -> None:
    sketch, loop = big(kind)
    code = Compiled(loop, of_width(bits))
    blocks = code.lowered.blocks
    assert blocks > 2
    arrays = {b: a.copy() for b, a in sketch.arrays.items()}
    code(arrays)
    one_by_one = {b: a.copy() for b, a in sketch.arrays.items()}
    code(one_by_one, [(n, n + 1) for n in reversed(range(blocks))])
    uneven = {b: a.copy() for b, a in sketch.arrays.items()}
    code(uneven, [(blocks // 3, blocks), (0, blocks // 3), (1, 1)])
    slow = {b: a.copy() for b, a in sketch.arrays.items()}
    run_loop(loop, slow)
    for buffer in sketch.arrays:
        np.testing.assert_array_equal(arrays[buffer], one_by_one[buffer])
        np.testing.assert_array_equal(arrays[buffer], uneven[buffer])
        np.testing.assert_allclose(arrays[buffer], slow[buffer], rtol=1e-5, atol=1e-6)


def test_long_sums_are_accurate() -> None:
    sketch = Sketch((1 << 22,))
    x = sketch.load((1,))
    sketch.arrays[next(iter(sketch.arrays))][:] = 0.1
    sketch.reductions = [Reduce("sum", x, F32)]
    out = sketch.store(sketch.do("reduced", number=0), (0,))
    code = Compiled(sketch.loop((0,), 1))
    code(sketch.arrays)
    exact = float(np.float32(0.1)) * (1 << 22)
    assert abs(sketch.arrays[out][0] - exact) < 2e-6 * exact


def test_wide_vectors_are_used() -> None:
    if of_width(512).vector_bits < 512:
        pytest.skip("this machine has no 512-bit vectors")
    for name in ("logistic", "exp", "negative"):
        sketch = Sketch((4096,))
        x = sketch.load((1,))
        sketch.store(sketch.do("multiply", x, sketch.do(name, x)), (1,))
        assert "zmm" in Compiled(sketch.loop(), of_width(512)).code.assembly
        narrow = Compiled(sketch.loop(), of_width(256)).code.assembly
        assert "ymm" in narrow
        assert "zmm" not in narrow


def test_a_kernel_is_the_same_text_up_to_its_name() -> None:
    texts = [Compiled(big("rows")[1]).lowered.ir for _ in range(2)]
    assert texts[0] == texts[1]
    assert re.search(
        r"^define void @kernel\(ptr noalias %b0, ptr noalias %b1, ptr %error,", texts[0]
    )
