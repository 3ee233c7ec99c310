"""Rows of the rarer operations: special functions, running extremes, places in an order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.arrangement import joined, joining
from tests.table.elementwise import MATHS, NAN, through
from tests.table.linear import exponential, regular
from tests.table.row import (
    APART,
    Array,
    Bad,
    Row,
    binary,
    distinct,
    inside,
    integers,
    mask,
    normal,
    positive,
    row,
    s,
    unary,
)
from thalweg.errors import ConfigError, DTypeError, OutOfRangeError

__all__ = ["ROWS"]

INF = math.inf


def digamma(x: Array) -> Array:
    """By the recurrence and an asymptotic series; below 1/2 by reflection."""
    if x.ndim:
        return np.array([digamma(v) for v in x.reshape(-1)]).reshape(x.shape)
    if x < 0.5:
        return digamma(np.asarray(1 - x)) - math.pi / np.tan(math.pi * x)
    steps = sum(1 / (x + k) for k in range(20))
    z = x + 20
    return np.asarray(
        np.log(z) - 1 / (2 * z) - 1 / (12 * z**2) + 1 / (120 * z**4) - 1 / (252 * z**6) - steps
    )


def erfinv(x: Array) -> Array:
    """By Newton's method, from 0."""
    y = np.zeros_like(x)
    for _ in range(60):
        y = y - (through(math.erf)(y) - x) * math.sqrt(math.pi) / 2 * np.exp(y * y)
    return y


def added(product: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    return lambda x, a, b, beta=1, alpha=1: beta * x + alpha * product(a, b)


def running(function: Any) -> Callable[[Array, int], Any]:
    """Values so far, and where the last of them stands."""

    def oracle(x: Array, dim: int) -> Any:
        values = function.accumulate(x, dim)
        size = x.shape[dim]
        at = np.indices(x.shape)[dim]
        own = np.where(x == values, at, -1)
        return values, np.maximum.accumulate(own, dim) if size else at

    return oracle


def kth(x: Array, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    order = np.take(np.argsort(x, dim, kind="stable"), [k - 1], dim)
    found = np.take_along_axis(x, order, dim), order
    return found if keepdim else tuple(y.squeeze(dim) for y in found)


def nanmedian(x: Array, dim: int = 0) -> Array:
    ordered = np.sort(x, dim)
    place = np.maximum((~np.isnan(x)).sum(dim, keepdims=True) - 1, 0) // 2
    return np.take_along_axis(ordered, place, dim).squeeze(dim)


def searched(line: Array, values: Array, right: bool = False) -> Array:
    side: Any = "right" if right else "left"
    if line.ndim == 1:
        return np.asarray(np.searchsorted(line, values, side))
    pairs = zip(line.reshape(-1, line.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
    return np.array([np.searchsorted(a, v, side) for a, v in pairs]).reshape(values.shape)


def reduced_into(
    x: Array, dim: int, index: Array, src: Array, how: str, include_self: bool = True
) -> Array:
    """An element at a time."""
    lists: dict[Any, list[Any]] = {}
    for place in np.ndindex(*index.shape):
        to = (*place[:dim], int(index[place]), *place[dim + 1 :])
        lists.setdefault(to, []).append(src[place])
    out = x.copy()
    for to, values in lists.items():
        every = [x[to], *values] if include_self else values
        mean = np.mean if x.dtype.kind == "f" else lambda v: sum(v) // len(v)
        out[to] = {"sum": sum, "mean": mean, "amax": max, "amin": min}[how](every)
    return out


def masked_scatter(x: Array, chosen: Array, source: Array) -> Array:
    out = x.copy()
    wide = np.broadcast_to(chosen, x.shape)
    out[wide] = source.reshape(-1)[: wide.sum()]
    return out


def put(x: Array, *given: Array, accumulate: bool = False) -> Array:
    *at, values = given
    out = x.copy()
    if accumulate:
        np.add.at(out, tuple(at), values)
    else:
        out[tuple(at)] = values
    return out


def renorm(x: Array, p: float, dim: int, most: float) -> Array:
    others = tuple(k for k in range(x.ndim) if k != dim)
    size = (np.abs(x) ** p).sum(others, keepdims=True) ** (1 / p)
    return x * np.where(size > most, most / (size + 1e-7), 1)


def blocks(*parts: Array) -> Array:
    parts = tuple(np.atleast_2d(x) for x in parts)
    out = np.zeros(np.sum([x.shape for x in parts], 0), np.result_type(*parts))
    row = column = 0
    for x in parts:
        out[row : row + x.shape[0], column : column + x.shape[1]] = x
        row, column = row + x.shape[0], column + x.shape[1]
    return out


def areas(y: Array, x: Any = None, dx: float = 1.0, dim: int = -1) -> Array:
    y = np.moveaxis(y, dim, -1)
    x = x if x is None or x.ndim == 1 else np.moveaxis(x, dim, -1)
    width = dx if x is None else np.diff(x)
    return np.moveaxis((y[..., 1:] + y[..., :-1]) / 2 * width, -1, dim)


def chosen(x: Array, r: int = 2, with_replacement: bool = False) -> Array:
    rows = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return np.array(list(rows(x, r)), x.dtype)


def product(*vectors: Array) -> Array:
    grid = np.meshgrid(*vectors, indexing="ij")
    return np.stack([g.reshape(-1) for g in grid], 1)


def consecutive(x: Array) -> Any:
    runs = [(k, len(list(g))) for k, g in itertools.groupby(x.tolist())]
    inverse = np.repeat(np.arange(len(runs)), [n for _, n in runs])
    return np.array([k for k, _ in runs], x.dtype), inverse, np.array([n for _, n in runs])


def second(name: str, first: str) -> Row:
    """The row of `first` under another name."""
    known = next(r for r in (*MATHS, *ELSEWHERE) if r.name == first)
    settings = {k: getattr(known, k) for k in ("result", "kinds", "bad", "derivatives", "exact")}
    return row(name, known.oracle, *known.samples, **settings)


NUMBERS = {"result": "float", "kinds": "ib"}
X, Y, V = normal(3, 4), normal(2, 3, 2), normal(4)
A3 = regular(3, 3)
INDEX = np.array([[0, 2, 1, 1], [2, 2, 0, 1], [0, 2, 0, 1]])
EXTREMES = [s(X, INDEX, normal(3, 4, seed=1), args=(how,), include_self=keep)
            for how in ("sum", "mean", "amax", "amin") for keep in (True, False)]  # fmt: skip

# fmt: off
ELSEWHERE = [
    row("gt", np.greater, binary(), result=tw.bool, kinds="ib", derivatives=0, bad=APART),
    row("ge", np.greater_equal, binary(), result=tw.bool, kinds="ib", derivatives=0, bad=APART),
    row("lt", np.less, binary(), result=tw.bool, kinds="ib", derivatives=0, bad=APART),
    row("le", np.less_equal, binary(), result=tw.bool, kinds="ib", derivatives=0, bad=APART),
    row("ne", np.not_equal, binary(), result=tw.bool, kinds="ib", derivatives=0, bad=APART),
    row("div", np.true_divide, binary(normal, positive), result="float", kinds="i", bad=APART),
    row("atan2", np.arctan2, binary(positive, normal), result="float", kinds="i", bad=APART),
    row("sign", np.sign, unary(normal, 0.0), kinds="i", exact=True),
    row("trunc", np.trunc, unary(), kinds="i", exact=True),
]
SPECIAL = [
    row("lgamma",  through(math.lgamma), unary(positive),
        s(np.array([0.01, 1.0, 1.5, 2.0, 7.9, 8.1, 60.0, -0.5, -3.25])), result="float"),
    row("digamma", digamma, unary(positive), s(np.array([0.01, 1.0, 1.5, 7.9, 8.1, 60.0])),
        s(np.array([-0.5, -3.25])), result="float"),
    row("erfc",    through(math.erfc), unary(), s(np.array([2.5, -3.0])), **NUMBERS),
    row("erfinv",  erfinv, unary(lambda *n, **k: inside(*n, **k) * 0.75), s(np.array([0.0, 0.8])),
        result="float"),
    row("sinc",    np.sinc, unary(), s(np.array([0.0, 1e-6, 0.5, -1.25])), **NUMBERS),
    row("heaviside", np.heaviside, binary(), s(np.array([0.0, -0.0, 1.0]), np.array(0.5)),
        kinds="i", exact=True, derivatives=0, bad=APART),
    row("copysign", np.copysign, binary(), s(np.array([0.0, 1.0]), np.array([-0.0, -0.0]),
        smooth=False), result="float", kinds="i", bad=APART),
    row("signbit", np.signbit, unary(normal, 0.0, -0.0, INF, -INF), result=tw.bool, kinds="i",
        derivatives=0),
    row("isposinf", np.isposinf, unary(normal, INF, -INF, NAN), result=tw.bool, kinds="ib",
        derivatives=0),
    row("isneginf", np.isneginf, unary(normal, INF, -INF, NAN), result=tw.bool, kinds="ib",
        derivatives=0),
    row("fmax", np.fmax, binary(), s(np.array([NAN, 1.0]), np.array([2.0, NAN]), smooth=False),
        kinds="i", bad=APART),
    row("fmin", np.fmin, binary(), s(np.array([NAN, 1.0]), np.array([2.0, NAN]), smooth=False),
        kinds="i", bad=APART),
    row("logaddexp2", np.logaddexp2, binary(), **NUMBERS, bad=APART),
    row("float_power", np.float_power, binary(positive), s(positive(3), args=(2.5,)),
        result=tw.float64, kinds="m", bad=APART),
    row("ldexp", lambda x, y: x * 2.0**y, binary(), result="float", kinds="i", bad=APART),
    row("positive", np.positive, unary(), kinds="is", exact=True),
]
NAMES = [second(name, of) for name, of in (
    ("arccos", "acos"), ("arccosh", "acosh"), ("arcsin", "asin"), ("arcsinh", "asinh"),
    ("arctan", "atan"), ("arctan2", "atan2"), ("arctanh", "atanh"), ("fix", "trunc"),
    ("sgn", "sign"), ("greater", "gt"), ("greater_equal", "ge"), ("less", "lt"),
    ("less_equal", "le"), ("not_equal", "ne"), ("true_divide", "div"))]
ALGEBRA = [
    row("baddbmm", added(np.matmul), s(normal(2, 3, 2), normal(2, 3, 4), normal(2, 4, 2)),
        s(normal(2), normal(2, 3, 4), normal(2, 4, 2), beta=0.5, alpha=2),
        bad=Bad((normal(3, 3, 2), normal(2, 3, 4), normal(2, 4, 2)), mentions=("(3, 3, 2)",))),
    row("addbmm", added(lambda a, b: (a @ b).sum(0)),
        s(normal(3, 2), normal(2, 3, 4), normal(2, 4, 2)),
        s(normal(2), normal(2, 3, 4), normal(2, 4, 2), beta=0.5, alpha=2),
        bad=Bad((normal(2), normal(2, 3, 4), normal(4, 2)), mentions=("(4, 2)",))),
    row("addmv", added(np.matmul), s(normal(3), X, V), s(normal(1), X, V, beta=0.5, alpha=2),
        bad=Bad((normal(2, 3), X, V), mentions=("(2, 3)", "(3,)"))),
    row("addr", added(np.outer), s(X, normal(3), V), s(normal(1), normal(3), V, beta=0.5, alpha=2),
        bad=Bad((normal(4, 3), normal(3), V), mentions=("(4, 3)",))),
    row("vdot", np.dot, s(V, V), kinds="i", bad=Bad((normal(3), normal(4)))),
    row("ger", np.outer, s(V, normal(3)), kinds="i", bad=Bad((X, V))),
    row("kron", np.kron, s(X, normal(2, 2)), s(V, X), s(normal(), V), s(Y, normal(2)),
        s(normal(0), V), kinds="i"),
    row("cross", lambda x, y, dim=None: np.cross(x, y, axis=list(x.shape).index(3) if dim is None
        else dim), s(normal(3), normal(3, seed=1)), s(normal(3, 2), normal(3, 2, seed=1)),
        s(normal(3, 3), normal(3, 3, seed=1), dim=1), kinds="i",
        bad=Bad((normal(2), normal(2)), mentions=("(2,)",))),
    row("det", np.linalg.det, s(A3), bad=Bad((X,), mentions=("(3, 4)",))),
    row("slogdet", lambda a: tuple(np.linalg.slogdet(a)), s(A3), bad=Bad((X,))),
    row("logdet", lambda a: np.log(np.linalg.det(a)), s(A3), s(np.stack([A3, A3 / 2])),
        s(-A3, smooth=False), bad=Bad((X,))),
    row("inverse", np.linalg.inv, s(A3), judged=True, bad=Bad((X,))),
    row("pinverse", np.linalg.pinv, s(X), s(A3), bad=Bad((V,))),
    row("matrix_power", np.linalg.matrix_power, s(A3, args=(3,)), bad=Bad((X,), (2,))),
    row("matrix_exp", exponential, s(A3 / 4), bad=Bad((X,))),
    row("block_diag", blocks, s(X, normal(2, 1)), s(V, normal(), X), s(X), kinds="is",
        bad=Bad((Y,), mentions=("(2, 3, 2)",))),
]
RUNNING = [
    row("logcumsumexp", lambda x, dim: np.logaddexp.accumulate(x, dim), s(X, args=(0,)),
        s(X, args=(-1,)), s(normal(0, 2), args=(0,)), s(V * 300, args=(0,)), result="float",
        bad=Bad((X,), (2,), mentions=("dimension 2",))),
    row("cummax", running(np.maximum), s(distinct(3, 4), args=(0,)), s(distinct(5), args=(0,)),
        s(np.array([1.0, 2.0, 2.0, 1.0]), args=(0,), smooth=False), s(normal(0, 2), args=(0,)),
        kinds="im", indexed=True, bad=Bad((X,), (2,), mentions=("dimension 2",))),
    row("cummin", running(np.minimum), s(distinct(3, 4), args=(1,)), s(distinct(5), args=(0,)),
        s(np.array([1.0, 2.0, 1.0, 2.0]), args=(0,), smooth=False), kinds="im", indexed=True,
        bad=Bad((X,), (2,), mentions=("dimension 2",))),
    row("trapezoid", lambda *a, dim=-1, **k: areas(*a, dim=dim, **k).sum(dim), s(X), s(X, V),
        s(X, X + 5), s(X, dx=0.5, dim=0), s(normal(1)), result="float", kinds="i",
        bad=(Bad((X, normal(3))), Bad((X, V), kwargs={"dx": 1.0}, error=ConfigError,
            mentions=("x and dx",)))),
    row("trapz", lambda *a, dim=-1: areas(*a, dim=dim).sum(dim), s(X, V), result="float"),
    row("cumulative_trapezoid", lambda *a, dim=-1, **k: np.cumsum(areas(*a, dim=dim, **k), dim),
        s(X), s(X, V), s(X, normal(3), dim=0), result="float", kinds="i"),
]
SEARCHING = [
    row("msort", lambda x: np.sort(x, 0), s(distinct(4, 3)), s(distinct(5)), kinds="i", exact=True),
    row("kthvalue", kth, s(distinct(4, 3), args=(2,)), s(distinct(5), args=(1,)),
        s(distinct(4, 3), args=(3, 0, True)), kinds="i", indexed=True, exact=True,
        bad=(Bad((X,), (5,), error=ConfigError, mentions=("k=5", "1 to 4")),
            Bad((X,), (1, 2), mentions=("dimension 2",)))),
    row("nanmedian", lambda x: nanmedian(x.reshape(-1)), s(distinct(4, 3)), s(distinct(5)),
        s(np.array([1.0, NAN, 3.0]), smooth=False), s(np.array([NAN, NAN]), smooth=False)),
    row("searchsorted", searched, s(np.sort(V), X), s(np.sort(V), X, right=True),
        s(np.sort(V), np.sort(V)), s(np.sort(X), normal(3, 2)), s(np.sort(V), normal()),
        s(normal(0), V), s(np.sort(normal(9)), np.sort(normal(9)), right=True), kinds="im",
        result=tw.int64, derivatives=0,
        bad=(Bad((X, normal(2, 2))), Bad((V, V), kwargs={"side": "up"}, error=ConfigError,
            mentions=("up",)))),
    row("bucketize", lambda x, line, right=False: searched(line, x, right), s(X, np.sort(V)),
        s(X, np.sort(V), right=True), kinds="im", result=tw.int64, derivatives=0,
        bad=Bad((normal(2, 2), X))),
    row("unique_consecutive", consecutive, s(np.array([1.0, 1.0, 2.0, 1.0])), s(normal(0)),
        call=lambda x: x.unique_consecutive(True, True), kinds="i", derivatives=0, exact=True,
        concrete=True, indexed=True),
]
ARRANGING = [
    row("rot90", np.rot90, *(s(X, args=(k,)) for k in (0, 1, 2, 3, 5, -1)),
        s(Y, args=(1, (1, 2))), kinds="ibs", exact=True,
        bad=(Bad((X,), (1, (0, 0)), mentions=("(0, 0)",)),
            Bad((V,), mentions=("dimension 1",)))),
    row("diagflat", np.diagflat, s(V), s(normal(2, 2), args=(-1,)), kinds="i", exact=True),
    *(row(name, lambda x, cuts, name=name: getattr(np, name)(x, cuts), *samples, kinds="ibs",
        exact=True, bad=bad) for name, samples, bad in (
            ("hsplit", [s(X, args=(2,)), s(V, args=((1, 3),))], ()),
            ("vsplit", [s(X, args=(3,))], Bad((V,), (2,), mentions=("(4,)",))),
            ("dsplit", [s(Y, args=(2,))], Bad((X,), (2,), mentions=("(3, 4)",))))),
    row("atleast_2d", np.atleast_2d, s(V), s(normal()), s(Y), kinds="ibs", exact=True),
    row("atleast_3d", np.atleast_3d, s(V), s(normal()), s(X), s(Y), kinds="ibs", exact=True),
    row("dstack", joined(np.dstack), s(X, X), s(V, V), s(Y, Y), call=joining("dstack"),
        kinds="ibs", exact=True),
    row("combinations", chosen, s(V), s(V, args=(3,)), s(V, args=(2, True)), kinds="ibs",
        exact=True, bad=Bad((X,), mentions=("(3, 4)",))),
    row("cartesian_prod", product, s(V, normal(2)), s(V, normal(2), normal(3)), kinds="ibs",
        exact=True, bad=Bad((V, X), mentions=("(3, 4)",))),
    row("vander", np.vander, s(V), s(V, N=2), s(V, N=3, increasing=True), s(V, N=0), kinds="i",
        bad=(Bad((X,), mentions=("(3, 4)",)), Bad((V,), (-1,), error=ConfigError,
            mentions=("N=-1",)))),
    row("unravel_index", np.unravel_index, s(integers(0, 24, 5), args=((2, 3, 4),)),
        s(integers(0, 6, 2, 2), args=((6,),)), result=tw.int64, judged=True,
        bad=Bad((np.array([6]),), ((2, 3),), error=OutOfRangeError, mentions=("(2, 3)", "6"))),
]
PLACING = [
    row("scatter_reduce", lambda x, at, src, how, include_self: reduced_into(x, x.ndim - 1, at, src,
        how, include_self), *EXTREMES, s(V, np.array([0, 0, 3]), normal(3, seed=1), args=("amax",),
        include_self=False), call=lambda x, at, src, how, include_self: x.scatter_reduce(1 if
        x.ndim > 1 else 0, at, src, how, include_self=include_self),
        result="first", kinds="im",
        bad=Bad((X, INDEX, X), ("prod",), {"include_self": True}, error=ConfigError,
            mentions=("prod",))),
    row("masked_scatter", masked_scatter, s(X, mask(3, 4), normal(12)), s(X, mask(4), normal(3, 4)),
        result="first", kinds="is", exact=True, judged=True,
        bad=(Bad((X, X, V), error=DTypeError, mentions=("bool",)),
            Bad((X, np.ones((3, 4), np.bool_), V), error=OutOfRangeError, mentions=("4",)))),
    row("index_put", put, s(X, np.array([0, 2]), np.array([1, 1]), normal(2)),
        s(X, np.array([0, 0]), np.array([1, 1]), normal(2), accumulate=True),
        s(X, np.array([0, 2]), V, accumulate=True), result="first", kinds="im",
        call=lambda x, *given, **how: x.index_put(given[:-1], given[-1], **how)),
    row("select_scatter", lambda x, src, dim, at: put(x, *[slice(None)] * dim, at, src),
        s(X, V, args=(0, 1)), s(X, normal(3), args=(1, 3)), kinds="is", exact=True,
        result="first", bad=(Bad((X, normal(3)), (0, 1), mentions=("(3,)", "(4,)")),
            Bad((X, V), (0, 5), error=OutOfRangeError, mentions=("5",)))),
    row("renorm", renorm, s(X, args=(2, 0, 1.0)), s(X, args=(1, 1, 2.0)), s(Y, args=(3, 1, 0.5)),
        bad=(Bad((X,), (0, 0, 1.0), error=ConfigError, mentions=("p=0",)),
            Bad((X,), (2, 2, 1.0), mentions=("dimension 2",)))),
]
# fmt: on

ROWS = [*SPECIAL, *NAMES, *ALGEBRA, *RUNNING, *SEARCHING, *ARRANGING, *PLACING]
