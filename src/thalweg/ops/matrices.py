"""Linear algebra that follows from decompositions and products: least squares, rank, powers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg import dtypes
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.lift import promote
from thalweg.ops.linalg import (
    as_matrix,
    as_square,
    eigvalsh,
    float_pair,
    identity,
    inv,
    svd,
    svdvals,
)
from thalweg.ops.norms import matrix_norm
from thalweg.primitives.core import normalize_axis
from thalweg.tape import composite

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Lstsq",
    "cond",
    "cross",
    "lstsq",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "pinv",
]


class Lstsq(NamedTuple):
    """A least-squares solution and what it says about the matrix."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def pinv(
    A: Tensor, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False
) -> Tensor:
    """The pseudo-inverse (..., n, m) of matrices (..., m, n): V diag(1/S) U^T.

    Singular values of at most max(atol, rtol * the largest) count as 0; `rtol` is max(m, n) times
    the dtype's epsilon where neither is given. With `hermitian` the lower triangle alone is read.
    The derivative holds where the rank stays the same.

    >>> import thalweg as tw
    >>> tw.linalg.pinv(tw.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.0000]])

    Source: deck 001, "Calculating zeroes of the gradient".
    """
    A = as_matrix("pinv", A)
    if hermitian:
        A = as_square("pinv", A)
        A = A.tril() + A.tril(-1).mT
    return _pinv(A, atol=atol, rtol=rtol)


def _pinv_vjp(g: Any, out: Any, a: Any, **tolerances: Any) -> Any:
    """-P^T g P^T + (1 - A P) g^T P P^T + P^T P g^T (1 - P A): Golub and Pereyra, 1973."""
    turned, back = g.mT, out.mT
    found = -(back @ g @ back)
    found = found + (turned - a @ (out @ turned)) @ (out @ back)
    return found + (back @ out) @ (turned - (turned @ out) @ a)


@composite("pinv", _pinv_vjp)
def _pinv(A: Tensor, *, atol: float | None, rtol: float | None) -> Tensor:
    u, s, vh = svd(A, full_matrices=False)
    kept = s > _tolerance(A, s, atol, rtol)
    inverse = s.masked_fill(~kept, 1).reciprocal() * kept
    return (vh.mT * inverse.unsqueeze(-2)) @ u.mT


def _tolerance(A: Tensor, s: Tensor, atol: float | None, rtol: float | None) -> Tensor:
    """What a singular value must exceed to count, for each matrix: (..., 1)."""
    m, n = A._value.shape[-2:]
    if rtol is None:
        rtol = max(m, n) * dtypes.finfo(A.dtype).eps if atol is None or atol <= 0 else 0.0
    if not s._value.shape[-1]:
        return s.new_zeros((*s._value.shape[:-1], 1))
    return (s.amax(-1, keepdim=True) * rtol).maximum(atol or 0.0)


def matrix_rank(
    A: Tensor, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False
) -> Tensor:
    """How many singular values exceed max(atol, rtol * the largest): (...,), int64.

    `rtol` is max(m, n) times the dtype's epsilon where neither is given. With `hermitian` the
    absolute eigenvalues take the singular values' place, and the lower triangle is read.

    >>> import thalweg as tw
    >>> tw.linalg.matrix_rank(tw.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    A = as_matrix("matrix_rank", A).detach()
    s = eigvalsh(A).abs() if hermitian else svdvals(A)
    return (s > _tolerance(A, s, atol, rtol)).sum(-1)


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Lstsq:
    """The X of smallest norm among those that minimize ||A X - B||, by the pseudo-inverse.

    A (..., m, n), B (..., m, k), or (..., m) for a vector a matrix. Gives the solution,
    (..., n, k); the residuals, sum (A X - B)^2 over the rows, (..., k), empty unless m > n; the
    rank of A and its singular values. `rcond`: singular values of at most rcond times the largest
    count as 0.
    There is one `driver`, "gelsd" (the singular value decomposition), which takes any rank.

    >>> import thalweg as tw
    >>> A = tw.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> tw.linalg.lstsq(A, tw.tensor([[1.0], [3.0], [5.0]])).solution.round(decimals=4)
    tensor([[2.],
            [1.]])

    Source: deck 001, "Fitting an affine model via least squares".
    """
    A, B = float_pair(A, B)
    A = as_matrix("lstsq", A)
    if driver not in (None, "gelsd"):
        raise ConfigError(f'linalg.lstsq: driver is "gelsd" or None, got {driver!r}')
    if len(B._value.shape) == len(A._value.shape) - 1:
        found = lstsq(A, B.unsqueeze(-1), rcond)
        residuals = found.residuals.squeeze(-1) if found.residuals.ndim > 1 else found.residuals
        return found._replace(solution=found.solution.squeeze(-1), residuals=residuals)
    m, n = A._value.shape[-2:]
    if len(B._value.shape) < 2 or B._value.shape[-2] != m:
        raise ShapeError(
            f"linalg.lstsq: A of shape {A._value.shape} asks for B of {m} rows, got shape "
            f"{B._value.shape}"
        )
    solution = pinv(A, rtol=rcond) @ B
    residuals = (A @ solution - B).square().sum(-2) if m > n else A.new_zeros(0)
    return Lstsq(solution, residuals, matrix_rank(A, rtol=rcond), svdvals(A))


def cond(A: Tensor, p: float | str | None = None) -> Tensor:
    """The condition number ||A|| ||A^-1|| in the matrix norm `p`, for each matrix: (...,).

    None or 2: the largest singular value over the smallest, of any matrix; -2 their inverse ratio.
    Other norms ("fro", "nuc", inf, -inf, 1, -1) ask for an invertible one.

    >>> import thalweg as tw
    >>> tw.linalg.cond(tw.tensor([[3.0, 0.0], [0.0, 0.5]]))
    tensor(6.)
    """
    A = as_matrix("cond", A)
    if p in (None, 2, -2):
        s = svdvals(A)
        largest, smallest = s.select(-1, 0), s.select(-1, -1)
        return smallest / largest if p == -2 else largest / smallest
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A multiplied by itself n times; the inverse's power for n < 0, the identity for 0.

    >>> import thalweg as tw
    >>> tw.linalg.matrix_power(tw.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    A = as_square("matrix_power", A)
    if type(n) is not int:
        raise ConfigError(f"linalg.matrix_power: a whole number expected, got {n!r}")
    if n < 0:
        return matrix_power(inv(A), -n)
    result = None
    while n:
        if n % 2:
            result = A if result is None else result @ A
        n //= 2
        if n:
            A = A @ A
    return identity(A).expand(A._value.shape) if result is None else result


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two matrices or more, in the order that needs the fewest multiplications.

    The first and the last may be vectors, which drop out of the result's shape.

    >>> import thalweg as tw
    >>> tw.linalg.multi_dot([tw.ones(2, 3), tw.ones(3, 4), tw.ones(4)])
    tensor([12., 12.])
    """
    if len(tensors) < 2:
        raise ShapeError(f"linalg.multi_dot: two tensors or more expected, got {len(tensors)}")
    first, *middle, last = tensors
    matrices = [first.unsqueeze(0) if first.ndim == 1 else first, *middle]
    matrices.append(last.unsqueeze(1) if last.ndim == 1 else last)
    for place, x in enumerate(matrices):
        if x.ndim != 2:
            raise ShapeError(
                f"linalg.multi_dot: matrices expected, and vectors at the ends; tensor {place} "
                f"has shape {tuple(tensors[place].shape)}"
            )
    for place, (a, b) in enumerate(pairwise(matrices)):
        if a.shape[1] != b.shape[0]:
            raise ShapeError(
                f"linalg.multi_dot: tensors {place} and {place + 1}, of shapes "
                f"{tuple(a.shape)} and {tuple(b.shape)}, do not fit in a product"
            )
    out = _product(matrices)
    out = out.squeeze(0) if first.ndim == 1 else out
    return out.squeeze(-1) if last.ndim == 1 else out


def _product(matrices: Sequence[Tensor]) -> Tensor:
    """The chain in its cheapest order, by dynamic programming over its stretches."""
    count = len(matrices)
    sizes = [x.shape[0] for x in matrices] + [matrices[-1].shape[1]]
    cost = {(i, i + 1): (0, i) for i in range(count)}
    for width in range(2, count + 1):
        for i in range(count - width + 1):
            j = i + width
            cost[i, j] = min(
                (cost[i, k][0] + cost[k, j][0] + sizes[i] * sizes[k] * sizes[j], k)
                for k in range(i + 1, j)
            )

    def product(i: int, j: int) -> Tensor:
        k = cost[i, j][1]
        return matrices[i] if j == i + 1 else product(i, k) @ product(k, j)

    return product(0, count)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of size 3 along `dim`; the other dimensions broadcast.

    >>> import thalweg as tw
    >>> tw.linalg.cross(tw.tensor([1.0, 0.0, 0.0]), tw.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    a, b = promote(input, other)
    for x in (a, b):
        axis = normalize_axis("linalg.cross", dim, len(x._value.shape))
        if x._value.shape[axis] != 3:
            raise ShapeError(
                f"linalg.cross: size 3 expected along dimension {dim}, got shapes "
                f"{a._value.shape} and {b._value.shape}"
            )
    a1, a2, b1, b2 = a.roll(-1, dim), a.roll(-2, dim), b.roll(-1, dim), b.roll(-2, dim)
    return a1 * b2 - a2 * b1
