"""Losses of regression: closed forms, kinks, derivatives, shapes that would broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DataError, ShapeError

A = [0.5, -1.0, 3.0, 0.2, -4.0]
B = [0.4, 1.5, 1.25, 0.25, 2.0]


def huber(d: float, delta: float) -> float:
    return d * d / 2 if abs(d) <= delta else delta * (abs(d) - delta / 2)


def stirling(y: float) -> float:
    return y * math.log(y) - y + math.log(2 * math.pi * y) / 2 if y > 1 else 0.0


CASES: dict[str, tuple[Callable[..., tw.Tensor], Callable[[float, float], float]]] = {
    "mse_loss": (F.mse_loss, lambda x, y: (x - y) ** 2),
    "l1_loss": (F.l1_loss, lambda x, y: abs(x - y)),
    "huber_loss": (F.huber_loss, lambda x, y: huber(x - y, 1)),
    "huber_loss 2.2": (partial(F.huber_loss, delta=2.2), lambda x, y: huber(x - y, 2.2)),
    "smooth_l1_loss": (F.smooth_l1_loss, lambda x, y: huber(x - y, 1)),
    "smooth_l1_loss 0.3": (
        partial(F.smooth_l1_loss, beta=0.3),
        lambda x, y: huber(x - y, 0.3) / 0.3,
    ),
    "smooth_l1_loss 0": (partial(F.smooth_l1_loss, beta=0), lambda x, y: abs(x - y)),
    "poisson_nll_loss": (F.poisson_nll_loss, lambda x, y: math.exp(x) - y * x),
    "poisson_nll_loss full": (
        partial(F.poisson_nll_loss, full=True),
        lambda x, y: math.exp(x) - y * x + stirling(y),
    ),
    "gaussian_nll_loss": (
        lambda x, y, **options: F.gaussian_nll_loss(x, y, 0.5, **options),
        lambda x, y: (math.log(0.5) + (x - y) ** 2 / 0.5) / 2,
    ),
    "gaussian_nll_loss full": (
        lambda x, y, **options: F.gaussian_nll_loss(x, y, 1.0, full=True, **options),
        lambda x, y: ((x - y) ** 2 + math.log(2 * math.pi)) / 2,
    ),
}
each = pytest.mark.parametrize("name", CASES)


@each
def test_closed_form_under_every_reduction(name: str) -> None:
    function, closed = CASES[name]
    x, y = tw.tensor(A, dtype=tw.float64), tw.tensor(B, dtype=tw.float64)
    losses = [closed(a, b) for a, b in zip(A, B, strict=True)]
    assert function(x, y, reduction="none").tolist() == pytest.approx(losses, rel=1e-12)
    assert function(x, y, reduction="sum").item() == pytest.approx(sum(losses))
    assert function(x, y).item() == pytest.approx(sum(losses) / 5)


@each
def test_derivatives(name: str) -> None:
    function = CASES[name][0]
    inputs = [tw.tensor(z, dtype=tw.float64, requires_grad=True) for z in (A, B)]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@each
def test_shapes_that_would_broadcast(name: str) -> None:
    function = CASES[name][0]
    with pytest.raises(ShapeError) as caught:
        function(tw.ones(5, 1), tw.ones(5))
    assert str(caught.value) == (
        f"{name.split()[0]}: input has shape (5, 1), target (5,). They must have the same shape: "
        "broadcasting would compare every element with others. Use input.squeeze(-1), or "
        "target.unsqueeze(-1)"
    )


@pytest.mark.parametrize(
    ("input", "target", "fix"),
    [
        ((5,), (5, 1), r"target\.squeeze\(-1\), or input\.unsqueeze\(-1\)"),
        ((1, 5), (5,), r"dimensions of size 1 only: use target\.reshape\(\(1, 5\)\)"),
        ((5, 3), (3,), r"target\.expand_as\(input\)"),
        ((), (1,), r"target\.squeeze\(-1\)"),
    ],
)
def test_the_fix_follows_the_shapes(
    input: tuple[int, ...], target: tuple[int, ...], fix: str
) -> None:
    with pytest.raises(ShapeError, match=fix):
        F.mse_loss(tw.ones(input), tw.ones(target))


@each
def test_an_unknown_reduction(name: str) -> None:
    with pytest.raises(ConfigError, match="no reduction 'avg'"):
        CASES[name][0](tw.ones(2), tw.ones(2), reduction="avg")


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss])
def test_integers_and_mixed_types(loss) -> None:
    assert loss(tw.tensor([1, 2]), tw.tensor([1, 4])).dtype is tw.float32
    x = tw.tensor([1.0, 3.0], requires_grad=True)
    loss(x, tw.tensor([1.0, 4.0], dtype=tw.float64)).backward()
    assert x.grad is not None
    assert x.grad.dtype is tw.float32


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (F.l1_loss, 0.0, 0.0),
        (F.huber_loss, 1.0, 1.0),
        (F.huber_loss, -1.0, -1.0),
        (partial(F.smooth_l1_loss, beta=0.5), 0.5, 1.0),
        (partial(F.smooth_l1_loss, beta=0.0), 0.0, 0.0),
    ],
)
def test_kinks(function, at: float, expected: float) -> None:
    x = tw.tensor([at], requires_grad=True)
    function(x, tw.zeros(1)).backward()
    assert x.grad is not None
    assert x.grad.item() == expected


def test_huber_far_away_is_linear() -> None:
    x = tw.tensor([1e30, -1e30], requires_grad=True)
    loss = F.huber_loss(x, tw.zeros(2), reduction="none")
    assert loss.tolist() == pytest.approx([1e30, 1e30])
    loss.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, -1]


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan])
def test_huber_needs_a_positive_delta(delta: float) -> None:
    with pytest.raises(ConfigError, match="delta=.*; expected a number above 0"):
        F.huber_loss(tw.ones(1), tw.ones(1), delta=delta)


def test_smooth_l1_needs_a_beta_that_is_not_negative() -> None:
    with pytest.raises(ConfigError, match="beta=-1.0; expected a number of 0 or more"):
        F.smooth_l1_loss(tw.ones(1), tw.ones(1), beta=-1.0)


def test_poisson_of_rates() -> None:
    x, y = tw.tensor([2.0], dtype=tw.float64), tw.tensor([3.0], dtype=tw.float64)
    loss = F.poisson_nll_loss(x, y, log_input=False, eps=0.0)
    assert loss.item() == pytest.approx(2 - 3 * math.log(2))
    zero = F.poisson_nll_loss(tw.zeros(1), tw.zeros(1), log_input=False)
    assert zero.isfinite().all()


def test_a_variance_for_each_row() -> None:
    x, y = tw.zeros(2, 3), tw.ones(2, 3)
    full = F.gaussian_nll_loss(x, y, tw.tensor([[1.0] * 3, [4.0] * 3]))
    assert F.gaussian_nll_loss(x, y, tw.tensor([1.0, 4.0])).item() == full.item()
    assert F.gaussian_nll_loss(x, y, tw.tensor([[1.0], [4.0]])).item() == full.item()
    with pytest.raises(ShapeError, match=r"expected that of input, \(2, 3\)"):
        F.gaussian_nll_loss(x, y, tw.ones(3))


def test_gaussian_derivatives_with_respect_to_the_variance() -> None:
    inputs = [
        tw.tensor(z, dtype=tw.float64, requires_grad=True)
        for z in (A, B, [0.5, 1.0, 2.0, 0.1, 3.0])
    ]
    assert gradcheck(F.gaussian_nll_loss, inputs)
    assert gradgradcheck(F.gaussian_nll_loss, inputs)


def test_a_tiny_variance_counts_as_eps_and_still_learns() -> None:
    v = tw.zeros(1, requires_grad=True)
    loss = F.gaussian_nll_loss(tw.zeros(1), tw.ones(1), v, eps=0.01)
    assert loss.item() == pytest.approx((math.log(0.01) + 100) / 2)
    loss.backward()
    assert v.grad is not None
    assert v.grad.item() == pytest.approx((100 - 100**2) / 2, rel=1e-5)


def test_a_negative_variance() -> None:
    with pytest.raises(DataError, match=r"var is -2 at \(1,\); .*var\.exp\(\)"):
        F.gaussian_nll_loss(tw.zeros(2), tw.ones(2), tw.tensor([1.0, -2.0]))
    with pytest.raises(DataError, match="var is -1"):
        F.gaussian_nll_loss(tw.zeros(2), tw.ones(2), -1.0)
