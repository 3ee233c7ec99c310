"""Softmax, norms, losses and activations, compiled, beside a copy of memory.

    python -m benchmarks.chains [NAME ..] [--threads N] [--shapes 8192x1024 ..] [--plan]

Each goes over its rows several times, but what must move is what is given, once, and what comes
out, once. A copy in memory, measured just before and after each, says how fast that can go.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import thalweg as tw
from benchmarks.timing import interleaved
from thalweg.compiler.describe import describe_plan
from thalweg.compiler.roof import copied
from thalweg.nn import functional as F

__all__ = ["CHAINS", "Chain", "main", "measure"]


class Chain(NamedTuple):
    """A function of so many matrices and so many vectors, and whether its gradients are wanted too.

    moved     matrices that must be read or written: the arguments and the result; then the
              gradients of both
    channels  the elements of a vector, where they are not as many as columns
    kernels   that it becomes: one, one for each sum over the rows, one where numbers are drawn
    labels    whether the last argument is a class for each row, and the result a number
    """

    fn: Callable[..., tw.Tensor]
    vectors: int = 0
    both: bool = False
    matrices: int = 1
    moved: int = 2
    channels: int | None = None
    kernels: int = 1
    labels: bool = False

    def given(self, rows: int, columns: int) -> list[tw.Tensor]:
        """The arguments."""
        matrices = [tw.randn(rows, columns) for _ in range(self.matrices)]
        vectors = [tw.randn(self.channels or columns) for _ in range(self.vectors)]
        labels = [tw.randint(0, columns, (rows,))] if self.labels else []
        cotangent = [tw.ones() if self.labels else tw.randn(rows, columns)] if self.both else []
        return [*cotangent, *matrices, *vectors, *labels]

    def step(self) -> Any:
        """The function, compiled."""
        if not self.both:
            return tw.compile(self.fn)
        differentiated = self.matrices + self.vectors

        def both(cotangent: tw.Tensor, *given: tw.Tensor) -> Any:
            free, fixed = given[:differentiated], given[differentiated:]
            result, back = tw.func.vjp(lambda *free: self.fn(*free, *fixed), *free)
            return result, *back(cotangent)

        return tw.compile(both)


def _layer_norm(x: tw.Tensor, weight: tw.Tensor, bias: tw.Tensor) -> tw.Tensor:
    return F.layer_norm(x, (x.shape[-1],), weight, bias)


def _rms_norm(x: tw.Tensor, weight: tw.Tensor) -> tw.Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight)


def _group_norm(x: tw.Tensor, weight: tw.Tensor, bias: tw.Tensor) -> tw.Tensor:
    return F.group_norm(x.reshape(len(x), 16, -1), 4, weight, bias).reshape(x.shape)


def _batch_norm(x: tw.Tensor, weight: tw.Tensor, bias: tw.Tensor) -> tw.Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def _softmax(x: tw.Tensor) -> tw.Tensor:
    return F.softmax(x, -1)


def _log_softmax(x: tw.Tensor) -> tw.Tensor:
    return F.log_softmax(x, -1)


def _residual(x: tw.Tensor, y: tw.Tensor, weight: tw.Tensor, bias: tw.Tensor) -> tw.Tensor:
    return _layer_norm(x + F.dropout(y, 0.1), weight, bias)


def _biased_gelu(x: tw.Tensor, bias: tw.Tensor) -> tw.Tensor:
    return F.gelu(x + bias)


# fmt: off
CHAINS: dict[str, Chain] = {
    "x * 2 + y":        Chain(lambda x, y: x * 2 + y, matrices=2, moved=3),
    "relu":             Chain(F.relu),
    "dropout":          Chain(lambda x: F.dropout(x, 0.1), kernels=2),
    "gelu":             Chain(F.gelu),
    "gelu, bias":       Chain(_biased_gelu, 1),
    "softmax":          Chain(_softmax),
    "log_softmax":      Chain(_log_softmax),
    "layer_norm":       Chain(_layer_norm, 2),
    "rms_norm":         Chain(_rms_norm, 1),
    "group_norm":       Chain(_group_norm, 2, channels=16),
    "residual":         Chain(_residual, 2, matrices=2, moved=3, kernels=2),
    "gelu, both":       Chain(F.gelu, both=True, moved=4),
    "gelu, bias, both": Chain(_biased_gelu, 1, both=True, moved=4, kernels=2),
    "softmax, both":    Chain(_softmax, both=True, moved=4),
    "log_softmax, both": Chain(_log_softmax, both=True, moved=4, kernels=2),
    "layer_norm, both": Chain(_layer_norm, 2, both=True, moved=4, kernels=3),
    "rms_norm, both":   Chain(_rms_norm, 1, both=True, moved=4, kernels=2),
    "group_norm, both": Chain(_group_norm, 2, both=True, moved=4, channels=16, kernels=3),
    "residual, both":   Chain(_residual, 2, both=True, matrices=2, moved=6, kernels=4),
    "cross_entropy, both": Chain(F.cross_entropy, both=True, labels=True, kernels=2),
    # Statistics of columns are known after the last row: x is read for them, x and the cotangent
    # for the result and the sums of gradients, both again for the gradient.
    "batch_norm, both": Chain(_batch_norm, 2, both=True, moved=7, kernels=4),
}
# fmt: on
SHAPES = ("8192x1024", "65536x64", "512x16384")
# Short rows, and log_softmax of more widths.
MORE = {
    "cross_entropy, both": ("65536x10",),
    "log_softmax": ("65536x10", "131072x32", "65536x128", "16384x512"),
}


class Measured(NamedTuple):
    """Seconds of a call, bytes a second of copies meanwhile, the number of kernels, the plan."""

    seconds: float
    copied: float
    kernels: int
    plan: str


def measure(
    chain: Chain, rows: int, columns: int, seconds: float, threads: int | None = None
) -> Measured:
    """The fastest call, of those in some `seconds`; and how fast `threads` copy, if given."""
    step, given = chain.step(), chain.given(rows, columns)
    step(*given)
    before = copied(threads) if threads else math.nan
    (timing,) = interleaved([lambda: step(*given)], 1, seconds)
    copy = max(before, copied(threads)) if threads else math.nan
    plan = step.last.bound.plan
    return Measured(timing.best, copy, len(plan.kernels), describe_plan(plan))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.chains")
    add = parser.add_argument
    add("names", nargs="*", default=list(CHAINS), metavar="NAME", help=", ".join(CHAINS))
    add("--threads", type=int, default=tw.get_num_threads())
    add("--shapes", nargs="+", help="ROWSxCOLUMNS, for each; else three, and more for some")
    add("--seconds", type=float, default=0.3, help="for each")
    add("--plan", action="store_true", help="print the kernels")
    options = parser.parse_args()
    tw.set_num_threads(options.threads)
    print("                               kernels       ms    GB/s    copy        ")
    shares = []
    for name in options.names:
        for shape in options.shapes or (*SHAPES, *MORE.get(name, ())):
            rows, columns = map(int, shape.split("x"))
            found = measure(CHAINS[name], rows, columns, options.seconds, options.threads)
            rate = 4 * CHAINS[name].moved * rows * columns / found.seconds
            shares.append(rate / found.copied)
            print(
                f"{name:19} {shape:10} {found.kernels:7} {1e3 * found.seconds:8.2f} "
                f"{rate / 1e9:7.1f} {found.copied / 1e9:7.1f} {100 * shares[-1]:6.0f} %"
            )
            if options.plan:
                print(found.plan)
    print(summary(shares))
    return 0


def summary(shares: Sequence[float]) -> str:
    """The geometric mean and the lowest of shares of a copy."""
    mean = math.exp(sum(map(math.log, shares)) / len(shares))
    return f"geometric mean {100 * mean:.0f} %, lowest {100 * min(shares):.0f} %"


if __name__ == "__main__":
    sys.exit(main())
