"""Random loop kernels against NumPy: any space, strides, dtypes, reductions and indices at once."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from tests.compiler.native import WIDTHS, of_width
from tests.compiler.sketch import BOOL, F32, F64, I32, I64, U8, U32, Sketch, check, dense
from thalweg.compiler.kernels import Indirect, Loop, Reduce, Scalar

SIZES = [1, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 40]
DTYPES = [F32, F32, F32, F64, I32, I64, U8, U32]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum"]
COUNT = int(os.environ.get("THALWEG_RANDOM_LOOPS", "60"))


class Dice:
    """Random decisions about one kernel."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        rank = self.rng.integers(0, 6)
        sizes = [int(self.rng.choice(SIZES)) for _ in range(rank)]
        while np.prod(sizes, dtype=int) > 20_000:
            sizes[int(np.argmax(sizes))] = 1
        self.sketch = Sketch(tuple(sizes), seed=seed)
        self.values: dict[int, Any] = {}

    def pick(self, choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def strides(self, kept: tuple[int, ...] | None = None) -> list[int]:
        """Dense in any order, some axes broadcast, turned round or spaced out."""
        space = self.sketch.space
        order = list(self.rng.permutation(len(space)))
        if self.rng.random() < 0.6:
            order = sorted(order)
        strides = list(dense(space, order))
        for axis in range(len(space)):
            strides[axis] *= self.pick([1, 1, 1, 1, 0, 0, -1, 2])
        return strides if kept is None else [s if a in kept else 0 for a, s in enumerate(strides)]

    def leaves(self) -> None:
        for _ in range(self.rng.integers(1, 4)):
            dtype = self.pick(DTYPES)
            self.values[self.sketch.load(self.strides(), dtype)] = dtype
        if self.sketch.space and self.rng.random() < 0.4:
            axis = int(self.rng.integers(len(self.sketch.space)))
            self.values[self.sketch.do("index", dtype=I64, axis=axis)] = I64
        if self.rng.random() < 0.4:
            index = self.sketch.load(self.strides(), I32)
            place = Indirect(index, int(self.pick([1, 3, 40])), 9, bool(self.rng.random() < 0.5))
            dtype = self.pick(DTYPES)
            self.values[self.sketch.load(self.strides(), dtype, (place,))] = dtype

    def operations(self) -> None:
        for _ in range(self.rng.integers(1, 6)):
            a = self.pick(list(self.values))
            dtype = self.values[a]
            b = self.pick([n for n, other in self.values.items() if other == dtype])
            op = self.pick([*BINARY, "cast", "select"])
            if op == "cast":
                kinds = [F32, F64] if dtype.kind == "f" else DTYPES
                dtype = self.pick(kinds)
                number = self.cast(a, dtype)
            elif op == "select":
                number = self.sketch.do("less", a, b, dtype=BOOL)
                number = self.sketch.do("select", number, b, a, dtype=dtype)
            else:
                number = self.sketch.do(op, a, b, dtype=dtype)
            self.values[number] = dtype

    def cast(self, number: int, dtype: Any) -> int:
        self.sketch.body.append(Scalar("cast", (number,), dtype, {"dtype": dtype}))
        return len(self.sketch.body) - 1

    def kernel(self) -> Loop:
        self.leaves()
        self.operations()
        space = self.sketch.space
        if not space or self.rng.random() < 0.4:
            self.store(list(self.values)[-2:], tuple(range(len(space))))
            return self.sketch.loop()
        count = int(self.rng.integers(1, len(space) + 1))
        reduced = tuple(sorted(map(int, self.rng.permutation(len(space))[:count])))
        return self.reduction(reduced)

    def reduction(self, reduced: tuple[int, ...]) -> Loop:
        kinds = ["sum", "max", "min"] + (["argmax", "argmin"] if len(reduced) == 1 else [])
        for _ in range(self.rng.integers(1, 4)):
            value = self.pick(list(self.values))
            kind = self.pick(kinds)
            dtype = I64 if kind.startswith("arg") else self.values[value]
            self.sketch.reductions.append(Reduce(kind, value, dtype))
        if self.rng.random() < 0.5:  # at each point too
            self.store([self.pick(list(self.values))], tuple(range(len(self.sketch.space))))
        before = len(self.sketch.body)
        results = {
            self.sketch.do("reduced", dtype=r.dtype, number=n): r.dtype
            for n, r in enumerate(self.sketch.reductions)
        }
        kept = tuple(a for a in range(len(self.sketch.space)) if a not in reduced)
        for number, dtype in list(results.items()):
            other = self.sketch.load(self.strides(kept), dtype)
            results[self.sketch.do("add", number, other, dtype=dtype)] = dtype
        self.values = results
        self.store(list(results), kept)
        return self.sketch.loop(reduced, before)

    def store(self, numbers: list[int], kept: tuple[int, ...]) -> None:
        space = self.sketch.space
        sizes = [n if axis in kept else 1 for axis, n in enumerate(space)]
        for number in numbers:
            order = list(self.rng.permutation(len(space)))
            strides = [s if a in kept else 0 for a, s in enumerate(dense(sizes, order))]
            self.sketch.store(number, strides, self.values[number])


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_loop(seed: int) -> None:
    dice = Dice(seed)
    loop = dice.kernel()
    check(dice.sketch, loop, of_width(WIDTHS[seed % 3]), tolerance=2e-4)
