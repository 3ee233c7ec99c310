"""Adam and AdamW against the equations written out with Python's floats."""

from __future__ import annotations

import math
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import Adam, AdamW, Optimizer

GRADIENTS = (1.0, -3.0, 0.5, 0.0, 2.0)


def path(kind: type[Optimizer], **options: Any) -> list[float]:
    w = tw.tensor(2.0, dtype=tw.float64, requires_grad=True)
    optimizer = kind([w], **options)
    values = []
    for gradient in GRADIENTS:
        w.grad = tw.tensor(gradient, dtype=tw.float64)
        optimizer.step()
        values.append(w.item())
    return values


def by_hand(
    lr: float,
    betas: tuple[float, float],
    eps: float,
    penalty: float = 0.0,
    decay: float = 0.0,
    amsgrad: bool = False,
) -> list[float]:
    (beta1, beta2), w, m, v, largest, values = betas, 2.0, 0.0, 0.0, 0.0, []
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient + penalty * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        largest = max(largest, v)
        m_hat = m / (1 - beta1**t)
        v_hat = (largest if amsgrad else v) / (1 - beta2**t)
        w = (1 - lr * decay) * w - lr * m_hat / (math.sqrt(v_hat) + eps)
        values.append(w)
    return values


@pytest.mark.parametrize("lr", [0.1, 1e-3])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.75), (0.0, 0.0)])
@pytest.mark.parametrize("eps", [1e-8, 0.5])
@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_equations(
    lr: float, betas: tuple[float, float], eps: float, weight: float, amsgrad: bool
) -> None:
    options: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "amsgrad": amsgrad}
    adam = by_hand(**options, penalty=weight)
    adamw = by_hand(**options, decay=weight)
    assert path(Adam, **options, weight_decay=weight) == pytest.approx(adam, rel=1e-13)
    assert path(AdamW, **options, weight_decay=weight) == pytest.approx(adamw, rel=1e-13)


def test_defaults_are_pytorchs() -> None:
    assert path(Adam) == pytest.approx(by_hand(1e-3, (0.9, 0.999), 1e-8), rel=1e-13)
    assert path(AdamW) == pytest.approx(by_hand(1e-3, (0.9, 0.999), 1e-8, decay=0.01), rel=1e-13)


def test_eps_stands_outside_the_root() -> None:
    w = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    w.grad = tw.tensor(1e-8, dtype=tw.float64)
    Adam([w], lr=0.5, eps=1e-8).step()
    assert w.item() == pytest.approx(0.75, rel=1e-12)  # inside: 1 - 0.5 * 1e-8 / 1e-4


def test_first_step_is_lr_whatever_the_scale_of_the_gradient() -> None:
    w = tw.zeros(5, dtype=tw.float64, requires_grad=True)
    w.grad = tw.tensor([1e-3, -1e-2, 1.0, -1e3, 1e6], dtype=tw.float64)
    Adam([w], lr=0.25).step()
    assert w.tolist() == pytest.approx([-0.25, 0.25, -0.25, 0.25, -0.25], rel=1e-4)


def test_decoupled_decay_shrinks_every_weight_alike_a_penalty_does_not() -> None:
    """Deck 000, "Regularization issue". The gradients alternate, so only decay moves on average."""

    def shrunk(kind: type[Optimizer]) -> list[float]:
        w = tw.ones(2, dtype=tw.float64, requires_grad=True)
        optimizer = kind([w], lr=1e-3, weight_decay=0.1)
        for step in range(400):
            w.grad = tw.tensor([1e-2, 10.0], dtype=tw.float64) * (-1) ** (step // 2)
            optimizer.step()
        result: list[float] = w.tolist()
        return result

    small, large = shrunk(AdamW)
    assert small == pytest.approx(large, abs=1e-3)
    assert small == pytest.approx((1 - 1e-4) ** 400, abs=5e-3)
    small, large = shrunk(Adam)
    assert small < large - 0.05


def test_step_sizes_of_amsgrad_do_not_grow_again() -> None:
    w = tw.tensor(0.0, dtype=tw.float64, requires_grad=True)
    optimizer = Adam([w], lr=0.1, betas=(0.0, 0.5), amsgrad=True)
    largest = []
    for gradient in (1.0, 8.0, 1e-3, 1e-3):
        w.grad = tw.tensor(gradient, dtype=tw.float64)
        optimizer.step()
        largest.append(optimizer.state[w].max_exp_avg_sq.item())
    assert largest == [0.5, 32.25, 32.25, 32.25]
    assert optimizer.state[w].exp_avg_sq.item() < 10


def test_state_has_the_shape_and_dtype_of_the_parameter_and_the_count_none() -> None:
    w = tw.ones(2, 3, requires_grad=True)
    state = Adam([w]).state[w]
    assert (state.exp_avg.shape, state.exp_avg.dtype) == ((2, 3), tw.float32)
    assert (state.step.shape, state.step.dtype) == ((), tw.float64)
    assert state.max_exp_avg_sq is None


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr=-1.0"),
        ({"betas": (0.9, 1.0)}, "betas="),
        ({"betas": 0.9}, "expected two numbers"),
        ({"eps": -1e-8}, "eps=-1e-08"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"amsgrad": "yes"}, "expected True or False"),
    ],
)
def test_refused(kind: type[Optimizer], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        kind([tw.zeros(1, requires_grad=True)], **options)
    assert str(caught.value).startswith(f"{kind.__name__}: ")
