"""`tw.cond` inside function transforms, against a Python `if` of each case; what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.looping import near, scans
from tests.compiler.oracle import traced
from thalweg.compiler.graph import Graph
from thalweg.compiler.interpret import interpret
from thalweg.compiler.passes import optimize
from thalweg.compiler.tracing.structure import flatten
from thalweg.errors import TransformError
from thalweg.func import grad, hessian, hvp, jacrev, jvp, vjp, vmap

F64 = tw.float64
XS = tw.tensor([[0.5, -1.0, 0.2], [-0.7, 0.3, -0.4], [0.1, 0.2, 0.3]], dtype=F64)
WAYS = tw.tensor([[1.0, 2.0, -1.0], [0.5, 0.25, 3.0], [-2.0, 1.0, 1.0]], dtype=F64)
YES, NO = tw.tensor(True), tw.tensor(False)
Function = Callable[[tw.Tensor, tw.Tensor], tw.Tensor]


class Clipped(tw.autograd.Function):
    """The square, whose derivative is said to be 3 x."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * x


def plain(p: tw.Tensor, x: tw.Tensor) -> Any:
    return tw.cond(p, lambda: x.sin().sum(), lambda: (x * x[0]).exp().sum())


def cut(p: tw.Tensor, x: tw.Tensor) -> Any:
    """Some of the way is off the tape, as it is for derivatives of any order."""
    return tw.cond(p, lambda: (x * x.detach() * x).sum(), lambda: (x.detach() * x.sin()).sum())


def own(p: tw.Tensor, x: tw.Tensor) -> Any:
    """An operation with a derivative of its own."""
    return tw.cond(
        p, lambda: Clipped.apply(x).sum() * x[1], lambda: Clipped.apply(x * 2).sin().sum()
    )


def composed(p: tw.Tensor, x: tw.Tensor) -> Any:
    softmax = tw.nn.functional.softmax
    return tw.cond(p, lambda: softmax(x * x, 0)[0], lambda: tw.nn.functional.gelu(x).square().sum())


def nested(p: tw.Tensor, x: tw.Tensor) -> Any:
    y = x * 2

    def inner() -> Any:
        a, b = tw.cond(p.logical_not(), lambda: (x, y), lambda: (y.sin(), x * y))
        return (a * b).sum() * y[0]

    return tw.cond(p, inner, lambda: x.square().sum()) * x[2]


def looping(p: tw.Tensor, x: tw.Tensor) -> Any:
    def rolled() -> Any:
        return tw.scan(lambda h, r: ((h * r).sin() + x[1], h * h), x[0], x)[1].sum()

    return tw.cond(p, rolled, lambda: x.cos().sum())


def writing(p: tw.Tensor, x: tw.Tensor) -> Any:
    """A branch gives a tensor another value, on the tape."""
    total = tw.zeros((), dtype=F64)

    def adding() -> Any:
        total.add_((x * x * x).sum())
        return x.sum()

    def assigning() -> Any:
        row = x.clone()
        row[0] = x[1] * 2
        return row.prod()

    return tw.cond(p, adding, assigning) * 2 + total * x[0]


def constant(p: tw.Tensor, x: tw.Tensor) -> Any:
    return tw.cond(p, lambda: tw.ones((), dtype=F64), lambda: (x * x).sum()) * x.sum()


BODIES: list[Function] = [plain, cut, own, composed, nested, looping, writing, constant]
# Transforms of f(x), one row of XS.
TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: grad(f)(XS[0]),
    "grad grad": lambda f: grad(lambda x: grad(f)(x).square().sum())(XS[0]),
    "third": lambda f: grad(lambda x: grad(lambda x: grad(f)(x).sin().sum())(x).sum())(XS[0]),
    "jvp": lambda f: jvp(f, (XS[0],), (WAYS[0],)),
    "jvp grad": lambda f: hvp(f, (XS[0],), (WAYS[0],)),
    "grad jvp": lambda f: grad(lambda x: jvp(f, (x,), (WAYS[0],))[1])(XS[0]),
    "hessian": lambda f: hessian(f)(XS[0]),
    "jacrev grad": lambda f: jacrev(grad(f))(XS[0]),
}
# Transforms of f(p, x) for rows of both.
MAPPED: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "vmap": lambda f, p, x, t: f(p, x),
    "vmap grad": lambda f, p, x, t: grad(f, 1)(p, x),
    "vmap grad grad": lambda f, p, x, t: grad(lambda x: grad(f, 1)(p, x).square().sum())(x),
    "vmap jvp": lambda f, p, x, t: jvp(lambda x: f(p, x), (x,), (t,))[1],
    "vmap hvp": lambda f, p, x, t: hvp(lambda x: f(p, x), (x,), (t,))[1],
    "vmap vjp": lambda f, p, x, t: vjp(lambda x: f(p, x) * x, x)[1](t)[0],
    "vmap vmap": lambda f, p, x, t: vmap(lambda s: f(p, x * s))(t),
    "vmap grad vmap": lambda f, p, x, t: grad(lambda x: vmap(lambda s: f(p, x * s))(t).sum())(x),
}


def conds(graph: Graph) -> int:
    """How many branches there are, inside too."""
    return sum(e.op.name == "cond" for e in graph.equations) + sum(map(conds, scans(graph)))


def interpreted(run: Callable[..., Any], *args: Any) -> tuple[list[Any], Graph]:
    """The results of a function that is traced, by NumPy, and its graph."""
    trace = traced(run, *args)
    given = [x._value for x in flatten(args)[0]]
    arrays = [*given, *(slot.array for slot in trace.slots)]
    return interpret(optimize(trace.graph), arrays)[: trace.results], trace.graph


def same(got: Any, wanted: Any) -> None:
    near([x._value for x in flatten(got)[0]], [x._value for x in flatten(wanted)[0]])


@pytest.mark.parametrize("f", BODIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_one_predicate_is_a_branch(name: str, f: Function) -> None:
    def run(p: tw.Tensor) -> Any:
        return TRANSFORMS[name](lambda x: f(p, x))

    for p in (YES, NO):
        found, graph = interpreted(run, p)
        near(found, [x._value for x in flatten(run(p))[0]])
        assert conds(graph) > 0


@pytest.mark.parametrize("f", BODIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("varies", [False, True], ids=["one predicate", "one for each case"])
def test_cases(varies: bool, name: str, f: Function) -> None:
    p = tw.tensor([True, False, True]) if varies else YES
    one = MAPPED[name]
    mapped = vmap(lambda p, x, t: one(f, p, x, t), in_dims=(0 if varies else None, 0, 0))
    rows = [one(f, p[k] if varies else p, XS[k], WAYS[k]) for k in range(3)]
    wanted = tw.stack(rows)
    same(mapped(p, XS, WAYS), wanted)
    found, graph = interpreted(mapped, p, XS, WAYS)
    near(found, [wanted._value])
    assert (conds(graph) > 0) is not varies


@pytest.mark.parametrize("f", BODIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("varies", [False, True], ids=["one predicate", "one for each case"])
def test_the_gradient_of_all_cases(varies: bool, f: Function) -> None:
    p = tw.tensor([True, False, True]) if varies else YES

    def loss(xs: tw.Tensor) -> Any:
        return vmap(f, in_dims=(0 if varies else None, 0))(p, xs).square().sum()

    wanted = [grad(lambda x: f(p[k] if varies else p, x).square())(XS[k]) for k in range(3)]  # noqa: B023
    same(grad(loss)(XS), tw.stack(wanted))
    near(interpreted(grad(loss), XS)[0], [tw.stack(wanted)._value])


# --- what is not taken ----------------------------------------------------------------------------


def root(x: tw.Tensor) -> Any:
    """0 at 0 and below, where the root has no derivative, or no value."""
    return tw.cond(x > 0, lambda: x.sqrt() * x, lambda: x * 0)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_was_not_taken_leaves_no_nan(compiled: bool) -> None:
    xs = tw.tensor([4.0, 0.0, -1.0], dtype=F64)
    cases: dict[Callable[..., tw.Tensor], list[float]] = {
        vmap(root): [8, 0, 0],
        vmap(grad(root)): [3, 0, 0],
        vmap(grad(grad(root))): [0.375, 0, 0],
        vmap(lambda x: jvp(root, (x,), (tw.ones_like(x),))[1]): [3, 0, 0],
        vmap(lambda x: hvp(root, (x,), (tw.ones_like(x),))[1]): [0.375, 0, 0],
        grad(lambda xs: vmap(root)(xs).sum()): [3, 0, 0],
        grad(lambda xs: vmap(grad(root))(xs).sum()): [0.375, 0, 0],
        grad(lambda xs: grad(lambda xs: vmap(root)(xs).sum())(xs).sum()): [0.375, 0, 0],
    }
    for transformed, wanted in cases.items():
        found = (tw.compile(transformed) if compiled else transformed)(xs)
        np.testing.assert_allclose(found.numpy(), wanted)


def test_one_side_alone_is_called_where_the_answer_is_known() -> None:
    def never() -> Any:
        raise AssertionError

    same(vmap(lambda x: tw.cond(YES, lambda: x * 2, never))(XS), XS * 2)
    same(
        jvp(lambda x: tw.cond(x.sum() > 0, never, lambda: x * 2), (XS[0],), (WAYS[0],))[1],
        WAYS[0] * 2,
    )
    same(vmap(grad(lambda x: tw.cond(NO, never, lambda: x.square().sum())))(XS), XS * 2)


# --- what a branch changes ------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_what_all_cases_change_is_changed_by_the_branch_that_is_taken(compiled: bool) -> None:
    count = tw.zeros(())

    def f(p: tw.Tensor, x: tw.Tensor) -> Any:
        def counting() -> Any:
            count.add_(1)
            return x * 2

        return tw.cond(p, counting, lambda: x)

    mapped = vmap(f, in_dims=(None, 0))
    run = tw.compile(mapped) if compiled else mapped
    run(YES, XS)
    run(NO, XS)
    run(YES, XS)
    assert count.item() == 2
    with pytest.raises(TransformError, match="from outside"):
        vmap(f)(tw.tensor([True, False, True]), XS)
    assert count.item() == 2


@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_steps_or_does_not(compiled: bool) -> None:
    w = tw.ones(2, requires_grad=True)
    optimizer = tw.optim.SGD([w], lr=0.5, momentum=0.9)

    def step(x: tw.Tensor) -> Any:
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()

        def going() -> Any:
            optimizer.step()
            return loss.detach()

        return tw.cond(loss.detach().isfinite(), going, lambda: loss.detach())

    run = tw.compile(step) if compiled else step
    run(tw.ones(2))
    run(tw.full((2,), float("inf")))
    assert w.tolist() == [0.5, 0.5]
    assert w.requires_grad
    assert w.is_leaf
    run(tw.ones(2))
    np.testing.assert_allclose(w.tolist(), [-0.45, -0.45], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_random_numbers_of_a_branch(compiled: bool) -> None:
    def f(p: tw.Tensor, x: tw.Tensor) -> Any:
        return tw.cond(p, lambda: x + tw.rand(3, dtype=F64), lambda: x * 2)

    mapped = vmap(f, in_dims=(None, 0), randomness="different")
    tw.manual_seed(3)
    found = (tw.compile(mapped) if compiled else mapped)(YES, XS), tw.rand(2)
    tw.manual_seed(3)
    wanted = tw.stack([f(YES, x) for x in XS]), tw.rand(2)
    same(found, wanted)
