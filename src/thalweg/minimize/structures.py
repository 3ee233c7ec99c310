"""Functions with a structure that some methods use; each is a function of theta like any other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.minimize.domain import Product
from thalweg.minimize.real import Real
from thalweg.ops.creation import as_tensor, tensor
from thalweg.ops.linalg import cholesky, solve_triangular

__all__ = ["GaussianMixture", "Lasso", "MatrixFactorization", "SumOfSquares"]

Array = npt.NDArray[np.float64]


def _array(name: str, x: Any, rank: int) -> Array:
    values = np.asarray(x.detach().numpy() if isinstance(x, Tensor) else x, np.float64)
    if values.ndim != rank or not values.size:
        kind = "a matrix" if rank == 2 else "a vector"
        raise ShapeError(f"{name}: {kind} with elements expected, got shape {values.shape}")
    return values


class SumOfSquares:
    """g(theta) = sum of r_i(theta)^2, for residuals r: theta -> (m,).

    For "least-squares" (affine residuals), "gauss-newton" and "levenberg-marquardt". `mean` divides
    by m, as the decks' total loss does.

    >>> import thalweg as tw
    >>> x, y = tw.tensor([0.0, 1.0, 2.0]), tw.tensor([1.0, 3.0, 5.0])
    >>> g = tw.minimize.SumOfSquares(lambda theta: theta[0] * x + theta[1] - y)
    >>> tw.minimize(g, [0.0, 0.0], "least-squares", compile=False).theta.round(decimals=6)
    tensor([2., 1.], dtype=thalweg.float64)
    """

    def __init__(self, residual: Callable[[Tensor], Tensor], mean: bool = False) -> None:
        if not callable(residual):
            raise ConfigError(f"SumOfSquares: a function of theta expected, got {residual!r}")
        self.residual, self.mean = residual, mean

    def __call__(self, theta: Tensor) -> Tensor:
        """The sum, or the mean."""
        squares = self.residual(theta).square()
        return squares.mean() if self.mean else squares.sum()


class Lasso:
    """g(w) = ||A w - b||^2 / (2 m) + alpha ||w||_1, for A (m, n) and b (m,): scikit-learn's terms.

    For "admm". The absolute values make elements of w exactly 0.

    Raises `ShapeError` for shapes that do not fit, `ConfigError` unless alpha is above 0.
    """

    def __init__(self, A: Any, b: Any, alpha: float) -> None:
        self.A, self.b, self.alpha = _array("Lasso: A", A, 2), _array("Lasso: b", b, 1), alpha
        if len(self.A) != len(self.b):
            raise ShapeError(f"Lasso: A has {len(self.A)} rows, b {len(self.b)} elements")
        if not alpha > 0:
            raise ConfigError(f"Lasso: alpha above 0 expected, got {alpha!r}")
        self._a, self._b = tensor(self.A), tensor(self.b)

    def __call__(self, w: Tensor) -> Tensor:
        """The loss and the penalty."""
        loss = (self._a @ w - self._b).square().sum() / (2 * len(self.b))
        return loss + w.abs().sum() * self.alpha


class MatrixFactorization:
    """g(U, V) = sum over the known entries of (Y - U V^T)^2 + ridge (||U||^2 + ||V||^2).

    Y (m, n), where NaN is an entry that is missing; U (m, rank), V (n, rank); theta is (U, V).
    For "alternating-least-squares". `ridge` above 0 keeps rows with few entries finite.

    Raises `ConfigError` where Y has no entry, for a rank below 1, or a ridge not above 0.
    """

    def __init__(self, Y: Any, rank: int, ridge: float = 1e-3) -> None:
        self.Y = _array("MatrixFactorization: Y", Y, 2)
        self.known = np.isfinite(self.Y)
        if type(rank) is not int or rank < 1 or not ridge > 0:
            raise ConfigError(
                f"MatrixFactorization: rank >= 1 and ridge > 0 expected, got {rank!r}, {ridge!r}"
            )
        if not self.known.any():
            raise ConfigError("MatrixFactorization: every entry of Y is missing")
        self.rank, self.ridge = rank, ridge
        m, n = self.Y.shape
        self.domain = Product([Real((m, rank)), Real((n, rank))])
        self._mask = tensor(self.known.astype(np.float64))
        self._filled = tensor(np.where(self.known, self.Y, 0.0))

    def __call__(self, theta: tuple[Tensor, Tensor]) -> Tensor:
        """The error of the known entries and the penalty."""
        u, v = theta
        error = ((u @ v.mT - self._filled) * self._mask).square().sum()
        return error + self.ridge * (u.square().sum() + v.square().sum())

    def filled(self, theta: tuple[Tensor, Tensor]) -> Tensor:
        """U V^T: Y with its missing entries filled in."""
        return theta[0] @ theta[1].mT


class _Densities(Product):
    """Weights that add up to 1, means, and positive definite covariances."""

    is_open = False


class GaussianMixture:
    """g(theta) = -mean log p(x_t), p the density of a mixture of `components` Gaussians.

    X (t, d); theta is a dict: "weights" (k,), which add up to 1, "means" (k, d), "covariances"
    (k, d, d). For "expectation-maximization". `floor` is added to the diagonal of covariances, so
    that no component can shrink onto one example; the likelihood then has a maximum.

    Raises `ConfigError` for fewer examples than components.
    """

    def __init__(self, X: Any, components: int, floor: float = 0.0) -> None:
        self.X = _array("GaussianMixture: X", X, 2)
        if type(components) is not int or not 1 <= components <= len(self.X):
            raise ConfigError(
                f"GaussianMixture: 1 to {len(self.X)} components expected, got {components!r}"
            )
        if not floor >= 0:
            raise ConfigError(f"GaussianMixture: a floor of 0 or more expected, got {floor!r}")
        self.components, self.floor = components, floor
        d = self.X.shape[1]
        shapes = {"weights": (components,), "means": (components, d)}
        parts = {**shapes, "covariances": (components, d, d)}
        self.domain = _Densities([Real(shape) for shape in parts.values()], list(parts))
        self._x = tensor(self.X)

    def __call__(self, theta: dict[str, Tensor]) -> Tensor:
        """The mean negative log-likelihood."""
        return -self.log_densities(theta).logsumexp(1).mean()

    def log_densities(self, theta: dict[str, Tensor]) -> Tensor:
        """log (weight_k N(x_t; mean_k, covariance_k)): (t, k)."""
        root = cholesky(as_tensor(theta["covariances"]))
        apart = self._x.unsqueeze(0) - theta["means"].unsqueeze(1)
        whitened = solve_triangular(root, apart.mT, upper=False)
        volume = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        d = self.X.shape[1]
        norm = theta["weights"].log() - volume - 0.5 * d * math.log(2 * math.pi)
        found: Tensor = (norm.unsqueeze(1) - 0.5 * whitened.square().sum(1)).mT
        return found
