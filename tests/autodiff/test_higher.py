"""Gradients of gradients, and gradients with respect to chosen tensors."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import GradientError

grad = tw.autograd.grad


def test_third_derivatives() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y, found = x**4, []
    for _ in range(4):
        (y,) = grad(y, x, create_graph=True)
        found.append(y.item())
    assert found == [32, 48, 48, 24]


def test_third_derivatives_of_a_function_of_many() -> None:
    x = tw.tensor([0.5, -1.0], dtype=tw.float64, requires_grad=True)
    y = (x.exp() * x.sin()).sum()
    for _ in range(3):
        (g,) = grad(y, x, create_graph=True)
        y = g.sum()
    at = x.detach().numpy()
    expected = 2 * np.exp(at) * (np.cos(at) - np.sin(at))
    np.testing.assert_allclose(g.detach().numpy(), expected)


def test_derivatives_of_all_orders_of_exp() -> None:
    x = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    y = x.exp()
    for _ in range(8):
        (y,) = grad(y, x, create_graph=True)
        np.testing.assert_allclose(y.item(), np.e)


def test_a_hessian_by_rows() -> None:
    x = tw.tensor([1.0, 2.0, 3.0], dtype=tw.float64, requires_grad=True)
    (g,) = grad(x.prod(), x, create_graph=True)
    rows = [grad(g[i], x, retain_graph=True)[0].tolist() for i in range(3)]
    assert rows == [[0, 3, 2], [3, 0, 1], [2, 1, 0]]


def test_mixed_derivatives_are_equal() -> None:
    x = tw.tensor(0.7, dtype=tw.float64, requires_grad=True)
    y = tw.tensor(1.3, dtype=tw.float64, requires_grad=True)
    f = (x * y).sin() * y.exp()
    dx, dy = grad(f, (x, y), create_graph=True)
    (xy,) = grad(dx, y, retain_graph=True)
    (yx,) = grad(dy, x)
    np.testing.assert_allclose(xy.item(), yx.item())


def test_a_gradient_penalty() -> None:
    """The gradient's norm in the loss, as in regularized adversarial training."""
    w = tw.tensor([3.0, 4.0], requires_grad=True)
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    (g,) = grad((w * x).sum(), x, create_graph=True)
    (g.norm() - 1).square().backward()
    np.testing.assert_allclose(w.grad.tolist(), [2 * 4 * 0.6, 2 * 4 * 0.8], rtol=1e-6)


def test_backward_with_create_graph() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    (x**3).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert (first.item(), x.grad.item()) == (27, 18)


def test_without_create_graph_a_gradient_is_off_the_tape() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    (g,) = grad(x * x, x)
    assert not g.requires_grad


# --- grad ----------------------------------------------------------------------------------------


def test_grad_adds_to_no_grad() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    grad(x * x, x)
    assert x.grad is None


def test_grad_of_computed_tensors() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    h = x * 2
    k = h * h
    loss = k + h
    of_k, of_h, of_x = grad(loss, (k, h, x))
    assert (of_k.item(), of_h.item(), of_x.item()) == (1, 13, 26)


def test_grad_of_the_output_itself() -> None:
    x = tw.tensor(3.0, requires_grad=True)
    y = x * 2
    assert grad(y, y)[0].item() == 1


def test_several_outputs_with_their_cotangents() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    (g,) = grad([x * 2, (x * x).sum()], x, [tw.tensor([1.0, 10.0]), None])
    assert g.tolist() == [4, 24]


def test_an_input_that_nothing_depends_on() -> None:
    x, y = tw.tensor(1.0, requires_grad=True), tw.tensor(2.0, requires_grad=True)
    with pytest.raises(GradientError, match=r"inputs \[1\].*allow_unused=True"):
        grad(x * 2, (x, y))
    first, second = grad(x * 2, (x, y), allow_unused=True)
    assert first.item() == 2
    assert second is None


def test_an_input_that_requires_nothing() -> None:
    x = tw.tensor(1.0, requires_grad=True)
    with pytest.raises(GradientError, match=r"input 1, of shape \(3,\).*requires_grad=True"):
        grad(x * 2, (x, tw.ones(3)))


def test_a_cotangent_too_few() -> None:
    x = tw.tensor(1.0, requires_grad=True)
    with pytest.raises(GradientError, match="2 outputs, but 1 grad_outputs"):
        grad([x * 2, x * 3], x, [tw.tensor(1.0)])


def test_gradients_may_be_changed_in_place() -> None:
    a, b = tw.ones(2, requires_grad=True), tw.ones(2, requires_grad=True)
    seed = tw.ones(2)
    first, second = grad(a + b, (a, b), seed)
    first.mul_(5)
    assert second.tolist() == seed.tolist() == [1, 1]
