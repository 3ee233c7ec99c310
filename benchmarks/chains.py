"""Softmax and norms, forward and with their gradients, compiled, beside a copy of memory.

    python -m benchmarks.chains [NAME ..] [--threads N] [--shapes 8192x1024 ..] [--plan]

Each goes over its rows several times, but what must move is what is given, once, and what comes
out, once. A copy in memory, measured in the same run, says how fast that can go.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import thalweg as tw
from benchmarks.timing import interleaved
from thalweg.compiler.describe import describe_plan
from thalweg.compiler.roof import roof
from thalweg.nn import functional as F

__all__ = ["CHAINS", "Chain", "main", "measure"]


class Chain(NamedTuple):
    """A function of a matrix and of so many vectors, and whether its gradients are wanted too."""

    fn: Callable[..., tw.Tensor]
    vectors: int = 0
    both: bool = False

    @property
    def moved(self) -> int:
        """Matrices that are read or written: the argument and the result; the gradients of both."""
        return 4 if self.both else 2


def _layer_norm(x: tw.Tensor, weight: tw.Tensor, bias: tw.Tensor) -> tw.Tensor:
    return F.layer_norm(x, (x.shape[-1],), weight, bias)


def _rms_norm(x: tw.Tensor, weight: tw.Tensor) -> tw.Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight)


def _softmax(x: tw.Tensor) -> tw.Tensor:
    return F.softmax(x, -1)


CHAINS: dict[str, Chain] = {
    "softmax": Chain(_softmax),
    "log_softmax": Chain(lambda x: F.log_softmax(x, -1)),
    "layer_norm": Chain(_layer_norm, 2),
    "rms_norm": Chain(_rms_norm, 1),
    "softmax, both": Chain(_softmax, both=True),
    "layer_norm, both": Chain(_layer_norm, 2, both=True),
    "rms_norm, both": Chain(_rms_norm, 1, both=True),
    "gelu": Chain(F.gelu),
    "gelu, both": Chain(F.gelu, both=True),
}


def _with_gradients(fn: Callable[..., tw.Tensor]) -> Callable[..., Any]:
    def both(cotangent: tw.Tensor, *given: tw.Tensor) -> Any:
        result, back = tw.func.vjp(fn, *given)
        return result, *back(cotangent)

    return both


class Measured(NamedTuple):
    """Seconds of a call, the number of kernels, the plan as text."""

    seconds: float
    kernels: int
    plan: str


def measure(chain: Chain, rows: int, columns: int, seconds: float) -> Measured:
    """The fastest call on a matrix, of those in some `seconds`."""
    x, cotangent = tw.randn(rows, columns), tw.randn(rows, columns)
    given = [x, *(tw.randn(columns) for _ in range(chain.vectors))]
    step = tw.compile(_with_gradients(chain.fn) if chain.both else chain.fn)
    given = [cotangent, *given] if chain.both else given
    step(*given)
    (timing,) = interleaved([lambda: step(*given)], 1, seconds)
    assert step.last is not None
    plan = step.last.bound.plan
    return Measured(timing.best, len(plan.kernels), describe_plan(plan))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.chains")
    add = parser.add_argument
    add("names", nargs="*", default=list(CHAINS), metavar="NAME", help=", ".join(CHAINS))
    add("--threads", type=int, default=tw.get_num_threads())
    add("--shapes", nargs="+", default=["8192x1024", "65536x64", "512x16384"], help="ROWSxCOLUMNS")
    add("--seconds", type=float, default=0.5, help="for each")
    add("--plan", action="store_true", help="print the kernels")
    options = parser.parse_args()
    tw.set_num_threads(options.threads)
    found, tops = {}, [roof(options.threads)]
    for shape in options.shapes:
        rows, columns = map(int, shape.split("x"))
        for name in options.names:
            found[shape, name] = measure(CHAINS[name], rows, columns, options.seconds)
        tops.append(roof.__wrapped__(options.threads))
    top = max(tops, key=lambda each: each.bandwidth)  # what the memory can do when left alone
    print(top)
    print("                            kernels       ms    GB/s  of copy")
    for (shape, name), measured in found.items():
        rows, columns = map(int, shape.split("x"))
        rate = 4 * CHAINS[name].moved * rows * columns / measured.seconds
        print(
            f"{shape:10} {name:16} {measured.kernels:8} {1e3 * measured.seconds:8.2f} "
            f"{rate / 1e9:7.1f} {100 * rate / top.bandwidth:6.0f} %"
        )
        if options.plan:
            print(measured.plan)
    return 0


if __name__ == "__main__":
    sys.exit(main())
