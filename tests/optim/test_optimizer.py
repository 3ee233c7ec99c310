from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import SGD, Adam, AdamW, Optimizer


def leaf(*values: float) -> tw.Tensor:
    return tw.tensor(values, dtype=tw.float64, requires_grad=True)


class Signs(Optimizer):
    """theta <- theta - eps sign(g): an optimizer in one method."""

    def __init__(self, params: Any, lr: float = 1.0) -> None:
        super().__init__(params, {"lr": lr})

    def update(
        self,
        p: tw.Tensor,
        g: tw.Tensor,
        state: Any,
        group: Mapping[str, Any],
        numbers: tuple[tw.Tensor, ...],
    ) -> None:
        p -= numbers[0] * g.sign()


def test_an_optimizer_is_its_equations() -> None:
    w = leaf(5.0, -5.0)
    optimizer = Signs([w], lr=0.5)
    (w * w).sum().backward()
    optimizer.step()
    assert w.tolist() == [4.5, -4.5]
    assert optimizer.state_dict()["state"] == {}


def test_abstract_and_without_lr() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Optimizer([leaf(1.0)], {"lr": 1.0})

    class Bare(Signs):
        def __init__(self, params: Any) -> None:
            Optimizer.__init__(self, params, {})

    with pytest.raises(ConfigError, match='Bare: defaults without "lr"'):
        Bare([leaf(1.0)])


def test_parameters_without_a_gradient_stay() -> None:
    w, frozen, unused = leaf(1.0), leaf(2.0).requires_grad_(False), leaf(3.0)
    optimizer = Adam([w, frozen, unused], lr=0.1, weight_decay=0.5)
    w.grad = tw.ones_like(w)
    optimizer.step()
    assert w.tolist() != [1.0]
    assert (frozen.tolist(), unused.tolist()) == ([2.0], [3.0])
    assert [float(optimizer.state[p].step) for p in (w, frozen, unused)] == [1.0, 0.0, 0.0]


def test_step_keeps_the_parameter_a_leaf_and_its_gradient() -> None:
    w = leaf(1.0, 2.0)
    optimizer = SGD([w], lr=0.5, momentum=0.9)
    (w * w).sum().backward()
    gradient = w.grad
    optimizer.step()
    assert w.is_leaf
    assert w.requires_grad
    assert w.grad is gradient


def test_zero_grad_and_accumulation() -> None:
    w = leaf(1.0)
    optimizer = SGD([w], lr=1.0)
    for _ in range(3):
        w.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [3.0]
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is None


def test_closure_runs_with_recording_on() -> None:
    w = leaf(3.0)
    optimizer = SGD([w], lr=0.25)

    def closure() -> tw.Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tw.no_grad():
        loss = optimizer.step(closure)
    assert loss is not None
    assert (loss.item(), w.tolist()) == (9.0, [1.5])
    assert optimizer.step() is None


def test_gradients_on_the_tape_do_not_put_the_state_there() -> None:
    w = leaf(2.0)
    optimizer = SGD([w], lr=0.1, momentum=0.9)
    (w**3).sum().backward(create_graph=True)
    optimizer.step()
    assert not optimizer.state[w].momentum_buffer.requires_grad
    assert w.is_leaf


def test_groups_have_their_own_hyperparameters() -> None:
    a, b, c = leaf(1.0), leaf(1.0), leaf(1.0)
    optimizer = SGD(
        [{"params": [a]}, {"params": [b], "lr": 0.5}, {"params": [c], "weight_decay": 1.0}], lr=0.1
    )
    for p in (a, b, c):
        p.grad = tw.ones_like(p)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [1 - 0.1, 0.5, 1 - 0.1 * 2]


def test_add_param_group() -> None:
    a, b = leaf(1.0), leaf(1.0)
    optimizer = SGD([a], lr=0.5)
    optimizer.add_param_group({"params": b, "lr": 0.25})
    for p in (a, b):
        p.grad = tw.ones_like(p)
    optimizer.step()
    assert [p.item() for p in (a, b)] == [0.5, 0.75]
    with pytest.raises(ConfigError, match="given twice"):
        optimizer.add_param_group({"params": [a]})
    with pytest.raises(ConfigError, match="empty parameter list"):
        optimizer.add_param_group({"params": []})
    assert len(optimizer.param_groups) == 2


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_maximize_ascends(kind: type[Optimizer]) -> None:
    up, down = leaf(1.0, -2.0), leaf(1.0, -2.0)
    ascent, descent = kind([up], lr=0.1, maximize=True), kind([down], lr=0.1)
    for _ in range(3):
        up.grad, down.grad = leaf(3.0, -1.0).detach(), leaf(-3.0, 1.0).detach()
        ascent.step()
        descent.step()
    assert up.tolist() == down.tolist()


def test_step_counts_are_those_of_each_parameter() -> None:
    """Whatever the order in which gradients come, each parameter goes as if it were alone."""
    has_gradient = {0: [1, 1, 1, 1, 1, 1], 1: [1, 0, 1, 1, 0, 1], 2: [0, 0, 1, 0, 1, 1]}
    together = {i: leaf(1.0, 2.0) for i in has_gradient}
    alone = {i: leaf(1.0, 2.0) for i in has_gradient}
    optimizer = Adam(together.values(), lr=0.1)
    for step in range(6):
        for i, p in together.items():
            p.grad = (
                tw.tensor([step + 1.0, -1.0], dtype=tw.float64) if has_gradient[i][step] else None
            )
        optimizer.step()
    for i, p in alone.items():
        single = Adam([p], lr=0.1)
        for step in range(6):
            if has_gradient[i][step]:
                p.grad = tw.tensor([step + 1.0, -1.0], dtype=tw.float64)
                single.step()
        assert p.tolist() == together[i].tolist()
        assert float(optimizer.state[together[i]].step) == sum(has_gradient[i])


def test_dtypes_may_differ_within_a_group() -> None:
    single, double = tw.ones(2, requires_grad=True), leaf(1.0, 1.0)
    optimizer = Adam([single, double], lr=0.1)
    for p in (single, double):
        p.grad = tw.full_like(p, 0.3)
    optimizer.step()
    assert (single.dtype, double.dtype) == (tw.float32, tw.float64)
    assert optimizer.state[single].exp_avg.dtype is tw.float32
    assert single.tolist() == pytest.approx(double.tolist(), rel=1e-6)


def test_the_state_follows_a_change_of_dtype() -> None:
    w = tw.tensor([1.0, 2.0], requires_grad=True)
    optimizer = SGD([w], lr=0.1, momentum=0.5)
    w.grad = tw.tensor([1.0, 3.0])
    optimizer.step()
    w.data = w.detach().double()
    w.grad = tw.tensor([0.1, 0.1], dtype=tw.float64)
    optimizer.step()
    assert optimizer.state[w].momentum_buffer.tolist() == [0.5 + 0.1, 1.5 + 0.1]
    assert w.dtype is tw.float64


def test_the_state_follows_a_change_of_hyperparameters() -> None:
    w = leaf(1.0)
    optimizer = SGD([w], lr=1.0)
    (group,) = optimizer.param_groups
    assert optimizer.state[w].momentum_buffer is None
    group["momentum"] = 0.5
    for _ in range(2):
        w.grad = tw.ones_like(w)
        optimizer.step()
    velocity = optimizer.state[w].momentum_buffer
    assert velocity.tolist() == [1.5]
    group["weight_decay"] = 0.25
    optimizer.step()
    assert optimizer.state[w].momentum_buffer is velocity
    group["momentum"] = 0.0
    optimizer.step()
    assert optimizer.state[w].momentum_buffer is None


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
def test_state_that_a_compiled_step_needs_later(dtype: Any) -> None:
    """It is made with a value while the step is traced again, and goes on from call to call."""

    def trained(is_compiled: bool) -> tuple[list[float], list[float]]:
        w = tw.tensor([1.0], requires_grad=True)
        optimizer = SGD([w], lr=0.125)

        def update() -> None:
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()

        step = tw.compile(update) if is_compiled else update
        step()
        optimizer.param_groups[0]["momentum"] = 0.5
        for _ in range(3):
            step()
        w.data = w.detach().to(dtype)
        for _ in range(3):
            step()
        velocity = optimizer.state[w].momentum_buffer
        assert velocity.dtype is dtype
        return w.tolist(), velocity.tolist()

    assert trained(is_compiled=True) == trained(is_compiled=False)


def test_hyperparameters_that_do_not_go_together_later() -> None:
    w = leaf(1.0)
    optimizer = SGD([w], lr=1.0)
    optimizer.param_groups[0]["nesterov"] = True
    w.grad = tw.ones_like(w)
    with pytest.raises(ConfigError, match="nesterov=True with momentum=0"):
        optimizer.step()
    assert w.tolist() == [1.0]


def test_the_state_is_there_to_look_at() -> None:
    optimizer = SGD([leaf(1.0)], momentum=0.9)
    with pytest.raises(AttributeError):
        optimizer.state.clear()  # type: ignore[attr-defined]  # that there is none is the test


def test_a_copy_trains_its_own_parameters() -> None:
    w = leaf(1.0)
    optimizer = Adam([w], lr=0.1)
    tw.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    other_w, other = copy.deepcopy((w, optimizer))
    other_w.grad = tw.ones_like(other_w)
    other.step()
    other.schedules[0].step()
    assert (w.tolist(), float(optimizer.state[w].step)) == ([1.0], 0.0)
    assert other_w.item() == pytest.approx(0.9)
    assert [float(o.param_groups[0]["lr"]) for o in (optimizer, other)] == [0.1, 0.05]


def test_repr_lists_the_groups() -> None:
    text = repr(SGD([("weight", leaf(1.0))], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n")
    assert "    lr: 0.5\n" in text
    assert text.endswith(")")
