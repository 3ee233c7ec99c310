"""Linear algebra on small dense matrices: systems and decompositions.

A matrix is the last two dimensions; leading ones are a batch. Whole numbers are taken in the
default dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.lift import floating, promote
from thalweg.primitives import linalg as p
from thalweg.primitives.core import broadcast_shapes
from thalweg.tape import bind, composite

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Eigh",
    "Linalg",
    "QR",
    "SVD",
    "SlogDet",
    "as_matrix",
    "as_square",
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "float_pair",
    "identity",
    "inv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
]


class Linalg:
    """Tensor's linear system: what the derivatives of the others are written with."""

    __slots__ = ()

    def solve_linear(self: Tensor, other: Tensor) -> Tensor:
        """X of self X = other, for self of shape (..., n, n) and other of (..., n, k)."""
        return bind(p.solve, *promote(self, other))

    def cofactors(self: Tensor) -> Tensor:
        """The cofactors of square matrices (..., n, n): the derivative of the determinant.

        det(A) A^-T, and of singular matrices the limit of it. By the singular values: det(U V^T) U
        diag(s') V^T, where s'_i is the product of all s but s_i. A derivative of its own asks for
        regular matrices.
        """
        return _cofactors(as_square("cofactors", self))


class Eigh(NamedTuple):
    """Eigenvalues in ascending order, (..., n), and eigenvectors as columns, (..., n, n)."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QR(NamedTuple):
    """Orthonormal columns Q and the upper triangle R."""

    Q: Tensor
    R: Tensor


class SVD(NamedTuple):
    """Left singular vectors U as columns, singular values S, right ones Vh as rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class SlogDet(NamedTuple):
    """The sign and the logarithm of the absolute value of a determinant."""

    sign: Tensor
    logabsdet: Tensor


def _cofactors_vjp(g: Any, out: Any, a: Any) -> Any:
    """<g, W> C - C g^T W, with the cofactors C and W = A^-T."""
    turned = a.mT.solve_linear(identity(a).expand(a._value.shape))
    return (g * turned).sum((-2, -1), keepdim=True) * out - out @ g.mT @ turned


@composite("cofactors", _cofactors_vjp)
def _cofactors(A: Tensor) -> Tensor:
    u, s, vh = svd(A, full_matrices=False)
    n = A._value.shape[-1]
    others = s.unsqueeze(-2).expand((*s._value.shape, n)).masked_fill(identity(A) == 1, 1).prod(-1)
    sign = slogdet(u @ vh).sign
    return (u * (others * sign.unsqueeze(-1)).unsqueeze(-2)) @ vh


# --- systems ---------------------------------------------------------------------------------


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B; with `left=False`, of X A = B.

    A (..., n, n), B (..., n, k), or (..., n) for one vector a matrix; leading dimensions broadcast.
    Raises `LinAlgError` where A is singular, with its place in the batch; `ShapeError` for shapes
    that do not fit.

    >>> import thalweg as tw
    >>> tw.linalg.solve(tw.tensor([[2.0, 0.0], [0.0, 4.0]]), tw.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    A, B = float_pair(A, B)
    is_vector = len(B._value.shape) == 1 or (
        len(B._value.shape) == len(A._value.shape) - 1 and B._value.shape == A._value.shape[:-1]
    )
    if not left:
        if is_vector:
            raise ShapeError(
                f"linalg.solve: with left=False, B is a matrix (..., k, n); got {B._value.shape}"
            )
        return solve(A.mT, B.mT).mT
    if is_vector:
        return solve(A, B.unsqueeze(-1)).squeeze(-1)
    if len(B._value.shape) < 2 or len(A._value.shape) < 2:
        raise ShapeError(
            f"linalg.solve: A (..., n, n) and B (..., n, k) or (..., n) expected, got shapes "
            f"{A._value.shape} and {B._value.shape}"
        )
    return A.solve_linear(B) if _same_batch(A, B) else _broadcast_solve(A, B)


def _same_batch(A: Tensor, B: Tensor) -> bool:
    return bool(A._value.shape[:-2] == B._value.shape[:-2])


def _broadcast_solve(A: Tensor, B: Tensor) -> Tensor:
    lead = broadcast_shapes("linalg.solve", A._value.shape[:-2], B._value.shape[:-2])
    return A.expand((*lead, *A._value.shape[-2:])).solve_linear(
        B.expand((*lead, *B._value.shape[-2:]))
    )


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X of A X = B for a triangular A, of which the other triangle is not read.

    With `unitriangular` the diagonal is taken to be 1. LAPACK solves it as a general system.
    Raises `LinAlgError` where the diagonal has a 0.

    >>> import thalweg as tw
    >>> A = tw.tensor([[1.0, 9.0], [1.0, 2.0]])
    >>> tw.linalg.solve_triangular(A, tw.tensor([[1.0], [3.0]]), upper=False)
    tensor([[1.],
            [1.]])
    """
    A, B = float_pair(A, B)
    triangle = A.triu(int(unitriangular)) if upper else A.tril(-int(unitriangular))
    if unitriangular:
        triangle = triangle + identity(A)
    return solve(triangle, B, left=left)


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices (..., n, n). To solve a system, `solve` is more accurate.

    Raises `LinAlgError` where A is singular.

    >>> import thalweg as tw
    >>> tw.linalg.inv(tw.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    A = as_square("inv", A)
    return A.solve_linear(identity(A).expand(A._value.shape))


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices (..., n, n) -> (...,).

    Its derivative is A's cofactors; where A is singular, the second one raises `LinAlgError`.

    >>> import thalweg as tw
    >>> tw.linalg.det(tw.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return bind(p.det, floating(A))


def slogdet(A: Tensor) -> SlogDet:
    """The sign and the logarithm of |det A|, which does not overflow: 0 and -inf if singular.

    >>> import thalweg as tw
    >>> sign, logabsdet = tw.linalg.slogdet(1e30 * tw.eye(3))
    >>> sign, logabsdet
    (tensor(1.), tensor(207.2327))
    """
    both = bind(p.slogdet, floating(A))
    return SlogDet(both.select(-1, 0), both.select(-1, 1))


# --- decompositions --------------------------------------------------------------------------


def cholesky(L: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangle L with L L^T = A, or with `upper` the upper one, U^T U = A.

    A (..., n, n) symmetric and positive definite; its lower triangle is read. Raises `LinAlgError`
    where it is not positive definite.

    >>> import thalweg as tw
    >>> tw.linalg.cholesky(tw.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    root = bind(p.cholesky, floating(L))
    return root.mT if upper else root


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """A = Q R with orthonormal columns in Q and an upper triangle R, for A (..., m, n).

    "reduced": Q (..., m, k) and R (..., k, n), k = min(m, n); "complete": Q (..., m, m); "r": R
    alone, Q empty. The signs are LAPACK's. Differentiable where the first k columns of A are
    independent, "complete" only for m <= n.

    >>> import thalweg as tw
    >>> Q, R = tw.linalg.qr(tw.tensor([[3.0], [4.0]]))
    >>> (Q @ R).round(decimals=4)
    tensor([[3.],
            [4.]])
    """
    A = as_matrix("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise ConfigError(f'linalg.qr: mode is "reduced", "complete" or "r", got {mode!r}')
    is_complete = mode == "complete"
    m, n = A._value.shape[-2:]
    shapes = p.shapes_of_qr(m, n, is_complete)
    q, r = p.factors(bind(p.qr, A, complete=is_complete), *shapes)
    return QR(A.new_zeros(0) if mode == "r" else q, r)


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """The eigenvalues, in ascending order, and eigenvectors of symmetric matrices (..., n, n).

    `UPLO` says which triangle is read: "L" or "U". A vector's sign is LAPACK's. Where two
    eigenvalues are equal the vectors have no derivative: infinity or NaN, unless nothing depends
    on them. The cotangent of A is symmetric.

    >>> import thalweg as tw
    >>> tw.linalg.eigh(tw.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    A = as_square("eigh", A)
    if UPLO not in ("L", "U"):
        raise ConfigError(f'linalg.eigh: UPLO is "L" or "U", got {UPLO!r}')
    packed = bind(p.eigh, A.mT if UPLO == "U" else A)
    return Eigh(*p.factors(packed, *p.shapes_of_eigh(A._value.shape[-1])))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, in ascending order; see `eigh`."""
    return eigh(A, UPLO).eigenvalues


def svd(A: Tensor, full_matrices: bool = True) -> SVD:
    """A = U diag(S) Vh, with orthonormal columns in U, rows in Vh, and S falling, for (..., m, n).

    With `full_matrices` U is (m, m) and Vh (n, n), else (m, k) and (k, n), k = min(m, n). Vectors
    beyond the k singular values count for no derivative. Where two singular values are equal the
    vectors have none: infinity or NaN, unless nothing depends on them.

    >>> import thalweg as tw
    >>> tw.linalg.svd(tw.tensor([[0.0, 2.0], [3.0, 0.0]])).S
    tensor([3., 2.])
    """
    A = as_matrix("svd", A)
    packed = bind(p.svd, A, full=full_matrices)
    m, n = A._value.shape[-2:]
    return SVD(*p.factors(packed, *p.shapes_of_svd(m, n, full_matrices)))


def svdvals(A: Tensor) -> Tensor:
    """The singular values of matrices (..., m, n), falling: (..., min(m, n))."""
    return svd(A, full_matrices=False).S


# --- operands --------------------------------------------------------------------------------


def float_pair(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands in one floating dtype."""
    a, b = promote(floating(A), floating(B))
    return a, b


def as_matrix(name: str, A: Tensor) -> Tensor:
    """Matrices in a floating dtype, for linalg.`name`."""
    A = floating(A)
    if len(A._value.shape) < 2:
        raise ShapeError(
            f"linalg.{name}: matrices expected, (..., m, n), got shape {A._value.shape}"
        )
    return A


def as_square(name: str, A: Tensor) -> Tensor:
    """Square matrices in a floating dtype, for linalg.`name`."""
    A = as_matrix(name, A)
    if A._value.shape[-1] != A._value.shape[-2]:
        raise ShapeError(
            f"linalg.{name}: square matrices expected, (..., n, n), got shape {A._value.shape}"
        )
    return A


def identity(A: Tensor) -> Tensor:
    """The (n, n) identity in the dtype of A."""
    return A.new_ones(A._value.shape[-1]).diag()
