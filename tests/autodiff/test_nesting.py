"""Transforms within transforms: every pair and triple of them, against closed forms."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.func import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
    vmap,
)

Function = Callable[[tw.Tensor], tw.Tensor]
ONE = tw.tensor(1.0, dtype=tw.float64)
SCALES = [1.0, -0.5, 2.0]


def f(x: tw.Tensor) -> tw.Tensor:
    """sin(x) e^(x/2), by a contraction, a composite and assignments."""
    left = tw.zeros(2, dtype=x.dtype)
    left[0] = x.sin()
    right = tw.stack([(x / 2).exp(), tw.softmax(x.reshape(1), 0)[0]])
    return left @ right


def derivative_of_f(order: int, x: float) -> float:
    """sin(x) e^(x/2) is the imaginary part of e^(ax), a = 1/2 + i."""
    a = 0.5 + 1j
    return float((a**order * np.exp(a * x)).imag)


# Each makes a function of one number from another: a derivative, or, by vmap, a sum over scales.
OPERATIONS: dict[str, Callable[[Function], Function]] = {
    "grad": lambda f: grad(f),
    "vjp": lambda f: lambda x: vjp(f, x)[1](ONE)[0],
    "jvp": lambda f: lambda x: jvp(f, (x,), (ONE,))[1],
    "jacrev": lambda f: jacrev(f),
    "jacfwd": lambda f: jacfwd(f),
    "linearize": lambda f: lambda x: linearize(f, x)[1](ONE),
    "vmap": lambda f: lambda x: vmap(lambda t: f(x * t))(tw.tensor(SCALES).double()).sum(),
}


def closed_form(names: Iterable[str], x: float) -> float:
    """Terms c f^(k)(s x), from the innermost operation outwards."""
    terms = [(1.0, 1.0, 0)]
    for name in names:
        if name == "vmap":
            terms = [(c, s * t, k) for c, s, k in terms for t in SCALES]
        else:
            terms = [(c * s, s, k + 1) for c, s, k in terms]
    return sum(c * derivative_of_f(k, s * x) for c, s, k in terms)


def built(names: Iterable[str]) -> Function:
    function: Function = f
    for name in names:
        function = OPERATIONS[name](function)
    return function


NESTS = [n for count in (1, 2, 3) for n in itertools.product(OPERATIONS, repeat=count)]


@pytest.mark.parametrize("outermost", OPERATIONS)
def test_all_pairs_and_triples(outermost: str) -> None:
    x = tw.tensor(0.7, dtype=tw.float64)
    for names in [n for n in NESTS if n[-1] == outermost]:
        found = built(names)(x)
        assert not found.requires_grad, names
        np.testing.assert_allclose(
            found.numpy(), closed_form(names, 0.7), rtol=1e-10, err_msg=str(names)
        )


@pytest.mark.parametrize("names", [n for n in NESTS if len(n) == 2], ids="-".join)
def test_the_tape_outside_goes_through(names: tuple[str, ...]) -> None:
    x = tw.tensor(0.7, dtype=tw.float64, requires_grad=True)
    built(names)(x).backward()
    wanted = closed_form((*names, "grad"), 0.7)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-10)
    with tw.no_grad():
        assert not built(names)(x).requires_grad


@pytest.mark.parametrize(
    "names", [*itertools.product(("grad", "jvp", "vmap"), repeat=2)], ids="-".join
)
def test_compiled(names: tuple[str, ...]) -> None:
    x = tw.tensor(0.7, dtype=tw.float64)
    found = tw.compile(built(names))(x)
    np.testing.assert_allclose(found.numpy(), closed_form(names, 0.7), rtol=1e-9)


@pytest.mark.parametrize("names", [("grad", "vmap"), ("vmap", "jvp"), ("jvp", "grad")])
def test_gradients_of_tensors_captured_at_any_depth(names: tuple[str, str]) -> None:
    """d/dw of a nest of functions of w x is that of the nest times x, and its values."""
    w = tw.tensor(1.3, dtype=tw.float64, requires_grad=True)
    function: Function = lambda x: f(w * x)  # noqa: E731
    for name in names:
        function = OPERATIONS[name](function)
    function(tw.tensor(0.7, dtype=tw.float64)).backward()
    eps = 1e-6

    def at(value: float) -> float:
        inner: Function = lambda x: f(value * x)  # noqa: E731
        for name in names:
            inner = OPERATIONS[name](inner)
        return float(inner(tw.tensor(0.7, dtype=tw.float64)))

    assert w.grad is not None
    np.testing.assert_allclose(
        w.grad.item(), (at(1.3 + eps) - at(1.3 - eps)) / (2 * eps), rtol=1e-6
    )


def push(f: Function) -> Function:
    return lambda x: jvp(f, (x,), (tw.ones_like(x),))[1]


@pytest.mark.parametrize("inner", [grad, push, jacrev, jacfwd])
@pytest.mark.parametrize("outer", [grad, push, jacrev, jacfwd])
def test_perturbations_are_not_confused(outer: Any, inner: Any) -> None:
    one, two = tw.tensor(1.0), tw.tensor(2.0)
    assert outer(lambda x: x * inner(lambda y: x + y)(one))(two).item() == 1
    assert outer(lambda x: x * inner(lambda y: x * y)(one))(two).item() == 4
    assert outer(lambda x: x * inner(lambda y: x * y)(x))(two).item() == 4
    assert outer(lambda x: inner(lambda y: x * y)(x * x))(two).item() == 1
    assert outer(lambda x: inner(lambda y: y**3 * x)(x))(two).item() == 36


def test_a_closure_over_the_same_tensor_counts_separately() -> None:
    x = tw.tensor(3.0)
    assert grad(lambda y: x * y)(x).item() == 3
    assert jvp(lambda y: x * y, (x,), (tw.tensor(1.0),))[1].item() == 3
    w = tw.tensor(3.0, requires_grad=True)
    found = grad(lambda y: w * w * y)(w)
    assert found.item() == 9
    found.backward()
    assert w.grad is not None
    assert w.grad.item() == 6


def test_deep_nests_of_one_kind() -> None:
    for operation in (grad, push, jacrev, jacfwd):
        function: Any = lambda x: x**6  # noqa: E731
        for _ in range(5):
            function = operation(function)
        assert function(tw.tensor(2.0)).item() == 1440


def test_products_with_hessians_agree_with_them() -> None:
    a = tw.tensor(np.random.default_rng(0).standard_normal((4, 4)))
    x, t = tw.tensor([0.1, -0.4, 0.9, 0.3]).double(), tw.tensor([1.0, 0.5, -1.0, 2.0]).double()

    def loss(x: tw.Tensor) -> tw.Tensor:
        return tw.logsumexp(a @ x.tanh(), 0)

    whole = hessian(loss)(x)
    value, product = hvp(loss, (x,), (t,))
    np.testing.assert_allclose(product.numpy(), (whole @ t).numpy(), rtol=1e-12)
    assert value.item() == loss(x).item()
    for other in (jacrev(jacrev(loss)), jacrev(jacfwd(loss)), jacfwd(jacfwd(loss))):
        np.testing.assert_allclose(other(x).numpy(), whole.numpy(), rtol=1e-11, atol=1e-14)


def test_under_no_grad_transforms_still_differentiate() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    with tw.no_grad():
        for operation in (grad, push, jacrev, jacfwd):
            found = operation(lambda x: x**3)(x)
            assert found.item() == 12
            assert not found.requires_grad
    cut = grad(lambda x: x * tw.no_grad()(lambda: x * x)())(tw.tensor(3.0))
    assert cut.item() == 9
    assert grad(lambda x: x * (x * x).detach())(tw.tensor(3.0)).item() == 9
    assert push(lambda x: x * (x * x).detach())(tw.tensor(3.0)).item() == 9
    summed = vmap(lambda x: x * (x * x).detach())
    assert grad(lambda x: summed(x).sum())(tw.tensor([3.0])).item() == 9


@pytest.mark.parametrize("names", [n for n in NESTS if len(n) == 2], ids="-".join)
def test_of_a_compiled_function(names: tuple[str, ...]) -> None:
    function: Function = tw.compile(f)
    for name in names:
        function = OPERATIONS[name](function)
    x = tw.tensor(0.7, dtype=tw.float64)
    np.testing.assert_allclose(function(x).numpy(), closed_form(names, 0.7), rtol=1e-9)


@pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
def test_jacobians_of_a_compiled_function(jacobian: Any) -> None:
    w = tw.tensor([[1.0, 2.0], [0.5, -1.0]])
    x = tw.tensor([0.3, 0.8])
    found = jacobian(tw.compile(lambda x: (w @ x).sin()))(x)
    np.testing.assert_allclose(found.numpy(), ((w @ x).cos().unsqueeze(1) * w).numpy(), rtol=1e-6)
