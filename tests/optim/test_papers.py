"""Optimizers that PyTorch does not have, against their papers' equations in NumPy and float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ShapeError
from thalweg.optim import LAMB, Adam, Lion, Muon, NormalizedSGD, Optimizer

Array = np.ndarray[Any, Any]
START = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
STEPS = 50


def gradients() -> Iterator[Array]:
    """Of one seed: fifty of them, one all zeros, one with zeros."""
    random = np.random.default_rng(5)
    for step in range(STEPS):
        g = random.normal(size=START.shape) * 10.0 ** random.integers(-3, 3)
        yield np.zeros_like(g) if step == 7 else np.where(g > 1, 0, g) if step == 9 else g


def path(kind: Callable[..., Optimizer], **options: Any) -> list[Array]:
    w = tw.tensor(START, requires_grad=True)
    optimizer = kind([w], **options)
    found = []
    for g in gradients():
        w.grad = tw.tensor(g)
        optimizer.step()
        found.append(w.detach().numpy().copy())
    return found


# --- the equations --------------------------------------------------------------------------------


def lion(lr: float, betas: tuple[float, float], weight_decay: float) -> Iterator[Array]:
    """Chen et al., algorithm 2."""
    w, m = START.copy(), np.zeros_like(START)
    for g in gradients():
        update = np.sign(betas[0] * m + (1 - betas[0]) * g)
        m = betas[1] * m + (1 - betas[1]) * g
        w = w - lr * (update + weight_decay * w)
        yield w


def lamb(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> Iterator[Array]:
    """You et al., algorithm 2."""
    w, m, v = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for t, g in enumerate(gradients(), start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        r = (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        u = r + weight_decay * w
        norm, length = np.linalg.norm(w), np.linalg.norm(u)
        w = w - lr * (norm / length if norm > 0 and length > 0 else 1.0) * u
        yield w


def normalized(lr: float, eps: float, weight_decay: float, by: str) -> Iterator[Array]:
    """Deck 003: m / (sqrt(v) + eps), with v = g^2 or the square of the norm."""
    w = START.copy()
    for gradient in gradients():
        g = gradient + weight_decay * w
        size = np.abs(g) if by == "element" else np.linalg.norm(g)
        w = w - lr * g / (size + eps)
        yield w


def muon(
    lr: float, momentum: float, weight_decay: float, nesterov: bool, scale: float
) -> Iterator[Array]:
    """Jordan et al., with five Newton-Schulz iterations, every matrix wider than tall."""
    w, mean = START.copy(), np.zeros_like(START)
    for g in gradients():
        mean = momentum * mean + (1 - momentum) * g
        x = (1 - momentum) * g + momentum * mean if nesterov else mean
        x = x / max(np.linalg.norm(x), 1e-7)
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        w = (1 - lr * weight_decay) * w - lr * scale * x
        yield w


# fmt: off
CASES: list[tuple[Callable[..., Optimizer], dict[str, Any], Iterator[Array]]] = [
    (Lion, {}, lion(1e-4, (0.9, 0.99), 0.0)),
    (Lion, {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.3}, lion(0.1, (0.5, 0.7), 0.3)),
    (LAMB, {}, lamb(1e-3, (0.9, 0.999), 1e-6, 0.01)),
    (LAMB, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.0},
     lamb(0.1, (0.5, 0.9), 1e-3, 0.0)),
    (NormalizedSGD, {}, normalized(1e-2, 1e-8, 0.0, "element")),
    (NormalizedSGD, {"lr": 0.1, "eps": 0.5, "weight_decay": 0.3},
     normalized(0.1, 0.5, 0.3, "element")),
    (NormalizedSGD, {"lr": 0.1, "by": "tensor", "weight_decay": 0.3},
     normalized(0.1, 1e-8, 0.3, "tensor")),
    (NormalizedSGD, {"lr": 0.1, "by": "all", "weight_decay": 0.3},
     normalized(0.1, 1e-8, 0.3, "all")),
    (Muon, {}, muon(1e-3, 0.95, 0.1, True, 1.0)),
    (Muon, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.0, "nesterov": False,
            "adjust_lr_fn": "match_rms_adamw"}, muon(0.1, 0.5, 0.0, False, 0.2 * 3**0.5)),
]
# fmt: on


@pytest.mark.parametrize(("kind", "options", "expected"), CASES)
def test_equations(
    kind: Callable[..., Optimizer], options: dict[str, Any], expected: Iterator[Array]
) -> None:
    for step, (ours, by_hand) in enumerate(zip(path(kind, **options), expected, strict=True)):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-9, atol=1e-12, err_msg=f"step {step}")


# --- what follows from them -----------------------------------------------------------------------


def test_normalized_by_element_is_adam_without_means() -> None:
    ours, adam = (
        path(NormalizedSGD, lr=0.1, eps=1e-3),
        path(Adam, lr=0.1, betas=(0.0, 0.0), eps=1e-3),
    )
    np.testing.assert_allclose(ours, adam, rtol=1e-12)


def _distances(optimizer: Optimizer, w: tw.Tensor, schedule: Any = None) -> list[float]:
    found = []
    for _ in range(200):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        found.append(float(w.detach().norm()))
    return found


@pytest.mark.parametrize("by", ["element", "tensor", "all"])
def test_normalized_gradients_do_not_converge(by: str) -> None:
    """Deck 003: "makes good progress, but will not converge". A falling step size helps."""
    w = tw.tensor([3.0, -1.03], dtype=tw.float64, requires_grad=True)
    found = _distances(NormalizedSGD([w], lr=0.1, by=by), w)
    assert found[40] < 0.2  # good progress
    assert min(found[-20:]) > 0.01  # and then to and fro, for ever
    w = tw.tensor([3.0, -1.03], dtype=tw.float64, requires_grad=True)
    optimizer = NormalizedSGD([w], lr=0.1, by=by)
    schedule = tw.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    assert _distances(optimizer, w, schedule)[-1] < 0.01


def test_norm_of_all_gradients_over_groups() -> None:
    a, b = (tw.zeros(1, dtype=tw.float64, requires_grad=True) for _ in range(2))
    optimizer = NormalizedSGD([{"params": [a]}, {"params": [b], "lr": 2.0}], lr=1.0, by="all")
    a.grad, b.grad = tw.tensor([3.0], dtype=tw.float64), tw.tensor([4.0], dtype=tw.float64)
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((-0.6, -1.6))


def test_lamb_moves_each_layer_by_a_share_of_its_norm() -> None:
    w = tw.tensor([[30.0, 40.0]], dtype=tw.float64, requires_grad=True)
    w.grad = tw.tensor([[1e-5, 1e5]], dtype=tw.float64)
    before = w.detach()
    LAMB([w], lr=0.01, weight_decay=0.0, eps=0.0).step()
    assert float((w.detach() - before).norm()) == pytest.approx(0.5)
    w = tw.zeros(3, dtype=tw.float64, requires_grad=True)
    w.grad = tw.ones(3, dtype=tw.float64)
    LAMB([w], lr=0.01).step()
    assert w.tolist() == pytest.approx([-0.01] * 3, rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (8, 3)])
def test_muon_brings_singular_values_to_about_1(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    w = tw.zeros(*shape, dtype=tw.float64, requires_grad=True)
    left, _, right = np.linalg.svd(random.normal(size=shape), full_matrices=False)
    slope = left @ np.diag(np.geomspace(1, 10, min(shape))) @ right
    w.grad = tw.tensor(slope)
    Muon([w], lr=1.0, weight_decay=0.0, momentum=0.0).step()
    move = -w.detach().numpy() / max(1.0, shape[0] / shape[1]) ** 0.5
    inner, found, outer = np.linalg.svd(move, full_matrices=False)
    assert found.min() > 0.6
    assert found.max() < 1.3
    np.testing.assert_allclose(inner @ outer, left @ right, atol=1e-6)


def test_muon_is_for_matrices() -> None:
    with pytest.raises(ShapeError, match=r"of shape \(3,\); expected matrices"):
        Muon([tw.zeros(3, requires_grad=True)])
