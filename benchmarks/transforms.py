"""Function transforms beside Python loops that do the same: `python -m benchmarks.transforms`.

A row is a piece of work for so many cases, eagerly and compiled: the transform, the loop, and how
many times as long the loop takes. The results of both are compared first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import thalweg as tw
import thalweg.nn.functional as F
from benchmarks.timing import interleaved
from thalweg.func import functional_call, grad, hessian, hvp, jacfwd, jacrev, jvp, vjp, vmap

__all__ = ["Work", "compare", "main", "works"]

Tensors = Callable[[], Any]


class Work(NamedTuple):
    """The same results by a transform and by a loop, of the same arguments."""

    name: str
    cases: int
    transform: Callable[..., Any]
    loop: Callable[..., Any]
    arguments: tuple[tw.Tensor, ...]


def works(counts: tuple[int, ...] = (1, 2, 4, 32)) -> Iterator[Work]:
    """Every piece of work, for each number of cases."""
    for count in counts:
        tw.manual_seed(0)
        yield _samples(count)
        yield _vector(count)
        yield from _jacobians(count)


def _samples(count: int) -> Work:
    """The gradient of a small network for each sample."""
    net = tw.nn.Sequential(tw.nn.Linear(64, 100), tw.nn.Tanh(), tw.nn.Linear(100, 10))
    state = {name: p.detach() for name, p in net.named_parameters()}

    def loss(state: Any, x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
        return F.cross_entropy(functional_call(net, state, x.unsqueeze(0)), y.unsqueeze(0))

    gradient, mapped = grad(loss), vmap(grad(loss), in_dims=(None, 0, 0))

    def loop(x: tw.Tensor, y: tw.Tensor) -> Any:
        found = [gradient(state, x[k], y[k]) for k in range(count)]
        return {name: tw.stack([one[name] for one in found]) for name in state}

    inputs = tw.randn(count, 64), tw.randint(0, 10, (count,))
    return Work("vmap(grad) 64-100-10", count, lambda x, y: mapped(state, x, y), loop, inputs)


def _vector(count: int) -> Work:
    """A few operations on vectors."""

    def f(x: tw.Tensor) -> tw.Tensor:
        return tw.softmax(x, 0) * x.sum() + x.norm()

    def loop(x: tw.Tensor) -> tw.Tensor:
        return tw.stack([f(row) for row in x])

    return Work("vmap softmax of 20", count, vmap(f), loop, (tw.randn(count, 20),))


def _jacobians(count: int) -> Iterator[Work]:
    """Derivatives of two layers of 50 with `count` rows, or columns."""
    w = tw.randn(50, 50) * 0.1
    units = tw.eye(count)

    def narrow(x: tw.Tensor) -> tw.Tensor:
        return (w @ (w @ x).tanh()).sin()[:count]

    def wide(x: tw.Tensor) -> tw.Tensor:
        return (w @ (w[:, :count] @ x).tanh()).sin()

    def loss(x: tw.Tensor) -> tw.Tensor:
        return wide(x).square().sum()

    def rows(x: tw.Tensor) -> tw.Tensor:
        pull = vjp(narrow, x)[1]
        return tw.stack([pull(units[k])[0] for k in range(count)])

    def columns(x: tw.Tensor) -> tw.Tensor:
        return tw.stack([jvp(wide, (x,), (units[k],))[1] for k in range(count)], 1)

    def products(x: tw.Tensor) -> tw.Tensor:
        return tw.stack([hvp(loss, (x,), (units[k],))[1] for k in range(count)])

    long, short = tw.randn(50), tw.randn(count)
    yield Work("jacrev of 50", count, jacrev(narrow), rows, (long,))
    yield Work("jacfwd to 50", count, jacfwd(wide), columns, (short,))
    yield Work("hessian", count, hessian(loss), products, (short,))


def compare(work: Work, *functions: Callable[..., Any]) -> None:
    """Whether all functions give the same results."""
    results = [function(*work.arguments) for function in functions]
    for result in results[1:]:
        for name in result if isinstance(result, dict) else (slice(None),):
            np.testing.assert_allclose(
                result[name].numpy(), results[0][name].numpy(), rtol=1e-3, atol=1e-5
            )


def _measured(work: Work, rounds: int, seconds: float) -> str:
    compiled = tw.compile(work.transform), tw.compile(work.loop)
    functions = (work.transform, work.loop, *compiled)
    compare(work, *functions)
    calls: list[Tensors] = [partial(function, *work.arguments) for function in functions]
    timings = interleaved(calls, rounds, seconds)
    times = [1e6 * timing.best for timing in timings]
    cells = [f"{t:9.1f}{loop:9.1f}{loop / t:7.2f}" for t, loop in (times[:2], times[2:])]
    return f"{work.name:22}{work.cases:5}{''.join(cells)}"


def main() -> None:
    """Measure, and print a table in microseconds."""
    parser = argparse.ArgumentParser("python -m benchmarks.transforms", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each; the best counts")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a turn")
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 2, 4, 32])
    options = parser.parse_args()
    print(f"{'microseconds':22}cases{'eager':>9}{'loop':>9}{'times':>7}{'compiled':>9}{'loop':>9}")
    for work in works(tuple(options.cases)):
        print(_measured(work, options.rounds, options.seconds), flush=True)


if __name__ == "__main__":
    main()
