"""Norms of vectors and matrices, under the names of `torch.linalg`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.lift import Dims, axes_of, floating
from thalweg.ops.linalg import svdvals
from thalweg.primitives.core import normalize_axis

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["matrix_norm", "norm", "vecdot", "vector_norm"]


def vector_norm(x: Tensor, ord: Any = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim`, or over all elements; see `Tensor.norm`.

    >>> import thalweg as tw
    >>> tw.linalg.vector_norm(tw.tensor([3.0, -4.0])), tw.linalg.vector_norm(tw.ones(3), 0)
    (tensor(5.), tensor(3.))
    """
    if isinstance(ord, str):
        raise ConfigError(f"linalg.vector_norm: ord is a number, got {ord!r}")
    return floating(x).norm(ord, dim, keepdim)


def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
) -> Tensor:
    """A norm of the matrices that the two dimensions `dim` hold.

    "fro": root of the sum of squares; "nuc": sum of the singular values; 2 and -2: the largest and
    the smallest of them; 1 and -1: the largest and the smallest column sum of |A|; inf and -inf:
    row sum.

    >>> import thalweg as tw
    >>> A = tw.tensor([[1.0, -2.0], [3.0, 4.0]])
    >>> tw.linalg.matrix_norm(A, 1), tw.linalg.matrix_norm(A, tw.inf)
    (tensor(6.), tensor(7.))
    """
    A = floating(A)
    rank = len(A._value.shape)
    if isinstance(dim, int) or len(dim) != 2:
        raise ShapeError(f"linalg.matrix_norm: dim is two dimensions, got {dim!r}")
    rows, columns = (normalize_axis("linalg.matrix_norm", d, rank) for d in dim)
    axes_of("linalg.matrix_norm", (rows, columns), rank)  # refuses one dimension twice
    out = _of_matrices(A.movedim((rows, columns), (-2, -1)), ord)
    if keepdim:
        for axis in sorted((rows, columns)):
            out = out.unsqueeze(axis)
    return out


def _of_matrices(A: Tensor, ord: Any) -> Tensor:
    if ord == "fro":
        return A.norm(2, (-2, -1))
    if ord == "nuc":
        return svdvals(A).sum(-1)
    if ord in (2, -2):
        s = svdvals(A)
        return s.amax(-1) if ord == 2 else s.amin(-1)
    if ord in (1, -1, math.inf, -math.inf):
        sums = A.abs().sum(-2 if abs(ord) == 1 else -1)
        return sums.amax(-1) if ord > 0 else sums.amin(-1)
    raise ConfigError(
        f'linalg.matrix_norm: ord is "fro", "nuc", 1, -1, 2, -2, inf or -inf, got {ord!r}'
    )


def norm(
    A: Tensor, ord: float | str | None = None, dim: Any = None, keepdim: bool = False
) -> Tensor:
    """A vector norm, or, of two dimensions and with `ord`, a matrix norm.

    `dim` an int: of vectors along it; two: of matrices; None: of all elements as one vector,
    unless `ord` is given: then A is a vector or a matrix. Without `ord` it is the 2-norm of the
    elements.

    >>> import thalweg as tw
    >>> A = tw.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> tw.linalg.norm(A), tw.linalg.norm(A, 2), tw.linalg.norm(A, dim=0)
    (tensor(5.), tensor(4.), tensor([3., 4.]))
    """
    A = floating(A)
    if ord is None:
        return A.norm(2, dim, keepdim)
    rank = len(A._value.shape)
    if dim is None:
        if rank not in (1, 2):
            raise ShapeError(
                f"linalg.norm: with ord={ord!r} and no dim, a vector or a matrix is expected, got "
                f"shape {A._value.shape}"
            )
        dim = 0 if rank == 1 else (0, 1)
    if not isinstance(dim, int) and len(dim) == 2:
        return matrix_norm(A, ord, tuple(dim), keepdim)
    if isinstance(ord, str):
        raise ConfigError(f"linalg.norm: of vectors ord is a number, got {ord!r}")
    return A.norm(ord, dim, keepdim)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of vectors along `dim`; the other dimensions broadcast.

    >>> import thalweg as tw
    >>> tw.linalg.vecdot(tw.ones(2, 3), tw.tensor([1.0, 2.0, 3.0]))
    tensor([6., 6.])
    """
    return (x * y).sum(dim)
