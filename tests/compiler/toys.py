"""Small plans with hand-written kernels, for tests of what runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.compiler.graph import Origin
from thalweg.compiler.kernels import (
    Access,
    Buffer,
    Indirect,
    Kernel,
    Loop,
    Plan,
    Scalar,
    Store,
    View,
)
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.machine import host
from thalweg.compiler.native.program import Program

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)
Array = npt.NDArray[Any]


def kernel(
    reads: list[Buffer], writes: list[Buffer], label: str = "", may_fail: bool = False
) -> Kernel:
    """A kernel that only says what it reads and writes."""
    indirect = (Indirect(0, 1, 1, False),) if may_fail else ()
    body = [Scalar("load", (), b.dtype, {"access": Access(b, 0, (1,), indirect)}) for b in reads]
    stores = tuple(Store(0, Access(b, 0, (1,))) for b in writes)
    return Loop((1,), tuple(body), stores, origins=(Origin("toy.py", 7, "step"),), label=label)


def lowered(
    name: str, buffers: list[Buffer], blocks: int, size: int, body: str, **more: Any
) -> Lowered:
    """A kernel that does `body` for i from low * size to high * size."""
    pointers = ", ".join(f"ptr noalias %b{n}" for n in range(len(buffers)))
    ir = f"""define void @{name}({pointers}, ptr %error, ptr %scratch, i64 %low, i64 %high) {{
entry:
  %begin = mul i64 %low, {size}
  %end = mul i64 %high, {size}
  %any = icmp slt i64 %begin, %end
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %latch ]
{body}
  br label %latch
latch:
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""
    work = {"flops": 1e7 * blocks, "bytes": 0.0} | more
    return Lowered(name, ir, tuple(buffers), blocks, **work)


def at(name: str, pointer: str, index: str, kind: str = "float") -> str:
    """%name = &pointer[index]."""
    return f"  %{name} = getelementptr {kind}, ptr {pointer}, i64 {index}\n"


@dataclass
class Toy:
    """A program with its arrays: one step of a smoothed, centred walk.

    moved = 0.875 walk + x;  s = mean of moved;  walk = moved - s;  out = s
    """

    program: Program
    walk: Array
    blocks: int

    @property
    def size(self) -> int:
        return self.walk.size

    def addresses(self, x: Array, out: Array) -> list[int]:
        return [a.ctypes.data for a in (self.walk, x, out)]

    def run(self, x: Array, threads: int | None = None) -> np.float32:
        out = np.empty(1, np.float32)
        self.program.run(self.addresses(x, out), threads)
        return out[0]

    def scan(self, xs: Array, threads: int | None = None) -> Array:
        out = np.empty(len(xs), np.float32)
        strides = [0, xs.strides[0], 4]
        self.program.scan(len(xs), self.addresses(xs, out), strides, threads)
        return out

    def expected(self, walk: Array, xs: Array) -> tuple[Array, Array]:
        """The same in NumPy, in the same order of additions."""
        outs = []
        for x in xs:
            moved = walk * np.float32(0.875) + x
            sums = [_in_order(part) for part in np.split(moved, self.blocks)]
            mean = _in_order(np.array(sums[::-1])) * np.float32(1 / walk.size)
            walk = moved - mean
            outs.append(mean)
        return walk, np.array(outs, np.float32)


def _in_order(values: Array) -> np.float32:
    return np.cumsum(values, dtype=np.float32)[-1]


def toy(blocks: int = 8, size: int = 16, seconds: float = 1e-3) -> Toy:
    """`blocks` blocks of `size` elements; every other kernel crosses the threads' parts."""
    count, flops = blocks * size, 1e11 * seconds
    walk = Buffer("walk", count, F32, "state")
    x = Buffer("x", count, F32, "input")
    moved = Buffer("moved", count, F32, "temporary", 0)
    sums = Buffer("sums", blocks, F32, "temporary", 4 * count + 64)
    mean = Buffer("mean", 1, F32, "output")
    kernels = [
        kernel([walk, x], [moved], "move"),
        kernel([moved], [sums], "sums"),
        kernel([sums], [mean], "mean"),
        kernel([moved, mean], [walk], "centre"),
    ]
    codes = [
        _move([walk, x, moved], blocks, size, flops),
        _sums([moved, sums], blocks, size, flops),
        _mean([sums, mean], blocks, count),
        _centre([moved, mean, walk], blocks, size, flops),
    ]
    given = [walk, x]
    outputs = [View(walk, 0, (count,), (1,)), View(mean, 0, (), ())]
    plan = Plan(kernels, given, outputs, {0: 0}, 4 * count + 64 + 4 * blocks)
    return Toy(Program(plan, host(), codes), np.zeros(count, np.float32), blocks)


def _move(buffers: list[Buffer], blocks: int, size: int, flops: float) -> Lowered:
    text = at("w", "%b0", "%i") + at("x", "%b1", "%i") + at("y", "%b2", "%i")
    text += """  %v = load float, ptr %w
  %a = load float, ptr %x
  %m = fmul float %v, 0.875
  %s = fadd float %m, %a
  store float %s, ptr %y
"""
    return lowered("move", buffers, blocks, size, text, flops=flops)


def _sums(buffers: list[Buffer], blocks: int, size: int, flops: float) -> Lowered:
    """sums[b] = the sum of block (blocks - 1 - b): what another thread has written."""
    text = f"""  %other = sub i64 {blocks - 1}, %i
  %base = mul i64 %other, {size}
  br label %inner
inner:
  %j = phi i64 [ 0, %loop ], [ %j1, %inner ]
  %sum = phi float [ -0.0, %loop ], [ %sum1, %inner ]
  %k = add i64 %base, %j
  %p = getelementptr float, ptr %b0, i64 %k
  %v = load float, ptr %p
  %sum1 = fadd float %sum, %v
  %j1 = add i64 %j, 1
  %go = icmp slt i64 %j1, {size}
  br i1 %go, label %inner, label %store
store:
  %q = getelementptr float, ptr %b1, i64 %i
  store float %sum1, ptr %q
"""
    return lowered("sums", buffers, blocks, 1, text, flops=flops)


def _mean(buffers: list[Buffer], blocks: int, count: int) -> Lowered:
    text = f"""  br label %inner
inner:
  %j = phi i64 [ 0, %loop ], [ %j1, %inner ]
  %sum = phi float [ -0.0, %loop ], [ %sum1, %inner ]
  %p = getelementptr float, ptr %b0, i64 %j
  %v = load float, ptr %p
  %sum1 = fadd float %sum, %v
  %j1 = add i64 %j, 1
  %go = icmp slt i64 %j1, {blocks}
  br i1 %go, label %inner, label %store
store:
  %m = fmul float %sum1, {float(np.float32(1 / count))!r}
  store float %m, ptr %b1
"""
    return lowered("mean", buffers, 1, 1, text, flops=0.0)


def _centre(buffers: list[Buffer], blocks: int, size: int, flops: float) -> Lowered:
    text = at("p", "%b0", "%i") + at("w", "%b2", "%i")
    text += """  %m = load float, ptr %b1
  %v = load float, ptr %p
  %d = fsub float %v, %m
  store float %d, ptr %w
"""
    return lowered("centre", buffers, blocks, size, text, flops=flops)
