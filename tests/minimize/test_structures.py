"""Alternated minimization on the functions it is made for, and what is proved of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ConfigError, LinAlgError, ShapeError
from thalweg.minimize import GaussianMixture, Lasso, MatrixFactorization, SumOfSquares


def lasso(alpha: float, seed: int = 0, m: int = 25, n: int = 8) -> Lasso:
    generator = np.random.default_rng(seed)
    A = generator.standard_normal((m, n)) * 10.0 ** generator.uniform(-1, 1, n)
    return Lasso(A, A[:, :2] @ [1.0, -2.0] + generator.standard_normal(m), alpha)


@pytest.mark.parametrize("alpha", [0.01, 0.3, 3.0, 1000.0])
@pytest.mark.parametrize("rho", [0.01, 1.0, 100.0])
def test_lasso_fulfils_its_optimality_conditions(alpha: float, rho: float) -> None:
    """KKT: the slope of the loss is -alpha sign(w_i) where w_i is not 0, else at most alpha."""
    g = lasso(alpha)
    result = tw.minimize(g, np.zeros(8), "admm", rho=rho)
    assert result.success, result.summary()
    w = result.points[-1].numpy()
    slope = g.A.T @ (g.A @ w - g.b) / len(g.b)
    zero = w == 0
    np.testing.assert_allclose(slope[~zero], -alpha * np.sign(w[~zero]), atol=1e-6 * alpha)
    assert (np.abs(slope[zero]) <= alpha * (1 + 1e-6)).all()
    assert zero.all() == (alpha == 1000.0)


def test_lasso_with_more_weights_than_examples() -> None:
    result = tw.minimize(lasso(0.5, m=6, n=12), np.zeros(12), "admm")
    assert result.success
    assert (result.theta.numpy() == 0).sum() >= 6


def ratings(seed: int, rank: int = 2) -> MatrixFactorization:
    generator = np.random.default_rng(seed)
    Y = generator.standard_normal((9, rank)) @ generator.standard_normal((rank, 7))
    Y[generator.random(Y.shape) < 0.2] = np.nan
    return MatrixFactorization(Y, rank=2, ridge=1e-2)


@pytest.mark.parametrize("seed", range(4))
def test_alternating_least_squares_never_rises(seed: int) -> None:
    g = ratings(seed)
    result = tw.minimize(g, method="als", seed=seed, max_iterations=60)
    assert (np.diff(result.values) <= 1e-12 * result.values[:-1]).all()
    u, v = (x.clone().requires_grad_() for x in result.points[-1])
    g((u, v)).backward()
    before = g(result.points[0]).item()
    assert result.value < before / 3
    assert v.grad is not None
    assert v.grad.abs().max().item() < 1e-8  # the last factor is at its minimum


def test_missing_entries_are_filled_in() -> None:
    generator = np.random.default_rng(5)
    whole = generator.standard_normal((12, 1)) @ generator.standard_normal((1, 10))
    missing = generator.random(whole.shape) < 0.2
    g = MatrixFactorization(np.where(missing, np.nan, whole), rank=1, ridge=1e-6)
    result = tw.minimize(g, method="als", seed=0)
    np.testing.assert_allclose(g.filled(result.theta).numpy(), whole, atol=1e-2)


def blobs(seed: int, count: int = 60) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centres = np.array([[-3.0, 0.0], [3.0, 1.0], [0.0, 4.0]])
    return np.concatenate([generator.normal(c, 0.7, (count, 2)) for c in centres])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("components", [1, 2, 3])
def test_the_likelihood_never_falls(seed: int, components: int) -> None:
    g = GaussianMixture(blobs(seed), components)
    result = tw.minimize(g, method="em", seed=seed)
    assert (np.diff(result.values) <= 1e-12).all()
    assert result.theta["weights"].sum().item() == pytest.approx(1)
    eigenvalues = tw.linalg.eigvalsh(result.theta["covariances"])
    assert (eigenvalues > 0).all()
    assert result.details["likelihood"] == pytest.approx(-result.values[-1] * len(g.X))


def test_one_gaussian_is_mean_and_covariance() -> None:
    X = blobs(0)
    theta = tw.minimize(GaussianMixture(X, 1), method="em", seed=0).theta
    np.testing.assert_allclose(theta["means"][0].numpy(), X.mean(0))
    np.testing.assert_allclose(theta["covariances"][0].numpy(), np.cov(X.T, bias=True))


def test_the_density_of_a_mixture() -> None:
    X, theta = blobs(1, 4), {
        "weights": tw.tensor([0.25, 0.75], dtype=tw.float64),
        "means": tw.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=tw.float64),
        "covariances": tw.tensor([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 3.0]]],
                                 dtype=tw.float64),
    }  # fmt: skip
    density = np.zeros(len(X))
    for w, m, c in zip(*(theta[name].numpy() for name in theta), strict=True):
        away = X - m
        exponent = np.einsum("ti,ij,tj->t", away, np.linalg.inv(c), away)
        density += w * np.exp(-exponent / 2) / (2 * np.pi * np.sqrt(np.linalg.det(c)))
    found = GaussianMixture(X, 2)(theta)
    assert found.item() == pytest.approx(-np.log(density).mean())


def test_clusters_are_found() -> None:
    result = tw.minimize(GaussianMixture(blobs(3), 3), method="em", seed=0)
    means = result.theta["means"].numpy()
    for centre in ([-3.0, 0.0], [3.0, 1.0], [0.0, 4.0]):
        assert np.abs(means - centre).max(1).min() < 0.4


def test_a_component_that_shrinks_onto_a_point() -> None:
    X = np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 1.0], [6.0, 1.5], [5.5, 0.0]])
    with pytest.raises(LinAlgError, match="has shrunk onto few examples.*floor=1e-6"):
        tw.minimize(GaussianMixture(X, 2), method="em", seed=0)
    assert tw.minimize(GaussianMixture(X, 2, floor=1e-3), method="em", seed=0).value < 5


@pytest.mark.parametrize("method", ["random", "genetic", "cma-es"])
def test_a_mixture_is_not_searched(method: str) -> None:
    with pytest.raises(ConfigError, match="expectation-maximization"):
        tw.minimize(GaussianMixture(blobs(0), 2), method=method)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SumOfSquares(3), ConfigError, "a function of theta expected, got 3"),  # type: ignore[arg-type]
        (lambda: Lasso(np.ones((2, 2)), np.ones(3), 1.0), ShapeError, "2 rows, b 3 elements"),
        (lambda: Lasso(np.ones(2), np.ones(2), 1.0), ShapeError, "a matrix .* got shape"),
        (lambda: Lasso(np.ones((2, 2)), np.ones(2), 0.0), ConfigError, "alpha above 0"),
        (lambda: MatrixFactorization(np.ones((2, 2)), 0), ConfigError, "rank >= 1"),
        (lambda: MatrixFactorization(np.full((2, 2), np.nan), 1), ConfigError, "every entry"),
        (lambda: GaussianMixture(np.ones((2, 2)), 3), ConfigError, "1 to 2 components"),
        (lambda: GaussianMixture(np.ones((2, 2)), 1, floor=-1.0), ConfigError, "floor of 0"),
    ],
)
def test_wrong_structures(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()
