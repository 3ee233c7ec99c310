"""Linear algebra under PyTorch's names: `tw.linalg.solve(A, B)`."""

from thalweg.errors import LinAlgError
from thalweg.ops.linalg import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    inv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svd,
    svdvals,
)
from thalweg.ops.matrices import (
    cond,
    cross,
    lstsq,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
)
from thalweg.ops.matrix_functions import (
    householder_product,
    matrix_exp,
)
from thalweg.ops.norms import (
    matrix_norm,
    norm,
    vecdot,
    vector_norm,
)

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "eigh",
    "eigvalsh",
    "householder_product",
    "inv",
    "lstsq",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]
