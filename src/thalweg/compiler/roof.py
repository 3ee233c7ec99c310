"""The roof: the most that this machine can do, measured and not looked up.

A kernel is bound by arithmetic or by memory, whichever would take it longer at the roof's rates:

    shortest time = max(operations / FMA peak, bytes / copy bandwidth)

where the bandwidth is that of the caches if all that it touches fits in them. These rates are
measured by programs made like any other, on as many threads as are asked about.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from thalweg.compiler.kernels import Access, Buffer, Loop, Plan, Scalar, Store, View
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.machine import Machine, host
from thalweg.compiler.native.frame import aligned_bytes
from thalweg.compiler.native.program import Program
from thalweg.files import size_text

__all__ = ["Roof", "copied", "report", "roof"]

_F32: Final = np.dtype(np.float32)
_ROUNDS: Final = 15
_TURNS: Final = 400_000  # of the FMA loop, a thread
_COPY_BYTES: Final = 128 << 20  # read, and as many written: more than caches hold


@dataclass(frozen=True, slots=True)
class Roof:
    """What a number of threads reach together.

    flops      single-precision operations a second, two for each fused multiply-add
    bandwidth  bytes a second, read plus written, of a copy from memory to memory
    near       the same of a copy inside the threads' own caches
    capacity   bytes that these caches hold
    """

    threads: int
    flops: float
    bandwidth: float
    near: float
    capacity: int

    def seconds(self, flops: float, bytes: float, reach: float = math.inf) -> float:
        """The shortest time that so many operations and so much traffic can take.

        `reach` is the size of the memory that the traffic goes to; what fits in the caches is
        taken to be there.
        """
        return max(flops / self.flops, bytes / self._rate(reach))

    def bound(self, flops: float, bytes: float, reach: float = math.inf) -> str:
        """What limits it: "fma", "cache" or "memory".

        >>> roof = Roof(1, flops=100e9, bandwidth=10e9, near=80e9, capacity=1 << 20)
        >>> roof.bound(flops=1e6, bytes=1e3), roof.bound(flops=0, bytes=1e3, reach=1e3)
        ('fma', 'cache')
        """
        if flops / self.flops >= bytes / self._rate(reach):
            return "fma"
        return "cache" if reach <= self.capacity else "memory"

    def _rate(self, reach: float) -> float:
        return self.near if reach <= self.capacity else self.bandwidth

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        rates = f"{self.bandwidth / 1e9:.0f} GB/s copied in memory, {self.near / 1e9:.0f} in cache"
        return f"{threads}: {self.flops / 1e9:.0f} GFLOP/s of multiply-adds, {rates}"


@cache
def roof(threads: int = 1) -> Roof:
    """Measure it, once in a process for a number of threads: a fraction of a second."""
    machine = host()
    flops = _fma_rate(machine, threads)
    capacity = machine.l2 * threads
    memory = copied(threads)
    part = capacity // 4 // (64 * threads) * 64 * threads
    near = _copy_rate(machine, threads, part, _COPY_BYTES // part, _by_vectors)
    return Roof(threads, flops, memory, max(near, memory), capacity)


def copied(threads: int = 1) -> float:
    """Bytes a second, read plus written, of a copy from memory to memory, measured anew."""
    machine = host()
    return max(_copy_rate(machine, threads, _COPY_BYTES, 1, by) for by in (_by_system, _by_vectors))


def report() -> str:
    """This machine as the compiler sees it, and its roof on one core, two, four .. and all."""
    machine = host()
    counts = sorted({*(1 << n for n in range(machine.cores.bit_length())), machine.cores})
    vectors = f"{machine.registers} vectors of {machine.vector_bits} bits"
    caches = f"{size_text(machine.l1)} and {size_text(machine.l2)} of cache a core"
    lines = [f"{machine.name}: {machine.cores} cores, {vectors}, {caches}"]
    return "\n".join([*lines, *(str(roof(count)) for count in counts)])


def _fma_rate(machine: Machine, threads: int) -> float:
    code = _multiply_adds(machine, threads)
    out = np.empty(16 * threads, np.float32)
    return code.flops / _best_seconds(_program(code, machine), [out.ctypes.data], threads)


def _copy_rate(
    machine: Machine, threads: int, size: int, turns: int, by: Callable[[], str]
) -> float:
    """Bytes a second, read plus written, when `size` bytes are copied `turns` times."""
    code = _copies(threads, size, turns, by())
    memory, source = aligned_bytes(2 * size, 4096)
    memory.fill(1)  # pages that are only reserved cost nothing to read
    return code.bytes / _best_seconds(_program(code, machine), [source, source + size], threads)


def _best_seconds(program: Program, addresses: list[int], threads: int) -> float:
    program.run(addresses, threads)
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        program.run(addresses, threads)
        best = min(best, time.perf_counter() - start)
    return best


# -- programs --------------------------------------------------------------------------------------


def _program(code: Lowered, machine: Machine) -> Program:
    """A program of one kernel that is written by hand, from its inputs to its last buffer."""
    *inputs, output = code.buffers
    point = Access(output, 0, (0,))
    loads = [Scalar("load", (), b.dtype, {"access": Access(b, 0, (0,))}) for b in inputs]
    value = Scalar("literal", (), output.dtype, {"value": 0.0})
    kernel = Loop((1,), (*loads, value), (Store(len(loads), point),), label=code.name)
    view = View(output, 0, (output.size,), (1,))
    return Program(Plan([kernel], inputs, [view], {}, 0), machine, [code])


def _multiply_adds(machine: Machine, threads: int) -> Lowered:
    """Registers full of sums, each multiplied and added to in every turn; no memory at all."""
    lanes = machine.lanes(_F32)
    vector, count = f"<{lanes} x float>", machine.registers // 2
    fma = f"@llvm.fma.v{lanes}f32"
    start, half = "splat (float 0.5)", "splat (float 0.25)"
    sums = [f"  %s{n} = phi {vector} [ {start}, %each ], [ %t{n}, %turn ]\n" for n in range(count)]
    steps = [
        f"  %t{n} = call {vector} {fma}({vector} %s{n}, {vector} {half}, {vector} {start})\n"
        for n in range(count)
    ]
    # Each sum is stored, so that none can be left out.
    ends = [f"  store volatile {vector} %t{n}, ptr %own, align 4\n" for n in range(count)]
    ir = f"""define void @fma(ptr noalias %b0, ptr %error, ptr %scratch, i64 %low, i64 %high) {{
entry:
  br label %each
each:
  %block = phi i64 [ %low, %entry ], [ %after, %end ]
  br label %turn
turn:
  %n = phi i64 [ 0, %each ], [ %next, %turn ]
{"".join(sums)}{"".join(steps)}  %next = add i64 %n, 1
  %more = icmp slt i64 %next, {_TURNS}
  br i1 %more, label %turn, label %end
end:
  %place = mul i64 %block, 64
  %own = getelementptr i8, ptr %b0, i64 %place
{"".join(ends)}  %after = add i64 %block, 1
  %again = icmp slt i64 %after, %high
  br i1 %again, label %each, label %done
done:
  ret void
}}
"""
    declared = f"declare {vector} {fma}({vector}, {vector}, {vector})"
    out = Buffer("out", 16 * threads, _F32, "output")
    flops = 2.0 * lanes * count * _TURNS * threads
    return Lowered("fma", ir, (out,), threads, flops, 0.0, declarations=frozenset({declared}))


def _copies(threads: int, size: int, turns: int, body: str) -> Lowered:
    """Each thread copies its part of `size` bytes, several times."""
    part = size // threads // 64 * 64
    given = "ptr noalias %b0, ptr noalias %b1, ptr %error, ptr %scratch, i64 %low, i64 %high"
    ir = f"""define void @copy({given}) {{
entry:
  %begin = mul i64 %low, {part}
  %end = mul i64 %high, {part}
  %size = sub i64 %end, %begin
  br label %turn
turn:
  %n = phi i64 [ 0, %entry ], [ %after, %copied ]
{body}
  br label %copied
copied:
  %after = add i64 %n, 1
  %again = icmp slt i64 %after, {turns}
  br i1 %again, label %turn, label %leave
leave:
  ret void
}}
"""
    count = size // 4
    buffers = Buffer("source", count, _F32, "input"), Buffer("target", count, _F32, "output")
    declared = frozenset({"declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"})
    moved = 2.0 * part * threads * turns
    return Lowered("copy", ir, buffers, threads, 0.0, moved, declarations=declared)


def _by_system() -> str:
    return """  %from = getelementptr i8, ptr %b0, i64 %begin
  %to = getelementptr i8, ptr %b1, i64 %begin
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)"""


def _by_vectors() -> str:
    """64 bytes a turn; volatile, or LLVM would call the system's copy here too."""
    return """  br label %loop
loop:
  %at = phi i64 [ %begin, %turn ], [ %next, %loop ]
  %from = getelementptr i8, ptr %b0, i64 %at
  %to = getelementptr i8, ptr %b1, i64 %at
  %value = load volatile <16 x float>, ptr %from, align 64
  store volatile <16 x float> %value, ptr %to, align 64
  %next = add i64 %at, 64
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:"""
