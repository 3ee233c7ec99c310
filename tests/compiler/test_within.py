"""Compiled functions inside function transforms: programs there too, equal to the function."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.looping import F64, near
from thalweg.compiler.tracing.structure import flatten
from thalweg.errors import TransformError
from thalweg.func import functional_call, grad, hessian, hvp, jacfwd, jacrev, jvp, vjp, vmap

tw.manual_seed(0)
W = tw.randn(3, 3, dtype=F64)
X = tw.randn(4, 3, dtype=F64)


def f(x: tw.Tensor) -> Any:
    return (tw.softmax(W @ x, 0) * x.sin()).sum()


def pair(x: tw.Tensor) -> Any:
    return {"a": (x @ W).tanh(), "b": (x.argmax(), 3)}


TRANSFORMS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "vmap": lambda f: lambda: vmap(f)(X),
    "jvp": lambda f: lambda: jvp(f, (X[0],), (X[1],)),
    "grad": lambda f: lambda: grad(f)(X[0]),
    "vmap grad": lambda f: lambda: vmap(grad(f))(X),
    "grad vmap": lambda f: lambda: grad(lambda x: vmap(f)(x).square().sum())(X),
    "vmap vmap": lambda f: lambda: vmap(lambda x: vmap(lambda t: f(x * t))(X[:, 0]))(X),
    "vmap jvp": lambda f: lambda: vmap(lambda x, t: jvp(f, (x,), (t,)))(X, X * 2),
    "hvp": lambda f: lambda: hvp(f, (X[0],), (X[1],)),
    "hessian": lambda f: lambda: hessian(f)(X[0]),
    "jacfwd jacfwd": lambda f: lambda: jacfwd(jacfwd(f))(X[0]),
    "jacrev grad": lambda f: lambda: jacrev(grad(f))(X[0]),
    "grad grad": lambda f: lambda: grad(lambda x: grad(f)(x).square().sum())(X[0]),
    "vmap grad grad": lambda f: lambda: vmap(grad(lambda x: grad(f)(x).square().sum()))(X),
    "vmap of a pullback": lambda f: lambda: vmap(vjp(f, X[0])[1])(X[0]),
    "chunks": lambda f: lambda: vmap(f, chunk_size=3)(X),
}


def arrays(result: Any) -> list[Any]:
    return [x._value if isinstance(x, tw.Tensor) else x for x in flatten(result)[0]]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_values_and_that_python_does_not_run_again(name: str) -> None:
    calls = itertools.count()

    def counted(x: tw.Tensor) -> Any:
        next(calls)
        return f(x)

    run, wanted = TRANSFORMS[name](tw.compile(counted)), arrays(TRANSFORMS[name](f)())
    near(arrays(run()), wanted)
    before = next(calls)
    near(arrays(run()), wanted)
    assert next(calls) == before + 1


@pytest.mark.parametrize("name", ["vmap", "vmap vmap", "jvp"])
def test_structures_and_constants(name: str) -> None:
    if name == "jvp":
        found, wanted = (
            jvp(one, (X[0],), (X[1],)) for one in (_tensors(tw.compile(pair)), _tensors(pair))
        )
    else:
        found, wanted = (TRANSFORMS[name](_tensors(one))() for one in (tw.compile(pair), pair))
    near(arrays(found), arrays(wanted))


def _tensors(function: Any) -> Any:
    def run(x: tw.Tensor) -> Any:
        result = function(x)
        assert result["b"][1] == 3
        return result["a"], result["b"][0]

    return run


@pytest.mark.parametrize("name", ["vmap", "vmap grad", "hvp", "grad grad", "jacrev grad"])
def test_what_it_captures_gets_gradients_and_new_values(name: str) -> None:
    w = tw.randn(3, 3, dtype=F64, requires_grad=True)
    loss = lambda x: (w @ x).tanh().sum()  # noqa: E731
    one, other = TRANSFORMS[name](tw.compile(loss)), TRANSFORMS[name](loss)
    for _ in range(2):
        near(arrays(one()), arrays(other()))
        found, wanted = (
            tw.autograd.grad(sum((x * x).sum() for x in flatten(run())[0] if x.requires_grad), w)
            for run in (one, other)
        )
        near(arrays(found), arrays(wanted))
        with tw.no_grad():
            w.mul_(0.5)


@pytest.mark.parametrize("transform", [vmap, lambda f, **_: vmap(grad(f), randomness="different")])
def test_state_is_changed_once_and_random_numbers_are_those_of_the_function(transform: Any) -> None:
    def noisy(x: tw.Tensor) -> Any:
        return (tw.nn.functional.dropout(x) * x).sum()

    found = []
    for function in (noisy, tw.compile(noisy)):
        tw.manual_seed(4)
        run = transform(function, randomness="different")
        found.append([run(X)._value, run(X)._value, tw.rand(2)._value])
    near(found[1], found[0])


def test_state_that_the_second_run_finds_as_it_was() -> None:
    results = []
    for make in (lambda f: f, tw.compile):
        scale = tw.ones((), dtype=F64)

        def grown(x: tw.Tensor, scale: Any = scale) -> Any:
            scale.mul_(2)
            return (x * x * scale).sum()

        one = make(grown)
        run = grad(lambda x, g=one: grad(g)(x).square().sum())
        results.append([run(X[0])._value, scale._value])
    near(results[1], results[0])
    assert results[0][1] == 2


def test_a_module_whose_parameters_are_lent() -> None:
    model = tw.nn.Linear(3, 2)
    compiled = tw.compile(model)
    state = {name: tw.stack([p.detach(), p.detach() * 2]) for name, p in model.named_parameters()}
    x = tw.randn(3)
    found, wanted = (
        vmap(lambda s, m=m: functional_call(m, s, x))(state) for m in (compiled, model)
    )
    near(arrays(found), arrays(wanted))
    assert np.isfinite(found.numpy()).all()


def test_what_vmap_refuses_it_refuses_here_too() -> None:
    total = tw.zeros((), dtype=F64)
    adding = tw.compile(lambda x: total.add_(x.sum()))
    with pytest.raises(TransformError, match="from outside"):
        vmap(adding)(X)
    assert total.item() == 0
    with pytest.raises(TransformError, match='randomness="same"'):
        vmap(tw.compile(lambda x: x + tw.rand(3)))(X)


def test_gradients_of_gradients_of_a_result() -> None:
    w = tw.tensor(2.0, requires_grad=True)
    cube = tw.compile(lambda x: w**3 * x)
    (first,) = tw.autograd.grad(cube(tw.tensor(3.0)), w, create_graph=True)
    assert first is not None
    (second,) = tw.autograd.grad(first, w, create_graph=True)
    assert second is not None
    (third,) = tw.autograd.grad(second, w)
    assert (first.item(), second.item(), third.item()) == (36, 36, 18)
