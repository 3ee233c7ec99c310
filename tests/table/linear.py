"""Rows of linear algebra: the primitives that LAPACK evaluates, and what is made of them.

Vectors of a decomposition have a sign that is LAPACK's: NumPy's too, so they compare. Where a
derivative is taken, symmetric operands are made inside of the function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.row import Array, Bad, Row, normal, positive, row, s
from thalweg.errors import ConfigError, LinAlgError
from thalweg.primitives import REGISTRY
from thalweg.tape import bind

__all__ = ["ROWS"]

INF = math.inf


def regular(*shape: int, seed: int = 0) -> Array:
    """Square matrices far from singular."""
    return normal(*shape, seed=seed) + 3 * np.eye(shape[-1])


def packed(*parts: Array) -> Array:
    lead = parts[-1].shape[:-2]
    return np.concatenate([x.reshape((*lead, -1 if x.size else 0)) for x in parts], -1)


def symmetric(x: Any) -> Any:
    return x + (np.swapaxes(x, -1, -2) if isinstance(x, np.ndarray) else x.mT)


def definite(x: Any) -> Any:
    """Positive definite matrices, far from singular."""
    is_array = isinstance(x, np.ndarray)
    n = x.shape[-1]
    square = x @ (np.swapaxes(x, -1, -2) if is_array else x.mT)
    return square + (np.eye(n) if is_array else tw.eye(n, dtype=x.dtype))


def after(make: Callable[[Any], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """function(make(x), ...)."""
    return lambda x, *more, **how: function(make(x), *more, **how)


def raw(name: str, oracle: Any, *samples: Any, of: Any = None, **settings: Any) -> Row:
    """The primitive itself, whose operand is made by `of` inside."""
    rule = REGISTRY[name]

    def call(*operands: tw.Tensor, **attributes: Any) -> tw.Tensor:
        return bind(rule, *operands, **attributes)

    if of is not None:
        return row(
            f"primitives.{name}", after(of, oracle), *samples, call=after(of, call), **settings
        )
    return row(f"primitives.{name}", oracle, *samples, call=call, **settings)


def full(x: Array, full_matrices: bool = True) -> tuple[Array, ...]:
    return tuple(np.linalg.svd(x, full_matrices=full_matrices))


def smooth_svd(x: Any, full_matrices: bool = True) -> Any:
    """Without the vectors that are any basis of their space, and without the signs."""
    u, sv, vh = (np.linalg if isinstance(x, np.ndarray) else tw.linalg).svd(x, full_matrices)
    k = sv.shape[-1]
    return abs(u[..., :k]), sv, abs(vh[..., :k, :])


def smooth_qr(x: Any, mode: str = "reduced") -> Any:
    return tuple((np.linalg if isinstance(x, np.ndarray) else tw.linalg).qr(x, mode))


def lstsq(a: Array, b: Array, rcond: float | None = None) -> Any:
    x = np.linalg.pinv(a) @ b
    residual = np.square(a @ x - b).sum(-2) if a.shape[-2] > a.shape[-1] else np.zeros(0)
    rank = np.linalg.matrix_rank(a)
    return x, residual, rank, np.linalg.svd(a, compute_uv=False)


def exponential(a: Array) -> Array:
    """By the series, of a small part of the matrix; then squared."""
    small, unit = a / 256, np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    out = unit
    for k in range(12, 0, -1):
        out = unit + small @ out / k
    for _ in range(8):
        out = out @ out
    return out


def reflections(a: Array, tau: Array) -> Array:
    """The product, one reflection after the other."""
    m, n = a.shape[-2:]
    out = np.broadcast_to(np.eye(m), (*a.shape[:-2], m, m))
    for i in range(tau.shape[-1]):
        v = np.where(np.arange(m) > i, a[..., i], np.arange(m) == i)[..., None]
        out = out @ (np.eye(m) - tau[..., i, None, None] * v * np.swapaxes(v, -1, -2))
    return out[..., :n]


def triangular(a: Array, b: Array, *, upper: bool, left: bool = True,
               unitriangular: bool = False) -> Array:  # fmt: skip
    a = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        a = a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1])
    if left:
        return np.linalg.solve(a, b)
    return np.swapaxes(np.linalg.solve(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)


def solve(a: Array, b: Array, left: bool = True) -> Array:
    if not left:
        return triangular_free(a, b)
    if b.ndim == 1 or b.shape == a.shape[:-1]:
        return np.linalg.solve(a, b[..., None])[..., 0]
    return np.linalg.solve(a, b)


def triangular_free(a: Array, b: Array) -> Array:
    return np.swapaxes(np.linalg.solve(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)


A, B3, TALL, WIDE = regular(3, 3), regular(2, 3, 3), normal(4, 2), normal(2, 4)
K, EMPTY = normal(3, 2, seed=1), np.zeros((0, 0))
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
BATCH = np.stack([np.eye(2), SINGULAR])
NOT_SQUARE = Bad((normal(2, 3),), mentions=("square", "(2, 3)"))
VECTOR = Bad((normal(3),), mentions=("matrices", "(3,)"))

# fmt: off
PRIMITIVES = [
    raw("solve", np.linalg.solve, s(A, K), s(B3, normal(2, 3, 1)), s(EMPTY, normal(0, 2)),
        s(A, normal(3, 0)),
        bad=(Bad((normal(2, 3), normal(2, 1)), mentions=("square", "(2, 3)")),
            Bad((A, normal(2, 1))),
            Bad((SINGULAR, K[:2]), error=LinAlgError, mentions=("singular", "(2, 2)", "lstsq")),
            Bad((BATCH, np.ones((2, 2, 1))), error=LinAlgError,
                mentions=("number 1 of a batch",)))),
    raw("cholesky", np.linalg.cholesky, s(A), s(B3), s(EMPTY), of=definite),
    raw("eigh", lambda a: packed(*np.linalg.eigh(a)), s(A), s(B3), s(EMPTY), of=symmetric),
    raw("qr", lambda a, complete: packed(*np.linalg.qr(a, "complete" if complete else "reduced")),
        s(TALL, complete=False), s(A, complete=True), s(WIDE, complete=False),
        s(normal(2, 4, 3), complete=False), s(normal(2, 2, 3), complete=True)),
    raw("svd", lambda a, full: packed(*np.linalg.svd(a, full)), s(TALL, full=False),
        s(A, full=True), s(WIDE, full=False), s(normal(2, 4, 3), full=False),
        s(TALL, full=True, smooth=False)),
    raw("det", np.linalg.det, s(A), s(B3), s(EMPTY, smooth=False), bad=(NOT_SQUARE, VECTOR)),
    raw("slogdet", lambda a: np.stack(np.linalg.slogdet(a), -1), s(A), s(B3), s(-A),
        bad=(NOT_SQUARE, VECTOR)),
]

SYSTEMS = [
    row("Tensor.solve_linear", np.linalg.solve, s(A, K), s(B3, normal(2, 3, 1)), judged=True,
        bad=Bad((A, normal(2, 1)))),
    row("Tensor.cofactors", lambda a: np.linalg.det(a)[..., None, None] * np.swapaxes(
        np.linalg.inv(a), -1, -2), s(A), s(B3), s(-A), s(np.array([[2.0]])), bad=NOT_SQUARE),
    row("linalg.solve", solve, s(A, K), s(A, K[:, 0]), s(B3, K), s(A, normal(2, 3, 2)),
        s(B3, normal(2, 3)), s(A, normal(2, 3), left=False),
        judged=True, bad=(Bad((A, normal(2, 1))),
            Bad((normal(2, 3), normal(2, 1)), mentions=("(2, 3)",)),
            Bad((A, normal(3)), kwargs={"left": False}, mentions=("left=False", "(3,)")),
            Bad((normal(3), normal(3, 1))),
            Bad((normal(2, 3, 3), normal(4, 3, 1)), mentions=("(2,)", "(4,)")))),
    row("linalg.solve_triangular", triangular, s(A, K, upper=True), s(A, K, upper=False),
        s(B3, normal(2, 3, 1), upper=True, unitriangular=True),
        s(A, normal(2, 3), upper=False, left=False),
        bad=Bad((A - np.diag(np.diag(A)), K), kwargs={"upper": True}, error=LinAlgError,
            mentions=("singular",))),
    row("linalg.inv", np.linalg.inv, s(A), s(B3), s(EMPTY), judged=True, bad=(NOT_SQUARE, VECTOR,
        Bad((BATCH,), error=LinAlgError, mentions=("singular", "number 1", "(2, 2, 2)")))),
    row("linalg.pinv", lambda a, hermitian=False: np.linalg.pinv(a), s(TALL), s(WIDE), s(A),
        s(normal(2, 3, 2)), bad=VECTOR),
    row("linalg.lstsq", lambda a, b: lstsq(a, b)[:2], s(TALL, normal(4, 3)), s(WIDE, normal(2, 1)),
        s(normal(2, 4, 2), normal(2, 4, 1)), judged=True,
        call=lambda a, b: tw.linalg.lstsq(a, b)[:2],
        bad=(Bad((TALL, normal(3, 1)), mentions=("4 rows", "(3, 1)")),
            Bad((normal(3), normal(3, 1)), mentions=("(3,)",)))),
    row("linalg.det", np.linalg.det, s(A), s(B3), bad=(NOT_SQUARE, VECTOR)),
    row("linalg.slogdet", lambda a: tuple(np.linalg.slogdet(a)), s(A), s(-A), s(B3),
        bad=NOT_SQUARE),
]

DECOMPOSITIONS = [
    row("linalg.cholesky", after(definite, lambda a, upper=False: np.linalg.cholesky(a,
        upper=upper)), s(A), s(B3), s(A, upper=True), call=after(definite, tw.linalg.cholesky),
        judged=True),
    row("linalg.qr", smooth_qr, s(TALL), s(WIDE), s(A, args=("complete",)), s(normal(2, 3, 2)),
        bad=(VECTOR, Bad((TALL,), ("full",), error=ConfigError, mentions=("full",)))),
    row("linalg.eigh", after(symmetric, lambda a, UPLO="L": tuple(np.linalg.eigh(a))), s(A), s(B3),
        s(A, UPLO="U"), call=after(symmetric, tw.linalg.eigh)),
    row("linalg.eigvalsh", after(symmetric, np.linalg.eigvalsh), s(A), s(B3),
        call=after(symmetric, tw.linalg.eigvalsh)),
    row("linalg.svd", smooth_svd, s(TALL), s(WIDE), s(A), s(TALL, full_matrices=False),
        s(normal(2, 3, 2), full_matrices=False), call=smooth_svd, bad=()),
    row("linalg.svdvals", lambda a: np.linalg.svd(a, compute_uv=False), s(TALL), s(WIDE), s(B3),
        bad=VECTOR),
]

OTHERS = [
    row("linalg.matrix_rank", lambda a, **how: np.linalg.matrix_rank(a, tol=how.get("atol")),
        s(TALL), s(SINGULAR), s(BATCH), s(np.diag([3.0, 1.0, 0.5]), atol=0.75), s(SINGULAR,
        hermitian=True), result=tw.int64, derivatives=0, bad=VECTOR),
    row("linalg.cond", lambda a, p=None: np.linalg.cond(a, p), s(A), s(B3), s(TALL), s(A, p=1),
        s(A, p=-2), s(A, p="fro"), s(A, p=INF), bad=VECTOR),
    row("linalg.matrix_power", np.linalg.matrix_power, s(A, args=(3,)), s(B3, args=(2,)),
        s(A, args=(-2,)), s(A, args=(1,)), bad=(Bad((normal(2, 3),), (2,)),
            Bad((A,), (1.5,), error=ConfigError, mentions=("1.5",)))),
    row("linalg.matrix_exp", exponential, s(A / 4), s(B3), s(EMPTY), s(np.zeros((2, 2))),
        bad=(NOT_SQUARE, VECTOR)),
    row("linalg.householder_product", reflections, s(TALL, positive(2)), s(TALL, positive(1)),
        s(normal(2, 4, 3), positive(2, 3)), bad=(Bad((WIDE, positive(2))),
            Bad((TALL, positive(3))), Bad((normal(3), positive(1)), mentions=("(3,)",)))),
    row("linalg.multi_dot", lambda *t: np.linalg.multi_dot(t), s(TALL, WIDE), s(TALL, WIDE, TALL),
        s(normal(4), TALL, WIDE, normal(4)), s(normal(3, 2), normal(2, 5), normal(5, 2), normal(2)),
        call=lambda *t: tw.linalg.multi_dot(t),
        bad=(Bad((TALL,), mentions=("1",)), Bad((TALL, TALL)),
            Bad((TALL, normal(2, 2, 2), TALL), mentions=("tensor 1", "(2, 2, 2)")))),
    row("linalg.cross", np.cross, s(normal(3), normal(3, seed=1)), s(normal(2, 3),
        normal(2, 3, seed=1)), s(normal(2, 3), normal(3)), kinds="i",
        bad=Bad((normal(2), normal(2)))),
    row("linalg.vecdot", lambda x, y, dim=-1: (x * y).sum(dim), s(normal(2, 3), normal(3)),
        s(normal(3, 2), normal(3, 2, seed=1), dim=0), kinds="i", result="sum"),
    row("linalg.vector_norm", lambda x, ord=2, dim=None, keepdim=False: np.linalg.vector_norm(x,
        ord=ord, axis=dim, keepdims=keepdim), s(TALL), s(TALL, ord=1), s(TALL, ord=INF, dim=0),
        s(TALL, ord=3, dim=1, keepdim=True), result="float", bad=Bad((TALL,), ("fro",),
            error=ConfigError, mentions=("fro",))),
    row("linalg.matrix_norm", lambda a, ord="fro", dim=(-2, -1), keepdim=False: np.linalg.norm(a,
        ord, axis=dim, keepdims=keepdim), s(TALL), *(s(TALL, ord=o) for o in ("nuc", 2, -2, 1, -1,
        INF, -INF)), s(normal(2, 3, 2), ord=2), s(normal(2, 3, 2), ord=1, dim=(0, 2), keepdim=True),
        bad=(Bad((normal(3),), mentions=("rank 1",)),
            Bad((TALL,), (3,), error=ConfigError, mentions=("3",)),
            Bad((TALL,), kwargs={"dim": (0, 0)}, mentions=("twice",)))),
    row("linalg.norm", lambda a, ord=None, dim=None, keepdim=False: np.linalg.norm(a, ord, axis=dim,
        keepdims=keepdim), s(TALL), s(TALL, ord=2), s(normal(3), ord=1), s(TALL, dim=0),
        s(TALL, ord="nuc"), s(normal(2, 3, 2), ord=1, dim=(1, 2)), s(TALL, ord=1, dim=1,
        keepdim=True), bad=(Bad((normal(2, 3, 2),), (2,)),
            Bad((normal(3),), ("fro",), error=ConfigError, mentions=("fro",)))),
]
# fmt: on

ROWS = [*PRIMITIVES, *SYSTEMS, *DECOMPOSITIONS, *OTHERS]
