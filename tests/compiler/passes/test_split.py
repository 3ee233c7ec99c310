"""Reductions in blocks: the parts do what the whole does, and by any number of threads the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.lower.test_random_loops import Dice
from tests.compiler.native import WIDTHS, Compiled, of_width
from tests.compiler.oracle import Native, traced
from tests.compiler.passes.running import plan_of
from tests.compiler.sketch import F32, I64, Sketch
from tests.compiler.slow import run_loop
from thalweg.compiler.describe import describe
from thalweg.compiler.kernels import Loop, Plan, Reduce
from thalweg.compiler.passes.plan.split import in_blocks, split_reductions

THREADS = (1, 2, 3, 8)


SUM = """
    inputs x: f32[{given}]
    t0 : f32{left} = sum[axes=({axes})](x)
    outputs t0"""


def labels(plan: Plan) -> list[str]:
    return [kernel.label for kernel in plan.kernels]


def text(loops: Sequence[Loop]) -> list[str]:
    return "\n".join(map(describe, loops)).splitlines()


def test_a_sum_its_rest_and_what_combines_them() -> None:
    sketch = Sketch((7,))
    x = sketch.load((1,))
    sketch.reductions.append(Reduce("sum", x, F32))
    total = sketch.do("reduced", dtype=F32, number=0)
    sketch.store(sketch.do("sqrt", total), (0,))
    assert text(in_blocks(sketch.loop((0,), 1), 0, 3, 2)) == [
        "",
        "    for i < 3",
        "      over j < 2",
        "        0: f32 = b0[2 i + j]",
        "      r0: f32 = sum of 0",
        "      1: f32 = r0",
        "      b1.0[i] = 1",
        ", rest",
        "    for i < 1",
        "      over j < 1",
        "        0: f32 = b0[i + j + 6]",
        "      r0: f32 = sum of 0",
        "      1: f32 = r0",
        "      b1.0[i + 3] = 1",
        ", joined",
        "    for i < 4",
        "        0: f32 = b1.0[i]",
        "      r0: f32 = sum of 0",
        "      1: f32 = r0",
        "      2: f32 = sqrt 1",
        "      b1[0] = 2",
    ]


def test_a_position_is_that_of_the_best_block() -> None:
    sketch = Sketch((3, 4))
    x = sketch.load((4, 1))
    sketch.reductions.append(Reduce("argmax", x, I64))
    sketch.store(sketch.do("reduced", dtype=I64, number=0), (1, 0), I64)
    blocks, combined = in_blocks(sketch.loop((1,), 1), 1, 2, 2)
    assert [r.kind for r in blocks.reductions] == ["argmax", "max"]
    assert text([combined]) == [
        ", joined",
        "    for j < 3",
        "      over i < 2",
        "        0: f32 = b1.best0[3 i + j]",
        "      r0: i64 = argmax of 0",
        "      1: i64 = r0",
        "      2: i64 = b1.0[j + 3 (#1 < 2)]",
        "      b1[j] = 2",
    ]


@pytest.mark.parametrize("seed", range(60))
def test_random_loops_in_blocks(seed: int) -> None:
    dice = Dice(seed)
    loop = dice.kernel()
    while not any(loop.space[axis] > 1 for axis in loop.reduced) or 0 in loop.space:
        dice = Dice(seed := seed + 1000)
        loop = dice.kernel()
    axis = dice.pick([axis for axis in loop.reduced if loop.space[axis] > 1])
    blocks = int(dice.rng.integers(2, loop.space[axis] + 1))
    parts = in_blocks(loop, axis, blocks, int(dice.rng.integers(1, loop.space[axis] // blocks + 1)))
    expected = {b: a.copy() for b, a in dice.sketch.arrays.items()}
    wrong = run_loop(loop, expected)
    for native in (False, True):
        found = {b: a.copy() for b, a in dice.sketch.arrays.items()}
        failed = False
        for part in parts:
            for store in part.stores:
                buffer = store.access.buffer
                found.setdefault(buffer, np.full(buffer.size, 77, buffer.dtype))
            run = Compiled(part, of_width(WIDTHS[seed % 3])) if native else None
            failed |= run(found) if run else run_loop(part, found)
        assert failed == wrong
        for buffer, array in expected.items():
            np.testing.assert_allclose(found[buffer], array, 2e-4, 2e-4, err_msg=buffer.name)


def test_small_reductions_and_many_results_stay_whole() -> None:
    """Where the points that are left are enough for threads, and where all is done at once."""
    assert labels(plan_of(SUM.format(given="1000", left="", axes="0"))) == ["sum"]
    assert labels(plan_of(SUM.format(given="1000,64", left="[64]", axes="0"))) == ["sum"]
    assert labels(plan_of(SUM.format(given="1000,900", left="[1000]", axes="1"))) == ["sum"]


def test_long_rows_are_added_up_a_few_at_a_time() -> None:
    """Though a thousand columns are enough for threads."""
    plan = plan_of(SUM.format(given="500,1000", left="[1000]", axes="0"))
    assert labels(plan) == ["sum", "sum, rest", "sum, joined"]
    blocks = plan.kernels[0]
    assert isinstance(blocks, Loop)
    assert blocks.space[1] * blocks.space[0] <= 500
    assert split_reductions(plan.kernels[-1:]) == plan.kernels[-1:]


def reducing(x: tw.Tensor) -> tuple[tw.Tensor, ...]:
    """Stored and reduced, and every kind of reduction, over all and over columns."""
    y = x * 1.0001
    positive = x.abs() * 1e-6 + 1
    return (
        y, y.sum(), (y * y).sum().sqrt(), x.max(), x.min(), x.argmax(), x.argmin(),
        positive.prod(), x.sum(0), x.argmax(0), x.amax(0) - x.amin(0), x.flatten().argmin(),
    )  # fmt: skip


def outputs(fn: Any, array: Any, *threads: int) -> list[list[Any]]:
    """The results of fn(array) by so many threads each."""
    trace = traced(fn, tw.tensor(array))
    native = Native(trace.graph)
    assert any(label.endswith("joined") for label in labels(native.plan))
    return [native([array, *(slot.array for slot in trace.slots)], count) for count in threads]


@pytest.mark.parametrize("shape", [(100_019, 7), (611, 1100), (700_001, 1)], ids=str)
def test_bits_do_not_depend_on_threads(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    first, *others = outputs(reducing, array, *THREADS)
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert a.tobytes() == b.tobytes()
    y = array.astype(np.float64) * np.float64(np.float32(1.0001))
    assert abs(first[1] - y.sum()) <= np.spacing(np.float32(np.abs(y).sum()))
    np.testing.assert_allclose(first[2], np.sqrt((y * y).sum()), rtol=4e-7)
    np.testing.assert_array_equal(first[5], array.argmax())
    np.testing.assert_array_equal(first[6], array.argmin())
    np.testing.assert_array_equal(first[9], array.argmax(0))
    np.testing.assert_allclose(first[8], array.sum(0, dtype=np.float64), atol=2e-4)


@pytest.mark.parametrize("places", [[5], [5, 400_000], [699_999], [128, 129, 690_001]], ids=str)
def test_not_a_number_wins_and_the_first_one_has_the_position(places: list[int]) -> None:
    array = np.arange(700_000, dtype=np.float32)
    array[places] = np.nan
    (values,) = outputs(lambda x: (x.argmax(), x.argmin(), x.max(), x.sum()), array, 2)
    assert (values[0], values[1]) == (places[0], places[0])
    assert np.isnan(values[2])
    assert np.isnan(values[3])


def test_of_equals_the_first_wins_in_whatever_block() -> None:
    array = np.zeros(700_000, np.float32)
    array[[300_000, 300_001, 650_000]] = 1
    array[::2] *= -1  # -0 is 0
    assert outputs(lambda x: (x.argmax(), x.argmin()), array, 2) == [[300_001, 300_000]]


def test_a_scan_of_a_split_reduction_is_its_calls() -> None:
    xs = tw.randn(3, 300_000)
    total = tw.zeros(())

    @tw.compile
    def step(x: tw.Tensor) -> tw.Tensor:
        nonlocal total
        total += (x * x).sum()
        return total * 1.0

    separate = [step(x).numpy() for x in xs]
    total.zero_()
    np.testing.assert_array_equal(step.scan(xs).numpy(), np.stack(separate))
