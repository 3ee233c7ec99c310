"""Checkpointing: the same numbers, less memory, eagerly and compiled."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.func import functional_call, grad, hvp, vmap
from thalweg.utils.checkpoint import checkpoint, checkpoint_sequential

WIDTH, BLOCKS = 32, 5


def network() -> list[tw.nn.Module]:
    tw.manual_seed(0)
    return [
        tw.nn.Sequential(
            tw.nn.Linear(8, WIDTH),
            tw.nn.Tanh(),
            tw.nn.Linear(WIDTH, WIDTH),
            tw.nn.Dropout(0.3),
            tw.nn.Sigmoid(),
            tw.nn.Linear(WIDTH, 8),
        )
        for _ in range(BLOCKS)
    ]


def gradients(blocks: list[tw.nn.Module], x: tw.Tensor, saving: bool) -> tuple[Any, ...]:
    h = x
    for block in blocks:
        h = checkpoint(block, h) if saving else block(h)
    loss = (h * h).mean()
    return (loss, *tw.autograd.grad(loss, [p for b in blocks for p in b.parameters()]))


def test_the_same_gradients_dropout_and_all() -> None:
    blocks, x = network(), tw.randn(16, 8)
    results = []
    for saving in (False, True):
        tw.manual_seed(3)
        found = gradients(blocks, x, saving)
        results.append([*(y.detach().numpy() for y in found), tw.rand(3).numpy()])
    for plain, saved in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, saved)


def test_compiled_it_really_is_computed_again() -> None:
    blocks, x = network(), tw.randn(256, 8)
    arenas, results = [], []
    for saving in (False, True):
        step = tw.compile(lambda x, saving=saving: gradients(blocks, x, saving))
        tw.manual_seed(3)
        results.append([y.detach().numpy() for y in step(x)])
        arenas.append(step.last.bound.plan.arena)
    for plain, saved in zip(*results, strict=True):
        np.testing.assert_allclose(plain, saved, rtol=1e-4, atol=1e-6)
    assert arenas[1] < 0.4 * arenas[0]


def test_eagerly_the_values_on_the_way_are_freed() -> None:
    made: list[Any] = []

    def wide(x: tw.Tensor) -> tw.Tensor:
        h = (x.unsqueeze(-1) * tw.ones(1000)).sin()
        made.append(weakref.ref(h._value))
        return h.sum(-1)

    x = tw.ones(4, requires_grad=True)
    y = checkpoint(wide, x)
    gc.collect()
    assert made[0]() is None
    y.sum().backward()
    assert len(made) == 2
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 1000 * np.cos(1), rtol=1e-5)


def test_state_is_updated_once() -> None:
    seen = tw.zeros(())
    x = tw.ones(3, requires_grad=True)

    def counting(x: tw.Tensor) -> tw.Tensor:
        with tw.no_grad():
            seen.add_(1)
        return x * seen

    checkpoint(counting, x).sum().backward()
    assert seen.item() == 1
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]
    checkpoint(counting, x).sum().backward()
    assert seen.item() == 2
    assert x.grad.tolist() == [3, 3, 3]


def test_nested_arguments_and_results_and_captured_tensors() -> None:
    w = tw.tensor(2.0, requires_grad=True)
    a, b = tw.tensor([1.0, 2.0], requires_grad=True), tw.tensor([3.0, 4.0])

    def function(pair: Any, *, scale: float) -> Any:
        return {"sum": (pair[0] * w + pair[1]) * scale, "same": pair[1], "n": (w * w, 5)}

    found = checkpoint(function, (a, b), scale=3.0)
    assert found["same"] is b
    assert found["n"][1] == 5
    (found["sum"].sum() + found["n"][0]).backward()
    assert a.grad is not None
    assert a.grad.tolist() == [6, 6]
    assert w.grad is not None
    assert w.grad.item() == 3 * 3 + 4


def test_gradients_of_gradients_and_checkpoints_in_checkpoints() -> None:
    x = tw.tensor([0.3, 0.7], dtype=tw.float64, requires_grad=True)

    def cubed(x: tw.Tensor) -> tw.Tensor:
        return x * checkpoint(lambda x: x * x, x)

    y = checkpoint(cubed, x).sum()
    (first,) = tw.autograd.grad(y, x, create_graph=True)
    (second,) = tw.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(first.detach().numpy(), 3 * x.detach().numpy() ** 2)
    np.testing.assert_allclose(second.numpy(), 6 * x.detach().numpy())


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: grad(lambda x: f(x).sum()),
        lambda f: lambda x: hvp(lambda x: f(x).sum(), (x,), (x,))[1],
        lambda f: vmap(grad(f)),
        lambda f: grad(lambda x: vmap(f)(x).sum()),
    ],
)
def test_under_transforms(transform: Callable[..., Any]) -> None:
    x = tw.tensor([0.3, 0.7], dtype=tw.float64)
    found = transform(lambda x: checkpoint(lambda x: x.sin() * x, x))(x)
    wanted = transform(lambda x: x.sin() * x)(x)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-12)


def test_a_chain_in_segments() -> None:
    net = tw.nn.Sequential(*network())
    x = tw.randn(4, 8)
    net.eval()
    for segments in (1, 2, 5):
        loss = checkpoint_sequential(net, segments, x).square().sum()
        found = tw.autograd.grad(loss, list(net.parameters()))
        wanted = tw.autograd.grad(net(x).square().sum(), list(net.parameters()))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.raises(ConfigError, match="6 segments of 5 functions"):
        checkpoint_sequential(net, 6, x)


def test_new_random_numbers_where_that_is_asked_for() -> None:
    x = tw.ones(1000, requires_grad=True)
    drop = tw.nn.Dropout(0.5)
    y = checkpoint(drop, x, preserve_rng_state=False)
    y.sum().backward()
    assert x.grad is not None
    assert not x.grad.equal(y.detach())
    x.grad = None
    y = checkpoint(drop, x)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.equal(y.detach())


def test_a_module_with_other_parameters_is_computed_again_with_those() -> None:
    """Though they are no longer in it when the backward pass comes."""

    class Saving(tw.nn.Module):
        def __init__(self) -> None:
            self.block = tw.nn.Sequential(tw.nn.Linear(3, 4), tw.nn.Tanh())

        def forward(self, x: tw.Tensor) -> tw.Tensor:
            return checkpoint(self.block, x)

    module = Saving()
    state = {name: 3 * p.detach() for name, p in module.named_parameters()}
    plain = {name.removeprefix("block."): p for name, p in state.items()}

    def saved(x: tw.Tensor) -> tw.Tensor:
        return functional_call(module, state, x).square().sum()

    def whole(x: tw.Tensor) -> tw.Tensor:
        return functional_call(module.block, plain, x).square().sum()

    x = tw.randn(5, 3)
    for transform in (
        lambda f: grad(lambda x: f(x[0])),
        lambda f: vmap(grad(f)),
        lambda f: tw.compile(vmap(grad(f))),
        lambda f: lambda x: hvp(lambda x: f(x[0]), (x,), (x,))[1],
        lambda f: grad(lambda x: vmap(f)(x).sum()),
    ):
        found, wanted = transform(saved)(x), transform(whole)(x)
        assert not found.requires_grad
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_gradients_of_samples_save_memory_too() -> None:
    blocks, x = network(), tw.randn(32, 8)
    for block in blocks:
        block.eval()

    def loss(x: tw.Tensor, saving: bool) -> tw.Tensor:
        for block in blocks:
            x = checkpoint(block, x) if saving else block(x)
        return x.square().sum()

    arenas = []
    with tw.no_grad():
        for saving in (False, True):
            step = tw.compile(vmap(grad(lambda x, saving=saving: loss(x, saving))))
            step(x)
            arenas.append(step.last.bound.plan.arena)
    assert arenas[1] < 0.5 * arenas[0]


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: vmap(grad(f)),
        lambda f: vmap(f),
        lambda f: grad(lambda x: vmap(f)(x).sum()),
    ],
)
def test_where_the_tape_outside_goes_through_a_transform_nothing_is_lost(transform: Any) -> None:
    w = tw.tensor([0.5, -1.0], requires_grad=True)
    x = tw.tensor([[0.3, 0.7], [1.0, 2.0]])
    found = []
    for saving in (False, True):

        def f(x: tw.Tensor, saving: bool = saving) -> tw.Tensor:
            x = tw.relu(x + 1)  # a composite before: the level is left and entered again
            block = lambda x: (x * w).sin().sum()  # noqa: E731
            return checkpoint(block, x) if saving else block(x)

        found += tw.autograd.grad(transform(f)(x).square().sum(), w)
    np.testing.assert_allclose(found[1].numpy(), found[0].numpy(), rtol=1e-5)


def test_arguments_made_of_numbers_inside_a_compiled_function() -> None:
    def slopes() -> Any:
        w = tw.tensor([[1.0, 2.0], [0.5, -1.0]]).requires_grad_()
        x = tw.tensor([0.3, 0.7], requires_grad=True)
        checkpoint(lambda x, w: tw.tanh(x @ w), x, w).sum().backward()
        return w.grad, x.grad

    for found, wanted in zip(tw.compile(slopes)(), slopes(), strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6)
