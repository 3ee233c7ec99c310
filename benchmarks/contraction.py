"""Contractions beside the machine's peak: `python -m benchmarks.contraction [--bits N] [--double]`.

The peak is measured in the same run: chains of multiply-adds in registers that wait for nothing.
Every kernel runs on one core, again and again within native code, on operands that stay where
they are; kernels take turns, and the best turn counts.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.timing import interleaved
from thalweg.compiler.kernels import Access, Axis, Buffer, Contraction, Scalar, Store
from thalweg.compiler.lower.contraction import lower_contraction
from thalweg.compiler.machine import Machine, host
from thalweg.compiler.native.jit import Library, compile_modules

__all__ = ["CASES", "Case", "main", "peak"]


@dataclass(frozen=True)
class Case:
    """A contraction of contiguous operands, as einsum writes it; `window`: rows and columns of the
    image in A that windows of `i` x `j` are taken from."""

    name: str
    spec: str
    size: dict[str, int]

    def kernel(self, dtype: np.dtype[Any]) -> Contraction:
        """The kernel, without an epilogue."""
        operands, result = self.spec.split("->")
        left, right = operands.split(",")
        a, b, c = self._steps(left), self._steps(right), self._steps(result)
        roles = [[n for n in result if (n in left, n in right) == role] for role in _ROLES]
        inner = [n for n in left if n in right and n not in result]
        batch, rows, columns = (
            tuple(Axis(self.size[n], a.get(n, 0), b.get(n, 0)) for n in names) for names in roles
        )
        space = [n for role in roles for n in role]
        sizes = [self._length(names) for names in (left, right, result)]
        buffers = [Buffer(n, s, dtype, "input") for n, s in zip("abc", sizes, strict=True)]
        return Contraction(
            buffers[0], 0, buffers[1], 0, batch, rows, columns,
            tuple(Axis(self.size[n], a[n], b[n]) for n in inner),
            (Scalar("sum", (), dtype),),
            (Store(0, Access(buffers[2], 0, tuple(c.get(n, 0) for n in space))),),
        )  # fmt: skip

    def _stored(self, names: str) -> list[tuple[str, int]]:
        """Axes in memory: windows i, j of h, w lie in an image of h + i - 1 by w + j - 1."""
        size, windows = self.size, "h" in names and "i" in names
        if not windows:
            return [(n, size[n]) for n in names]
        spans = {"h": size["h"] + size["i"] - 1, "w": size["w"] + size["j"] - 1}
        return [(n, spans.get(n, size[n])) for n in names if n not in "ij"]

    def _steps(self, names: str) -> dict[str, int]:
        steps, reach = {}, 1
        for name, size in reversed(self._stored(names)):
            steps[name] = reach
            reach *= size
        if "h" in names and "i" in names:
            steps |= {"i": steps["h"], "j": steps["w"]}
        return steps

    def _length(self, names: str) -> int:
        return math.prod(size for _, size in self._stored(names))

    @property
    def flop(self) -> float:
        """Multiplications and additions."""
        return 2.0 * math.prod(self.size.values())


LONGEST = 3e8  # operations of one measured call
_ROLES = ((True, True), (True, False), (False, True))


def _matrices(m: int, k: int, n: int, forms: str) -> Iterator[Case]:
    specs = {"NN": "mk,kn->mn", "NT": "mk,nk->mn", "TN": "km,kn->mn", "TT": "km,nk->mn"}
    for form in forms.split():
        yield Case(f"{m}x{k}x{n} {form}", specs[form], {"m": m, "k": k, "n": n})


def _convolutions(b: int, h: int, c: int, o: int) -> Iterator[Case]:
    size = {"b": b, "h": h, "w": h, "c": c, "o": o, "i": 3, "j": 3}
    name = f"conv {c}-{o}, {b} of {h}x{h}"
    yield Case(f"{name}", "bhwcij,ijco->bhwo", size)
    yield Case(f"{name}, weight gradient", "bhwcij,bhwo->ijco", size)


CASES: tuple[Case, ...] = (
    *_matrices(32, 784, 30, "NT"),
    *_matrices(30, 32, 784, "TN"),
    *_matrices(64, 784, 128, "NT"),
    *_matrices(128, 784, 512, "NN NT TN"),
    *_matrices(128, 512, 512, "NN NT TN"),
    *_matrices(512, 128, 512, "TN"),
    *_matrices(512, 512, 512, "NN NT TN TT"),
    *_matrices(1024, 1024, 1024, "NN NT TN"),
    *_matrices(4096, 256, 64, "NN NT"),
    *_matrices(64, 256, 4096, "NN NT"),
    *_matrices(10, 30, 32, "NN NT TN"),
    *_matrices(128, 512, 10, "NT"),
    *_matrices(128, 10, 512, "NN"),
    *_matrices(10, 128, 512, "TN"),
    Case("64 of 32x32x32 NN", "bmk,bkn->bmn", {"b": 64, "m": 32, "k": 32, "n": 32}),
    Case("64 of 32x32x32 NT", "bmk,bnk->bmn", {"b": 64, "m": 32, "k": 32, "n": 32}),
    Case("32 of 128x64x128 NT", "bmk,bnk->bmn", {"b": 32, "m": 128, "k": 64, "n": 128}),
    *_convolutions(2, 32, 64, 64),
    *_convolutions(8, 16, 128, 128),
    *_convolutions(8, 8, 128, 256),
    *_convolutions(16, 28, 1, 32),
)


def main() -> None:
    """Measure every case and print its share of the peak."""
    parser = argparse.ArgumentParser("python -m benchmarks.contraction", description=__doc__)
    parser.add_argument("--bits", default="", help="vectors of 512, 256 or 128 bits")
    parser.add_argument("--double", action="store_true", help="float64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.05, help="length of a turn")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args()
    if options.bits:
        os.environ["THALWEG_VECTOR_BITS"] = options.bits
    dtype = np.dtype(np.float64 if options.double else np.float32)
    cases = [case for case in CASES if options.only in case.name]
    machine = host()
    runs = [peak(machine, dtype), *(repeated(case, machine, dtype) for case in cases)]
    timings = interleaved([run.call for run in runs], options.rounds, options.seconds)
    rates = [run.flop / t.best / 1e9 for run, t in zip(runs, timings, strict=True)]
    print(f"peak {rates[0]:.0f} GFLOP/s, vectors of {machine.vector_bits} bits, {dtype}")
    for case, rate in zip(cases, rates[1:], strict=True):
        share, microseconds = rate / rates[0], case.flop / rate / 1e3
        print(f"{case.name:44} {rate:6.0f} GFLOP/s {share:5.0%} {microseconds:9.2f} us")
    shares = [rate / rates[0] for rate in rates[1:]]
    print(f"geometric mean {math.exp(sum(map(math.log, shares)) / len(shares)):.0%}")


@dataclass(frozen=True)
class Run:
    """A native call, the operations it does, and what must stay alive for it."""

    call: Callable[[], object]
    flop: float
    kept: Sequence[object]


def repeated(case: Case, machine: Machine, dtype: np.dtype[Any]) -> Run:
    """The case's kernel, so often in one call that the call itself does not count."""
    lowered = lower_contraction(case.kernel(dtype), "kernel", machine)
    share = min(1.0, LONGEST / case.flop)  # of a long one some blocks: others want the core too
    blocks = max(1, int(lowered.blocks * share))
    flop = case.flop * blocks / lowered.blocks
    names = [f"ptr %b{n}" for n in range(len(lowered.buffers))] + ["ptr %error", "ptr %scratch"]
    again = f"""
define void @again({", ".join(names)}, i64 %count) {{
entry:
  br label %turn
turn:
  %done = phi i64 [0, %entry], [%next, %turn]
  call void @kernel({", ".join(names)}, i64 0, i64 {blocks}) noinline
  %next = add i64 %done, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %turn, label %end
end:
  ret void
}}
"""
    parts = [*sorted(lowered.declarations), *lowered.helpers.values(), lowered.ir, again]
    library = compile_modules(["\n".join(parts)], machine)
    arrays = [aligned(buffer.size, dtype) for buffer in lowered.buffers]
    scratch = aligned(lowered.scratch // dtype.itemsize + 8, dtype)
    pointers = [array.ctypes.data for array in (*arrays, scratch, scratch)]
    count = max(1, round(2e7 / flop))
    return Run(called(library, "again", pointers, count), flop * count, (arrays, scratch))


def called(
    library: Library, name: str, pointers: Sequence[int], count: int
) -> Callable[[], object]:
    """A call of a native function of pointers and a number."""
    types = [ctypes.c_void_p] * len(pointers)
    function = ctypes.CFUNCTYPE(None, *types, ctypes.c_int64)(library.address(name))

    def call(library: Library = library) -> object:
        return function(*pointers, count)

    return call


def aligned(size: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Random numbers that begin where a cache line does."""
    room = np.random.default_rng(0).standard_normal(size + 64).astype(dtype)
    start = -room.ctypes.data % 64 // dtype.itemsize
    return room[start : start + size]


def peak(machine: Machine, dtype: np.dtype[Any]) -> Run:
    """Independent chains of multiply-adds, all in registers."""
    lanes, count = machine.lanes(dtype), 100_000
    chains = range(16 if machine.registers == 32 else 12)
    scalar = "float" if dtype.itemsize == 4 else "double"
    type, fma = f"<{lanes} x {scalar}>", f"@llvm.fma.v{lanes}f{8 * dtype.itemsize}"
    lines = [
        f"declare {type} {fma}({type}, {type}, {type})",
        "define void @peak(ptr %p, i64 %count) {",
        f"entry:\n  %x = load {type}, ptr %p, align 8\n  br label %turn",
        "turn:\n  %done = phi i64 [0, %entry], [%next, %turn]",
        *(f"  %a{n} = phi {type} [%x, %entry], [%b{n}, %turn]" for n in chains),
        *(f"  %b{n} = call {type} {fma}({type} %x, {type} %x, {type} %a{n})" for n in chains),
        "  %next = add i64 %done, 1\n  %more = icmp slt i64 %next, %count",
        "  br i1 %more, label %turn, label %end\nend:",
        *(f"  %q{n} = getelementptr {type}, ptr %p, i64 {n}" for n in chains),
        *(f"  store {type} %b{n}, ptr %q{n}, align 8" for n in chains),
        "  ret void\n}",
    ]
    library = compile_modules(["\n".join(lines)], machine)
    room = aligned(lanes * len(chains), dtype) * 1e-3
    flop = 2.0 * lanes * len(chains) * count
    return Run(called(library, "peak", [room.ctypes.data], count), flop, (room,))


if __name__ == "__main__":
    main()
