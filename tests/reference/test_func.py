"""Function transforms beside `torch.func`: values, structure, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.reference.both import BOTH, TOLERANCES, assert_close

# PyTorch's own forward mode uses what it has deprecated, its linearize what it warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]

X = np.array([0.5, -1.5, 2.0])
W = np.array([[0.3, -0.2, 1.1], [1.0, 0.25, -0.75]])
BATCH = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75], [0.1, 0.7, -0.3], [2.0, -0.4, 0.6]])


def _t(tw: Any, array: Any) -> Any:
    return tw.tensor(array)


def _model(tw: Any) -> Callable[..., Any]:
    return lambda w, x: tw.tanh(w @ x)


def _loss(tw: Any) -> Callable[..., Any]:
    return lambda w, x: (tw.tanh(w @ x) ** 2).sum() + tw.logsumexp(x, 0)


def _grad(tw: Any) -> Any:
    w, x, f = _t(tw, W), _t(tw, X), tw.func
    aux = f.grad(lambda w, x: (_loss(tw)(w, x), (x * 2, w)), argnums=1, has_aux=True)(w, x)
    value = f.grad_and_value(_loss(tw), argnums=(1, 0))(w, x)
    both = f.grad_and_value(lambda w: (_loss(tw)(w, x), w), has_aux=True)(w)
    named = f.grad(lambda p: _loss(tw)(p["w"], p["x"][0]))({"w": w, "x": [x]})
    return [f.grad(_loss(tw))(w, x), aux, value, both, named]


def _products(tw: Any) -> Any:
    w, x, f = _t(tw, W), _t(tw, X), tw.func
    value, pull, aux = f.vjp(lambda w, x: (_model(tw)(w, x), x.sin()), w, x, has_aux=True)
    cotangents = pull(_t(tw, X[:2]))
    several, pull_both = f.vjp(lambda x: (x * 2, {"y": x.exp()}), x)
    pushed = f.jvp(_model(tw), (w, x), (w.cos(), x * 3))
    with_aux = f.jvp(lambda x: (x**3, x), (x,), (x,), has_aux=True)
    straight, push = f.linearize(lambda x: tw.softmax(x, 0), x)
    return [
        value,
        cotangents,
        aux,
        several,
        pull_both((x, {"y": x})),
        pushed,
        with_aux,
        straight,
        push(x),
    ]


def _jacobians(tw: Any) -> Any:
    w, x, f = _t(tw, W), _t(tw, X), tw.func
    found: list[Any] = []
    for jacobian in (f.jacrev, f.jacfwd):
        found += [
            jacobian(_model(tw))(w, x),
            jacobian(_model(tw), argnums=1)(w, x),
            jacobian(_model(tw), argnums=(0, 1))(w, x),
            jacobian(_model(tw), argnums=(1,))(w, x),
            jacobian(lambda x: (x * 2, x.sum()))(x),
            jacobian(lambda x: {"a": x.cumsum(0), "b": [x.prod()]})(x),
            jacobian(lambda p: p["w"] @ p["x"])({"w": w, "x": x}),
            jacobian(lambda x: (x**2, x), has_aux=True)(x),
        ]
    return [*found, f.jacrev(_model(tw), chunk_size=1)(w, x)]


def _hessians(tw: Any) -> Any:
    w, x, f = _t(tw, W), _t(tw, X), tw.func
    second = f.hessian(_loss(tw), argnums=(0, 1))(w, x)
    third = f.jacrev(f.hessian(lambda x: tw.softmax(x, 0)[0]))(x)
    return [second, f.hessian(_model(tw), argnums=1)(w, x), third]


def _vmaps(tw: Any) -> Any:
    w, x, f = _t(tw, W), _t(tw, BATCH), tw.func
    return [
        f.vmap(_model(tw), in_dims=(None, 0))(w, x),
        f.vmap(_model(tw), in_dims=(1, 1))(_t(tw, BATCH[None]), x.T),
        f.vmap(_model(tw), in_dims=(None, 0), out_dims=1)(w, x),
        f.vmap(lambda x: (x.sum(), x), out_dims=(0, -1))(x),
        f.vmap(lambda p, x: p["w"] @ x[0], in_dims=({"w": None}, 0))({"w": w}, (x,)),
        f.vmap(f.grad(_loss(tw)), in_dims=(None, 0))(w, x),
        f.vmap(f.hessian(lambda x: _loss(tw)(w, x)))(x),
        f.vmap(f.vmap(lambda a, b: a * b, in_dims=(None, 0)), in_dims=(0, None))(x, x),
        f.vmap(lambda x: tw.where(x > 0, x, x.exp()).sort().values, chunk_size=3)(x),
        f.vmap(lambda x, *, y: x + y)(x, y=x),
        f.vmap(f.jacfwd(lambda x: x.cumsum(0)))(x),
        f.jacrev(f.vmap(lambda x: x.sin().sum()))(x),
    ]


def _modules(tw: Any) -> Any:
    nets = [tw.nn.Linear(3, 2) for _ in range(2)]
    for k, net in enumerate(nets):
        with tw.no_grad():
            net.weight.copy_(_t(tw, W) * (k + 1))
            net.bias.zero_()
    x = _t(tw, BATCH.astype(np.float32))
    parameters, buffers = tw.func.stack_module_state(nets)
    parameters = {name: p.detach() for name, p in parameters.items()}

    def call(p: Any, x: Any) -> Any:
        return tw.func.functional_call(nets[0], (p, buffers), (x,))

    ensemble = tw.func.vmap(call, in_dims=(0, None))
    gradients = tw.func.vmap(
        tw.func.grad(lambda p, x: call(p, x).square().sum()), in_dims=(None, 0)
    )
    one = {name: p[0] for name, p in parameters.items()}
    return [ensemble(parameters, x), gradients(one, x), buffers]


def _tape(tw: Any) -> Any:
    """The tape outside of a transform."""
    x, w = tw.tensor(X, requires_grad=True), tw.tensor(W, requires_grad=True)
    inside = tw.func.vmap(tw.func.grad(lambda r: (r * x).sum().exp()))(w)
    pushed = tw.func.jvp(lambda x: (w @ x).sin(), (x,), (x * 2,))[1]
    total = inside.sum() + pushed.sum() + tw.func.grad(lambda x: (x * x).sum())(x).sum()
    return [inside, pushed, *tw.autograd.grad(total, (x, w))]


RUNS: dict[str, Callable[[Any], Any]] = {
    run.__name__.strip("_"): run
    for run in (_grad, _products, _jacobians, _hessians, _vmaps, _modules, _tape)
}


def nested(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [x for part in value.values() for x in nested(part)]
    if isinstance(value, list | tuple):
        return [x for part in value for x in nested(part)]
    return [value]


@pytest.mark.parametrize("name", RUNS)
def test_same_values(name: str) -> None:
    ours, theirs = (nested(RUNS[name](tw)) for tw in BOTH)
    assert len(ours) == len(theirs)
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        dtype = str(mine.dtype).rpartition(".")[2]
        assert_close(mine, other, TOLERANCES["second", dtype], f"{name} {number}")


REFUSED: dict[str, Callable[[Any], Any]] = {
    "gradient of several numbers": lambda tw: tw.func.grad(lambda x: x)(_t(tw, X)),
    "item inside vmap": lambda tw: tw.func.vmap(lambda x: x.sum().item())(_t(tw, BATCH)),
    "branch inside vmap": lambda tw: tw.func.vmap(lambda x: x if x.sum() > 0 else -x)(
        _t(tw, BATCH)
    ),
    "random numbers inside vmap": lambda tw: tw.func.vmap(lambda x: x + tw.rand(3))(_t(tw, BATCH)),
    "no cases": lambda tw: tw.func.vmap(lambda x: x, in_dims=None)(_t(tw, X)),
    "different numbers of cases": lambda tw: tw.func.vmap(lambda x, y: x)(_t(tw, BATCH), _t(tw, X)),
    "writing to a tensor from outside": lambda tw: (
        lambda total: tw.func.vmap(lambda x: total.add_(x.sum()))(_t(tw, BATCH))
    )(_t(tw, np.array(0.0))),
    "integer argument": lambda tw: tw.func.grad(lambda x: x.sum())(tw.tensor([1, 2])),
    "tangent of another shape": lambda tw: tw.func.jvp(lambda x: x, (_t(tw, X),), (_t(tw, X[:2]),)),
    "cotangent of another structure": lambda tw: tw.func.vjp(lambda x: (x, x), _t(tw, X))[1](
        _t(tw, X)
    ),
    "unknown randomness": lambda tw: tw.func.vmap(lambda x: x, randomness="some")(_t(tw, X)),
    "argument that is not there": lambda tw: tw.func.grad(lambda x: x.sum(), argnums=3)(_t(tw, X)),
    "tied parameter given twice": lambda tw: _tied(tw),
}


def _tied(tw: Any) -> Any:
    net = tw.nn.Sequential(tw.nn.Linear(3, 3), tw.nn.Linear(3, 3))
    net[1].weight = net[0].weight
    given = {"0.weight": tw.ones(3, 3), "1.weight": tw.zeros(3, 3)}
    return tw.func.functional_call(net, given, (tw.ones(3),))


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name: str) -> None:
    for tw in BOTH:
        with pytest.raises((RuntimeError, ValueError, TypeError, IndexError, AssertionError)):
            REFUSED[name](tw)
