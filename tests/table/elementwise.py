"""Elementwise rows: a line an operation, functional spelling and primitive together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from tests.table.row import (
    APART,
    Array,
    Bad,
    Row,
    Sample,
    binary,
    inside,
    integers,
    mask,
    normal,
    positive,
    row,
    s,
    unary,
)
from thalweg.errors import ConfigError, DTypeError
from thalweg.primitives import REGISTRY
from thalweg.tape import bind

__all__ = ["ROWS", "primitive"]

NAN, INF = math.nan, math.inf
SPECIAL = np.array([NAN, INF, -INF, 0.0, -0.0, 1.5])


def primitive(name: str, oracle: Callable[..., Any], *samples: Any, **settings: Any) -> Row:
    """A row of the op table itself, by way of `bind`."""
    rule = REGISTRY[name]

    def call(*operands: tw.Tensor, **attributes: Any) -> tw.Tensor:
        return bind(rule, *operands, **attributes)

    return row(f"primitives.{name}", oracle, *samples, call=call, **settings)


def both(
    name: str, oracle: Callable[..., Any], *samples: Any, of: str | None = None, **settings: Any
) -> list[Row]:
    """The functional spelling and the primitive (`of`, if its name differs) behind it.

    A primitive takes integers only where it gives integers.
    """
    public = row(name, oracle, *samples, **settings)
    kinds = settings.get("kinds", "") if settings.get("result") != "float" else ""
    settings = {**settings, "kinds": kinds}
    return [public, primitive(of or name, oracle, *samples, **settings)]


def also(name: str, rows: list[Row]) -> list[Row]:
    """The first of `rows` under a second name."""
    first = rows[0]
    settings = {k: getattr(first, k) for k in ("result", "kinds", "bad", "derivatives", "exact")}
    return [*rows, row(name, first.oracle, *first.samples, **settings)]


def through(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return np.vectorize(function, otypes=[np.float64])


def power(a: Array, b: Array) -> Array:
    return np.power(a, np.asarray(b, np.float64) if a.dtype.kind == "f" else b)


def clamped(x: Array, min: Any = None, max: Any = None) -> Array:
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


# fmt: off
MATHS = [
    *both("exp",     np.exp,     unary(), result="float", kinds="ib"),
    *both("expm1",   np.expm1,   unary(), s(np.array([1e-6, -1e-6])), result="float", kinds="ib"),
    *both("log",     np.log,     unary(positive), s(np.array([0.0, -1.0]), smooth=False),
        result="float", kinds="i"),
    *both("log1p",   np.log1p,   unary(positive), s(np.array([1e-6, -1e-6])), result="float",
        kinds="ib"),
    *both("sqrt",    np.sqrt,    unary(positive), s(np.array([0.0, -1.0]), smooth=False),
        result="float", kinds="i"),
    *both("sin",     np.sin,     unary(), result="float", kinds="ib"),
    *both("cos",     np.cos,     unary(), result="float", kinds="ib"),
    *both("tan",     np.tan,     unary(inside), result="float", kinds="ib"),
    *both("asin",    np.arcsin,  unary(inside, -1.0, 1.0, 2.0), result="float", kinds="b"),
    *both("acos",    np.arccos,  unary(inside, -1.0, 1.0, 2.0), result="float", kinds="b"),
    *both("atan",    np.arctan,  unary(), result="float", kinds="ib"),
    *both("tanh",    np.tanh,    unary(), s(np.array([30.0, -30.0])), result="float", kinds="ib"),
    *both("sigmoid", lambda x: 1 / (1 + np.exp(-x)), unary(), s(np.array([100.0, -80.0])),
        of="logistic", result="float", kinds="ib"),
    *both("erf",     through(math.erf), unary(), s(np.array([3.5, -5.0, 1e-6])), result="float",
        kinds="ib"),
    row("exp2",      np.exp2,    unary(), result="float", kinds="ib"),
    row("log2",      np.log2,    unary(positive), s(2.0 ** np.arange(-3, 4)), result="float",
        kinds="i"),
    row("log10",     np.log10,   unary(positive), result="float", kinds="i"),
    row("rsqrt",     lambda x: 1 / np.sqrt(x), unary(positive), result="float", kinds="i"),
    row("sinh",      np.sinh,    unary(), s(np.array([1e-6, -1e-6])), result="float", kinds="ib"),
    row("cosh",      np.cosh,    unary(), result="float", kinds="ib"),
    row("asinh",     np.arcsinh, unary(), s(np.array([0.0, 1e-6, 1e12])), result="float",
        kinds="ib"),
    row("acosh",     np.arccosh, unary(lambda *n, **k: positive(*n, **k) + 1),
        s(np.array([1.0, 0.5]), smooth=False), result="float"),
    row("atanh",     np.arctanh, unary(inside), s(np.array([1e-6])), result="float"),
    row("logit",     lambda x, eps=None: np.log(x / (1 - x)) if eps is None
        else np.log(np.clip(x, eps, 1 - eps) / (1 - np.clip(x, eps, 1 - eps))),
        unary(lambda *n, **k: inside(*n, **k) / 2 + 0.5),
        s(np.array([0.5, 0.875, 0.0625]), eps=0.1)),
    row("rad2deg",   np.degrees, unary(), result="float", kinds="ib"),
    row("deg2rad",   np.radians, unary(), result="float", kinds="ib"),
    row("reciprocal", lambda x: 1 / x, unary(), result="float", kinds="i"),
    row("relu",      lambda x: np.maximum(x, 0), unary(normal, 0.0, -0.0, INF, -INF, NAN),
        kinds="i"),
]

SIGNS = [
    *also("negative", both("neg", np.negative, unary(), of="negative", kinds="i")),
    *also("absolute", both("abs", np.absolute, unary(normal, 0.0, -0.0), of="absolute",
            kinds="ib")),
    *both("sign",    np.sign,    unary(normal, 0.0), kinds="i"),
    *both("floor",   np.floor,   unary(normal, 2.0, -2.0, -0.5), kinds="i")[:1],
    *both("ceil",    np.ceil,    unary(normal, 2.0, -2.0, -0.5), kinds="i")[:1],
    *both("trunc",   np.trunc,   unary(normal, 2.0, -2.0, -0.5), kinds="i")[:1],
    row("round",     lambda x, decimals=0: np.round(x, decimals), unary(normal, 0.5, 1.5, -0.5),
        kinds="i"),
    row("round",     lambda x, decimals=0: np.round(x, decimals),
        s(np.array([1.2345, -0.987]), decimals=2)),
    primitive("floor", np.floor, unary(normal, 2.0, -0.5)),
    primitive("ceil",  np.ceil,  unary(normal, 2.0, -0.5)),
    primitive("trunc", np.trunc, unary(normal, 2.0, -0.5)),
    primitive("round", np.rint,  unary(normal, 0.5, 1.5)),
    row("frac",      lambda x: x - np.trunc(x), unary(normal, 2.0), kinds="i"),
    row("square",    np.square,  unary(), kinds="i"),
    row("nan_to_num", lambda x, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf,
            neginf=neginf),
        unary(normal, nan=0.5, posinf=2, neginf=-3), s(SPECIAL, args=(0.5, 2, -3), smooth=False),
        kinds="ib"),
    row("clone",     np.copy,    unary(), kinds="ibs", exact=True),
    row("detach",    np.copy,    unary(), kinds="ibs", exact=True, derivatives=0),
]

ARITHMETIC = [
    *both("add",     np.add,      binary(), kinds="ib", bad=APART),
    *also("subtract", both("sub", np.subtract, binary(), of="subtract", kinds="i", bad=APART)),
    *also("multiply", both("mul", np.multiply, binary(), of="multiply", kinds="ib", bad=APART)),
    *also("divide", both("div",   np.divide, binary(), of="divide", result="float", kinds="i",
            bad=APART)),
    row("add",       lambda a, b, alpha: a + alpha * b, binary(alpha=2), kinds="i"),
    row("sub",       lambda a, b, alpha: a - alpha * b, binary(alpha=2), kinds="i"),
    row("div",       lambda a, b, rounding_mode: np.trunc(a / b),
        binary(normal, positive, rounding_mode="trunc"), kinds="i", derivatives=1),
    row("div",       lambda a, b, rounding_mode: np.floor(a / b),
        binary(normal, positive, rounding_mode="floor"), kinds="i", derivatives=0,
        bad=Bad((normal(2), normal(2)), kwargs={"rounding_mode": "up"}, error=ConfigError,
            mentions=("'up'", '"trunc"'))),
    *both("remainder", np.remainder, binary(normal, positive, (2.0, 0.5), (-1.0, 0.75)), kinds="i",
        bad=APART),
    row("fmod",      np.fmod,     binary(normal, positive, (-2.0, 0.5), (-1.0, -0.75)), kinds="i",
        bad=APART),
    *both("floor_divide", np.floor_divide, binary(normal, positive), kinds="i", derivatives=0,
        bad=APART),
    *both("pow",     power,       binary(positive, normal, (0.0, 2.0), (0.0, 0.0), (0.0, 0.5),
            (-2.0, 3.0)),
        s(integers(-3, 4, 5), integers(0, 4, 5)), of="power", bad=APART, judged=True),
    row("pow",       power,       *(s(normal(3, 2), args=(n,)) for n in (0, 1, 2, 3, -1, -2)),
        s(positive(4), args=(0.5,)), s(positive(4), args=(-1.5,)),
        s(np.zeros(2), args=(2,)), s(np.zeros(2), args=(0,)), s(integers(-3, 4, 5), args=(3,)),
        bad=Bad((integers(1, 4, 3),), (-1,), error=DTypeError,
            mentions=("negative power", "x.float()"))),
    primitive("scalar_power", lambda x, exponent: x**exponent,
        *(s(normal(3, 2), exponent=n) for n in (0, 1, 2, 3, 4, -1)), s(positive(4), exponent=0.5)),
    row("lerp",      lambda a, b, w: a + w * (b - a),
        *(Sample(x.arrays, (0.25,)) for x in binary()),
        s(normal(3), normal(3, seed=1), normal(3, seed=2)),
        bad=Bad((normal(2, 3), normal(4)), (0.5,))),
    row("addcmul",   lambda a, b, c, value=1: a + value * b * c,
        s(normal(2, 3), normal(3, seed=1), normal(2, 1)),
        s(normal(3), normal(3, seed=1), normal(3, seed=2), value=0.5),
        s(normal(0), normal(0), normal(0))),
    row("addcdiv",   lambda a, b, c, value=1: a + value * b / c,
        s(normal(2, 3), normal(3, seed=1), normal(2, 1)),
        s(normal(3), normal(3, seed=1), normal(3, seed=2), value=0.5),
        s(normal(0), normal(0), normal(0))),
    *both("atan2",   np.arctan2,  binary(), result="float", kinds="i", bad=APART),
    row("hypot",     np.hypot,    binary(normal, None, (0.0, 0.0)), result="float", kinds="i",
        bad=APART),
    row("logaddexp", np.logaddexp, binary(normal, None, (INF, INF), (-INF, -INF), (1000.0, 1000.0)),
        result="float", kinds="i", bad=APART),
    row("xlogy",     lambda a, b: np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b)),
        binary(normal, positive, (0.0, 0.0), (0.0, NAN)), result="float", kinds="i", bad=APART),
]

EXTREMES = [
    *both("maximum", np.maximum,  binary(normal, None, (0.5, 0.5), (NAN, 1.0)), kinds="ib",
        bad=APART),
    *both("minimum", np.minimum,  binary(normal, None, (0.5, 0.5), (NAN, 1.0)), kinds="ib",
        bad=APART),
    *also("clip", [row("clamp", clamped, unary(normal, -0.5, 0.5, NAN, min=-0.5, max=0.5),
            unary(normal, min=0.25), s(normal(3), args=(None, 0)), s(normal(3), args=(1, -1)),
            s(normal(3), -positive(3), positive(3, seed=1)), s(normal(3), -positive(3)),
            s(integers(-9, 9, 5), args=(-2, 3)),
            bad=Bad((normal(3),), error=ConfigError, mentions=("min, max or both",)))]),
    row("clamp_min", lambda x, min: np.maximum(x, min), unary(normal, 0.5, min=0.5),
        s(normal(3), normal(3, seed=1))),
    row("clamp_max", lambda x, max: np.minimum(x, max), unary(normal, 0.5, max=0.5),
        s(normal(3), normal(3, seed=1))),
]

COMPARISON = [
    *(r for name, of, oracle in (
            ("eq", "equal", np.equal), ("ne", "not_equal", np.not_equal), ("lt", "less", np.less),
            ("le", "less_equal", np.less_equal), ("gt", "greater", np.greater),
            ("ge", "greater_equal", np.greater_equal),
        ) for r in both(name, oracle, binary(normal, None, (1.0, 1.0), (NAN, NAN), (INF, INF)),
            of=of,
            result=tw.bool, kinds="ib", derivatives=0, bad=APART)),
    *both("isnan",    np.isnan,    unary(), s(SPECIAL), result=tw.bool, kinds="ib", derivatives=0),
    *both("isfinite", np.isfinite, unary(), s(SPECIAL), result=tw.bool, kinds="ib", derivatives=0),
    row("isinf",      np.isinf,    unary(), s(SPECIAL), result=tw.bool, kinds="ib", derivatives=0),
    row("isclose",    np.isclose,  binary(normal, None, (1.0, 1.0 + 1e-7), (INF, INF), (INF, 1.0),
            (1.0, INF), (NAN, NAN)), s(SPECIAL, SPECIAL, equal_nan=True),
        s(normal(4), normal(4, seed=1), rtol=0.5), result=tw.bool, kinds="ib", derivatives=0,
        bad=APART),
]

LOGIC = [
    *(row(f"logical_{name}", getattr(np, f"logical_{name}"),
            binary(normal, None, (0.0, 0.0), (1.0, 0.0), (NAN, 0.0)), result=tw.bool, kinds="ib",
            derivatives=0, bad=APART) for name in ("and", "or", "xor")),
    row("logical_not", np.logical_not, unary(normal, 0.0, NAN), result=tw.bool, kinds="ib",
        derivatives=0),
    *(r for name in ("and", "or", "xor") for r in both(f"bitwise_{name}",
            getattr(np, f"bitwise_{name}"),
            s(integers(-9, 9, 3, 1), integers(-9, 9, 4)), s(mask(3), mask(3, seed=1)),
            s(mask(0), mask(0)), derivatives=0)),
    *both("bitwise_not", np.invert, s(integers(-9, 9, 3, 4)), s(mask(3)), s(np.array(5)),
        derivatives=0),
    primitive("shift_left",  np.left_shift,  s(integers(0, 9, 3, 1), integers(0, 4, 2)),
        derivatives=0),
    primitive("shift_right", np.right_shift, s(integers(-99, 99, 3, 1), integers(0, 4, 2)),
        derivatives=0),
]

SELECTION = [
    row("where",       np.where, s(mask(3, 4), normal(3, 4), normal(4, seed=1)),
        s(mask(3, 1), normal(), normal(2)), s(mask(0), normal(0), normal(1)), kinds="ibs",
        exact=True,
        bad=(Bad((mask(2), normal(2, 3), normal(3))),
            Bad((integers(0, 2, 3), normal(3), normal(3)), error=DTypeError,
            mentions=("bool", "int64")))),
    primitive("select", np.where, s(mask(3, 4), normal(3, 4), normal(4, seed=1)),
        s(mask(), normal(), normal()), kinds="ibs", exact=True),
    row("masked_fill", lambda x, m, value: np.where(m, np.asarray(value).astype(x.dtype), x),
        s(normal(3, 4), mask(4), args=(1,)), s(normal(), mask(), args=(1,)),
        s(normal(0), mask(0), args=(1,)), kinds="ibs", exact=True,
        bad=Bad((normal(2, 3), mask(4)), (0.0,))),
]
# fmt: on

ROWS = [*MATHS, *SIGNS, *ARITHMETIC, *EXTREMES, *COMPARISON, *LOGIC, *SELECTION]
