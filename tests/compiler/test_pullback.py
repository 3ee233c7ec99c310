"""Results of compiled functions on the tape: the gradients that the eager function gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import GradientError, TraceError

F = nn.functional


def gradients(model: Any, run: Callable[..., tw.Tensor], *args: tw.Tensor) -> list[Any]:
    for p in model.parameters():
        p.grad = None
    loss = run(*args)
    loss.backward()
    return [loss.item(), *(p.grad.numpy() for p in model.parameters() if p.grad is not None)]


def same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected) > 1
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 3), (5, 4)),
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 3)), (5, 4)),
    "conv": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ),
        (5, 2, 6, 6),
    ),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3)), (5, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_trains_as_the_eager_one(name: str) -> None:
    make, shape = MODELS[name]
    tw.manual_seed(0)
    model, x, y = make(), tw.randn(*shape), tw.randint(0, 3, (5,))
    compiled = tw.compile(model)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for seed in range(3):
        tw.manual_seed(seed)
        expected = gradients(model, lambda: F.cross_entropy(model(x), y))
        tw.manual_seed(seed)
        same(gradients(model, lambda: F.cross_entropy(compiled(x), y)), expected)
        optimizer.step()
    assert sum(map(len, compiled.programs.values())) == 1


def test_arguments_get_gradients_and_outer_graphs_go_on() -> None:
    w = tw.tensor([1.0, 2.0], requires_grad=True)
    inner = w * 3
    double = tw.compile(lambda x: (x * inner).sum())
    x = tw.tensor([5.0, 7.0], requires_grad=True)
    (double(x * x) * 2).backward()
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.tolist() == [60, 168], "2 * 2 x * 3 w"
    assert w.grad.tolist() == [150, 294], "2 * 3 x^2"


def test_several_results_together_and_apart() -> None:
    w = tw.tensor([1.0, 2.0], requires_grad=True)
    both = tw.compile(lambda x: {"a": (w * x).exp(), "b": [w * w, x, 3]})
    x = tw.tensor([0.5, 0.25])
    out = both(x)
    assert not out["b"][1].requires_grad
    (out["a"].sum() + 2 * out["b"][0].sum()).backward(retain_graph=True)
    together = w.grad
    assert together is not None
    np.testing.assert_allclose(together.numpy(), (x * (w * x).exp() + 4 * w).detach().numpy(), 1e-6)
    w.grad = None
    out["b"][0].sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [2, 4]


def test_what_was_differentiated_inside_is_off_the_tape() -> None:
    w = tw.tensor([1.0, 2.0], requires_grad=True)

    @tw.compile
    def step() -> tuple[tw.Tensor, tw.Tensor]:
        loss = (w * w).sum()
        loss.backward()
        return loss, 2 * loss

    assert [x.requires_grad for x in step()] == [False, False]
    assert w.grad is not None
    assert w.grad.tolist() == [2, 4]


def test_without_grad_nothing_is_recorded_or_saved() -> None:
    w = tw.ones(3, requires_grad=True)
    f = tw.compile(lambda x: (w * x).exp().sin())
    assert f(tw.ones(3)).requires_grad
    with tw.no_grad():
        assert not f(tw.ones(3)).requires_grad
        assert len(f.graph().outputs) == 1
    assert not f.scan(tw.ones(2, 3)).requires_grad


def test_values_stay_as_they_were_when_state_is_written_in_place() -> None:
    w = tw.tensor([1.0, 2.0], requires_grad=True)
    f = tw.compile(lambda x: (w * w * x).sum())

    @tw.compile
    def forget() -> None:
        with tw.no_grad():
            w.mul_(0)

    forget()
    w.data = tw.tensor([1.0, 2.0])
    loss = f(tw.ones(2))
    forget()
    assert w.tolist() == [0, 0]
    loss.backward()
    assert w.grad is not None
    assert w.grad.tolist() == [2, 4]


def test_state_changed_inside_is_changed_once() -> None:
    count, w = tw.zeros(()), tw.ones(2, requires_grad=True)

    @tw.compile
    def f(x: tw.Tensor) -> tw.Tensor:
        count.add_(1)
        return (w * x * count).sum()

    for n in (1, 2):
        w.grad = None
        f(tw.ones(2)).backward()
        assert w.grad is not None
        assert w.grad.tolist() == [n, n]
        assert count.item() == n


def test_hooks_run_once() -> None:
    w = tw.ones(2, requires_grad=True)
    w.register_hook(lambda g: g * 10)
    tw.compile(lambda: (w * 3).sum())().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [30, 30]


def test_a_second_backward_pass_is_refused() -> None:
    w = tw.tensor(2.0, requires_grad=True)
    loss = tw.compile(lambda: w**3)()
    loss.backward()
    with pytest.raises(GradientError, match="a second time"):
        loss.backward()


def test_backward_inside_does_not_reach_outside() -> None:
    w = tw.tensor(2.0, requires_grad=True)
    y = w * 3
    for f in (lambda: y.backward(), lambda: (y * 2).backward()):
        with pytest.raises(TraceError, match="computed outside of it"):
            tw.compile(f)()
    assert w.grad is None
    assert y.grad_fn is not None
