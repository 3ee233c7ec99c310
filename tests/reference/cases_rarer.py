"""The rarer operations: special functions, running extremes, places in an order, new values."""

from __future__ import annotations

import numpy as np

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Call, Samples, call, first, given, named

__all__ = ["CASES", "RARER"]

_samples = Samples(43)
normal, positive, integers, truths = (
    _samples.normal,
    _samples.positive,
    _samples.integers,
    _samples.truths,
)

_X, _V, _M = normal(2, 3, 4), normal(6), normal(3, 4)
_A = normal(3, 3) + 3 * np.eye(3)
_NAN, _INF = np.nan, np.inf
_ODD = Fixed(given(0.0, -0.0, 1.0, -2.5, _INF, -_INF, _NAN))
_INDEX = np.array([[0, 2, 1, 1], [2, 2, 0, 1], [0, 2, 0, 1]])
_EDGES = Fixed(np.sort(normal(7)))
_LINES = Fixed(np.sort(normal(2, 5)))

# fmt: off
_UNARY = [call(_M), call(normal()), call(integers(5))]
_PAIRS = [call(_M, normal(4)), call(normal(3, 1), normal(2, 1, 4)), call(_M, 1.5)]
_COMPARED = [call(integers(5), integers(5)), call(_M, normal(4)), call(_M, 0)]

RARER: dict[str, list[Call]] = {
    # --- elementwise
    # PyTorch's derivative of digamma is right to nine digits, so ours stands in the table alone.
    "lgamma":    [first(positive(3, 4)), first(given(0.01, 7.9, 8.1, 60.0, 1e10, -0.5, -3.25)),
                  call(integers(5, low=1, high=9)),
                  call(Fixed(given(0.0, -1.0, _INF, -_INF, _NAN, 1.0, 2.0)))],
    "digamma":   [call(Fixed(positive(3, 4))), call(Fixed(given(0.01, 7.9, 8.1, 60.0, 1e10))),
                  call(Fixed(given(-0.5, -3.25))), call(Fixed(given(0.0, -1.0, _INF, _NAN)))],
    "erfc":      [*_UNARY, call(_ODD)],
    "erfinv":    [call(np.tanh(_M)), call(given(0.0, 0.9999, -0.425, 0.1)),
                  call(Fixed(given(1.0, -1.0, 1.5, _NAN)))],
    "sinc":      [call(_M), call(integers(5)), call(Fixed(given(0.0, 1e-7)))],
    "heaviside": [call(Fixed(_M), Fixed(normal(4))), call(_ODD, Fixed(np.array(0.5)))],
    "copysign":  [*_PAIRS, call(Fixed(given(0.0, 2.0, _INF)), Fixed(given(-1.0, -0.0, -_INF)))],
    "signbit":   [call(_M), call(integers(5)), call(_ODD)],
    "isposinf":  [call(_ODD), call(integers(5))],
    "isneginf":  [call(_ODD), call(integers(5))],
    "fmax":      [call(_M, normal(4)), call(given(_NAN, 1.0), given(2.0, _NAN)),
                  call(integers(5), integers(5))],
    "fmin":      [call(_M, normal(4)), call(given(_NAN, 1.0), given(2.0, _NAN)),
                  call(integers(5), integers(5))],
    "logaddexp2": [call(_M, normal(4)), call(given(1000.0, -1000.0), given(1000.0, -1001.0))],
    "float_power": [call(positive(3, 4), positive(4)), call(positive(3), 2.5),
                    call(integers(4, low=1), 2)],
    "ldexp":     [call(_M, normal(4)), call(_M, integers(4, low=0))],
    "positive":  [call(_M), call(integers(5))],
    "arccos":    [call(np.tanh(_M))], "arcsin": [call(np.tanh(_M))], "arctan": [call(_M)],
    "arccosh":   [call(positive(5) + 1)], "arcsinh": [call(_M)], "arctanh": [call(np.tanh(_M))],
    "arctan2":   [call(_M, normal(4))],
    "fix":       [call(_M), call(integers(5))],
    "sgn":       [call(_M), call(integers(5))],
    "greater":   _COMPARED, "greater_equal": _COMPARED, "less": _COMPARED,
    "less_equal": _COMPARED, "not_equal": _COMPARED,
    "true_divide": [call(_M, positive(4)), call(integers(5), 2)],
    # --- products and matrices
    "baddbmm":   [call(normal(5, 2, 4), normal(5, 2, 3), normal(5, 3, 4)),
                  call(normal(4), normal(5, 2, 3), normal(5, 3, 4), beta=0.5, alpha=2)],
    "addbmm":    [call(normal(2, 4), normal(5, 2, 3), normal(5, 3, 4)),
                  call(normal(4), normal(5, 2, 3), normal(5, 3, 4), beta=0.5, alpha=2)],
    "addmv":     [call(normal(3), _M, normal(4)), call(normal(1), _M, normal(4), beta=2, alpha=3)],
    "addr":      [call(_M, normal(3), normal(4)),
                  call(_M, normal(3), normal(4), beta=0.5, alpha=2)],
    "vdot":      [call(_V, normal(6)), call(integers(4), integers(4))],
    "ger":       [call(normal(3), normal(4))],
    "kron":      [call(_M, normal(2, 2)), call(_V, _M), call(_X, normal(2)),
                  call(normal(), _V), call(integers(2, 2), integers(2, 3))],
    "cross":     [call(normal(4, 3), normal(4, 3), dim=1), call(normal(3, 2), normal(3, 2), dim=0)],
    "det":       [call(_A), call(np.stack([_A, -_A]))],
    "slogdet":   [call(_A), call(-_A)],
    "logdet":    [call(_A), call(Fixed(-_A))],
    "inverse":   [call(_A)],
    "pinverse":  [call(_M)],
    "matrix_power": [call(_A, 3), call(_A, -1)],
    "matrix_exp": [call(_A / 2)],
    "block_diag": [call(_M, normal(2, 2)), call(_V, normal(), _M), call(_M)],
    # --- running
    "logcumsumexp": [call(_X, 0), call(_X, -1), call(Fixed(given(1000.0, 1000.0, -1000.0)), 0),
                     call(normal(0, 3), 0)],
    "cummax":    [call(_X, 0), call(_X, -1), call(Fixed(given(1.0, 3.0, 3.0, _NAN, 5.0)), 0),
                  call(integers(9), 0)],
    "cummin":    [call(_X, 0), call(_X, -1), call(Fixed(given(1.0, 3.0, 1.0, _NAN, 5.0)), 0),
                  call(integers(9), 0)],
    "trapezoid": [call(_X), call(_X, dim=0), call(_X, dx=0.5), call(_X, normal(4)),
                  call(_X, normal(2, 3, 4)), call(_X, normal(3), dim=1)],
    "trapz":     [call(_X), call(_X, dx=0.5), call(_X, normal(4))],
    "cumulative_trapezoid": [call(_X), call(_X, dx=0.5), call(_X, normal(4)),
                             call(_X, normal(3), dim=1)],
    # --- orders
    "msort":     [call(_M), call(normal(5))],
    "kthvalue":  [call(_X, 2), call(_X, 1, 0), call(_X, k=3, dim=-1, keepdim=True)],
    "nanmedian": [call(_M), call(given(1.0, _NAN, 3.0)), call(given(_NAN, 2.0, 3.0, 1.0), 0),
                  call(normal(3, 4), -1, keepdim=True)],
    "searchsorted": [call(_EDGES, Fixed(_M)), call(_EDGES, Fixed(_M), right=True),
                     call(_EDGES, _EDGES), call(_EDGES, _EDGES, side="right", out_int32=True),
                     call(_LINES, Fixed(normal(2, 3))), call(_EDGES, 0.25),
                     call(np.arange(5), integers(3, 3))],
    "bucketize": [call(Fixed(_M), _EDGES), call(_EDGES, _EDGES, right=True),
                  call(integers(6), np.array([-2, 0, 3]), out_int32=True)],
    "unique_consecutive": [call(np.array([1, 1, 2, 2, 1])),
                           call(np.array([1, 1, 2, 2, 1]), return_inverse=True, return_counts=True),
                           call(np.array([[1, 1, 2], [1, 1, 2], [0, 0, 2]]), dim=0),
                           call(np.array([[1, 1, 2], [1, 1, 2], [0, 0, 2]]), True, True, 1),
                           call(Fixed(given(1.0, 1.0, 0.5)))],
    # --- arrangement
    "rot90":     [call(_M), call(_M, 2), call(_M, -1), call(_X, 3, (1, 2)), call(_X, k=1,
                  dims=[2, 0])],
    "diagflat":  [call(_V), call(_M, 1), call(_V, -2)],
    "hsplit":    [call(_M, 2), call(_V, [1, 4])],
    "vsplit":    [call(_M, 3), call(_M, (1,))],
    "dsplit":    [call(_X, 2)],
    "atleast_2d": [call(normal()), call(_V), call(_X), call((normal(), _V))],
    "atleast_3d": [call(normal()), call(_V), call(_M), call(_X), call(_V, _M)],
    "dstack":    [call([_V, _V]), call([_M, _M]), call([normal(), normal()])],
    "combinations": [call(_V), call(_V, 3), call(_V, r=2, with_replacement=True),
                     call(integers(3), 1)],
    "cartesian_prod": [call(_V, normal(2)), call(_V), call(integers(2), integers(3), integers(2))],
    "vander":    [call(_V), call(_V, 3), call(_V, N=2, increasing=True), call(integers(3))],
    "unravel_index": [call(np.array([0, 5, 23]), (2, 3, 4)), call(np.array([[1], [3]]), 4)],
    # --- new values at places
    "scatter_reduce": [call(_M, 0, _INDEX, normal(3, 4), how, include_self=keep)
                       for how in ("sum", "mean", "amax", "amin") for keep in (True, False)] + [
                       call(Fixed(_M), 1, _INDEX[:2, :2], Fixed(normal(3, 4)), reduce="amax"),
                       call(integers(3, 4), 0, _INDEX, integers(3, 4), "mean"),
                       call(given(1.0, 2.0), 0, np.array([0, 0, 1]), given(1.0, 1.0, 2.0), "amax")],
    "masked_scatter": [call(_M, truths(3, 4), normal(12)), call(_M, truths(4), normal(3, 4))],
    "index_put": [call(_M, (np.array([0, 2]), np.array([1, 1])), normal(2)),
                  call(_M, (np.array([0, 0]), np.array([1, 1])), normal(2), accumulate=True),
                  call(_M, (np.array([2, 0]),), normal(4), accumulate=True)],
    "select_scatter": [call(_M, normal(4), 0, 1), call(_X, normal(2, 3), -1, -1)],
    "renorm":    [call(_M, 2, 0, 1.0), call(_M, p=1, dim=1, maxnorm=2.0), call(_X, 3, 1, 0.5)],
}
# fmt: on


OFF_TAPE = {"heaviside", "float_power", "vander"}  # PyTorch's vander has no gradient: it fails
CASES = [
    *named(RARER, OFF_TAPE),
    Case("vmap", lambda tw, x: tw.vmap(lambda row: row.sin().sum())(x), (_M,)),
]
