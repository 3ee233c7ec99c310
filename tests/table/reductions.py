"""Rows of reductions, cumulative sums, order statistics, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.elementwise import primitive
from tests.table.row import (
    ABSENT,
    Array,
    Bad,
    distinct,
    integers,
    normal,
    over_dims,
    row,
    s,
)
from thalweg.errors import ConfigError

__all__ = ["ROWS"]


def over(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy reduction with PyTorch's argument names."""

    def oracle(x: Array, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
        return function(x, axis=dim, keepdims=keepdim, **kwargs)

    return oracle


def total(function: Callable[..., Any]) -> Callable[..., Any]:
    """A sum or product, in int64 for integers."""
    return over(lambda x, **k: function(x, dtype=None if x.dtype.kind == "f" else np.int64, **k))


def axes(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axes: function(x, axis=axes)


def spread(function: Callable[..., Any]) -> Callable[..., Any]:
    def oracle(
        x: Array,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        correction: int | None = None,
    ) -> Any:
        return function(
            x, axis=dim, keepdims=keepdim, ddof=int(unbiased) if correction is None else correction
        )

    return oracle


def norm(x: Array, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    p = 2 if p == "fro" else p
    if abs(p) == np.inf:
        return (np.max if p > 0 else np.min)(np.abs(x), axis=dim, keepdims=keepdim)
    if p == 0:
        return np.sum(x != 0, axis=dim, keepdims=keepdim)
    return np.sum(np.abs(x) ** p, axis=dim, keepdims=keepdim) ** (1 / p)


def logsumexp(x: Array, dim: Any = None, keepdim: bool = False) -> Any:
    top = np.max(x, axis=dim, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    out = np.log(np.sum(np.exp(x - top), axis=dim, keepdims=True)) + top
    return out if keepdim else np.squeeze(out, axis=dim)


def softmax(x: Array, dim: int) -> Any:
    grown = np.exp(x - x.max(dim, keepdims=True))
    return grown / grown.sum(dim, keepdims=True)


def extreme(largest: Callable[..., Any], place: Callable[..., Any]) -> Callable[..., Any]:
    def oracle(x: Array, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return largest(x)
        return largest(x, axis=dim, keepdims=keepdim), place(x, axis=dim, keepdims=keepdim)

    return oracle


def median(x: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of two middle elements."""
    if dim is None:
        return np.sort(x, axis=None)[(x.size - 1) // 2]
    where = np.take(np.argsort(x, axis=dim, kind="stable"), [(x.shape[dim] - 1) // 2], dim)
    values = np.take_along_axis(x, where, dim)
    return (values, where) if keepdim else (values.squeeze(dim), where.squeeze(dim))


def sort(x: Array, dim: int = -1, descending: bool = False) -> tuple[Array, Array]:
    order = argsort(x, dim, descending)
    return np.take_along_axis(x, order, dim), order


def argsort(x: Array, dim: int = -1, descending: bool = False) -> Array:
    keys = -x.astype(np.float64) if descending else x
    return np.argsort(keys, axis=dim, kind="stable")


def topk(x: Array, k: int, dim: int = -1, largest: bool = True) -> tuple[Array, ...]:
    return tuple(np.take(a, range(k), dim) for a in sort(x, dim, largest))


def quantile(x: Array, q: Any, dim: int | None = None, keepdim: bool = False) -> Array:
    return np.quantile(x, q, axis=dim, keepdims=keepdim)


def unique(x: Array, dim: int | None = None, **kwargs: bool) -> Any:
    return np.unique(x, axis=dim, **kwargs)


def histc(x: Array, bins: int, min: float = 0, max: float = 0) -> Array:
    return np.histogram(x, bins, None if min == max else (min, max))[0].astype(np.float64)


NOTHING = Bad((normal(0, 3),), kwargs={"dim": 0}, mentions=("(0, 3)",))
TIES = s(np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]), dim=1, smooth=False)
WITH_NAN = s(np.array([[1.0, np.nan, 3.0], [2.0, 1.0, 0.0]]), dim=1, smooth=False)
ROW, TABLE, CUBE = distinct(5), distinct(3, 4), distinct(2, 3, 2)
NON_EMPTY = over_dims(distinct, empty=False)
ONE_DIM = over_dims(distinct, empty=False, several=False)
ZEROS = s(np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0]]), dim=1)

# fmt: off
SUMS = [
    row("sum",     total(np.sum),  over_dims(normal), s(normal(3), dim=0), result="sum", kinds="ib",
        bad=ABSENT),
    row("prod",    total(np.prod), over_dims(normal), ZEROS, result="sum", kinds="ib", bad=ABSENT),
    row("mean",    over(np.mean),  over_dims(normal, empty=False), result="float", kinds="ib",
        bad=ABSENT),
    row("nansum",  total(np.nansum), over_dims(normal), WITH_NAN, result="sum", kinds="ib",
        bad=ABSENT),
    row("nanmean", over(np.nanmean), over_dims(normal, empty=False)[:-1], WITH_NAN, result="float",
        kinds="ib", bad=ABSENT),
    row("var",     spread(np.var), over_dims(normal, empty=False)[:2],
        over_dims(normal, empty=False)[3:-1], s(normal(3, 4), unbiased=False),
        s(normal(3, 4), dim=1, correction=2, keepdim=True), result="float", kinds="ib", bad=ABSENT),
    row("std",     spread(np.std), over_dims(normal, empty=False)[:2],
        over_dims(normal, empty=False)[3:-1], s(normal(3, 4), unbiased=False),
        s(normal(3, 4), dim=1, correction=2, keepdim=True), s(np.ones((2, 3)), dim=1, smooth=False),
        result="float", kinds="ib", bad=ABSENT),
    row("var_mean", lambda x, **k: (spread(np.var)(x, **k),
            over(np.mean)(x, **{n: v for n, v in k.items() if n in ("dim", "keepdim")})), s(TABLE),
        s(TABLE, dim=1, keepdim=True), s(TABLE, dim=0, correction=0), result="float", kinds="i",
        bad=ABSENT),
    row("std_mean", lambda x, **k: (spread(np.std)(x, **k),
            over(np.mean)(x, **{n: v for n, v in k.items() if n in ("dim", "keepdim")})), s(TABLE),
        s(TABLE, dim=1, keepdim=True), s(TABLE, dim=0, correction=0), result="float", kinds="i",
        bad=ABSENT),
    row("norm",    norm, over_dims(normal), *(s(normal(3, 4), args=(p,), dim=1)
            for p in (1, 2, 3, 2.5, np.inf, -np.inf)), s(normal(2, 2), args=("fro",)),
        s(np.zeros((2, 3)), args=(3,), dim=1, smooth=False), result="float", kinds="ib",
        bad=(ABSENT, Bad((normal(2, 2),), ("nuc",), error=ConfigError, mentions=("'nuc'", "fro")))),
    row("norm",    norm, s(np.array([0.0, 1.0, -2.0]), args=(0,)), derivatives=0),
    row("dist",    lambda a, b, p=2: norm(a - b, p), s(normal(3), normal(3, seed=1)),
        s(normal(2, 3), normal(3, seed=1), args=(1,)), result="float", kinds="i",
        bad=Bad((normal(2, 3), normal(4)))),
    row("cdist",   lambda a, b, p=2: norm(a[..., :, None, :] - b[..., None, :, :], p, -1),
        s(normal(3, 2), normal(4, 2, seed=1)), s(normal(2, 3, 2), normal(1, 2, seed=1), args=(1,)),
        s(normal(0, 2), normal(3, 2)), s(np.eye(2), np.eye(2), smooth=False), result="float",
        kinds="i", bad=Bad((normal(3, 2), normal(3, 3)))),
    row("logsumexp", logsumexp, over_dims(normal),
        s(np.array([[1000.0, 1000.0], [-np.inf, -np.inf], [np.inf, 1.0]]), dim=1, smooth=False),
        result="float", kinds="ib", bad=ABSENT),
    row("cumsum",  lambda x, dim: np.cumsum(x, dim,
            dtype=None if x.dtype.kind == "f" else np.int64), s(normal(3, 4), dim=0),
        s(normal(3, 4), dim=-1), s(normal(0, 2), dim=1), s(normal(2, 0), dim=1), result="sum",
        kinds="ib", bad=ABSENT),
    row("cumprod", lambda x, dim: np.cumprod(x, dim,
            dtype=None if x.dtype.kind == "f" else np.int64), s(normal(3, 4), dim=0),
        s(normal(2, 5), dim=-1), ZEROS, s(normal(0, 2), dim=1), s(normal(2, 0), dim=1),
        result="sum", kinds="ib", bad=ABSENT),
    row("diff",    lambda x, n=1, dim=-1: np.diff(x, n, dim), s(normal(5)),
        s(normal(3, 4), n=2, dim=0), s(normal(1)), s(normal(2, 0)), kinds="ib", bad=ABSENT),
    row("Tensor.trace", np.trace, s(normal(3, 3)), s(normal(2, 4)), s(normal(0, 2)), result="sum",
        kinds="i", bad=Bad((normal(2, 2, 2),))),
    row("count_nonzero", lambda x, dim=None: np.count_nonzero(x, axis=dim), s(normal(3, 4)),
        s(np.array([0.0, np.nan, 1.0]), dim=0), s(normal(0)), result=tw.int64, kinds="ib",
        derivatives=0, bad=ABSENT),
]

EXTREMES = [
    row("amax",    over(np.max), NON_EMPTY, TIES, WITH_NAN, kinds="ib", bad=(ABSENT, NOTHING)),
    row("amin",    over(np.min), NON_EMPTY, TIES, WITH_NAN, kinds="ib", bad=(ABSENT, NOTHING)),
    row("max",     extreme(np.max, np.argmax), ONE_DIM, TIES, WITH_NAN, indexed=True, kinds="ib",
        bad=(ABSENT, NOTHING)),
    row("min",     extreme(np.min, np.argmin), ONE_DIM, TIES, WITH_NAN, indexed=True, kinds="ib",
        bad=(ABSENT, NOTHING)),
    row("max",     np.maximum, s(normal(3, 4), normal(4, seed=1)), kinds="ib",
        bad=Bad((normal(2, 3), normal(4)))),
    row("min",     np.minimum, s(normal(3, 4), normal(4, seed=1)), kinds="ib",
        bad=Bad((normal(2, 3), normal(4)))),
    row("aminmax", lambda x, dim=None, keepdim=False: (over(np.min)(x, dim, keepdim),
            over(np.max)(x, dim, keepdim)), NON_EMPTY, kinds="ib", bad=(ABSENT, NOTHING)),
    row("argmax",  over(np.argmax), ONE_DIM, TIES, WITH_NAN, result=tw.int64, kinds="ib",
        derivatives=0, bad=(ABSENT, NOTHING)),
    row("argmin",  over(np.argmin), ONE_DIM, TIES, WITH_NAN, result=tw.int64, kinds="ib",
        derivatives=0, bad=(ABSENT, NOTHING)),
    row("all",     over(np.all), over_dims(normal), s(np.array([[0.0, 1.0], [np.nan, 1.0]]), dim=1),
        result=tw.bool, kinds="ib", derivatives=0, bad=ABSENT),
    row("any",     over(np.any), over_dims(normal), s(np.array([[0.0, 0.0], [np.nan, 0.0]]), dim=1),
        result=tw.bool, kinds="ib", derivatives=0, bad=ABSENT),
    row("softmax", softmax, s(normal(3, 4), dim=1), s(normal(2, 3, 2), dim=0),
        s(normal(0, 3), dim=1), s(np.array([1000.0, -1000.0, 1000.0]), dim=0), result="float",
        kinds="ib", bad=(ABSENT, Bad((normal(3),), error=ConfigError, mentions=("dim=-1",)))),
    row("log_softmax", lambda x, dim: x - logsumexp(x, dim, True), s(normal(3, 4), dim=1),
        s(normal(2, 3, 2), dim=0), s(normal(0, 3), dim=1),
        s(np.array([1000.0, -1000.0, 1000.0]), dim=0), result="float", kinds="ib",
        bad=(ABSENT, Bad((normal(3),), error=ConfigError, mentions=("dim=-1",)))),
]

ORDER = [
    row("sort",    sort, s(TABLE), s(TABLE, dim=0, descending=True), s(CUBE, dim=1), s(distinct(0)),
        s(distinct(2, 0)), indexed=True, kinds="ib", bad=ABSENT),
    row("argsort", argsort, s(TABLE), s(TABLE, dim=0, descending=True),
        s(np.array([1.0, 1.0, 0.0, 1.0])), s(np.array([1.0, 1.0, 0.0, 1.0]), descending=True),
        s(distinct(0)), result=tw.int64, kinds="ib", derivatives=0, bad=ABSENT),
    row("topk",    topk, s(TABLE, args=(2,)), s(TABLE, args=(3,), dim=0, largest=False),
        s(TABLE, args=(0,)), indexed=True, kinds="ib",
        bad=Bad((distinct(2, 3),), (4,), mentions=("(2, 3)", "k = 4"))),
    row("median",  median, s(TABLE), s(ROW, dim=0), s(TABLE, dim=1), s(TABLE, dim=0, keepdim=True),
        indexed=True, kinds="ib", bad=(ABSENT, NOTHING)),
    row("quantile", quantile, s(TABLE, args=(0.375,)), s(TABLE, args=(0.5,), dim=1),
        s(TABLE, np.array([0.25, 0.75]), dim=0, keepdim=True), s(ROW, args=(1.0,), dim=0),
        s(np.array([1.0, np.nan, 2.0]), args=(0.5,), smooth=False), result="first", judged=True,
        bad=(Bad((normal(0, 3),), (0.5,), {"dim": 0}, mentions=("(0, 3)",)),
            Bad((ROW,), (1.5,), error=ConfigError, mentions=("1.5",)))),
    row("unique",  unique, s(integers(0, 4, 9)),
        s(integers(0, 4, 3, 3), return_inverse=True, return_counts=True),
        s(np.array([[1.5, 0.5], [1.5, 0.5]]), dim=0), s(normal(0)), indexed=True, kinds="i",
        derivatives=0, concrete=True),
    row("isin",    np.isin, s(integers(0, 9, 3, 4), integers(0, 9, 5)), s(normal(3), normal(0)),
        result=tw.bool, derivatives=0),
    row("bincount", lambda x, w=None, minlength=0: np.bincount(x, w, minlength),
        s(integers(0, 5, 9)), s(integers(0, 5, 9), minlength=8), s(integers(0, 5, 0)),
        result=tw.int64, derivatives=0, concrete=True, bad=Bad((integers(0, 2, 2, 2),))),
    row("bincount", lambda x, w=None, minlength=0: np.bincount(x, w, minlength),
        s(integers(0, 5, 9), normal(9)), concrete=True),
    row("histc",   histc, s(TABLE, args=(4,)), s(normal(9), args=(3, -0.5, 0.75)), derivatives=0,
        bad=Bad((normal(3),), (0,), mentions=("0 bins",))),
]

PRIMITIVES = [
    primitive("sum",    axes(np.sum),  s(normal(3, 4), axes=(0,)), s(normal(2, 3, 2), axes=(0, 2)),
        s(normal(), axes=()), s(normal(0, 3), axes=(0,)), kinds="i"),
    primitive("prod",   axes(np.prod), s(normal(3, 4), axes=(0,)), s(normal(2, 3, 2), axes=(0, 2)),
        s(normal(0, 3), axes=(0,)), s(normal(0, 3), axes=(1,)), kinds="i"),
    primitive("max",    axes(np.max),  s(TABLE, axes=(0,)), s(CUBE, axes=(0, 2)),
        s(distinct(0, 3), axes=(1,)), kinds="ib", bad=Bad((normal(0, 3),), kwargs={"axes": (0,)})),
    primitive("min",    axes(np.min),  s(TABLE, axes=(0,)), s(CUBE, axes=(0, 2)),
        s(distinct(0, 3), axes=(1,)), kinds="ib", bad=Bad((normal(0, 3),), kwargs={"axes": (0,)})),
    primitive("argmax", lambda x, axis: np.argmax(x, axis), s(TABLE, axis=0), s(CUBE, axis=1),
        result=tw.int64, kinds="ib", derivatives=0, bad=Bad((normal(0, 3),), kwargs={"axis": 0})),
    primitive("argmin", lambda x, axis: np.argmin(x, axis), s(TABLE, axis=0), s(CUBE, axis=1),
        result=tw.int64, kinds="ib", derivatives=0, bad=Bad((normal(0, 3),), kwargs={"axis": 0})),
    primitive("cumsum", lambda x, axis: np.cumsum(x, axis), s(normal(3, 4), axis=0),
        s(normal(0, 2), axis=1), kinds="i"),
    primitive("argsort", lambda x, axis, descending: argsort(x, axis, descending),
        s(TABLE, axis=0, descending=False), s(TABLE, axis=1, descending=True),
        s(distinct(2, 0), axis=1, descending=True), result=tw.int64, kinds="ib", derivatives=0),
]
# fmt: on

ROWS = [*SUMS, *EXTREMES, *ORDER, *PRIMITIVES]
