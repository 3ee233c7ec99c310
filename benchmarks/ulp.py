"""Worst errors of the compiler's elementwise mathematics, in units in the last place.

`python -m benchmarks.ulp` prints the table; `--write` puts it into docs/elementwise-maths.md. An
ulp is the distance of the float next to the exact value to its neighbour: 0.5 is the least worst
error that there can be. The exact value is NumPy's in float64 for float32, in long double (64 bits
of precision on x86-64) for float64.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.compiler.kernels import Access, Buffer, Loop, Plan, Scalar, Store, View
from thalweg.compiler.machine import host
from thalweg.compiler.native.program import Program

__all__ = [
    "FUNCTIONS",
    "PAGE",
    "Function",
    "Row",
    "compiled",
    "errors",
    "main",
    "measure",
    "points",
    "table",
]

PAGE = Path(__file__).parent.parent / "docs" / "elementwise-maths.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
Arrays = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """The exact function, and the interval that is swept (all floats where there is none)."""

    exact: Callable[..., Any]
    low: float = -math.inf
    high: float = math.inf
    operands: int = 1


def _logistic(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


_erf = np.vectorize(math.erf, otypes=[np.float64])  # the C library's, good to an ulp of float64

# fmt: off
FUNCTIONS = {
    "exp": Function(np.exp), "expm1": Function(np.expm1),
    "log": Function(np.log), "log1p": Function(np.log1p),
    "tanh": Function(np.tanh), "logistic": Function(_logistic), "erf": Function(_erf),
    "sin": Function(np.sin, -1e5, 1e5), "cos": Function(np.cos, -1e5, 1e5),
    "tan": Function(np.tan, -1e5, 1e5),
    "asin": Function(np.arcsin, -1, 1), "acos": Function(np.arccos, -1, 1),
    "atan": Function(np.arctan), "atan2": Function(np.arctan2, operands=2),
    "power": Function(np.power, operands=2),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the worst error found, and where."""

    name: str
    dtype: str
    worst: float
    where: tuple[float, ...]
    count: int


def points(name: str, dtype: Any, count: int) -> Arrays:
    """Operands to try: evenly spaced bit patterns, and a dense grid of common sizes."""
    function = FUNCTIONS[name]
    if function.operands == 2:
        return _pairs(name, dtype, count)
    bits = np.dtype(f"u{dtype.itemsize}")
    step = max(1, 2 ** (8 * dtype.itemsize) // count)
    patterns = np.arange(count, dtype=np.uint64) * np.uint64(step)
    spread = patterns.astype(bits).view(dtype)
    x = np.concatenate([spread, np.linspace(-20, 20, count, dtype=dtype)])
    return (x[(x >= function.low) & (x <= function.high)],)


def _pairs(name: str, dtype: Any, count: int) -> Arrays:
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(-20, 20, (2, count)))
    signs = rng.choice([-1.0, 1.0], (2, count))
    if name == "atan2":
        return tuple((sizes * signs).astype(dtype))
    limit = 87 if dtype == F32 else 700
    exponent = rng.uniform(-limit, limit, count) / np.log(sizes[0])
    return sizes[0].astype(dtype), exponent.astype(dtype)


def compiled(name: str, arrays: Arrays) -> Any:
    """The compiled function of `arrays`."""
    dtype, size = arrays[0].dtype, arrays[0].size
    inputs = [Buffer(f"x{n}", size, dtype, "input") for n in range(len(arrays))]
    output = Buffer("y", size, dtype, "output")
    loads = [Scalar("load", (), dtype, {"access": Access(b, 0, (1,))}) for b in inputs]
    body = (*loads, Scalar(name, tuple(range(len(loads))), dtype))
    kernel = Loop((size,), body, (Store(len(loads), Access(output, 0, (1,))),))
    plan = Plan([kernel], inputs, [View(output, 0, (size,), (1,))], {}, 0)
    out = np.empty(size, dtype)
    given = [np.ascontiguousarray(a) for a in arrays]
    Program(plan, host()).run([*(a.ctypes.data for a in given), out.ctypes.data], 1)
    return out


def errors(name: str, arrays: Arrays) -> Any:
    """The error of each element in ulps; infinite where one is NaN or infinite and one is not."""
    dtype = arrays[0].dtype
    wide = np.float64 if dtype == F32 else np.longdouble
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[name].exact(*(a.astype(wide) for a in arrays))
        found = compiled(name, arrays)
        rounded = exact.astype(dtype)
        same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
        finite = np.isfinite(rounded) & np.isfinite(found)
        unit = np.spacing(np.abs(np.where(finite, rounded, 1))).astype(wide)
        apart = np.where(finite, np.abs(found.astype(wide) - exact) / unit, np.inf)
        return np.where(same & ~finite, 0, apart).astype(np.float64)


def measure(name: str, dtype: Any, count: int) -> Row:
    """The worst error of `name` over some `count` operands, or twice that."""
    arrays = points(name, dtype, count)
    found = errors(name, arrays)
    place = int(found.argmax())
    where = tuple(float(a[place]) for a in arrays)
    return Row(name, dtype.name, float(found[place]), where, found.size)


def table(singles: list[Row], doubles: list[Row]) -> str:
    """Both types side by side, in Markdown."""
    lines = [
        "| function | operands | float32: worst ulp | at | float64: worst ulp | at |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for single, double in zip(singles, doubles, strict=True):
        cells = [single.name, _interval(single.name)]
        for row in (single, double):
            cells += [f"{row.worst:.2f}", ", ".join(f"{x:.7g}" for x in row.where)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _interval(name: str) -> str:
    function = FUNCTIONS[name]
    if function.operands == 2:
        return "pairs of many sizes"
    return "all" if math.isinf(function.high) else f"{function.low:g} to {function.high:g}"


def main() -> int:
    """Measure, print, and with --write renew the page."""
    parser = argparse.ArgumentParser("python -m benchmarks.ulp")
    parser.add_argument("--points", type=int, default=4_000_000, help="float32 operands a function")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    singles = [measure(name, F32, options.points) for name in FUNCTIONS]
    doubles = [measure(name, F64, options.points // 8) for name in FUNCTIONS]
    text = table(singles, doubles)
    print(text)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
