"""Random plans on several threads: memory ends as if the kernels had run one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.compiler.toys import at, kernel, lowered
from thalweg.compiler.kernels import Buffer, Plan
from thalweg.compiler.machine import host
from thalweg.compiler.native import program, schedule
from thalweg.compiler.native.program import Program

I32 = np.dtype(np.int32)
SIZE = 84  # a multiple of every number of blocks
BLOCKS = (1, 1, 2, 4, 7, 12)
PLACES = 5
Array = npt.NDArray[Any]


@dataclass
class Random:
    """Kernels out[i] = 3 a[SIZE - 1 - i] + b[i]: what a thread reads, others may have written."""

    program: Program
    given: list[Buffer]
    work: list[tuple[Buffer, Buffer, Buffer]]

    def arrays(self) -> list[Array]:
        return list(np.arange(len(self.given) * SIZE, dtype=np.int32).reshape(-1, SIZE).copy())

    def expected(self, count: int) -> list[Array]:
        """In NumPy, kernel after kernel; temporaries stand where they stand."""
        arrays, arena = self.arrays(), np.zeros((PLACES, SIZE), np.int32)
        places = {buffer: arrays[n] for n, buffer in enumerate(self.given)}

        def memory(buffer: Buffer) -> Array:
            return places.get(buffer, arena[buffer.place // (4 * SIZE)])

        for _ in range(count):
            for a, b, out in self.work:
                memory(out)[:] = np.int32(3) * memory(a)[::-1] + memory(b)
        return arrays

    def run(self, count: int, threads: int) -> list[Array]:
        arrays = self.arrays()
        self.program.poison(0)
        addresses = [array.ctypes.data for array in arrays]
        self.program.scan(count, addresses, [0] * len(addresses), threads)
        return arrays


def random_plan(rng: np.random.Generator, kernels: int = 25) -> Random:
    given = [Buffer(f"s{n}", SIZE, I32, "state") for n in range(4)]
    work, codes = [], []
    for number in range(kernels):
        a, b, out = (_operand(rng, given, number) for _ in range(3))
        while _same(out, a) or _same(out, b):
            out = _operand(rng, given, number)
        work.append((a, b, out))
        codes.append(_code(rng, a, b, out))
    steps = [kernel([a, b], [out]) for a, b, out in work]
    plan = Plan(steps, given, [], {}, PLACES * 4 * SIZE)
    return Random(Program(plan, host(), codes), given, work)


def _operand(rng: np.random.Generator, given: list[Buffer], number: int) -> Buffer:
    if rng.random() < 0.3:
        return given[rng.integers(len(given))]
    place = int(rng.integers(PLACES)) * 4 * SIZE
    return Buffer(f"t{number}", SIZE, I32, "temporary", place)


def _same(a: Buffer, b: Buffer) -> bool:
    return a is b or (a.kind == b.kind == "temporary" and a.place == b.place)


def _code(rng: np.random.Generator, a: Buffer, b: Buffer, out: Buffer) -> Any:
    body = f"  %mirror = sub i64 {SIZE - 1}, %i\n"
    body += at("p", "%b0", "%mirror", "i32") + at("q", "%b1", "%i", "i32")
    body += at("r", "%b2", "%i", "i32")
    body += """  %x = load i32, ptr %p
  %y = load i32, ptr %q
  %h = mul i32 %x, 3
  %z = add i32 %h, %y
  store i32 %z, ptr %r
"""
    blocks = int(rng.choice(BLOCKS))
    return lowered(f"mix{blocks}", [a, b, out], blocks, SIZE // blocks, body, flops=1e9)


@pytest.mark.parametrize("seed", range(12))
def test_memory_is_as_after_one_kernel_at_a_time(seed: int) -> None:
    plan = random_plan(np.random.default_rng(seed))
    for count in (1, 30):
        expected = plan.expected(count)
        for threads in (1, 2, 3, 8):
            for got, right in zip(plan.run(count, threads), expected, strict=True):
                assert np.array_equal(got, right)


def test_a_barrier_too_few_would_be_seen() -> None:
    """Some of the same plans end in other memory without barriers, or the test tells nothing."""
    assert any(_differs_without_barriers(seed) for seed in range(12))


def _differs_without_barriers(seed: int) -> bool:
    plan = random_plan(np.random.default_rng(seed))
    plan.program = _without_barriers(plan.program)
    pairs = zip(plan.run(200, 2), plan.expected(200), strict=True)
    return any(not np.array_equal(got, right) for got, right in pairs)


def _without_barriers(careful: Program) -> Program:
    def careless(*given: Any) -> list[schedule.Step]:
        return [replace(step, barrier=False) for step in schedule.schedule(*given)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "schedule", careless)
        return Program(careful.plan, host(), careful.lowered)
