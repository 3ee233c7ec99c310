"""scan in a trace: one equation, its derivative another; natively a loop of kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.looping import F64, Cell, check, names, near, scans
from tests.compiler.oracle import traced
from thalweg.compiler.kernels import Repeat
from thalweg.compiler.passes import build_plan, optimize
from thalweg.compiler.tracing.structure import flatten
from thalweg.errors import OutOfRangeError, TraceError
from thalweg.func import grad, hessian, jacrev, jvp, vmap


@pytest.fixture
def cell() -> Cell:
    return Cell()


def test_a_scan_is_one_equation(cell: Cell) -> None:
    graph = traced(
        lambda xs: tw.scan(lambda c, x: (c + x, c * 2), cell.h[0, :2], xs), cell.xs[:, 0]
    )
    assert str(graph.graph) == (
        "inputs xs: f64[5,2], x1: f64[4,3]\n"
        "t1 : f64[1,2]          = slice[starts=(0,0) sizes=(1,2) steps=(1,1)](x1)\n"
        "t2 : f64[2]            = reshape[shape=(2)](t1)\n"
        "t3 : (f64[2],f64[5,2]) = scan[length=5 reverse=False consts=0 carry=1](t2, xs)\n"
        "    inputs x0: f64[2], x1: f64[2]\n"
        "    t1 : f64[2] = x0 + x1\n"
        "    t2 : f64[2] = x0 * 2.0\n"
        "    outputs t1, t2\n"
        "t4 : f64[2]            = item[index=0](t3)\n"
        "t5 : f64[5,2]          = item[index=1](t3)\n"
        "outputs t4, t5"
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_gradients(cell: Cell, length: int, reverse: bool) -> None:
    def run(xs: Any) -> Any:
        loss = cell.loss(xs, reverse=reverse)
        return loss, tw.autograd.grad(loss, cell.weights)

    check(run, cell.xs[:length])


def test_no_round(cell: Cell) -> None:
    def run(xs: Any) -> Any:
        h, ys = tw.scan(cell.step, cell.h + 1, xs)
        return h, ys

    assert scans(check(run, cell.xs[:0])) == []


def test_the_gradient_of_a_first_carry_that_no_round_hands_on(cell: Cell) -> None:
    def run(first: Any, xs: Any) -> Any:
        first = (first * 1.0).requires_grad_()
        step = lambda before, x: (x, ((before @ cell.u) * (x @ cell.u)).sum())  # noqa: E731
        last, ys = tw.scan(step, first, xs)
        return last, tw.autograd.grad(ys.sum(), [first, cell.u])

    check(run, cell.xs[0], cell.xs[1:])


def test_gradient_of_the_gradient(cell: Cell) -> None:
    def run(xs: Any) -> Any:
        xs = (xs * 1.0).requires_grad_()
        first = tw.autograd.grad(cell.loss(xs), [xs, cell.w], create_graph=True)
        return tw.autograd.grad(sum((g * g).sum() for g in first), [*cell.weights, xs])

    check(run, cell.xs)


def test_two_states_and_a_summary(cell: Cell) -> None:
    w, u = (tw.randn(n, 12, dtype=F64, requires_grad=True) for n in (3, 2))

    def lstm(state: Any, x: Any) -> Any:
        h, c = state
        i, f, g, o = (x @ u + h @ w).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return (h, c), {"h": h, "size": c.detach().abs().sum()}

    def run(xs: Any) -> Any:
        (h, c), ys = tw.scan(lstm, (cell.h, cell.h), xs)
        loss = (ys["h"] ** 2).sum() + c.sum()
        return h, c, ys, tw.autograd.grad(loss, [w, u])

    check(run, cell.xs)


def test_only_what_is_wanted_is_carried(cell: Cell) -> None:
    def step(state: Any, x: Any) -> Any:
        h, idle, fixed, n = state
        return (cell.step(h, x)[0], idle + h, fixed, n + 1), (h, idle, x, n)

    def run(xs: Any) -> Any:
        zero = tw.zeros((), dtype=tw.int64)
        (h, _, fixed, _), (_, _, same, n) = tw.scan(step, (cell.h, cell.h, cell.h, zero), xs)
        return h, fixed, same, n

    (body,) = scans(check(run, cell.xs))
    assert len(body.outputs) == 2  # h, and n, which is kept
    assert len(body.inputs) == 5  # w, b, h, n and x u


@pytest.mark.parametrize("reverse", [False, True])
def test_a_carry_that_is_stacked_goes_on_in_its_stack(cell: Cell, reverse: bool) -> None:
    def step(state: Any, x: Any) -> Any:
        h, c = state
        return (tw.tanh(h @ cell.w + c), c * 0.5 + x.sum()), (h, c.exp())

    def run(xs: Any) -> Any:
        return tw.scan(step, (cell.h, cell.h + 1), xs, reverse=reverse)

    graph = check(run, cell.xs)
    (scan,) = [e for e in graph.equations if e.op.name == "scan"]
    assert scan.attributes["kept"] == (0,)
    assert scan.output.dtype.parts[0] == ((6, 4, 3), np.dtype(np.float64))
    (loop,) = [k for k in build_plan(graph, {}).kernels if isinstance(k, Repeat)]
    assert not [kernel for kernel in loop.kernels if kernel.label == "copy"]
    again = [e for e in optimize(graph).equations if e.op.name == "scan"]
    assert again[0].attributes["kept"] == (0,)


def test_what_is_the_same_in_each_round_is_computed_before(cell: Cell) -> None:
    def run(xs: Any) -> Any:
        return tw.scan(lambda h, x: (h * tw.exp(cell.b) + (cell.w @ cell.w).sum(), x), cell.h, xs)

    graph = check(run, cell.xs[:, :, 0])
    (body,) = scans(graph)
    assert [e.op.name for e in body.equations] == ["multiply", "add"]
    assert {e.op.name for e in graph.equations} >= {"exp", "contraction", "scan"}


def test_a_product_without_the_carry_is_one_before_the_loop(cell: Cell) -> None:
    def step(h: Any, x: Any) -> Any:
        return tw.tanh((x * 2) @ cell.u + h), h

    graph = check(lambda xs: tw.scan(step, cell.h, xs), cell.xs)
    (body,) = scans(graph)
    assert "contraction" not in names(body)
    specs = [e.attributes["spec"] for e in graph.equations if e.op.name == "contraction"]
    assert specs == ["ank,km->anm"]


def test_a_product_that_no_carry_waits_for_is_one_after_the_loop(cell: Cell) -> None:
    def step(h: Any, x: Any) -> Any:
        h = tw.tanh(h + x.sum())
        return h, tw.exp((h + 1) @ cell.w)

    graph = check(lambda xs: tw.scan(step, cell.h, xs), cell.xs)
    (body,) = scans(graph)
    assert "contraction" not in names(body)
    assert names(graph).index("contraction") > names(graph).index("scan")


def test_the_gradient_of_a_weight_is_one_product_over_all_rounds(cell: Cell) -> None:
    def run(xs: Any) -> Any:
        h, ys = tw.scan(cell.step, cell.h, xs)
        return tw.autograd.grad((ys * ys).sum() + h.sum(), cell.weights)

    graph = check(run, cell.xs)
    forward, backward = scans(graph)
    assert names(forward).count("contraction") == names(backward).count("contraction") == 1
    assert len(backward.outputs) == 2  # the carry's cotangent, and what the products are of
    specs = [e.attributes["spec"] for e in graph.equations if e.op.name == "contraction"]
    assert specs == ["ank,km->anm", "tnm,tnk->km", "tnm,tnk->km"]
    assert names(graph).count("sum") == 1  # of the bias


@pytest.mark.parametrize(
    "added",
    [
        lambda cell, h, x: x.sum(0) - x[0],
        lambda cell, h, x: (x.T @ x)[0],
        lambda cell, h, x: (cell.u.detach() @ h.T @ x)[1],
        lambda cell, h, x: (cell.u[:, 0].detach() * 3).sum() + x[0],
        lambda cell, h, x: h[0, :2],
        lambda cell, h, x: -(h.T @ x)[0] + (x.T @ h @ cell.u.detach().T)[1],
    ],
)
def test_sums_over_the_rounds(cell: Cell, added: Callable[..., Any]) -> None:
    def step(state: Any, x: Any) -> Any:
        h, total = state
        h = tw.tanh(h * 0.9 + x.sum())
        return (h, total + added(cell, h, x)), h.sum()

    start = tw.randn(2, dtype=F64)
    check(lambda xs: tw.scan(step, (cell.h, start), xs, reverse=True), cell.xs)


def test_a_sum_that_is_read_on_the_way_stays(cell: Cell) -> None:
    def step(total: Any, x: Any) -> Any:
        total = total + x.T @ x
        return total, total[0]

    (body,) = scans(check(lambda xs: tw.scan(step, tw.zeros(2, 2, dtype=F64), xs), cell.xs))
    assert names(body)[0] == "add"


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_loop_within_a_loop(cell: Cell, create_graph: bool) -> None:
    xs = tw.randn(3, 2, 4, 2, dtype=F64)

    def outer(c: Any, x: Any) -> Any:
        h, ys = tw.scan(cell.step, c, x)
        return h * 0.5 + c, ys.sum(0)

    def run(xs: Any) -> Any:
        h, ys = tw.scan(outer, cell.h, xs)
        loss = (h * h).sum() + ys.sum()
        grads = tw.autograd.grad(loss, cell.weights[:2], create_graph=create_graph)
        if create_graph:
            return tw.autograd.grad(sum((g * g).sum() for g in grads), cell.weights)
        return loss, grads

    check(run, xs)


@pytest.mark.parametrize(
    "transformed",
    [
        lambda f, x: vmap(f)(x),
        lambda f, x: vmap(f, in_dims=1)(x),
        lambda f, x: jvp(f, (x[0],), (x[1],)),
        lambda f, x: jvp(vmap(f), (x,), (x * 2,)),
        lambda f, x: grad(f)(x[0]),
        lambda f, x: jacrev(grad(f))(x[0]),
        lambda f, x: vmap(grad(f))(x),
        lambda f, x: hessian(f)(x[0]),
    ],
)
def test_within_a_function_transform(cell: Cell, transformed: Any) -> None:
    def f(x: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            return tw.tanh(h @ cell.w.detach() + x), (h * x).sum()

        h, ys = tw.scan(step, cell.h[0], x, reverse=True)
        return h.sum() + ys.sum()

    xs = tw.randn(2, 3, 3, dtype=F64)
    run = lambda xs: transformed(f, xs)  # noqa: E731
    got, wanted = flatten(tw.compile(run)(xs))[0], flatten(run(xs))[0]
    near([x._value for x in got], [x._value for x in wanted])
    assert "scan" in names(tw.trace(run, xs))


def test_what_the_body_changes_is_carried(cell: Cell) -> None:
    count = tw.zeros((), dtype=tw.int64)
    mean = tw.zeros(2, dtype=F64)

    def step(h: Any, x: Any) -> Any:
        before = mean * 1
        count.add_(1)
        mean.lerp_(x.mean(0), 0.5)
        return h, before

    @tw.compile
    def run(xs: Any) -> Any:
        return tw.scan(step, tw.zeros(()), xs)[1]

    got = run(cell.xs)
    compiled = mean.tolist()
    assert count.item() == 5
    count.zero_()
    mean.zero_()
    wanted = tw.scan(step, tw.zeros(()), cell.xs)[1]
    assert tw.allclose(got, wanted)
    assert np.allclose(compiled, mean.tolist())


def test_dropout_in_the_body(cell: Cell) -> None:
    def step(h: Any, x: Any) -> Any:
        return cell.step(h, tw.nn.functional.dropout(x, 0.5))

    def run(xs: Any) -> Any:
        loss = tw.scan(step, cell.h, xs)[1].sum()
        return loss, tw.autograd.grad(loss, [cell.w, cell.u])

    tw.manual_seed(3)
    native = tw.compile(run)(cell.xs)
    state = tw.default_generator.get_state()
    tw.manual_seed(3)
    near([x._value for x in flatten(native)[0]], [x._value for x in flatten(run(cell.xs))[0]])
    assert state.tolist() == tw.default_generator.get_state().tolist()


def test_training_in_a_scan_of_steps(cell: Cell) -> None:
    def losses(compiled: bool) -> Any:
        cell = Cell()
        optimizer = tw.optim.SGD(cell.weights, lr=0.05, momentum=0.9)

        def step(xs: Any) -> Any:
            loss = cell.loss(xs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        batches = tw.randn(6, 5, 4, 2, dtype=F64)
        if compiled:
            return tw.compile(step).scan(batches)
        return tw.stack([step(xs) for xs in batches])

    assert tw.allclose(losses(True), losses(False), rtol=1e-9)


def test_a_compiled_functions_result_with_a_scan_inside_is_on_the_tape(cell: Cell) -> None:
    loss = tw.compile(lambda xs: cell.loss(xs))(cell.xs)
    grads = tw.autograd.grad(loss, cell.weights)
    wanted = tw.autograd.grad(cell.loss(cell.xs), cell.weights)
    near([g._value for g in grads], [g._value for g in wanted])


def test_along_another_dimension_from_the_end(cell: Cell) -> None:
    def run(xs: Any) -> Any:
        h, ys = tw.scan(cell.step, cell.h, xs, dim=1, reverse=True)
        return h, ys, tw.autograd.grad((ys * ys).sum(), cell.weights)

    check(run, cell.xs.movedim(0, 1).clone())


def test_in_the_plan_it_is_a_loop_of_kernels(cell: Cell) -> None:
    trace = traced(lambda xs: tw.scan(cell.step, cell.h, xs), cell.xs)
    plan = build_plan(trace.graph, trace.updates)
    (loop,) = [kernel for kernel in plan.kernels if isinstance(kernel, Repeat)]
    assert loop.count == 5
    assert "5 rounds t" in str(plan)


def test_an_index_out_of_range_in_a_round(cell: Cell) -> None:
    table = tw.zeros(4, 2)
    count = tw.zeros(())

    @tw.compile
    def run(index: Any) -> Any:
        total, _ = tw.scan(lambda c, i: (c + table[i], c), tw.zeros(2), index)
        count.add_(1)
        return total

    assert run(tw.tensor([1, 2, 3])).shape == (2,)
    with pytest.raises(OutOfRangeError, match="index is out of range"):
        run(tw.tensor([1, 4, 3]))
    assert count.item() == 1


def test_backward_inside_of_the_body_is_refused(cell: Cell) -> None:
    def step(c: Any, x: Any) -> Any:
        (x @ cell.u).sum().backward()
        return c, x

    with pytest.raises(TraceError, match=r"use tw\.autograd\.grad|Use tw\.autograd\.grad"):
        tw.trace(lambda xs: tw.scan(step, cell.h, xs), cell.xs)


def test_what_is_explained_of_a_loop(cell: Cell) -> None:
    run = tw.compile(lambda xs: tw.scan(cell.step, cell.h, xs)[1])
    with tw.no_grad():
        run(cell.xs)
        assert "5 * 4x3 sum 3" in str(run.explain(threads=1))
