"""Linear algebra where it is delicate: equal eigenvalues, singular matrices, forward mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.table.linear import definite, regular, symmetric
from tests.table.row import normal
from thalweg.errors import GradientError, LinAlgError
from thalweg.primitives import linalg as rows
from thalweg.tape import bind


def gradient(function: Callable[[tw.Tensor], tw.Tensor], x: np.ndarray) -> np.ndarray:
    leaf = tw.tensor(x, requires_grad=True)
    function(leaf).backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


def test_eigenvalues_have_a_derivative_where_they_are_equal() -> None:
    weights = tw.tensor([1.0, 2.0, 4.0], dtype=tw.float64)
    total = gradient(lambda a: tw.linalg.eigvalsh(a).sum(), np.eye(3))
    np.testing.assert_allclose(total, np.eye(3), atol=1e-15)
    each = gradient(lambda a: (tw.linalg.eigvalsh(a) * weights).sum(), np.diag([1.0, 1.0, 2.0]))
    assert np.isfinite(each).all()


def test_eigenvectors_have_none_there() -> None:
    found = gradient(
        lambda a: (tw.linalg.eigh(a).eigenvectors * tw.tensor(normal(3, 3))).sum(), np.eye(3)
    )
    assert not np.isfinite(found).all()


def test_a_function_of_the_space_alone() -> None:
    """The projection onto the space of two equal eigenvalues does not depend on their basis."""
    a = np.diag([1.0, 1.0, 5.0])

    def projected(x: tw.Tensor) -> tw.Tensor:
        v = tw.linalg.eigh(x).eigenvectors[:, 2:]
        return (v @ v.mT * tw.tensor(normal(3, 3))).sum()

    step, change = 1e-6, symmetric(normal(3, 3, seed=2))
    ahead, behind = (projected(tw.tensor(a + sign * step * change)) for sign in (1, -1))
    slope = (ahead - behind).item() / (2 * step)
    np.testing.assert_allclose((gradient(projected, a) * change).sum(), slope, rtol=1e-6)


def test_singular_values_at_zero() -> None:
    found = gradient(lambda a: tw.linalg.svdvals(a).sum(), np.array([[3.0, 0], [0, 0], [0, 0]]))
    assert np.isfinite(found).all()


def test_a_cotangent_is_symmetric() -> None:
    a = definite(regular(3, 3))
    for function in (tw.linalg.cholesky, lambda x: tw.linalg.eigh(x).eigenvectors):
        g = gradient(lambda x: (function(x) * tw.tensor(normal(3, 3))).sum(), a)  # noqa: B023
        np.testing.assert_allclose(g, g.T, atol=1e-14)


def test_the_lower_triangle_is_read() -> None:
    a = definite(regular(3, 3))
    spoiled = np.tril(a) + np.triu(np.full((3, 3), 7.0), 1)
    for function in (tw.linalg.cholesky, tw.linalg.eigvalsh):
        wanted = function(tw.tensor(a)).numpy()
        np.testing.assert_allclose(function(tw.tensor(spoiled)).numpy(), wanted)
    upper = tw.linalg.eigvalsh(tw.tensor(spoiled.T.copy()), UPLO="U").numpy()
    np.testing.assert_allclose(upper, wanted)


def test_complete_qr_of_a_tall_matrix_has_no_derivative() -> None:
    a = tw.tensor(normal(4, 2), requires_grad=True)
    q, r = tw.linalg.qr(a, mode="complete")
    np.testing.assert_allclose((q @ r).detach().numpy(), normal(4, 2), atol=1e-14)
    with pytest.raises(GradientError, match="4 rows and 2 columns.*mode='reduced'"):
        q.sum().backward()


def test_the_place_in_a_batch_is_named() -> None:
    batch = np.broadcast_to(np.eye(2), (2, 3, 2, 2)).copy()
    batch[1, 2] = 0
    for function in (tw.linalg.inv, tw.linalg.cholesky):
        with pytest.raises(LinAlgError, match=r"number 1, 2 of a batch of shape \(2, 3, 2, 2\)"):
            function(tw.tensor(batch))
    batch[0, 1, 0, 0] = np.nan
    with pytest.raises(LinAlgError, match="number 0, 1 of a batch .* NaN or infinity"):
        tw.linalg.svd(tw.tensor(batch))


def test_the_determinant_of_a_singular_matrix() -> None:
    assert tw.linalg.det(tw.zeros(2, 2)).item() == 0
    sign, logarithm = tw.linalg.slogdet(tw.zeros(2, 2))
    assert (sign.item(), logarithm.item()) == (0, -np.inf)
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(gradient(tw.linalg.det, a), [[4, -2], [-2, 1]], atol=1e-14)
    np.testing.assert_allclose(gradient(tw.linalg.det, np.zeros((2, 2))), np.zeros((2, 2)))
    np.testing.assert_allclose(gradient(tw.linalg.det, np.zeros((1, 1))), [[1]])
    leaf = tw.tensor(a, requires_grad=True)
    (slope,) = tw.autograd.grad(tw.linalg.det(leaf), leaf, create_graph=True)
    assert slope is not None
    with pytest.raises(LinAlgError, match="singular"):
        slope.sum().backward()


def test_pseudo_inverse_of_rank_one_has_a_derivative_along_rank_one() -> None:
    u, v = normal(3, 1), normal(1, 2, seed=1)

    def function(s: tw.Tensor) -> tw.Tensor:
        return (tw.linalg.pinv(s * tw.tensor(u @ v)) * tw.tensor(normal(2, 3))).sum()

    at = 2.0
    wanted = -(np.linalg.pinv(u @ v) * normal(2, 3)).sum() / at**2
    np.testing.assert_allclose(gradient(function, np.array(at)), wanted)


FORWARD: dict[str, tuple[Any, dict[str, Any], list[np.ndarray]]] = {
    "solve": (rows.solve, {}, [regular(2, 3, 3), normal(2, 3, 2)]),
    "cholesky": (rows.cholesky, {}, [definite(regular(2, 3, 3))]),
    "eigh": (rows.eigh, {}, [symmetric(regular(2, 3, 3))]),
    "tall qr": (rows.qr, {"complete": False}, [normal(2, 4, 3)]),
    "wide qr": (rows.qr, {"complete": True}, [normal(2, 3, 4)]),
    "tall svd": (rows.svd, {"full": False}, [normal(2, 4, 3)]),
    "wide svd": (rows.svd, {"full": False}, [normal(2, 3, 4)]),
    "full svd": (rows.svd, {"full": True}, [normal(3, 3)]),
    "det": (rows.det, {}, [regular(2, 3, 3)]),
    "slogdet": (rows.slogdet, {}, [regular(2, 3, 3)]),
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward_mode(name: str) -> None:
    """The tangent is what central differences give, along symmetric changes where that matters."""
    row, attributes, arrays = FORWARD[name]
    make = symmetric if name in ("cholesky", "eigh") else lambda x: x
    changes = [make(normal(*x.shape, seed=9)) for x in arrays]

    def apply(*operands: tw.Tensor, **given: Any) -> tw.Tensor:
        return bind(row, *operands, **given)

    operands, tangents = [*map(tw.tensor, arrays)], [*map(tw.tensor, changes)]
    out = apply(*operands, **attributes)
    got = row.jvp(apply, tangents, out, *operands, **attributes).numpy()
    step = 1e-6
    ahead, behind = (
        row.evaluate(*(x + sign * step * d for x, d in zip(arrays, changes, strict=True)),
                     **attributes)
        for sign in (1, -1)
    )  # fmt: skip
    np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("known", [0, 1])
def test_forward_mode_of_one_operand(known: int) -> None:
    a, b = tw.tensor(regular(3, 3)), tw.tensor(normal(3, 2))
    tangents: list[tw.Tensor | None] = [tw.ones_like(a), tw.ones_like(b)]
    whole, zero = list(tangents), list(tangents)
    tangents[known] = None
    zero[known] = whole[known] * 0  # type: ignore[operator]

    def apply(*operands: tw.Tensor) -> tw.Tensor:
        return bind(rows.solve, *operands)

    out = apply(a, b)
    got, wanted = (rows.solve.jvp(apply, t, out, a, b).numpy() for t in (tangents, zero))
    np.testing.assert_allclose(got, wanted, atol=1e-14)


def test_batching_expands_what_is_shared() -> None:
    a, b = tw.tensor(regular(3, 3)), tw.tensor(normal(5, 3, 2))

    def apply(*operands: tw.Tensor) -> tw.Tensor:
        return bind(rows.solve, *operands)

    got = rows.solve.batch(apply, 5, (False, True), a, b)
    np.testing.assert_allclose(got.numpy(), np.linalg.solve(regular(3, 3), normal(5, 3, 2)))
