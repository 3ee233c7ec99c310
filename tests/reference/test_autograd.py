"""The backward pass: what stands in `.grad`, what is freed, what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.reference.both import BOTH, TOLERANCES, assert_close, dtype_name, flat

X = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]])
Y = np.array([0.3, -0.2, 1.1])


def _leaf(tw: Any, array: Any = X) -> Any:
    return tw.tensor(array, requires_grad=True)


def _vector_output(tw: Any) -> Any:
    a, b = _leaf(tw, np.array([2.0, 3.0])), _leaf(tw, np.array([6.0, 4.0]))
    q = 3 * a**3 - b**2
    q.backward(gradient=tw.tensor(np.array([1.0, 1.0])))
    return [a.grad, b.grad]


def _accumulates_over_calls(tw: Any) -> Any:
    x = _leaf(tw)
    (x * x).sum().backward()
    x.sin().sum().backward()
    return x.grad


def _accumulates_over_uses(tw: Any) -> Any:
    x, y = _leaf(tw), _leaf(tw, Y)
    z = x * y
    ((z + z.exp()) * x - z).sum().backward()
    return [x.grad, y.grad]


def _retained(tw: Any) -> Any:
    x = _leaf(tw)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def _create_graph(tw: Any) -> Any:
    x = _leaf(tw)
    (x**3).sum().backward(create_graph=True)
    first = x.grad.clone()
    x.grad = None
    first.sum().backward()
    return [first, x.grad]


def _third_derivative(tw: Any) -> Any:
    x = _leaf(tw)
    y = (x.sin() * x).sum()
    for _ in range(3):
        (g,) = tw.autograd.grad(y, x, create_graph=True)
        y = g.sum()
    return g


def _hessian_product(tw: Any) -> Any:
    x = _leaf(tw)
    (g,) = tw.autograd.grad((x.exp() * x.flip(0)).sum(), x, create_graph=True)
    return tw.autograd.grad(g, x, tw.ones_like(x))


def _of_computed(tw: Any) -> Any:
    x = _leaf(tw)
    h = x.tanh()
    return tw.autograd.grad((h * h).sum(), [h, x])


def _unused(tw: Any) -> Any:
    x, y = _leaf(tw), _leaf(tw, Y)
    found = tw.autograd.grad(x.sum(), [x, y], allow_unused=True)
    return [found[0], found[1] is None]


def _detached(tw: Any) -> Any:
    x = _leaf(tw)
    (x * x.detach()).sum().backward()
    return [x.grad, x.detach().requires_grad]


def _not_recorded(tw: Any) -> Any:
    x = _leaf(tw)
    with tw.no_grad():
        y = x * 2
        inside = tw.is_grad_enabled()
        with tw.enable_grad():
            z = x * 2
    with tw.set_grad_enabled(False):
        w = x * 2
    with tw.inference_mode():
        v = x * 2
    recorded = [t.requires_grad for t in (y, z, w, v)]
    return [inside, *recorded, tw.is_grad_enabled()]


def _decorated(tw: Any) -> Any:
    x = _leaf(tw)
    return tw.no_grad()(lambda: x * 2)().requires_grad


def _hooked(tw: Any) -> Any:
    x = _leaf(tw)
    y = x * x
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(g.clone()))
    y.register_hook(lambda g: g * 2)
    y.sum().backward()
    return [seen[0], x.grad]


def _retains_grad(tw: Any) -> Any:
    x = _leaf(tw)
    y = x * x
    y.retain_grad()
    (y * y).sum().backward()
    return [x.grad, y.grad]


def _leaves(tw: Any) -> Any:
    x = _leaf(tw)
    y = x * 2
    z = tw.tensor([1.0])
    return [x.is_leaf, y.is_leaf, z.is_leaf, x.grad is None, x.grad_fn is None, y.grad_fn is None]


def _branches(tw: Any) -> Any:
    x = _leaf(tw)
    total = tw.tensor(0.0, dtype=tw.float64)
    for row in x:
        total = total + (row.sum() if row[0] > 0.7 else (row * row).sum())
    total.backward()
    return [total, x.grad]


def _mixed_dtypes(tw: Any) -> Any:
    x = tw.tensor(X.astype("float32"), requires_grad=True)
    y = _leaf(tw, Y)
    (x * y).sum().backward()
    return [x.grad, y.grad]


def _kinks(tw: Any) -> Any:
    x = _leaf(tw, np.array([-1.0, 0.0, 0.0, 2.0]))
    functions = (x.relu(), x.abs(), x.clamp(0, 1), x.maximum(tw.zeros_like(x)), x.norm(), x.amax())
    return [tw.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in functions]


def _norm_at_zero(tw: Any) -> Any:
    x = _leaf(tw, np.zeros(3))
    return [tw.autograd.grad(x.norm(p), x)[0] for p in (1, 2, float("inf"))]


def _regularized_neuron(tw: Any) -> Any:
    """Deck 004: z = w x + b, y = sigmoid(z), L = (y - t)^2 / 2 + lambda w^2 / 2."""
    w, b = _leaf(tw, np.array(0.7)), _leaf(tw, np.array(-0.3))
    x, t, penalty = 1.5, 1.0, 0.1
    y = 1 / (1 + (-(w * x + b)).exp())
    loss = (y - t) ** 2 / 2 + penalty * w**2 / 2
    loss.backward()
    return [loss, w.grad, b.grad]


def _toy_chain(tw: Any) -> Any:
    """Deck 003: beta3 + omega3 cos(beta2 + omega2 exp(beta1 + omega1 sin(beta0 + omega0 x)))."""
    names = np.array([1.0, 2.0, -0.5, 0.3, 0.7, -1.2, 0.4, 0.9])
    parameters = [_leaf(tw, np.array(value)) for value in names]
    b0, w0, b1, w1, b2, w2, b3, w3 = parameters
    f = b3 + w3 * (b2 + w2 * (b1 + w1 * (b0 + w0 * 2.3).sin()).exp()).cos()
    ((f - 2.0) ** 2).backward()
    return [f, *(p.grad for p in parameters)]


RUNS = {
    run.__name__.strip("_"): run
    for run in (
        _vector_output,
        _accumulates_over_calls,
        _accumulates_over_uses,
        _retained,
        _create_graph,
        _third_derivative,
        _hessian_product,
        _of_computed,
        _unused,
        _detached,
        _not_recorded,
        _decorated,
        _hooked,
        _retains_grad,
        _leaves,
        _branches,
        _mixed_dtypes,
        _kinks,
        _norm_at_zero,
        _regularized_neuron,
        _toy_chain,
    )
}


@pytest.mark.filterwarnings("ignore:Using backward\\(\\) with create_graph=True:UserWarning")
@pytest.mark.parametrize("name", RUNS)
def test_like_torch(name: str) -> None:
    ours, theirs = (flat(RUNS[name](tw)) for tw in BOTH)
    assert len(ours) == len(theirs)
    for position, (x, y) in enumerate(zip(ours, theirs, strict=True)):
        dtype = dtype_name(y) if hasattr(y, "detach") else "float64"
        assert_close(x, y, TOLERANCES["value", dtype], f"{name} {position}")


def _not_scalar(tw: Any) -> None:
    (_leaf(tw) * 2).backward()


def _twice(tw: Any) -> None:
    y = _leaf(tw).exp().sum()
    y.backward()
    y.backward()


def _without_gradient(tw: Any) -> None:
    tw.tensor([1.0]).sum().backward()


def _wrong_shape(tw: Any) -> None:
    (_leaf(tw) * 2).backward(gradient=tw.tensor([1.0]))


def _leaf_in_place(tw: Any) -> None:
    _leaf(tw).add_(1)


def _numpy_of_recorded(tw: Any) -> None:
    _leaf(tw).numpy()


def _integer_leaf(tw: Any) -> None:
    tw.tensor([1, 2], requires_grad=True)


def _setting_computed(tw: Any) -> None:
    (_leaf(tw) * 2).requires_grad_(False)


def _unused_input(tw: Any) -> None:
    tw.autograd.grad(_leaf(tw).sum(), _leaf(tw, Y))


REFUSED: dict[str, Callable[[Any], None]] = {
    run.__name__.strip("_"): run
    for run in (
        _not_scalar,
        _twice,
        _without_gradient,
        _wrong_shape,
        _leaf_in_place,
        _numpy_of_recorded,
        _integer_leaf,
        _setting_computed,
        _unused_input,
    )
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name: str) -> None:
    for tw in BOTH:
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            REFUSED[name](tw)
