"""Products that add, products of every pair, and the matrix functions under their first names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import ShapeError
from thalweg.ops import linalg, matrices, matrix_functions
from thalweg.ops.joining import cat
from thalweg.ops.lift import promote
from thalweg.primitives.core import normalize_axis
from thalweg.tape import TensorBase, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Algebra", "block_diag"]


class Algebra:
    """Tensor's rarer products."""

    __slots__ = ()

    def baddbmm(
        self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
    ) -> Tensor:
        """beta * self + alpha * (batch1 @ batch2), of (b, n, k) and (b, k, m); self broadcasts."""
        return _added(self, batch1.bmm(batch2), beta, alpha)

    def addbmm(
        self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
    ) -> Tensor:
        """beta * self + alpha * the sum of the products of a batch, (b, n, k) and (b, k, m)."""
        return _added(self, batch1.contract(batch2, "bnk,bkm->nm"), beta, alpha)

    def addmv(
        self: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1
    ) -> Tensor:
        """beta * self + alpha * (mat @ vec), of (n, k) and (k,)."""
        return _added(self, mat.mv(vec), beta, alpha)

    def addr(
        self: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1
    ) -> Tensor:
        """beta * self + alpha * the outer product of (n,) and (m,)."""
        return _added(self, vec1.outer(vec2), beta, alpha)

    def vdot(self: Tensor, other: Tensor) -> Tensor:
        """The inner product of two vectors (k,); `dot`, for numbers that are real."""
        return self.dot(other)

    def ger(self: Tensor, vec2: Tensor) -> Tensor:
        """`outer` under its first name."""
        return self.outer(vec2)

    def kron(self: Tensor, other: Tensor) -> Tensor:
        """The Kronecker product: every element of self times all of `other`, in its place.

        Shapes (a, b, ...), (c, d, ...) -> (a c, b d, ...); the shorter shape gets ones in front.

        >>> import thalweg as tw
        >>> tw.tensor([1, 10]).kron(tw.tensor([[1, 2], [3, 4]]))
        tensor([[ 1,  2, 10, 20],
                [ 3,  4, 30, 40]])
        """
        _check_tensor("kron", other)
        rank = max(self.ndim, other.ndim)
        ours, theirs = ((1,) * (rank - x.ndim) + tuple(x._value.shape) for x in (self, other))
        left = self.reshape(tuple(n for size in ours for n in (size, 1)))
        right = other.reshape(tuple(n for size in theirs for n in (1, size)))
        return (left * right).reshape(tuple(n * m for n, m in zip(ours, theirs, strict=True)))

    def cross(self: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
        """The cross product of vectors of size 3 along `dim`: the first of size 3 if no dim.

        `linalg.cross` takes the last one instead.
        """
        _check_tensor("cross", other)
        if dim is None:
            sizes = list(self._value.shape)
            if 3 not in sizes:
                raise ShapeError(f"cross: no dimension of size 3 in shape {tuple(sizes)}")
            dim = sizes.index(3)
        return matrices.cross(self, other, dim=normalize_axis("cross", dim, self.ndim))

    def det(self: Tensor) -> Tensor:
        """`linalg.det`."""
        return linalg.det(self)

    def slogdet(self: Tensor) -> linalg.SlogDet:
        """`linalg.slogdet`."""
        return linalg.slogdet(self)

    def logdet(self: Tensor) -> Tensor:
        """The logarithm of the determinant of matrices (..., n, n): NaN where that is negative.

        >>> import thalweg as tw
        >>> tw.tensor([[1.0, 0.0], [0.0, 2.0]]).logdet()
        tensor(0.6931)
        """
        sign, log = linalg.slogdet(self)
        return log.where(sign >= 0, float("nan"))

    def inverse(self: Tensor) -> Tensor:
        """`linalg.inv`."""
        return linalg.inv(self)

    def pinverse(self: Tensor, rcond: float = 1e-15) -> Tensor:
        """`linalg.pinv` with rtol=rcond."""
        return matrices.pinv(self, rtol=rcond)

    def matrix_power(self: Tensor, n: int) -> Tensor:
        """`linalg.matrix_power`."""
        return matrices.matrix_power(self, n)

    def matrix_exp(self: Tensor) -> Tensor:
        """`linalg.matrix_exp`."""
        return matrix_functions.matrix_exp(self)


def _check_tensor(name: str, x: object) -> None:
    if not isinstance(x, TensorBase):
        raise not_a_tensor(name, x)


def _added(x: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    scaled = x if beta == 1 else x * beta
    out = scaled.add(product, alpha=alpha)
    if out._value.shape != product._value.shape:
        raise ShapeError(
            f"a tensor of shape {x._value.shape} does not broadcast to a product of shape "
            f"{product._value.shape}"
        )
    return out


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrix with these on its diagonal, one after the other, and 0 elsewhere.

    Matrices, vectors as rows, numbers as (1, 1).

    >>> import thalweg as tw
    >>> tw.block_diag(tw.tensor([[1, 2]]), tw.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """

    if not tensors or not all(isinstance(x, TensorBase) for x in tensors):
        raise not_a_tensor("block_diag", *(tensors or (None,)))
    for x in tensors:
        if x.ndim > 2:
            raise ShapeError(f"block_diag: matrices expected, got shape {x._value.shape}")
    blocks = [x.reshape((1,) * (2 - x.ndim) + tuple(x._value.shape)) for x in promote(*tensors)]
    width, start, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        size = x.shape[1]
        rows.append(x.padded((0, start), (0, width - start - size)))
        start += size
    return cat(rows)
