"""Small dense linear algebra, evaluated by LAPACK through NumPy, batched over leading axes.

A primitive has one result. A decomposition has several, so its factors stand in one vector, one
after the other in row-major order, and the callers take them apart (`factors`). A matrix is the
last two axes.

`cholesky` and `eigh` read the lower triangle. Their cotangent is symmetric: the derivative along
symmetric matrices, which is what the operand is meant to be.

Eigenvectors and singular vectors are smooth where the values are apart. Where two are equal the
vectors are any basis of their space, and what depends on that choice has no derivative: infinity
or NaN. What depends on the values alone has one there too. Signs are LAPACK's.

Sources of the rules: Giles, "An extended collection of matrix derivative results for forward and
reverse mode algorithmic differentiation" (2008); Murray, "Differentiation of the Cholesky
decomposition" (2016); Townsend, "Differentiating the singular value decomposition" (2016);
Roberts and Roberts, "QR and LQ decomposition matrix backpropagation algorithms" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from thalweg.errors import GradientError, LinAlgError, ShapeError
from thalweg.primitives.core import Abstract, Shape, check_kind, primitive, same_dtype

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "factors",
    "qr",
    "shapes_of_eigh",
    "shapes_of_qr",
    "shapes_of_svd",
    "slogdet",
    "solve",
    "svd",
]

Result = tuple[Shape, np.dtype[Any]]


# --- shapes ----------------------------------------------------------------------------------


def _matrix(name: str, x: Abstract) -> Shape:
    """The shape of matrices, or an error."""
    check_kind(f"linalg.{name}", x.dtype, "f")
    if len(x.shape) < 2:
        raise ShapeError(f"linalg.{name}: matrices expected, (..., m, n), got shape {x.shape}")
    return x.shape


def _square(name: str, x: Abstract) -> Shape:
    shape = _matrix(name, x)
    if shape[-1] != shape[-2]:
        raise ShapeError(f"linalg.{name}: square matrices expected, (..., n, n), got shape {shape}")
    return shape


def shapes_of_eigh(n: int) -> tuple[Shape, ...]:
    """The shapes of the eigenvalues and the eigenvectors of an (n, n) matrix."""
    return (n,), (n, n)


def shapes_of_qr(m: int, n: int, complete: bool) -> tuple[Shape, ...]:
    """The shapes of Q and R of an (m, n) matrix.

    >>> shapes_of_qr(5, 2, complete=False)
    ((5, 2), (2, 2))
    """
    k = m if complete else min(m, n)
    return (m, k), (k, n)


def shapes_of_svd(m: int, n: int, full: bool) -> tuple[Shape, ...]:
    """The shapes of U, S and V^T of an (m, n) matrix.

    >>> shapes_of_svd(5, 2, full=False)
    ((5, 2), (2,), (2, 2))
    """
    k = min(m, n)
    return (m, m if full else k), (k,), (n if full else k, n)


def factors(x: Any, *shapes: Shape) -> tuple[Any, ...]:
    """The parts of a packed tensor (..., total): tensors (..., *shape), for each of `shapes`."""
    lead, found, start = x._value.shape[:-1], [], 0
    for shape in shapes:
        size = math.prod(shape)
        found.append(x.narrow(-1, start, size).reshape((*lead, *shape)))
        start += size
    return tuple(found)


def _packed(lead: Shape, parts: Any) -> Any:
    flat = [x.reshape((*lead, math.prod(x.shape[len(lead) :]))) for x in parts]
    return np.concatenate(flat, axis=-1)


def _solve_infer(a: Abstract, b: Abstract) -> Result:
    shape = _square("solve", a)
    if len(b.shape) != len(shape) or b.shape[:-1] != shape[:-1]:
        wanted = f"({', '.join(map(str, shape[:-1]))}, k)"
        raise ShapeError(
            f"linalg.solve: A of shape {shape} asks for B of shape {wanted}, got shape {b.shape}"
        )
    return b.shape, same_dtype("linalg.solve", a, b)


def _cholesky_infer(a: Abstract) -> Result:
    return _square("cholesky", a), a.dtype


def _eigh_infer(a: Abstract) -> Result:
    *lead, n, _ = _square("eigh", a)
    return (*lead, _total(shapes_of_eigh(n))), a.dtype


def _qr_infer(a: Abstract, *, complete: bool) -> Result:
    *lead, m, n = _matrix("qr", a)
    return (*lead, _total(shapes_of_qr(m, n, complete))), a.dtype


def _svd_infer(a: Abstract, *, full: bool) -> Result:
    *lead, m, n = _matrix("svd", a)
    return (*lead, _total(shapes_of_svd(m, n, full))), a.dtype


def _total(shapes: tuple[Shape, ...]) -> int:
    return sum(map(math.prod, shapes))


def _det_infer(a: Abstract) -> Result:
    return _square("det", a)[:-2], a.dtype


def _slogdet_infer(a: Abstract) -> Result:
    return (*_square("slogdet", a)[:-2], 2), a.dtype


# --- evaluation ------------------------------------------------------------------------------


def _tried(name: str, fault: str, call: Callable[..., Any], a: Any, *more: Any) -> Any:
    """call(a, *more); where LAPACK gives up on a matrix, an error that says on which."""
    if a.ndim < 2 or a.dtype.names:
        raise ValueError  # the shape rule says why
    try:
        return call(a, *more)
    except np.linalg.LinAlgError:
        if name in _SQUARE and a.shape[-1] != a.shape[-2]:
            raise  # the shape rule says why
        error = _failure(name, fault, call, a, *more)
    raise error


_SQUARE = frozenset(("solve", "cholesky", "eigh", "det", "slogdet"))


def _failure(name: str, fault: str, call: Callable[..., Any], *operands: Any) -> LinAlgError:
    """The error for the first matrix of a batch on which LAPACK gives up."""
    shape = operands[0].shape
    index: Shape = ()
    for index in np.ndindex(*shape[:-2]):
        try:
            call(*(x[index] for x in operands))
        except np.linalg.LinAlgError:
            break
    where = f" number {', '.join(map(str, index))} of a batch" if index else ""
    finite = np.isfinite(operands[0][index]).all()
    why = fault if finite else "holds NaN or infinity"
    return LinAlgError(f"linalg.{name}: the matrix{where} of shape {shape} {why}")


def _solve_evaluate(a: Any, b: Any) -> Any:
    if a.ndim != b.ndim or a.shape[:-1] != b.shape[:-1] or a.dtype != b.dtype:
        raise ValueError  # the shape rule says why
    fault = "is singular; linalg.lstsq and linalg.pinv take such matrices"
    return _tried("solve", fault, np.linalg.solve, a, b)


def _cholesky_evaluate(a: Any) -> Any:
    fault = "is not positive definite; a small multiple of the identity, added to it, may help"
    return _tried("cholesky", fault, np.linalg.cholesky, a)


def _eigh_evaluate(a: Any) -> Any:
    parts = _tried("eigh", _UNFINISHED, np.linalg.eigh, a)
    return _packed(a.shape[:-2], parts)


def _qr_evaluate(a: Any, *, complete: bool) -> Any:
    call = partial(np.linalg.qr, mode="complete" if complete else "reduced")
    return _packed(a.shape[:-2], _tried("qr", _UNFINISHED, call, a))


def _svd_evaluate(a: Any, *, full: bool) -> Any:
    call = partial(np.linalg.svd, full_matrices=full)
    return _packed(a.shape[:-2], _tried("svd", _UNFINISHED, call, a))


def _slogdet_evaluate(a: Any) -> Any:
    sign, logarithm = _tried("slogdet", _UNFINISHED, np.linalg.slogdet, a)
    return np.stack((sign, logarithm), axis=-1)


def _det_evaluate(a: Any) -> Any:
    return _tried("det", _UNFINISHED, np.linalg.det, a)


_UNFINISHED = "lets LAPACK's iteration not converge"


# --- derivatives -----------------------------------------------------------------------------


def _scaled(columns: Any, by: Any) -> Any:
    """Each column of matrices (..., m, n) times a number of (..., n)."""
    return columns * by.unsqueeze(-2)


def _quotient(x: Any, by: Any) -> Any:
    """x / by, and 0 where both are 0: there nothing depends on the choice of a basis."""
    return x / by.masked_fill((x == 0) & (by == 0), 1)


def _differences(values: Any) -> Any:
    """d[i, j] = values[j] - values[i], and 1 on the diagonal."""
    size = values._value.shape[-1]
    return values.unsqueeze(-2) - values.unsqueeze(-1) + values.new_ones(size).diag()


def _symmetric(x: Any) -> Any:
    return (x + x.mT) * 0.5


def _mirrored(x: Any) -> Any:
    """The lower triangle, and its mirror image above the diagonal."""
    return x.tril() + x.tril(-1).mT


def _halved(x: Any) -> Any:
    """The lower triangle with half of the diagonal."""
    return (x.tril() + x.tril(-1)) * 0.5


def _solve_to_a(g: Any, out: Any, a: Any, b: Any) -> Any:
    return -(a.mT.solve_linear(g) @ out.mT)


def _solve_to_b(g: Any, out: Any, a: Any, b: Any) -> Any:
    return a.mT.solve_linear(g)


def _cholesky_vjp(g: Any, out: Any, a: Any) -> Any:
    """L^-T phi(L^T g) L^-1, made symmetric; phi takes the lower triangle, half of the diagonal."""
    upper = out.mT
    inner = _halved(upper @ g.tril())
    return _symmetric(upper.solve_linear(upper.solve_linear(inner).mT))


def _eigh_vjp(g: Any, out: Any, a: Any) -> Any:
    """V (diag(g_w) + (V^T g_V) / (w_j - w_i)) V^T, made symmetric."""
    shapes = shapes_of_eigh(a._value.shape[-1])
    (w, v), (to_w, to_v) = factors(out, *shapes), factors(g, *shapes)
    turn = v.mT @ to_v
    turn = _quotient(turn - turn.diagonal(dim1=-2, dim2=-1).diag_embed(), _differences(w))
    return _symmetric(v @ (turn + to_w.diag_embed()) @ v.mT)


def _qr_vjp(g: Any, out: Any, a: Any, *, complete: bool) -> Any:
    """(g_Q + Q mirrored(R g_R^T - g_Q^T Q)) R^-T; columns beyond a square add Q g_R."""
    m, n = a._value.shape[-2:]
    _refuse_complete(m, n, complete)
    shapes = shapes_of_qr(m, n, complete)
    (q, r), (to_q, to_r) = factors(out, *shapes), factors(g, *shapes)
    if m >= n:
        return _qr_of_tall(to_q, to_r, q, r)
    rest = to_r.narrow(-1, m, n - m)
    to_q = to_q + a.narrow(-1, m, n - m) @ rest.mT
    left = _qr_of_tall(to_q, to_r.narrow(-1, 0, m), q, r.narrow(-1, 0, m))
    return _side_by_side(left, q @ rest)


def _refuse_complete(m: int, n: int, complete: bool) -> None:
    if complete and m > n:
        raise GradientError(
            f"linalg.qr: mode='complete' of a matrix of {m} rows and {n} columns has no "
            "derivative: the last columns of Q are any basis. Use mode='reduced'"
        )


def _qr_of_tall(to_q: Any, to_r: Any, q: Any, r: Any) -> Any:
    inner = _mirrored(r @ to_r.mT - to_q.mT @ q)
    return r.solve_linear((to_q + q @ inner).mT).mT


def _side_by_side(left: Any, right: Any) -> Any:
    """Columns after columns."""
    m, n = left._value.shape[-1], right._value.shape[-1]
    zeros = (0,) * (len(left._value.shape) - 1)
    before, after = ((*zeros, m), (*zeros, 0)), ((*zeros, 0), (*zeros, n))
    return left.padded(*after) + right.padded(*before)


def _svd_vjp(g: Any, out: Any, a: Any, *, full: bool) -> Any:
    """With E[i, j] = s_j^2 - s_i^2, and skew(X) = X - X^T:

    U (skew(U^T g_U) / E diag(s) + diag(s) skew(V^T g_V) / E + diag(g_s)) V^T
    + (1 - U U^T) g_U diag(1/s) V^T + U diag(1/s) g_V^T (1 - V V^T).

    Of the full U and V the vectors beyond the singular values are any basis, and do not count.
    """
    m, n = a._value.shape[-2:]
    k, shapes = min(m, n), shapes_of_svd(m, n, full)
    (u, s, vh), (to_u, to_s, to_vh) = factors(out, *shapes), factors(g, *shapes)
    u, to_u = u.narrow(-1, 0, k), to_u.narrow(-1, 0, k)
    v, to_v = vh.narrow(-2, 0, k).mT, to_vh.narrow(-2, 0, k).mT
    apart = _differences(s * s)
    to_left, to_right = u.mT @ to_u, v.mT @ to_v
    left = _quotient(to_left - to_left.mT, apart)
    right = _quotient(to_right - to_right.mT, apart)
    middle = _scaled(left, s) + _scaled(right.mT, s).mT + to_s.diag_embed()
    found = u @ middle @ v.mT
    if m > k:
        found = found + _quotient(to_u - u @ to_left, s.unsqueeze(-2)) @ v.mT
    if n > k:
        found = found + u @ _quotient(to_v - v @ to_right, s.unsqueeze(-2)).mT
    return found


def _inverse_transposed(a: Any) -> Any:
    return a.mT.solve_linear(a.new_ones(a._value.shape[-1]).diag().expand(a._value.shape))


def _det_vjp(g: Any, out: Any, a: Any) -> Any:
    """g times the cofactors of A, det(A) A^-T, which singular matrices have too."""
    return g.unsqueeze(-1).unsqueeze(-1) * a.cofactors()


def _slogdet_vjp(g: Any, out: Any, a: Any) -> Any:
    """g_log A^-T; the sign is constant."""
    return g.narrow(-1, 1, 1).unsqueeze(-1) * _inverse_transposed(a)


# --- forward mode ----------------------------------------------------------------------------


def _joined(*parts: Any) -> Any:
    """Tensors (..., *shape) as one packed tensor; the first has one dimension beside the batch's or
    two, like the last, which has two."""
    lead = parts[-1]._value.shape[:-2]
    flat = [x.reshape((*lead, math.prod(x._value.shape[len(lead) :]))) for x in parts]
    zeros, total = (0,) * len(lead), sum(x._value.shape[-1] for x in flat)
    out, start = None, 0
    for x in flat:
        size = x._value.shape[-1]
        part = x.padded((*zeros, start), (*zeros, total - start - size))
        out, start = part if out is None else out + part, start + size
    return out


def _solve_jvp(apply: Any, tangents: Any, out: Any, a: Any, b: Any) -> Any:
    """A^-1 (dB - dA X)."""
    of_a, of_b = tangents
    if of_a is None:
        return apply(a, of_b)
    change = of_a @ out
    return apply(a, -change if of_b is None else of_b - change)


def _cholesky_jvp(apply: Any, tangents: Any, out: Any, a: Any) -> Any:
    """L phi(L^-1 dA L^-T)."""
    inner = out.solve_linear(out.solve_linear(_symmetric(tangents[0])).mT)
    return out @ _halved(inner)


def _eigh_jvp(apply: Any, tangents: Any, out: Any, a: Any) -> Any:
    """dw = diag(V^T dA V), dV = V (V^T dA V / (w_j - w_i)), off the diagonal."""
    w, v = factors(out, *shapes_of_eigh(a._value.shape[-1]))
    inner = v.mT @ _symmetric(tangents[0]) @ v
    to_w = inner.diagonal(dim1=-2, dim2=-1)
    return _joined(to_w, v @ _quotient(inner - to_w.diag_embed(), _differences(w)))


def _qr_jvp(apply: Any, tangents: Any, out: Any, a: Any, *, complete: bool) -> Any:
    """With M = Q^T dA R^-1 and W its antisymmetric part below the diagonal and its mirror image:
    dR = (M - W) R, dQ = dA R^-1 - Q (M - W)."""
    (change,), (m, n) = tangents, a._value.shape[-2:]
    _refuse_complete(m, n, complete)
    q, r = factors(out, *shapes_of_qr(m, n, complete))
    k = min(m, n)
    square = r.narrow(-1, 0, k)
    turned = square.mT.solve_linear(change.narrow(-1, 0, k).mT).mT
    inner = q.mT @ turned
    upper = inner - inner.tril(-1) + inner.tril(-1).mT
    of_q = turned - q @ upper
    of_r = upper @ square
    if n > m:
        rest = change.narrow(-1, m, n - m) - of_q @ r.narrow(-1, m, n - m)
        of_r = _side_by_side(of_r, q.mT @ rest)
    return _joined(of_q, of_r)


def _svd_jvp(apply: Any, tangents: Any, out: Any, a: Any, *, full: bool) -> Any:
    """With P = U^T dA V and E[i, j] = s_j^2 - s_i^2: ds = diag(P),
    dU = U ((P S + S P^T) / E) + (1 - U U^T) dA V / s, and V alike with dA^T."""
    (change,), (m, n) = tangents, a._value.shape[-2:]
    k, shapes = min(m, n), shapes_of_svd(m, n, full)
    u, s, vh = factors(out, *shapes)
    u, v = u.narrow(-1, 0, k), vh.narrow(-2, 0, k).mT
    inner, apart = u.mT @ change @ v, _differences(s * s)
    of_u = u @ _quotient(_turns(inner, s), apart)
    of_v = v @ _quotient(_turns(inner.mT, s), apart)
    if m > k:
        of_u = of_u + _quotient(change @ v - u @ inner, s.unsqueeze(-2))
    if n > k:
        of_v = of_v + _quotient(change.mT @ u - v @ inner.mT, s.unsqueeze(-2))
    zeros = (0,) * (len(a._value.shape) - 2)
    fill = (*zeros, 0, shapes[0][1] - k), (*zeros, shapes[2][0] - k, 0)
    of_u, of_v = (of_u.padded((*zeros, 0, 0), fill[0]), of_v.mT.padded((*zeros, 0, 0), fill[1]))
    return _joined(of_u, inner.diagonal(dim1=-2, dim2=-1), of_v)


def _turns(inner: Any, s: Any) -> Any:
    """P S + S P^T, off the diagonal."""
    scaled = _scaled(inner, s)
    both = scaled + scaled.mT
    return both - both.diagonal(dim1=-2, dim2=-1).diag_embed()


def _slogdet_jvp(apply: Any, tangents: Any, out: Any, a: Any) -> Any:
    """The trace of A^-1 dA; the sign stays."""
    trace = a.solve_linear(tangents[0]).diagonal(dim1=-2, dim2=-1).sum(-1).unsqueeze(-1)
    return trace.padded((0,) * len(trace._value.shape[:-1]) + (1,), (0,) * len(trace._value.shape))


def _det_jvp(apply: Any, tangents: Any, out: Any, a: Any) -> Any:
    return (a.cofactors() * tangents[0]).sum((-2, -1))


def _batched(apply: Any, size: int, batched: Any, *operands: Any, **attributes: Any) -> Any:
    """The leading axes of an operand are a batch already."""
    pairs = zip(operands, batched, strict=True)
    return apply(
        *(x if many else x.expand((size, *x._value.shape)) for x, many in pairs), **attributes
    )


# fmt: off
solve    = primitive("solve",    _solve_infer,    _solve_evaluate,    (_solve_to_a, _solve_to_b), _solve_jvp,    _batched)
cholesky = primitive("cholesky", _cholesky_infer, _cholesky_evaluate, (_cholesky_vjp,),           _cholesky_jvp, _batched)
eigh     = primitive("eigh",     _eigh_infer,     _eigh_evaluate,     (_eigh_vjp,),               _eigh_jvp,     _batched)
qr       = primitive("qr",       _qr_infer,       _qr_evaluate,       (_qr_vjp,),                 _qr_jvp,       _batched)
svd      = primitive("svd",      _svd_infer,      _svd_evaluate,      (_svd_vjp,),                _svd_jvp,      _batched)
det      = primitive("det",      _det_infer,      _det_evaluate,      (_det_vjp,),                _det_jvp,      _batched)
slogdet  = primitive("slogdet",  _slogdet_infer,  _slogdet_evaluate,  (_slogdet_vjp,),            _slogdet_jvp,  _batched)
# fmt: on
