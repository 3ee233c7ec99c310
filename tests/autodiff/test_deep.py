"""Deep and wide graphs: no recursion limit, one visit a node, and memory that is given back."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import thalweg as tw


def chain(x: tw.Tensor, depth: int) -> tw.Tensor:
    for _ in range(depth):
        x = x * 1.0001
    return x


@pytest.fixture
def without_collector() -> object:
    """What is freed here is freed because nothing refers to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_chain_of_ten_thousand() -> None:
    x = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    chain(x, 10_000).backward()
    np.testing.assert_allclose(x.grad.item(), 1.0001**10_000)


def test_a_chain_of_ten_thousand_is_dropped_without_a_backward_pass() -> None:
    x = tw.tensor(1.0, requires_grad=True)
    y = chain(x, 10_000)
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_a_chain_of_ten_thousand_differentiated_twice() -> None:
    x = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    (slope,) = tw.autograd.grad(chain(x, 5_000) * x, x, create_graph=True)
    slope.backward()
    np.testing.assert_allclose(x.grad.item(), 2 * 1.0001**5_000)


def test_each_node_is_visited_once() -> None:
    x = tw.tensor(1.0, requires_grad=True)
    steps = list(tw.backward_steps(chain(x, 1_000)))
    assert len(steps) == 1_001, "a step a node, and one for the leaf"


def test_a_ladder_of_shared_steps_takes_one_visit_a_node() -> None:
    """y = y + y, forty times: 2^40 paths, forty nodes."""
    x = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    y = x
    for _ in range(40):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**40


def test_many_uses_of_one_tensor() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    tw.stack([x * float(i) for i in range(500)]).sum().backward()
    assert x.grad.item() == sum(range(500))


def test_backward_frees_what_was_saved(without_collector: object) -> None:
    x = tw.ones(1000, requires_grad=True)
    hidden = x.exp()
    value = weakref.ref(hidden._value)
    loss = (hidden * hidden).sum()
    del hidden
    assert value() is not None  # saved for the products' derivatives
    loss.backward()
    assert value() is None


def test_a_retained_graph_keeps_what_was_saved(without_collector: object) -> None:
    x = tw.ones(10, requires_grad=True)
    hidden = x.exp()
    value = weakref.ref(hidden._value)
    loss = (hidden * hidden).sum()
    del hidden
    loss.backward(retain_graph=True)
    assert value() is not None
    del loss
    assert value() is None


def test_a_graph_that_is_dropped_is_freed(without_collector: object) -> None:
    x = tw.ones(10, requires_grad=True)
    loss = (x.exp() * x).sum()
    node = weakref.ref(loss.grad_fn)
    del loss
    assert node() is None


def test_a_training_loop_leaves_nothing_behind(without_collector: object) -> None:
    w = tw.ones(10, requires_grad=True)
    nodes = []
    for _ in range(5):
        loss = (w * w).sum()
        nodes.append(weakref.ref(loss.grad_fn))
        loss.backward()
        with tw.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    del loss
    assert [node() for node in nodes] == [None] * 5
