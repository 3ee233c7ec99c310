"""Binary cross-entropy and the Kullback-Leibler divergence."""

from __future__ import annotations

import math

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DataError, ShapeError

P = [0.1, 0.5, 0.8, 0.99]
Y = [0.0, 0.3, 1.0, 0.9]
X = [-2.0, 0.4, 3.0, -0.7]


def doubles(numbers: list[float], requires_grad: bool = False) -> tw.Tensor:
    return tw.tensor(numbers, dtype=tw.float64, requires_grad=requires_grad)


def entropy(p: float, y: float) -> float:
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


def test_binary_cross_entropy_by_hand() -> None:
    losses = [entropy(p, y) for p, y in zip(P, Y, strict=True)]
    p, y = doubles(P), doubles(Y)
    assert F.binary_cross_entropy(p, y, reduction="none").tolist() == pytest.approx(losses)
    assert F.binary_cross_entropy(p, y).item() == pytest.approx(sum(losses) / 4)
    assert F.binary_cross_entropy(p, y, reduction="sum").item() == pytest.approx(sum(losses))
    weighted = F.binary_cross_entropy(p, y, doubles([1.0, 2.0, 0.0, 3.0]), reduction="sum")
    assert weighted.item() == pytest.approx(losses[0] + 2 * losses[1] + 3 * losses[3])


def test_binary_cross_entropy_of_integers_and_mixed_types() -> None:
    p = tw.tensor([0.25, 0.5], requires_grad=True)
    loss = F.binary_cross_entropy(p, tw.tensor([1, 0]))
    assert loss.dtype is tw.float32
    loss.backward()
    assert p.grad is not None
    assert p.grad.tolist() == pytest.approx([-2, 1])
    p.grad = None
    F.binary_cross_entropy(p, doubles([1.0, 0.0])).backward()
    assert p.grad.dtype is tw.float32


def test_a_wrong_certainty_costs_a_hundred() -> None:
    p = tw.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = F.binary_cross_entropy(p, tw.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert losses.tolist() == [100, 100, 0, 0]
    losses.sum().backward()
    assert p.grad is not None
    assert p.grad.isfinite().all()


@pytest.mark.parametrize("value", [-0.1, 1.5, math.nan, math.inf])
def test_what_is_no_probability(value: float) -> None:
    p = tw.tensor([[0.5, 0.5], [value, 7.0]])
    with pytest.raises(DataError) as caught:
        F.binary_cross_entropy(p, tw.ones(2, 2))
    assert str(caught.value) == (
        f"binary_cross_entropy: input is {value:g} at (1, 0), expected probabilities from 0 to 1. "
        "For logits use binary_cross_entropy_with_logits, before any sigmoid"
    )


def test_with_logits_by_hand() -> None:
    p = [1 / (1 + math.exp(-x)) for x in X]
    losses = [entropy(a, y) for a, y in zip(p, Y, strict=True)]
    x, y = doubles(X), doubles(Y)
    none = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    assert none.tolist() == pytest.approx(losses)
    assert F.binary_cross_entropy_with_logits(x, y).item() == pytest.approx(sum(losses) / 4)
    positive = [
        -(3 * t * math.log(a) + (1 - t) * math.log(1 - a)) for a, t in zip(p, Y, strict=True)
    ]
    weighted = F.binary_cross_entropy_with_logits(x, y, None, "none", doubles([3.0]))
    assert weighted.tolist() == pytest.approx(positive)


@pytest.mark.parametrize("pos_weight", [None, tw.tensor(1.0)])
def test_with_logits_is_accurate_everywhere(pos_weight: tw.Tensor | None) -> None:
    x = tw.tensor([1e4, -1e4, 1e4, -1e4, 30.0, -30.0], requires_grad=True)
    y = tw.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    losses = F.binary_cross_entropy_with_logits(x, y, None, "none", pos_weight)
    tiny = math.log1p(math.exp(-30))
    assert losses.tolist() == pytest.approx([1e4, 1e4, 0, 0, tiny, tiny], rel=1e-6, abs=0)
    losses.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.tolist()[:4] == [1, -1, 0, 0]


@pytest.mark.parametrize(
    "loss",
    [
        F.binary_cross_entropy,
        F.binary_cross_entropy_with_logits,
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, doubles(P), "sum", doubles(Y)),
        lambda x, y: F.kl_div(x, y, "batchmean"),
        lambda x, y: F.kl_div(x, y, log_target=True),
    ],
)
def test_derivatives(loss) -> None:
    inputs = [doubles(P, requires_grad=True), doubles([0.1, 0.3, 0.7, 0.9], requires_grad=True)]
    assert gradcheck(loss, inputs)
    assert gradgradcheck(loss, inputs)


def test_kl_div_by_hand() -> None:
    logs = [math.log(p) for p in P]
    terms = [t * (math.log(t) - x) if t else 0.0 for t, x in zip(Y, logs, strict=True)]
    x, t = doubles(logs).reshape(2, 2), doubles(Y).reshape(2, 2)
    assert F.kl_div(x, t, "none").flatten().tolist() == pytest.approx(terms)
    assert F.kl_div(x, t).item() == pytest.approx(sum(terms) / 4)
    assert F.kl_div(x, t, "sum").item() == pytest.approx(sum(terms))
    assert F.kl_div(x, t, "batchmean").item() == pytest.approx(sum(terms) / 2)
    assert F.kl_div(x, t + 0.1).item() == pytest.approx(
        F.kl_div(x, (t + 0.1).log(), log_target=True).item()
    )


def test_kl_div_of_equal_distributions_is_0() -> None:
    t = tw.softmax(doubles(X).reshape(2, 2), 1)
    assert F.kl_div(t.log(), t, "none").abs().amax().item() < 1e-15


def test_a_negative_probability_is_not_taken_for_0() -> None:
    assert F.kl_div(tw.zeros(1), tw.tensor([-0.5])).isnan()


@pytest.mark.parametrize(
    "loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.kl_div]
)
def test_shapes_that_would_broadcast(loss) -> None:
    with pytest.raises(ShapeError, match=r"input has shape \(3, 1\), target \(3,\).*squeeze\(-1\)"):
        loss(tw.full((3, 1), 0.5), tw.ones(3))
    with pytest.raises(ConfigError, match="Known: .*mean, none, sum"):
        loss(tw.full((3,), 0.5), tw.ones(3), reduction="average")
