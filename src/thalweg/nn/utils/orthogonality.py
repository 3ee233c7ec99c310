"""Weights with orthonormal columns, or rows, as a parametrization."""

from __future__ import annotations

import numpy as np

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked, one_of
from thalweg.nn.module import Module
from thalweg.nn.utils.measures import parameter_of
from thalweg.nn.utils.parametrize import is_parametrized, register_parametrization
from thalweg.ops.creation import eye, tensor
from thalweg.ops.joining import cat
from thalweg.ops.linalg import qr, solve
from thalweg.ops.matrix_functions import householder_product, matrix_exp
from thalweg.ops.random import randn
from thalweg.tape import no_grad

__all__ = ["orthogonal"]

_MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """A matrix with orthonormal columns, or rows where it is wide, of any matrix."""

    base: Tensor | None

    def __init__(self, shape: tuple[int, ...], kind: str, is_relative: bool) -> None:
        self.shape = shape
        self.kind = kind
        self.is_relative = is_relative
        if is_relative:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        """base Q(X), as a tall matrix; its transpose for a wide one."""
        is_wide = X.shape[-2] < X.shape[-1]
        tall = X.mT if is_wide else X
        Q = _reflected(tall) if self.kind == "householder" else _rotated(tall, self.kind)
        if self.is_relative:
            assert self.base is not None
            Q = self.base @ Q
        return Q.mT if is_wide else Q

    @no_grad()
    def right_inverse(self, Q: Tensor) -> Tensor:
        """What gives Q, made orthogonal: by `base`, where there is one, and minus the identity."""
        if tuple(Q.shape) != self.shape:
            raise ShapeError(f"orthogonal: shape {self.shape} expected, got {tuple(Q.shape)}")
        is_wide = Q.shape[-2] < Q.shape[-1]
        tall = Q.mT if is_wide else Q
        if not self.is_relative:
            if self.kind != "householder":
                raise ConfigError(
                    f"orthogonal: a weight cannot be set through {self.kind!r} with "
                    "use_trivialization=False; leave that True"
                )
            found = _reflectors(tall)
            return found.mT if is_wide else found
        n, k = tall.shape[-2:]
        whole = cat([tall, randn((*tall.shape[:-1], n - k), dtype=Q.dtype)], -1)
        self.base = whole.detach() if _is_orthogonal(whole) else _made_orthogonal(whole)
        return -eye(*Q.shape[-2:], dtype=Q.dtype).expand(Q.shape)


def _rotated(X: Tensor, kind: str) -> Tensor:
    """The first columns of e^A, or of the Cayley transform (1 - A/2)^-1 (1 + A/2), A = -A^T."""
    n, k = X.shape[-2:]
    X = X.tril()
    if n != k:
        X = cat([X, X.new_zeros((*X.shape[:-1], n - k))], -1)
    A = X - X.mT
    unit = eye(n, dtype=A.dtype)
    Q = matrix_exp(A) if kind == "matrix_exp" else solve(unit - A / 2, unit + A / 2)
    return Q[..., :k]


def _reflected(X: Tensor) -> Tensor:
    """The product of the reflections below the diagonal of X; the diagonal, 1 or -1, has signs."""
    A = X.tril(-1)
    Q = householder_product(A, 2 / (1 + (A * A).sum(-2)))
    return Q * X.detach().diagonal(0, -2, -1).sign().unsqueeze(-2)


def _reflectors(Q: Tensor) -> Tensor:
    """The matrix from which `_reflected` makes Q, or what is orthogonal of it."""
    packed, tau = np.linalg.qr(Q.detach().numpy(), mode="raw")
    A = np.array(np.swapaxes(packed, -1, -2))
    n = np.arange(A.shape[-1])
    signs = np.sign(A[..., n, n])
    A[..., n, n] = np.where(tau == 0, -signs, signs)  # LAPACK leaves out what reflects nothing
    return tensor(A, dtype=Q.dtype)


def _made_orthogonal(Q: Tensor) -> Tensor:
    """The Q of Q R, with signs such that the diagonal of R is positive."""
    found = qr(Q)
    return found.Q * found.R.diagonal(0, -2, -1).sign().unsqueeze(-2)


def _is_orthogonal(Q: Tensor) -> bool:
    n = Q.shape[-1]
    off = (Q.mT @ Q - eye(n, dtype=Q.dtype)).abs()
    eps = float(np.finfo(Q.dtype.numpy).eps)
    return bool((off <= 10 * n * eps).all())


@checked(orthogonal_map=one_of(*_MAPS))
def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Let the columns of module.weight be orthonormal, or its rows where it is wide.

        W^T W = 1   of (m, n) with m >= n, else   W W^T = 1

    `orthogonal_map` says how a matrix X becomes such a one: "matrix_exp", e^A of A = X - X^T (the
    default of square weights); "cayley", (1 - A/2)^-1 (1 + A/2); "householder", a product of
    reflections (the default of others). X is `parametrizations.weight.original`. With
    `use_trivialization` the result is multiplied by `parametrizations.weight.0.base`, the weight
    there was, made orthogonal. Gives the module; leading dimensions are a batch.

    Raises `ConfigError` if there is no such parameter or map, `ShapeError` if it is no matrix.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.parametrizations.orthogonal(tw.nn.Linear(2, 3))
    >>> tw.allclose(layer.weight.T @ layer.weight, tw.eye(2), atol=1e-6)
    True

    Source: Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", 2019.
    """
    if is_parametrized(module, name):
        weight = getattr(module, name)
    else:
        weight = parameter_of("orthogonal", module, name)
    if weight.ndim < 2:
        raise ShapeError(f"orthogonal: {name!r} has shape {tuple(weight.shape)}, matrices expected")
    kind = orthogonal_map or (
        "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    )
    shape = tuple(weight.shape)
    made = _Orthogonal(shape, kind, use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)
