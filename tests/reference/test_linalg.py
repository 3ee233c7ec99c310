"""Linear algebra beside torch.linalg; what has a sign of LAPACK's choice, without that sign.

Against scikit-learn: the lasso by ADMM, and mixtures by expectation-maximization.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import DTYPES, Case, Fixed, compare
from tests.reference.spelling import Call, Samples, call, given

_samples = Samples(11)
normal, positive = _samples.normal, _samples.positive


def square(*shape: int) -> Any:
    """Far from singular."""
    return normal(*shape) + 3 * np.eye(shape[-1])


def symmetric(x: Any) -> Any:
    return x + x.mT


def definite(x: Any) -> Any:
    return x @ x.mT


A, PAIR, TALL, WIDE = square(3, 3), square(2, 3, 3), normal(5, 3), normal(2, 5)
K = normal(3, 2)

# fmt: off
LINALG: dict[str, list[Call]] = {
    "solve":            [call(A, K), call(A, normal(3)), call(PAIR, K), call(PAIR, normal(2, 3)),
                         call(A, normal(2, 3), left=False)],
    "solve_triangular": [call(A, K, upper=True), call(PAIR, normal(2, 3, 1), upper=False),
                         call(A, K, upper=True, unitriangular=True),
                         call(A, normal(2, 3), upper=False, left=False)],
    "inv":              [call(A), call(PAIR)],
    "det":              [call(A), call(PAIR), call(-A)],
    "slogdet":          [call(A), call(-A), call(PAIR)],
    "pinv":             [call(TALL), call(WIDE), call(A), call(normal(2, 4, 2)),
                         call(TALL, rtol=0.9)],
    "matrix_rank":      [call(A), call(TALL), call(np.ones((3, 3))), call(PAIR, atol=3.0),
                         call(np.ones((2, 2)), hermitian=True)],
    "matrix_power":     [call(A, 3), call(Fixed(A), 0), call(A, -2), call(PAIR, 2)],
    # PyTorch's derivative of the norms by the inverse fails: it writes to the inverse in place.
    "cond":             [call(A), call(TALL), call(Fixed(A), 1), call(Fixed(A), "fro"), call(A, -2),
                         call(Fixed(A), float("inf")), call(A, "nuc")],
    "svdvals":          [call(TALL), call(WIDE), call(PAIR)],
    "norm":             [call(TALL), call(TALL, 2), call(TALL, "nuc"), call(normal(3), 1),
                         call(TALL, dim=0), call(normal(2, 3, 4), "fro", dim=(0, 2)),
                         call(TALL, 1, dim=1, keepdim=True)],
    "vector_norm":      [call(TALL), call(TALL, 3), call(TALL, 1, dim=0), call(Fixed(TALL), 0),
                         call(TALL, float("inf"), dim=1, keepdim=True)],
    "matrix_norm":      [call(TALL), *(call(TALL, p) for p in ("nuc", 1, -1, 2, -2, float("inf"))),
                         call(normal(2, 3, 4), 2, dim=(0, 2), keepdim=True)],
    "cross":            [call(normal(3), normal(3)), call(normal(2, 3), normal(2, 3)),
                         call(normal(3, 2), normal(3, 2), dim=0), call(normal(2, 3), normal(1, 3))],
    "matrix_exp":       [call(A), call(PAIR), call(normal(2, 2) / 10), call(np.zeros((3, 3)))],
    "householder_product": [call(TALL, positive(3)), call(TALL, given(0.5, 1.5)),
                            call(normal(2, 4, 3), positive(2, 3))],
    "vecdot":           [call(normal(2, 3), normal(2, 3)), call(normal(3, 2), normal(3, 2), dim=0)],
}
# fmt: on
OFF_TAPE = {"matrix_rank"}


def spelled(name: str, options: dict[str, Any]) -> Callable[..., Any]:
    return lambda tw, *arguments: list(_listed(getattr(tw.linalg, name)(*arguments, **options)))


def _listed(found: Any) -> Any:
    return found if isinstance(found, tuple) else (found,)


def _cholesky(tw: Any, x: Any) -> Any:
    return tw.linalg.cholesky(definite(x)), tw.linalg.cholesky(definite(x), upper=True)


def _eigh(tw: Any, x: Any) -> Any:
    w, v = tw.linalg.eigh(symmetric(x))
    return w, v.abs(), tw.linalg.eigvalsh(symmetric(x)), tw.linalg.eigh(symmetric(x), UPLO="U")[0]


def _triangle(tw: Any, x: Any) -> Any:
    """Only one triangle is read, and the cotangent is symmetric."""
    return tw.linalg.eigvalsh(x), tw.linalg.eigvalsh(x, UPLO="U")


def _qr(tw: Any, x: Any, mode: str = "reduced") -> Any:
    q, r = tw.linalg.qr(x, mode=mode)
    return q.abs(), r.abs()


def _svd(tw: Any, x: Any, full: bool = False) -> Any:
    u, s, vh = tw.linalg.svd(x, full_matrices=full)
    k = s.shape[-1]
    return u[..., :k].abs(), s, vh[..., :k, :].abs()


def _multi_dot(tw: Any, *matrices: Any) -> Any:
    return tw.linalg.multi_dot(matrices)


def _lstsq(tw: Any, a: Any, b: Any) -> Any:
    return tw.linalg.lstsq(a, b).solution


CASES = [
    *(
        Case(f"{name}-{n}", spelled(name, options), arguments, name not in OFF_TAPE, second)
        for name, calls in LINALG.items()
        for n, (arguments, options, second) in enumerate(calls)
    ),
    *(Case(f"cholesky-{x.shape}", _cholesky, (x,)) for x in (A, PAIR)),
    *(Case(f"eigh-{x.shape}", _eigh, (x,)) for x in (A, PAIR)),
    Case("triangle", _triangle, (A + A.T,)),
    *(Case(f"qr-{x.shape}", _qr, (x,)) for x in (TALL, A, PAIR)),
    Case("qr-wide", _qr, (WIDE,), second=False),
    Case("qr-complete", lambda tw, x: _qr(tw, x, "complete"), (A,)),
    *(Case(f"svd-{x.shape}", _svd, (x,)) for x in (TALL, WIDE, A, PAIR)),
    Case("svd-full", lambda tw, x: _svd(tw, x, True), (A,)),
    Case("multi_dot", _multi_dot, (normal(2, 3), normal(3, 4), normal(4, 2), normal(2))),
    *(Case(f"lstsq-{x.shape}", _lstsq, (x, y)) for x, y in ((TALL, normal(5, 2)), (A, K))),
]
# Rounding in float32 is larger than the tolerance: conditions are squared in derivatives.
ILL = ("pinv", "cond", "eigh", "svd-", "slogdet")
APART = {"cholesky", "eigh", "eigvalsh", "qr", "svd", "multi_dot", "lstsq", "LinAlgError"}


BOTH = [(this, dtype) for this in CASES for dtype in DTYPES
        if dtype == "float64" or not this.name.startswith(ILL)]  # fmt: skip


@pytest.mark.parametrize(("this", "dtype"), BOTH, ids=lambda part: str(part))
def test_like_torch(this: Case, dtype: str) -> None:
    compare(this, dtype)


def test_nothing_is_left_out() -> None:
    both = {name for name in thalweg.linalg.__all__ if hasattr(torch.linalg, name)}
    assert both == set(LINALG) | APART


def test_errors_are_of_the_same_kind() -> None:
    for tw in (thalweg, torch):
        with pytest.raises(tw.linalg.LinAlgError):
            tw.linalg.inv(tw.zeros(2, 2))
        with pytest.raises(RuntimeError):
            tw.linalg.cholesky(-tw.eye(2))


# --- minimization, against scikit-learn ----------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.03, 0.3])
def test_the_lasso_of_scikit_learn(alpha: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = np.random.default_rng(0)
    A = generator.standard_normal((40, 10))
    b = A[:, :3] @ [2.0, -1.0, 0.5] + 0.1 * generator.standard_normal(40)
    reference = linear_model.Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=100_000)
    wanted = reference.fit(A, b).coef_
    found = thalweg.minimize(thalweg.minimize.Lasso(A, b, alpha), np.zeros(10), "admm")
    np.testing.assert_allclose(found.points[-1].numpy(), wanted, atol=1e-8)
    assert ((found.points[-1].numpy() == 0) == (wanted == 0)).all()


def test_the_mixture_of_scikit_learn() -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    generator = np.random.default_rng(1)
    X = np.concatenate([generator.normal(c, 0.8, (70, 2)) for c in ([-3, 0], [3, 1], [0, 4])])
    start = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    reference = mixture.GaussianMixture(3, means_init=start, reg_covar=0.0, tol=1e-12, max_iter=500)
    reference.fit(X)
    theta0 = {
        "weights": np.full(3, 1 / 3),
        "means": start,
        "covariances": np.stack([np.eye(2)] * 3),
    }
    g = thalweg.minimize.GaussianMixture(X, 3)
    found = thalweg.minimize(g, theta0, "em", tolerance=1e-14)
    assert found.value == pytest.approx(-reference.score(X), abs=1e-9)
    np.testing.assert_allclose(found.theta["means"].numpy(), reference.means_, atol=1e-4)
    at_theirs = {
        "weights": thalweg.tensor(reference.weights_),
        "means": thalweg.tensor(reference.means_),
        "covariances": thalweg.tensor(reference.covariances_),
    }
    assert g(at_theirs).item() == pytest.approx(-reference.score(X), abs=1e-12)
