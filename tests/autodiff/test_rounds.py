"""A scan inside transforms, in a trace: one loop however they nest, equal to the eager rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.looping import F64, near, scans
from thalweg.compiler.graph import Graph
from thalweg.compiler.passes import optimize
from thalweg.compiler.tracing.structure import flatten
from thalweg.func import grad, hessian, hvp, jacfwd, jacrev, jvp, linearize, vjp, vmap
from thalweg.utils.checkpoint import checkpoint

Function = Callable[[tw.Tensor], Any]

tw.manual_seed(2)
W = tw.randn(3, 3, dtype=F64) / 2
XS = tw.randn(2, 4, 3, dtype=F64)


class Bent(tw.autograd.Function):
    """sin, with a derivative of its own that reads what is neither operand nor result."""

    @staticmethod
    def forward(ctx: Any, x: tw.Tensor) -> tw.Tensor:
        ctx.save_for_backward(x.cos() * 2)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, g: tw.Tensor) -> tw.Tensor:
        (slope,) = ctx.saved_tensors
        return g * slope.detach()


def rnn(xs: tw.Tensor) -> Any:
    def step(h: Any, x: Any) -> Any:
        return tw.tanh(h @ W + x), (h * x).sum()

    h, ys = tw.scan(step, tw.zeros(3, dtype=F64), xs, reverse=True)
    return h.sum() + (ys * ys).sum()


def two_states(xs: tw.Tensor) -> Any:
    def step(state: Any, x: Any) -> Any:
        (h, c), count = state
        c = c.sigmoid() + tw.softmax(h * x, 0)
        return ((tw.tanh(c @ W) * x[count % 3], c), count + 1), {"c": c, "n": count}

    first = (xs[0], xs[1] * 2), tw.zeros((), dtype=tw.int64)
    ((h, _), _), ys = tw.scan(step, first, xs)
    return (h * h).sum() + ys["c"].cos().sum() * ys["n"].sum()


def around(xs: tw.Tensor) -> Any:
    """The body reads what is differentiated, computed around the loop."""
    w, scale = W * xs.sum(), xs[0].exp()

    def step(h: Any, x: Any) -> Any:
        return (h @ w).sin() + x * scale, h

    return (tw.scan(step, xs[1], xs[1:])[1] ** 2).sum()


def cut(xs: tw.Tensor) -> Any:
    """Something is taken off the tape on the way."""

    def step(h: Any, x: Any) -> Any:
        return (h * x).detach() + (h + x).sin(), h.detach() * x

    h, ys = tw.scan(step, xs[0], xs)
    return h.sum() + ys.square().sum()


def own(xs: tw.Tensor) -> Any:
    h, ys = tw.scan(lambda h, x: (Bent.apply(h + x), h * x), xs[0], xs)
    return h.sum() + ys.sum()


def loop_in_loop(xs: tw.Tensor) -> Any:
    def outer(h: Any, x: Any) -> Any:
        h, ys = tw.scan(lambda h, r: ((h * r + x).tanh(), h.sum()), h, xs[:2])
        return h * 0.5, ys.sum()

    h, ys = tw.scan(outer, xs[0], xs)
    return h.sum() + ys.square().sum()


def passing_on(xs: tw.Tensor) -> Any:
    """The carry is a slice, the output the carry: what has no node of its own in a round."""
    h, ys = tw.scan(lambda h, x: (x, h), xs[0], xs * 2)
    return h.square().sum() + ys.exp().sum()


def adding_up(xs: tw.Tensor) -> Any:
    """A tensor from around is given values on the tape."""
    total = tw.zeros((), dtype=F64)

    def step(h: Any, x: Any) -> Any:
        h = (h * x).tanh()
        total.add_((h * h).sum())
        return h, total * 1

    h, ys = tw.scan(step, xs[0], xs)
    return total * h.sum() + ys.sum()


def branching(xs: tw.Tensor) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = tw.cond(x.sum() > 0, lambda: (h * x).sin(), lambda: h - x.cos())
        return h, tw.cond(x[0] > h[0], lambda: h.sum(), lambda: x.sum())

    h, ys = tw.scan(step, xs[0], xs)
    return h.sum() + ys.square().sum()


BODIES = [rnn, two_states, around, cut, own, loop_in_loop, passing_on, adding_up, branching]
TRANSFORMS: dict[str, Callable[[Function], Any]] = {
    "grad": lambda f: grad(f)(XS[0]),
    "grad grad": lambda f: grad(lambda x: grad(f)(x).square().sum())(XS[0]),
    "vmap": lambda f: vmap(f)(XS),
    "jvp": lambda f: jvp(f, (XS[0],), (XS[1],)),
    "vmap grad": lambda f: vmap(grad(f))(XS),
    "jvp grad": lambda f: hvp(f, (XS[0],), (XS[1],)),
    "grad vmap": lambda f: grad(lambda xs: vmap(f)(xs).square().sum())(XS),
    "vmap jvp": lambda f: vmap(lambda x, t: jvp(f, (x,), (t,))[1])(XS, XS * 2),
    "hessian": lambda f: hessian(lambda x: f(XS[0] * x))(XS[1, 0]),
    "jacrev grad": lambda f: jacrev(grad(lambda x: f(XS[0] * x)))(XS[1, 0]),
    "jacfwd jacfwd": lambda f: jacfwd(jacfwd(lambda x: f(XS[0] * x)))(XS[1, 0]),
    "vmap grad grad": lambda f: vmap(grad(lambda x: grad(f)(x).square().sum()))(XS),
    "vmap grad vmap": lambda f: vmap(
        grad(lambda x: vmap(lambda t: f(x * t))(XS[0, 0]).sum()), chunk_size=1
    )(XS),
    "linearize": lambda f: linearize(f, XS[0])[1](XS[1]),
    "vmap of a pullback": lambda f: vmap(vjp(vmap(f), XS)[1])(tw.eye(2, dtype=F64)),
}


def size(graph: Graph) -> int:
    """How many equations there are, inside too."""
    return len(graph.equations) + sum(map(size, scans(graph)))


@pytest.mark.parametrize("f", BODIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_body_in_every_transform(name: str, f: Function) -> None:
    run = lambda: TRANSFORMS[name](f)  # noqa: E731
    got, wanted = flatten(tw.compile(run)())[0], flatten(run())[0]
    near([x._value for x in got], [x._value for x in wanted])


@pytest.mark.parametrize("f", [rnn, two_states, loop_in_loop], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_there_is_a_loop_and_no_round_beside_it(name: str, f: Function) -> None:
    short = tw.trace(lambda: TRANSFORMS[name](f))
    long = tw.trace(lambda: TRANSFORMS[name](lambda xs: f(tw.cat([xs] * 5))))
    assert "scan" in [e.op.name for e in short.equations]
    assert abs(size(long) - size(short)) < 40  # what makes the longer argument


def test_parameters_around_transforms_get_their_gradients() -> None:
    w = tw.randn(3, 3, dtype=F64, requires_grad=True)

    def f(xs: tw.Tensor) -> Any:
        h, ys = tw.scan(lambda h, x: (tw.tanh(h @ w + x), (h @ w).sum()), XS[0, 0], xs)
        return h.sum() + ys.square().sum()

    for of in (
        lambda: vmap(f)(XS).sum(),
        lambda: vmap(grad(f))(XS).square().sum(),
        lambda: jvp(f, (XS[0],), (XS[1],))[1],
        lambda: hvp(f, (XS[0],), (XS[1],))[1].square().sum(),
    ):
        run: Any = lambda of=of: tw.autograd.grad(of(), w)  # noqa: E731
        near([tw.compile(run)()[0]._value], [run()[0]._value])
        assert "scan" in [e.op.name for e in tw.trace(run).equations]


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_random_numbers_of_rounds(randomness: str) -> None:
    def f(xs: tw.Tensor) -> Any:
        step = lambda h, x: ((h * tw.nn.functional.dropout(x)).sin(), h)  # noqa: E731
        return tw.scan(step, xs[0], xs)[1].square().sum()

    for transformed in (vmap(f, randomness=randomness), vmap(grad(f), randomness=randomness)):
        found = []
        for run in (transformed, tw.compile(transformed)):
            tw.manual_seed(1)
            found.append((run(XS)._value, tw.rand(3)._value))
        near(found[1], found[0])


def test_what_rounds_change_is_changed_once() -> None:
    count, mean = tw.zeros((), dtype=tw.int64), tw.zeros(3, dtype=F64)

    def f(xs: tw.Tensor) -> Any:
        def step(h: Any, x: Any) -> Any:
            count.add_(1)
            mean.mul_(0.5).add_(x.detach())
            return (h * x).tanh(), mean * h

        h, ys = tw.scan(step, xs[0], xs)
        return h.sum() + ys.sum()

    found = []
    for run in (lambda: hvp(f, (XS[0],), (XS[1],)), tw.compile(lambda: hvp(f, (XS[0],), (XS[1],)))):
        with tw.no_grad():
            count.zero_()
            mean.zero_()
        found.append([*(x._value for x in run()), count._value, mean._value])
    near(found[1], found[0])
    assert found[1][2] == 4


def test_a_checkpoint_in_a_round() -> None:
    def f(drawn: bool) -> Function:
        def block(h: Any) -> Any:
            return tw.nn.functional.dropout(h.sin(), 0.5, training=drawn) * h

        def loss(xs: tw.Tensor) -> Any:
            return tw.scan(lambda h, x: (checkpoint(block, h + x), h), xs[0], xs)[0].sum()

        return loss

    for drawn in (False, True):
        found = []
        run = tw.no_grad()(vmap(grad(f(drawn)), randomness="same"))
        for one in (run, tw.compile(run)):
            tw.manual_seed(3)
            found.append(one(XS))
        near([found[1]._value], [found[0]._value])
        assert "scan" in [e.op.name for e in tw.trace(run, XS).equations]


def test_no_round() -> None:
    for name in ("vmap grad", "jvp grad"):
        run: Any = lambda name=name: TRANSFORMS[name](lambda xs: rnn(xs[:0]))  # noqa: E731
        got, wanted = flatten(tw.compile(run)())[0], flatten(run())[0]
        near([x._value for x in got], [x._value for x in wanted])


def test_a_slice_that_all_cases_share_is_not_repeated() -> None:
    shared = XS[0]
    run = vmap(lambda h: tw.scan(lambda h, x: (h * x, x), h, shared))
    graph = tw.trace(run, XS[1])
    (body,) = scans(graph)
    assert [tuple(v.shape) for v in body.inputs] == [(4, 3), (3,)]
    assert np.array_equal(tw.compile(run)(XS[1])[1].numpy(), run(XS[1])[1].numpy())


def test_only_what_a_backward_pass_reads_is_stacked() -> None:
    """Of a cell with a sum, a product and a tanh: the state, by which there is all that is read."""
    w = W.clone().requires_grad_()

    def loss(xs: tw.Tensor) -> Any:
        return tw.scan(lambda h, x: (tw.tanh(h @ w * 2 + x), h.sum()), XS[0, 0], xs)[0].sum()

    for run in (lambda: tw.autograd.grad(loss(XS[0]), w), lambda: vmap(grad(loss))(XS)):
        forward, _ = scans(optimize(tw.trace(run)))
        assert len(forward.outputs) == 1
