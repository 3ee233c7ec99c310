"""cond in a trace: one equation with two graphs, its derivative another; natively a branch."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from tests.compiler.looping import F64, Cell, check, names, near, scans
from thalweg.compiler.passes import build_plan, optimize
from thalweg.compiler.tracing.structure import flatten
from thalweg.errors import DTypeError, ShapeError
from thalweg.func import vmap


@pytest.fixture
def cell() -> Cell:
    return Cell()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_cond_is_one_equation(sign: float) -> None:
    def run(x: Any) -> Any:
        return tw.cond(x.sum() > 0, lambda x: x.exp(), lambda x: x * 2 + 1, (x,))

    graph = check(run, tw.tensor([sign, 2 * sign], dtype=F64))
    assert str(graph) == (
        "inputs x: f64[2]\n"
        "t1 : f64      = sum[axes=(0)](x)\n"
        "t2 : bool     = greater(t1, 0.0)\n"
        "t3 : (f64[2]) = cond(t2, x)\n"
        "    inputs x0: f64[2]\n"
        "    t1 : f64[2] = exp(x0)\n"
        "    outputs t1\n"
        "    inputs x0: f64[2]\n"
        "    t1 : f64[2] = x0 * 2.0\n"
        "    t2 : f64[2] = t1 + 1.0\n"
        "    outputs t2\n"
        "t4 : f64[2]   = item[index=0](t3)\n"
        "outputs t4"
    )
    plan = str(build_plan(graph, {}))
    assert "cond" in plan
    assert "else" in plan


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients(cell: Cell, sign: float, create_graph: bool) -> None:
    def run(x: Any) -> Any:
        def deep(x: Any) -> Any:
            return tw.tanh(x @ cell.u) @ cell.w, x.sum()

        def shallow(x: Any) -> Any:
            return (x @ cell.u) * cell.b, x.exp().sum()

        y, s = tw.cond(x.mean() > 0, deep, shallow, (x,))
        loss = (y * y).sum() * s
        grads = tw.autograd.grad(loss, cell.weights, create_graph=create_graph)
        if create_graph:
            return tw.autograd.grad(sum((g * g).sum() for g in grads), cell.weights)
        return loss, grads

    # A gradient that only the other branch has is 0 here, and None in the eager one.
    x = (cell.xs[0].abs() * sign).clone()
    got = flatten(tw.compile(run)(x))[0]

    def eager(x: Any) -> Any:
        zero = sum((w * 0.0).sum() for w in cell.weights)
        out = tw.autograd
        y, s = (
            (tw.tanh(x @ cell.u) @ cell.w, x.sum())
            if sign > 0
            else ((x @ cell.u) * cell.b, x.exp().sum())
        )
        loss = (y * y).sum() * s + zero
        grads = out.grad(loss, cell.weights, create_graph=create_graph)
        if create_graph:
            return out.grad(sum((g * g).sum() for g in grads) + zero, cell.weights)
        return loss, grads

    near([x._value for x in got], [x._value for x in flatten(eager(x))[0]])


def test_what_was_not_taken_leaves_no_nan() -> None:
    w = tw.tensor([0.0, 4.0], dtype=F64, requires_grad=True)

    def run(x: Any) -> Any:
        y = tw.cond(x.sum() > 0, lambda: (w.sqrt() / w).sum(), lambda: (w * x).sum())
        return tw.autograd.grad(y, w)[0]

    assert tw.compile(run)(tw.tensor([-1.0, 0.5], dtype=F64)).tolist() == [-1, 0.5]


@pytest.mark.parametrize("taken", [True, False])
def test_what_a_branch_changes(taken: bool) -> None:
    count, other = tw.zeros(()), tw.ones(2)

    def run(pred: Any) -> Any:
        def counting() -> Any:
            count.add_(1)
            return other * 2

        def doubling() -> Any:
            other.mul_(3)
            return other + count

        return tw.cond(pred, counting, doubling)

    got = tw.compile(run)(tw.tensor(taken))
    assert count.item() == taken
    assert other.tolist() == ([1, 1] if taken else [3, 3])
    assert got.tolist() == ([2, 2] if taken else [3, 3])


def test_in_a_loop_and_a_loop_in_it(cell: Cell) -> None:
    def step(h: Any, x: Any) -> Any:
        def inner(h: Any) -> Any:
            return tw.scan(lambda c, r: (tw.tanh(c @ cell.w + r[0]), c.sum()), h, x)

        def outer(h: Any) -> Any:
            return h * 0.5, x.sum(1)

        h, ys = tw.cond(x.sum() > 0, inner, outer, (h,))
        return h, ys

    def run(xs: Any) -> Any:
        h, ys = tw.scan(step, cell.h, xs)
        loss = (h * h).sum() + (ys * ys).sum()
        return loss, tw.autograd.grad(loss, cell.w)

    check(run, cell.xs)


def test_what_is_known_or_not_wanted_goes(cell: Cell) -> None:
    def run(x: Any) -> Any:
        y, _, same = tw.cond(
            x.sum() > 0, lambda: (x * 2, x @ cell.u, x), lambda: (x, x @ cell.u, x)
        )
        return y, same

    graph = check(run, cell.xs[0])
    assert [len(body.outputs) for body in scans(graph)] == [1, 1]
    assert graph.outputs[1] is graph.inputs[0]

    def known(x: Any) -> Any:
        return tw.cond(tw.zeros(()) > 1, lambda: x.exp(), lambda: x.sin())

    assert names(optimize(tw.trace(known, tw.ones(2)))) == ["sin"]


def test_within_vmap_both_are_computed() -> None:
    x = tw.tensor([-1.0, 2.0])
    run = tw.compile(vmap(lambda x: tw.cond(x > 0, lambda: x * 2, lambda: x - 1)))
    assert run(x).tolist() == [-2, 4]


def test_errors() -> None:
    x = tw.ones(2)
    for results, error in (
        [(x, x[0]), ShapeError],
        [(x, x > 0), DTypeError],
        [(x, (x,)), ShapeError],
    ):
        with pytest.raises(error, match="cond"):
            tw.trace(lambda p: tw.cond(p, lambda: results[0] * 1, lambda: results[1]), x.sum() > 0)  # noqa: B023


def test_on_several_threads() -> None:
    w = tw.randn(64, 300, dtype=F64)

    def run(x: Any) -> Any:
        return tw.cond(x[0, 0] > 0, lambda: (x @ w).tanh() @ w.T, lambda: (x * 2) @ w)

    def same(x: Any) -> Any:
        return tw.cond(x[0, 0] > 0, lambda: (x @ w).tanh(), lambda: (x * 2) @ w)

    x = tw.randn(200, 64, dtype=F64)
    check(same, x)
    check(same, -x)
    with pytest.raises(ShapeError):
        tw.trace(run, x)
