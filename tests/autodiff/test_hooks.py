"""Hooks on tensors, and the gradients of computed ones."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg.errors import GradientError


def test_a_hook_sees_the_whole_cotangent_and_may_replace_it() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y = x * 3
    seen = []

    def halve(g: tw.Tensor) -> tw.Tensor:
        seen.append(g.item())
        return g / 2

    y.register_hook(halve)
    (y * y + y).backward()
    assert seen == [13]
    assert x.grad.item() == 19.5


def test_a_hook_on_a_leaf() -> None:
    w = tw.tensor([3.0, -4.0], requires_grad=True)
    handle = w.register_hook(lambda g: g.clamp(-1, 1))
    (w * w + w).sum().backward()
    assert w.grad.tolist() == [1, -1]
    handle.remove()
    handle.remove()
    w.grad = None
    (w * w).sum().backward()
    assert w.grad.tolist() == [6, -8]


def test_hooks_run_in_order_and_one_by_one_leave() -> None:
    x = tw.tensor(1.0, requires_grad=True)
    y = x * 1
    first = y.register_hook(lambda g: g + 1)
    y.register_hook(lambda g: g * 10)
    y.backward(retain_graph=True)
    assert x.grad.item() == 20
    first.remove()
    x.grad = None
    y.backward()
    assert x.grad.item() == 10


def test_a_hook_runs_for_grad_too() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    x.register_hook(lambda g: g * 100)
    (g,) = tw.autograd.grad(x * x, x)
    assert g.item() == 400


def test_a_hook_that_returns_nothing_changes_nothing() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    x.register_hook(lambda g: None)
    (x * x).backward()
    assert x.grad.item() == 4


def test_a_hook_needs_a_gradient_to_see() -> None:
    with pytest.raises(GradientError, match="requires a gradient"):
        tw.tensor(1.0).register_hook(lambda g: g)


def test_retain_grad_keeps_the_gradient_of_a_computed_tensor() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.retain_grad()
    (y * y).backward(retain_graph=True)
    assert y.grad.item() == 12
    (y * y).backward()
    assert y.grad.item() == 24


def test_retain_grad_of_a_leaf_changes_nothing() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    x.retain_grad()
    (x * x).backward()
    assert x.grad.item() == 4


def test_retain_grad_sees_what_hooks_before_it_gave() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    y.retain_grad()
    y.backward()
    assert (y.grad.item(), x.grad.item()) == (10, 30)


def test_retain_grad_sees_what_hooks_after_it_gave() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.backward()
    assert (y.grad.item(), x.grad.item()) == (10, 30)


def test_a_retained_gradient_does_not_keep_its_tensor_alive() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y = x * 3
    y.retain_grad()
    loss = y * y
    del y
    loss.backward()
    assert x.grad.item() == 36
