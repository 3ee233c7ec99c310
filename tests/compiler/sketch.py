"""A loop kernel put together scalar by scalar, with random arrays, and checked against NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.compiler.native import Compiled
from tests.compiler.slow import run_loop
from thalweg.compiler.kernels import Access, Buffer, Loop, Reduce, Scalar, Store

F32, F64, I32, I64, U8, U32, BOOL = (np.dtype(t) for t in ("f4", "f8", "i4", "i8", "u1", "u4", "?"))


@dataclass
class Sketch:
    """Builds a loop kernel and its arrays."""

    space: tuple[int, ...]
    body: list[Scalar] = field(default_factory=list)
    arrays: dict[Buffer, Any] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)
    reductions: list[Reduce] = field(default_factory=list)
    seed: int = 0

    def buffer(self, size: int, dtype: Any, kind: Any = "input") -> Buffer:
        buffer = Buffer(f"b{len(self.arrays)}", size, np.dtype(dtype), kind)
        rng = np.random.default_rng([self.seed, len(self.arrays)])
        values = rng.standard_normal(size) if buffer.dtype.kind == "f" else rng.integers(0, 9, size)
        self.arrays[buffer] = values.astype(dtype)
        return buffer

    def do(self, op: str, *inputs: int, dtype: Any = F32, **attributes: Any) -> int:
        self.body.append(Scalar(op, inputs, np.dtype(dtype), attributes))
        return len(self.body) - 1

    def load(
        self, strides: Sequence[int], dtype: Any = F32, indirect: Any = (), size: int = 0
    ) -> int:
        reach = [(n - 1) * s for n, s in zip(self.space, strides, strict=True) if n]
        offset = -sum(r for r in reach if r < 0)
        reach_of_indices = sum((i.size - 1) * i.stride for i in indirect)
        size = size or sum(map(abs, reach)) + 1 + reach_of_indices
        buffer = self.buffer(size, dtype)
        return self.do("load", dtype=dtype, access=Access(buffer, offset, tuple(strides), indirect))

    def store(self, value: int, strides: Sequence[int], dtype: Any = F32) -> Buffer:
        reach = [(n - 1) * s for n, s in zip(self.space, strides, strict=True) if n]
        offset = -sum(r for r in reach if r < 0)
        buffer = self.buffer(sum(map(abs, reach)) + 1, dtype, "output")
        self.stores.append(Store(value, Access(buffer, offset, tuple(strides))))
        return buffer

    def loop(self, reduced: tuple[int, ...] = (), tail: int | None = None) -> Loop:
        count = len(self.body) if tail is None else tail
        body, rest = self.body[:count], self.body[count:]
        return Loop(
            self.space,
            tuple(body),
            tuple(self.stores),
            reduced,
            tuple(self.reductions),
            tuple(rest),
        )


def check(
    sketch: Sketch, loop: Loop, machine: Any = None, tolerance: float = 0.0, parts: Any = None
) -> Compiled:
    found = {b: a.copy() for b, a in sketch.arrays.items()}
    expected = {b: a.copy() for b, a in sketch.arrays.items()}
    code = Compiled(loop, machine)
    assert code(found, parts) == run_loop(loop, expected)
    for buffer in sketch.arrays:
        np.testing.assert_allclose(
            found[buffer], expected[buffer], rtol=tolerance, atol=tolerance, err_msg=buffer.name
        )
    return code


def dense(shape: Sequence[int], order: Sequence[int] | None = None) -> tuple[int, ...]:
    """Strides of a dense array whose axes lie in memory in this order, outermost first."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order or range(len(shape))):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)
