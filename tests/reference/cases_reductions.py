"""Reductions, cumulative sums, sorting and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Samples, call, first, given, named

__all__ = ["CASES", "EINSUMS", "PRODUCTS", "REDUCTIONS"]

_samples = Samples(8)
normal, positive, integers, truths = (
    _samples.normal,
    _samples.positive,
    _samples.integers,
    _samples.truths,
)

_X = normal(5, 3, 4)
_TIES = given(1.0, 3.0, 3.0, -2.0, 3.0, -2.0)
_INF = np.inf

# fmt: off
WHOLE  = [call(_X), call(normal()), call(integers(3, 4)), call(truths(3, 4))]
ALONG  = [call(_X, 0), call(_X, -1), call(_X, dim=1, keepdim=True), call(normal(0, 3), 0),
          call(normal(3, 0), 0)]
SEVERAL = [call(_X, (0, 2)), call(_X, dim=(-1, 0), keepdim=True), call(_X, (0, 1, 2))]
FLOATS = [call(_X), call(_X, 0), call(_X, dim=1, keepdim=True), *SEVERAL]
LOGIC  = [call(truths(3, 4)), call(integers(3, 4, low=0, high=2)), call(truths(3, 4), 0),
          call(truths(3, 4), dim=1, keepdim=True),
          call(truths(0, 3)), call(Fixed(given(0.0, 1.0, np.nan)))]
PLACES = [call(_X), call(_X, 0), call(_X, dim=-1, keepdim=True), call(_TIES), call(_TIES, 0),
          call(integers(3, 4), 1),
          call(given(1.0, np.nan, 3.0), 0)]
SORTED = [call(normal(5)), call(normal(3, 4), 0), call(normal(3, 4), dim=-1, descending=True),
          call(truths(7)), call(normal(3, 0))]
STABLE = [call(integers(20, low=0, high=3), stable=True),
          call(integers(20, low=0, high=3), stable=True, descending=True),
          call(given(1.0, np.nan, -1.0, np.inf, np.nan), stable=True)]

REDUCTIONS = {
    "sum":       [*WHOLE, *ALONG, *SEVERAL, call(integers(3, 4), 0)],
    "mean":      [call(_X), call(normal()), *ALONG[:3], *SEVERAL,
                  call(Fixed(normal(0, 3)), 0), call(Fixed(normal(3, 0)), 0)],
    "prod":      [call(_X), call(normal()), call(integers(3, 4)), call(_X, 0), call(_X, -1),
                  call(_X, dim=1, keepdim=True),
                  call(given(2.0, 0.0, 3.0)), call(given(0.0, 4.0, 0.0)), call(normal(3, 0), 1)],
    "var":       [*FLOATS, call(_X, unbiased=False), call(_X, 0, unbiased=True),
                  call(_X, 0, correction=0), call(_X, dim=(0, 1), correction=2)],
    "std":       [*FLOATS, call(_X, unbiased=False), call(_X, 0, unbiased=True),
                  call(_X, 0, correction=0), call(_X, dim=(0, 1), correction=2)],
    "amax":      [*FLOATS, call(_TIES), call(_TIES, 0), call(integers(3, 4), 0)],
    "amin":      [*FLOATS, call(_TIES), call(_TIES, 0), call(integers(3, 4), 0)],
    "max":       [call(_X), call(_X, 0), call(_X, dim=-1, keepdim=True), call(_TIES),
                  call(_TIES, 0), call(integers(3, 4), 1),
                  call(_X, normal(3, 4)), call(given(1.0, np.nan, 3.0), 0)],
    "min":       [call(_X), call(_X, 0), call(_X, dim=-1, keepdim=True), call(_TIES),
                  call(_TIES, 0), call(integers(3, 4), 1),
                  call(_X, normal(3, 4)), call(given(1.0, np.nan, 3.0), 0)],
    "argmax":    PLACES,
    "argmin":    PLACES,
    "all":       LOGIC,
    "any":       LOGIC,
    "count_nonzero": [call(integers(3, 4, low=0, high=2)),
                      call(integers(3, 4, low=0, high=2), 0), call(truths(3, 4), dim=(0, 1))],
    "nansum":    [call(_X), call(given(1.0, np.nan, 2.0)),
                  call(given(1.0, np.nan, 2.0), 0, keepdim=True)],
    "nanmean":   [call(_X, 0), call(given(1.0, np.nan, 2.0))],
    "aminmax":   [call(_X), call(_X, dim=0), call(_X, dim=-1, keepdim=True)],
    "var_mean":  [call(_X), call(_X, 0), call(_X, dim=(0, 2), correction=0, keepdim=True)],
    "std_mean":  [call(_X), call(_X, 0), call(_X, dim=(0, 2), correction=0, keepdim=True)],
    "median":    [call(_X), call(_X, 0), call(_X, dim=-1, keepdim=True), call(normal(5)),
                  call(given(1.0, np.nan, 3.0)),
                  call(integers(7))],
    "quantile":  [call(_X, 0.3), call(_X, 0.5, 1), call(_X, 0.25, dim=-1, keepdim=True),
                  call(normal(5), 1.0)],
    "bincount":  [call(integers(20, low=0, high=6)), call(integers(5, low=0, high=3), minlength=6)],
    "histc":     [call(normal(50), 10, -2.0, 2.0), call(normal(50), bins=5, min=-1, max=1)],
    "diff":      [call(normal(6)), call(_X, 1, 0), call(_X, n=2, dim=-1)],
    "cdist":     [first(normal(4, 3), normal(2, 3)), first(normal(2, 4, 3), normal(2, 5, 3), 1)],
    "dist":      [call(normal(3, 4), normal(3, 4)), call(normal(3), normal(3), 1)],
    "trace":     [call(normal(3, 3)), call(normal(2, 4)), call(integers(3, 3))],
    "cumprod":   [call(positive(5, 3), 0), call(positive(2, 4), -1),
                  call(given(2.0, 0.0, 3.0, 4.0), 0),
                  call(given(2.0, 0.0, 3.0, 0.0), 0),
                  call(integers(3, 4), 1)],
    "unique":    [call(integers(20, low=0, high=5)),
                  call(integers(20, low=0, high=5), return_inverse=True, return_counts=True),
                  call(Fixed(given(3.0, 1.0, 3.0, 2.0))),
                  call(integers(6, 2, low=0, high=2), dim=0)],
    "cumsum":    [call(_X, 0), call(_X, -1), call(integers(3, 4), 1), call(truths(4), 0),
                  call(normal(0, 3), 0)],
    "norm":      [call(_X), call(_X, 2, 1), call(_X, p=1, dim=0), call(_X, p=_INF),
                  call(_X, p=3, dim=-1, keepdim=True),
                  call(_X, p=2, dim=(0, 2)), call(normal())],
    "logsumexp": [call(_X, 0), call(_X, -1, keepdim=True), call(_X, (0, 2)),
                  call(given(1000.0, 1000.0), 0),
                  call(given(-1000.0, -1001.0), 0), call(given(-_INF, 0.0), 0)],
    "softmax":     [call(_X, 0), call(_X, -1), call(given(1000.0, -1000.0), 0),
                    call(given(-_INF, 0.0), 0)],
    "log_softmax": [call(_X, 0), call(_X, -1), call(given(1000.0, -1000.0), 0)],
    "sort":      SORTED + STABLE,
    "argsort":   SORTED + STABLE,
    "topk":      [call(normal(5), 3), call(normal(3, 4), 2, 0),
                  call(normal(3, 4), k=2, dim=-1, largest=False), call(normal(4), 0)],
}

PRODUCTS = {
    "matmul": [call(normal(3), normal(3)), call(normal(2, 3), normal(3)),
               call(normal(3), normal(3, 4)),
               call(normal(2, 3), normal(3, 4)), call(normal(5, 2, 3), normal(3, 4)),
               call(normal(2, 3), normal(5, 3, 4)),
               call(normal(5, 2, 3), normal(5, 3, 4)),
               call(normal(6, 1, 2, 3), normal(5, 3, 4)), call(normal(3), normal(5, 3, 4)),
               call(normal(5, 2, 3), normal(3)), call(normal(0, 3), normal(3, 4)),
               call(normal(2, 0), normal(0, 4)),
               call(integers(2, 3), integers(3, 4))],
    "mm":     [call(normal(2, 3), normal(3, 4))],
    "bmm":    [call(normal(5, 2, 3), normal(5, 3, 4)), call(normal(0, 2, 3), normal(0, 3, 4))],
    "mv":     [call(normal(2, 3), normal(3))],
    "dot":    [call(normal(3), normal(3)), call(integers(3), integers(3))],
    "outer":  [call(normal(3), normal(4))],
    "inner":  [call(normal(3), normal(3)), call(normal(2, 3), normal(4, 3)),
               call(normal(2, 3), normal(3))],
    "addmm":  [call(normal(2, 4), normal(2, 3), normal(3, 4)),
               call(normal(4), normal(2, 3), normal(3, 4), beta=0.5, alpha=2)],
    "tensordot": [call(normal(2, 3, 4), normal(3, 4, 2)),
                  call(normal(2, 3), normal(3, 4), dims=1), call(normal(2), normal(3), dims=0),
                  call(normal(2, 3, 4), normal(4, 2, 5), dims=([0, 2], [1, 0]))],
}
# fmt: on

EINSUMS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij,jk->ik", ((2, 3), (3, 4))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("ij,kj->ik", ((2, 3), (4, 3))),
    ("bij,bjk->bik", ((5, 2, 3), (5, 3, 4))),
    ("i,i->", ((3,), (3,))),
    ("i,j->ij", ((3,), (4,))),
    ("ij->ji", ((2, 3),)),
    ("ij->j", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ii->i", ((3, 3),)),
    ("ii", ((3, 3),)),
    ("iij->j", ((3, 3, 2),)),
    ("ij,ij->ij", ((2, 3), (2, 3))),
    ("ij,ij->", ((2, 3), (2, 3))),
    ("ij,j,i->", ((2, 3), (3,), (2,))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
    ("abc,cd,de->abe", ((2, 3, 4), (4, 2), (2, 3))),
    ("bhqd,bhkd->bhqk", ((2, 2, 3, 4), (2, 2, 5, 4))),
    ("i, ij -> j", ((2,), (2, 3))),
]


def _einsum(tw: Any, equation: str, *operands: Any) -> Any:
    return tw.einsum(equation, *operands)


def _in_float64(tw: Any, x: Any) -> Any:
    wide = {"dtype": tw.float64}
    sums = [x.sum(**wide), x.sum(0, **wide), x.cumsum(1, **wide), x.mean(**wide)]
    return [*sums, x.mean((0, 1), **wide), x.prod(2, **wide), x.cumprod(1, **wide)]


CASES = [
    *named(REDUCTIONS),
    *named(PRODUCTS),
    *(
        Case(f"einsum-{equation}", _einsum, (equation, *(normal(*shape) for shape in shapes)))
        for equation, shapes in EINSUMS
    ),
    Case("in another dtype", _in_float64, (_X,), second=False),
    Case("var-positive", lambda tw, x: (x.var(), x.std(dim=0)), (positive(3, 4),)),
]
