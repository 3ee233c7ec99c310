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
from thalweg.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

__all__ = ["Work", "compare", "main", "works"]

Tensors = Callable[..., Any]


class Work(NamedTuple):
    """The same results by a transform and by a loop, of the same arguments."""

    name: str
    cases: int
    transform: Callable[..., Any]
    loop: Callable[..., Any]
    arguments: tuple[tw.Tensor, ...]


def works(counts: tuple[int, ...] = (1, 2, 3, 8, 64)) -> Iterator[Work]:
    """Every piece of work, for each number of cases."""
    for count in counts:
        tw.manual_seed(0)
        yield from _vectors(count)
        yield from _networks(count)
        yield from _jacobians(count)


def _vectors(count: int) -> Iterator[Work]:
    """Operations on vectors of 20: one after the other, a softmax, of every pair."""

    def chain(x: tw.Tensor) -> tw.Tensor:
        return ((x * 2.0 + 1.0).tanh() * x - x.exp()).sin() + x

    def softmax(x: tw.Tensor) -> tw.Tensor:
        return tw.softmax(x, 0) * x.sum() + x.norm()

    def pair(x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
        return (x - y).square().sum().neg().exp()

    def pairs(xs: tw.Tensor, ys: tw.Tensor) -> tw.Tensor:
        return tw.stack([tw.stack([pair(x, y) for y in ys]) for x in xs])

    xs, ys = tw.randn(count, 20), tw.randn(3, 20)
    for name, f in {"elementwise": chain, "softmax": softmax}.items():
        yield Work(f"vmap {name} of 20", count, vmap(f), _stacking(f), (xs,))
    kernel = vmap(vmap(pair, in_dims=(None, 0)), in_dims=(0, None))
    yield Work("vmap(vmap) by 3", count, kernel, pairs, (xs, ys))


def _stacking(f: Tensors) -> Tensors:
    return lambda xs: tw.stack([f(x) for x in xs])


def _networks(count: int) -> Iterator[Work]:
    """A small network of each sample, recorded, the loss of its scores, and its gradient."""
    net = tw.nn.Sequential(tw.nn.Linear(64, 100), tw.nn.Tanh(), tw.nn.Linear(100, 10))
    state = {name: p.detach() for name, p in net.named_parameters()}

    def loss(state: Any, x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
        return F.cross_entropy(functional_call(net, state, x.unsqueeze(0)), y.unsqueeze(0))

    gradient, mapped = grad(loss), vmap(grad(loss), in_dims=(None, 0, 0))

    def loop(xs: tw.Tensor, ys: tw.Tensor) -> Any:
        found = [gradient(state, x, y) for x, y in zip(xs, ys, strict=True)]
        return {name: tw.stack([one[name] for one in found]) for name in state}

    def entropy(scores: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
        return F.cross_entropy(scores, y)

    def entropies(scores: tw.Tensor, ys: tw.Tensor) -> tw.Tensor:
        return tw.stack([entropy(*pair) for pair in zip(scores, ys, strict=True)])

    xs, ys = tw.randn(count, 64), tw.randint(0, 10, (count,))
    yield Work("vmap cross_entropy", count, vmap(entropy), entropies, (xs[:, :10], ys))
    yield Work("vmap 64-100-10", count, vmap(net), _stacking(net), (xs,))
    yield Work("vmap(grad) 64-100-10", count, lambda x, y: mapped(state, x, y), loop, (xs, ys))


def _jacobians(count: int) -> Iterator[Work]:
    """Derivatives of two layers of 80 with `count` rows, or columns."""
    w = tw.randn(80, 80) * 0.1

    def narrow(x: tw.Tensor) -> tw.Tensor:
        return (w[:count] @ (w @ x).tanh()).sin()

    def wide(x: tw.Tensor) -> tw.Tensor:
        return (w @ (w[:, :count] @ x).tanh()).sin()

    def small(x: tw.Tensor) -> tw.Tensor:
        return (x * x.sum()).sin()

    def loss(x: tw.Tensor) -> tw.Tensor:
        return wide(x).square().sum()

    def rows(f: Tensors) -> Tensors:
        def jacobian(x: tw.Tensor) -> tw.Tensor:
            _, pull = vjp(f, x)
            return tw.stack([pull(unit)[0] for unit in tw.eye(count)])

        return jacobian

    def columns(x: tw.Tensor) -> tw.Tensor:
        return tw.stack([jvp(wide, (x,), (unit,))[1] for unit in tw.eye(count)], 1)

    def products(x: tw.Tensor) -> tw.Tensor:
        gradient = grad(loss)
        return tw.stack([jvp(gradient, (x,), (unit,))[1] for unit in tw.eye(count)])

    long, short = tw.randn(80), tw.randn(count)
    yield Work("jacrev of 80", count, jacrev(narrow), rows(narrow), (long,))
    yield Work("jacrev, square", count, jacrev(small), rows(small), (short,))
    yield Work("jacfwd to 80", count, jacfwd(wide), columns, (short,))
    yield Work("hessian", count, hessian(loss), products, (short,))


def compare(work: Work, *functions: Callable[..., Any]) -> None:
    """Whether all functions give the same results."""
    results = [function(*work.arguments) for function in functions]
    for result in results[1:]:
        for name in result if isinstance(result, dict) else (slice(None),):
            np.testing.assert_allclose(
                result[name].detach().numpy(),
                results[0][name].detach().numpy(),
                rtol=1e-3,
                atol=1e-5,
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
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 2, 3, 8, 64])
    options = parser.parse_args()
    print(f"{'microseconds':22}cases{'eager':>9}{'loop':>9}{'times':>7}{'compiled':>9}{'loop':>9}")
    for work in works(tuple(options.cases)):
        print(_measured(work, options.rounds, options.seconds), flush=True)


if __name__ == "__main__":
    main()
