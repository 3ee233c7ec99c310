"""Functions of matrices that are made of products: the exponential, and reflections as one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.errors import ShapeError
from thalweg.ops.linalg import as_matrix, as_square, float_pair, identity, solve_triangular

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["householder_product", "matrix_exp"]

_SQUARINGS = 16  # e^A for norms up to 2^16
_BLOCK = 4  # powers of A that the series is summed by
_DEGREE = 5 * _BLOCK - 1  # 1/20! is below the last digit of float64


def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices (..., n, n): the sum of A^k / k!, of the same shape.

    By scaling and squaring: e^A = (e^(A / 2^s))^(2^s), where s brings the 1-norm of A / 2^s to 1
    or below, and the series ends with its 19th power. How large s is stands in a tensor, so that
    one compiled program serves all matrices: each squaring is computed, and taken where it counts.
    A matrix of a norm above 2^16 gives NaN.

    Raises `ShapeError` unless the matrices are square.

    >>> import thalweg as tw
    >>> tw.linalg.matrix_exp(tw.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])

    Source: Moler, van Loan, "Nineteen dubious ways to compute the exponential of a matrix", 2003.
    """
    A = as_square("matrix_exp", A)
    if not A.numel():
        return A
    norm = A.detach().abs().sum(-2).amax(-1).reshape((*A._value.shape[:-2], 1, 1))
    steps = (norm.clamp(min=1.0).log() / math.log(2)).ceil()
    out = _series(A * (-steps * math.log(2)).exp())
    for k in range(_SQUARINGS):
        out = (out @ out).where(steps > k, out)
    return out.where(steps <= _SQUARINGS, math.nan)


def _series(A: Tensor) -> Tensor:
    """The series to its 19th power by powers of A^4: seven products. Paterson, Stockmeyer, 1973."""
    powers = [identity(A).expand(A._value.shape), A]
    while len(powers) <= _BLOCK:
        powers.append(powers[-1] @ A)
    total: Tensor | None = None
    for start in range(_DEGREE + 1 - _BLOCK, -1, -_BLOCK):
        part = sum(
            (powers[k] / math.factorial(start + k) for k in range(1, _BLOCK)),
            powers[0] / math.factorial(start),
        )
        total = part if total is None else total @ powers[_BLOCK] + part
    assert total is not None
    return total


def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of a product of reflections H_1 H_2 ... H_k: (..., m, n), m >= n.

        H_i = 1 - tau_i v_i v_i^T

    v_i is column i of `input` (..., m, n) below its diagonal, with a 1 on it; `tau` is (..., k),
    k <= n. By the triangular matrix T of 1 - V T V^T, so that there is no loop over columns.

    Raises `ShapeError` where m < n, k > n, or the leading dimensions differ.

    >>> import thalweg as tw
    >>> tw.linalg.householder_product(tw.tensor([[9.0], [1.0]]), tw.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])

    Source: Joffrain et al., "Accumulating Householder transformations, revisited", 2006.
    """
    V, tau = float_pair(as_matrix("householder_product", input), tau)
    (m, n), k = V._value.shape[-2:], (tau._value.shape or (0,))[-1]
    if m < n or k > n or tau._value.shape[:-1] != V._value.shape[:-2]:
        raise ShapeError(
            f"linalg.householder_product: input (..., m, n) with m >= n and tau (..., k) with "
            f"k <= n expected, got shapes {V._value.shape} and {tau._value.shape}"
        )
    columns = identity(V.new_zeros((m, m)))[:, :n]
    if not k:
        return columns.expand(V._value.shape)
    V = V.narrow(-1, 0, k).tril(-1) + columns[:, :k]
    used = tau != 0  # elsewhere the reflection is the identity
    V = V * used.unsqueeze(-2)
    turned = (V.mT @ V).triu(1) + tau.where(used, 1).reciprocal().diag_embed()
    return columns - V @ solve_triangular(turned, V.mT @ columns, upper=True)
