"""What is drawn, by its moments and its distribution; compiled; and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, ConfigTypeError, LinAlgError, ShapeError

D = tw.distributions
COUNT = 20000


def _t(*values: float) -> tw.Tensor:
    return tw.tensor(values)


DRAWN: dict[str, Callable[[], D.Distribution]] = {
    "Normal": lambda: D.Normal(_t(0.5, -3.0), _t(1.0, 0.25)),
    "LogNormal": lambda: D.LogNormal(_t(0.5, -1.0), _t(0.5, 0.25)),
    "Uniform": lambda: D.Uniform(_t(0.0, -3.0), _t(1.0, 5.0)),
    "Exponential": lambda: D.Exponential(_t(0.5, 4.0)),
    "Laplace": lambda: D.Laplace(_t(0.5, -3.0), _t(1.0, 0.25)),
    "Bernoulli": lambda: D.Bernoulli(_t(0.25, 0.9)),
    "OneHotCategorical": lambda: D.OneHotCategorical(_t(0.1, 0.0, 0.6, 0.3)),
    "MultivariateNormal": lambda: D.MultivariateNormal(
        _t(1.0, -1.0), tw.tensor([[2.0, 0.75], [0.75, 1.0]])
    ),
    "Independent": lambda: D.Independent(D.Normal(_t(0.5, -3.0), 2.0), 1),
}
CONTINUOUS = ("Normal", "LogNormal", "Uniform", "Exponential", "Laplace")


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", DRAWN)
def test_moments(name: str, compiled: bool) -> None:
    tw.manual_seed(11)
    p = DRAWN[name]()

    def draw() -> tw.Tensor:
        return DRAWN[name]().sample((COUNT,))

    x = (tw.compile(draw) if compiled else draw)().numpy()
    assert x.shape == (COUNT, *p.batch_shape, *p.event_shape)
    sigma = p.stddev.numpy() / math.sqrt(COUNT)
    assert (np.abs(x.mean(0) - p.mean.numpy()) < 4.5 * sigma + 1e-6).all()
    fourth = ((x - x.mean(0)) ** 4).mean(0)
    spread = np.sqrt(np.maximum(fourth - x.var(0) ** 2, 0) / COUNT)
    assert (np.abs(x.var(0) - p.variance.numpy()) < 5 * spread + 1e-6).all()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_whole_distribution(name: str) -> None:
    """Kolmogorov's distance between what is drawn and the cdf; the density is the cdf's slope."""
    tw.manual_seed(12)
    p = DRAWN[name]()
    x = p.sample((COUNT,)).sort(0).values
    steps = (np.arange(COUNT)[:, None] + 0.5) / COUNT
    assert np.abs(p.cdf(x).numpy() - steps).max() < 1.95 / math.sqrt(COUNT)
    shares = tw.tensor([[0.1], [0.5], [0.875]])
    np.testing.assert_allclose(p.cdf(p.icdf(shares)).numpy(), shares.expand(3, 2), rtol=1e-5)
    at = p.icdf(shares).double().requires_grad_()
    twin = getattr(D, name)(**{k: getattr(p, k).double() for k in p._parameters})
    (slope,) = tw.autograd.grad(twin.cdf(at).sum(), at)
    assert slope is not None
    np.testing.assert_allclose(slope.numpy(), twin.log_prob(at.detach()).exp().numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in DRAWN if n != "Independent"])
def test_the_entropy_is_the_mean_of_minus_log_prob(name: str) -> None:
    tw.manual_seed(13)
    p = DRAWN[name]()
    losses = -p.log_prob(p.sample((COUNT,))).double().numpy()
    sigma = losses.std(0) / math.sqrt(COUNT)
    assert (np.abs(losses.mean(0) - p.entropy().numpy()) < 4.5 * sigma + 1e-5).all()


def test_classes_come_as_often_as_they_should() -> None:
    tw.manual_seed(14)
    p = D.Categorical(tw.tensor([[2.0, 1.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0]]))
    x = p.sample((COUNT,))
    for row in range(2):
        shares = x[:, row].bincount(minlength=4).numpy() / COUNT
        wanted = p.probs[row].numpy()
        assert (np.abs(shares - wanted) <= 4.5 * np.sqrt(wanted * (1 - wanted) / COUNT)).all()


def test_gradients_go_through_samples() -> None:
    loc, scale = _t(1.0).requires_grad_(), _t(2.0).requires_grad_()
    for p in (D.Normal(loc, scale), D.Laplace(loc, scale), D.Uniform(loc, scale)):
        assert p.has_rsample
        assert p.rsample((3,)).requires_grad
        assert not p.sample((3,)).requires_grad
    tw.manual_seed(1)
    (slope,) = tw.autograd.grad(D.Normal(loc, scale).rsample((COUNT,)).square().mean(), scale)
    assert slope is not None
    assert slope.item() == pytest.approx(4.0, rel=0.05)  # of E(x^2) = loc^2 + scale^2
    with pytest.raises(NotImplementedError, match="Categorical has no rsample"):
        D.Categorical(_t(0.5, 0.5)).rsample()
    with pytest.raises(NotImplementedError, match="Poisson has no rsample"):
        D.Poisson(1.0).sample()


def test_compiled_like_eager() -> None:
    """A step of learning by the gradient of log probabilities, checks included."""

    def loss(scores: tw.Tensor, actions: tw.Tensor, x: tw.Tensor) -> tw.Tensor:
        policy = D.Categorical(logits=scores)
        noise = D.Independent(D.Normal(scores, scores.exp()), 1)
        prior = D.Independent(D.Normal(scores * 0, 1.0), 1)
        out = policy.log_prob(actions) + noise.log_prob(x) + policy.entropy()
        return (out - D.kl_divergence(noise, prior)).sum()

    scores, x = tw.randn(5, 3), tw.randn(5, 3)
    actions = tw.tensor([0, 2, 1, 1, 0])
    native = tw.compile(loss)
    assert native(scores, actions, x).item() == pytest.approx(
        loss(scores, actions, x).item(), rel=1e-5
    )
    with pytest.raises(ConfigError, match=r"value is 3 at \(1,\), expected a class, 0 to 2"):
        loss(scores, actions + 1, x)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: D.Normal(0.0, _t(1.0, -2.0)), ConfigError, r"scale is -2 at \(1,\).*above 0"),
        (lambda: D.Normal("0", 1.0), ConfigTypeError, "Normal: loc='0'; expected a tensor"),
        (lambda: D.Normal(tw.zeros(2), tw.ones(3)), ShapeError, r"\(2,\)"),
        (lambda: D.Uniform(1.0, 0.5), ConfigError, "Uniform: low is 1, expected below high"),
        (lambda: D.Bernoulli(), ConfigError, "one of probs, logits is given, got 0"),
        (lambda: D.Bernoulli(0.5, 0.0), ConfigError, "got 2 of them"),
        (lambda: D.Bernoulli(2.0), ConfigError, "probs is 2, expected from 0 to 1"),
        (lambda: D.Categorical(tw.tensor(1.0)), ShapeError, r"probs \(\.\.\., K\) expected"),
        (lambda: D.MultivariateNormal(tw.zeros(2), tw.eye(3)), ShapeError, r"\(2,\) and \(3, 3\)"),
        (lambda: D.MultivariateNormal(tw.zeros(2), -tw.eye(2)), LinAlgError, "definite"),
        (lambda: D.MultivariateNormal(tw.zeros(2), scale_tril=tw.ones(2, 2)), ConfigError,
         "scale_tril is 1"),
        (lambda: D.OneHotCategorical(_t(0.5, 0.5)).log_prob(tw.zeros(3)), ShapeError, r"\(2,\)"),
        (lambda: D.Independent(D.Normal(0.0, 1.0), 1), ConfigError, "0 to 0 expected"),
        (lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.Laplace(0.0, 1.0)), ConfigError,
         "no formula for Normal and Laplace"),
        (lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.LogNormal(0.0, 1.0)), ConfigError,
         "no formula for Normal and LogNormal"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_without_checks() -> None:
    assert D.Normal(0.0, -1.0, validate_args=False).log_prob(tw.tensor(0.0)).isnan().item()
    outside = D.Uniform(0.0, 1.0, validate_args=False).log_prob(tw.tensor(2.0))
    assert outside.item() == -math.inf


def test_printed() -> None:
    assert repr(D.Normal(tw.zeros(2), 1.0)) == "Normal(loc: (2,), scale: (2,))"
    assert repr(D.Independent(D.Normal(tw.zeros(2), 1.0), 1)).startswith("Independent(Normal(")
