"""Elementwise operations: arithmetic, mathematics, comparison, logic and selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Samples, call, first, given, named

__all__ = ["CASES", "ELEMENTWISE", "OPERATORS"]

_samples = Samples(3)
normal, positive, integers, truths = (
    _samples.normal,
    _samples.positive,
    _samples.integers,
    _samples.truths,
)

INF, NAN = np.inf, np.nan
# Signed zeros, ties, infinities, NaN: where rules for special values show.
KINKS = given(-INF, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, INF)
SPECIAL = np.append(KINKS, NAN)
NUMBERS = given(-2.5, -2.0, -1.5, -0.5, 0.0, 0.5, 1.5, 2.0, 2.5)

# fmt: off
ONE      = [call(normal(3, 4)), call(normal()), call(normal(0, 3)), call(SPECIAL)]
KINKED   = [call(normal(3, 4)), call(normal()), call(normal(0, 3)), call(KINKS),
            call(Fixed(SPECIAL))]
POSITIVE = [call(positive(3, 4)), call(positive()), call(positive(0, 3)), call(SPECIAL)]
UNIT     = [call(np.tanh(normal(3, 4))), call(SPECIAL)]
ROUNDED  = [call(normal(3, 4) * 5), call(NUMBERS), call(SPECIAL)]
PAIR     = [call(normal(3, 4), normal(3, 4)), call(normal(3, 1), normal(4)),
            call(normal(2, 3), normal()),
            call(normal(), normal(2, 1)), call(normal(0, 3), normal(3)),
            call(normal(2, 1, 3), normal(4, 1)),
            call(normal(3, 4), Fixed(normal(3, 4))), call(Fixed(normal(4)), normal(3, 1))]
SCALAR   = [call(normal(3, 4), 2.5), call(normal(3, 4), -3)]
MEETING  = [call(KINKS[:, None], KINKS[None, :]), call(Fixed(SPECIAL[:, None]), Fixed(KINKS))]
COMPARED = [*PAIR, *SCALAR, *MEETING, call(integers(3, 4), integers(3, 4)), call(integers(3, 4), 2)]
TRUTHS   = [call(truths(3, 4), truths(3, 4)), call(truths(3, 1), truths(4)),
            call(integers(6), integers(6)),
            call(normal(3), given(0.0, 1.0, 0.0))]
BITS     = [call(truths(3, 4), truths(3, 4)), call(integers(3, 4), integers(3, 4)),
            call(integers(4), 3)]
INTEGERS = [call(integers(3, 4))]

ELEMENTWISE = {
    # arithmetic
    "add":          [*PAIR, *SCALAR, call(normal(3), normal(3), alpha=0.5),
                     call(integers(3), integers(3), alpha=2)],
    "sub":          [*PAIR, *SCALAR, call(normal(3), normal(3), alpha=0.5),
                     call(integers(3), integers(3))],
    "mul":          [*PAIR, *SCALAR, call(integers(3), integers(3)), call(truths(3), truths(3))],
    "div":          [*PAIR, *SCALAR, *MEETING, call(integers(3), integers(3, low=1)),
                     call(integers(3), 2),
                     call(normal(3, 4) * 5, positive(3, 4), rounding_mode="trunc"),
                     call(Fixed(normal(3, 4) * 5), Fixed(positive(3, 4)), rounding_mode="floor"),
                     call(integers(9), integers(9, low=1), rounding_mode="floor"),
                     call(integers(9), integers(9, low=1), rounding_mode="trunc")],
    "pow":          [call(positive(3, 4), normal(3, 4)), call(positive(3, 1), normal(4)),
                     call(normal(3, 4), 2),
                     call(normal(3, 4), 3), call(normal(3), 1), call(normal(3), 0),
                     call(positive(3), 0.5),
                     call(positive(3), -1.5), call(normal(3), -2),
                     call(integers(4), 2), call(integers(4, low=0), integers(4, low=0))],
    "remainder":    [*PAIR, call(NUMBERS, 2.0), call(NUMBERS, -2.0),
                     call(integers(9), integers(9, low=1)), call(integers(9), -3)],
    "floor_divide": [*PAIR, call(NUMBERS, 2.0), call(NUMBERS, -2.0),
                     call(integers(9), integers(9, low=1)), call(integers(9), -3)],
    "fmod":         [*PAIR, call(NUMBERS, 2.0), call(NUMBERS, -2.0),
                     call(integers(9), integers(9, low=1)), call(integers(9), -3)],
    "neg":          [*ONE, *INTEGERS],
    "reciprocal":   [*POSITIVE, call(integers(3, low=1))],
    "square":       [*ONE, *INTEGERS],
    "lerp":         [call(normal(3, 4), normal(3, 4), 0.3),
                     call(normal(3, 4), normal(3, 4), normal(3, 4)),
                     call(normal(3), normal(3), 0.75)],
    "addcmul":      [call(normal(3, 4), normal(3, 4), normal(3, 4)),
                     call(normal(3), normal(3), normal(1), value=0.5)],
    "addcdiv":      [call(normal(3, 4), normal(3, 4), positive(3, 4)),
                     call(normal(3), normal(3), positive(1), value=0.5)],
    "hypot":        PAIR,
    "logaddexp":    [*PAIR, call(given(0.0, 700.0, -700.0), given(0.0, 700.0, -700.0))],
    "xlogy":        [call(normal(3, 4), positive(3, 4)),
                     call(given(0.0, 2.0), given(3.0, 0.5)), call(positive(3), 2.0)],

    "subtract": [call(normal(3), normal(3), alpha=0.5)], "multiply": [call(normal(3), 2)],
                 "divide": [call(normal(3), 2)],
    "negative": [call(normal(3))], "absolute": [call(normal(3))],

    # mathematics
    "abs":      [*KINKED, *INTEGERS],
    "sign":     [*KINKED[:-1], *INTEGERS],
    "exp":      [*ONE, *INTEGERS],
    "exp2":     ONE,
    "expm1":    [*ONE, call(given(1e-8, -1e-8))],
    "log":      [*POSITIVE, call(integers(3, low=1))],
    "log1p":    [*POSITIVE, call(given(1e-8, -1e-8))],
    "log2":     POSITIVE,
    "log10":    POSITIVE,
    "sqrt":     [call(positive(3, 4)), call(positive()), call(integers(3, low=0))],
    "rsqrt":    [call(positive(3, 4)), call(positive())],
    "sin":      [*ONE, *INTEGERS],
    "cos":      [*ONE, *INTEGERS],
    "tan":      ONE,
    "asin":     UNIT,
    "acos":     UNIT,
    "atan":     ONE,
    "atan2":    PAIR,
    "sinh":     [*ONE, call(given(1e-8, -1e-8))],
    "cosh":     ONE,
    "tanh":     [*ONE, call(given(30.0, -30.0, 100.0))],
    "asinh":    ONE,
    "acosh":    [call(positive(3, 4) + 1)],
    "atanh":    [call(np.tanh(normal(3, 4)) * 0.9)],
    "sigmoid":  [*ONE, call(given(-100.0, -1000.0, 40.0))],
    "logit":    [first(given(0.0, 0.3, 1.0), eps=1e-3), call(np.tanh(positive(3, 4)) * 0.9)],
    "relu":     [*KINKED, *INTEGERS],
    "erf":      [*ONE, call(given(-6.0, -2.5, 2.5, 6.0, 1e-6))],
    "floor":    [*ROUNDED, *INTEGERS],
    "ceil":     [*ROUNDED, *INTEGERS],
    "round":    [call(Fixed(given(1.2345, -0.5, 17.55)), decimals=2), *ROUNDED, *INTEGERS],
    "trunc":    [*ROUNDED, *INTEGERS],
    "frac":     [call(normal(3, 4) * 5), call(NUMBERS)],
    "deg2rad":  [call(normal(3, 4) * 90)],
    "rad2deg":  [call(normal(3, 4))],

    # extremes
    "maximum":    [*PAIR, *MEETING, call(given(1.0, 2.0), given(1.0, 3.0)),
                   call(integers(4), integers(4))],
    "minimum":    [*PAIR, *MEETING, call(given(1.0, 2.0), given(1.0, 3.0)),
                   call(integers(4), integers(4))],
    "clamp":      [call(normal(3, 4), -0.5, 0.5), call(normal(3, 4), min=0.0),
                   call(normal(3, 4), max=0.5),
                   call(given(-1.0, -0.5, 0.0, 0.5, 1.0), -0.5, 0.5), call(SPECIAL, -1.0, 1.0),
                   call(integers(6), -2, 2),
                   call(normal(3, 4), Fixed(normal(4)), Fixed(normal(3, 1) + 2))],
    "clip":       [call(normal(3, 4), -0.5, 0.5)],
    "clamp_min":  [call(normal(3, 4), 0.25)],
    "clamp_max":  [call(normal(3, 4), 0.25)],
    "nan_to_num": [call(SPECIAL), call(SPECIAL, 7.0, 8.0, 9.0)],

    # comparison
    "eq": COMPARED, "ne": COMPARED, "lt": COMPARED, "le": COMPARED, "gt": COMPARED, "ge": COMPARED,
    "isnan":    [*ONE, *INTEGERS],
    "isfinite": [*ONE, *INTEGERS],
    "isinf":    [*ONE, *INTEGERS],
    "isin":     [call(integers(3, 4), integers(5)), call(given(1.0, 2.0, 3.0), given(3.0, 1.0))],
    "isclose":  [call(given(1.0, 1.0, 0.0, INF, NAN), given(1.0 + 1e-7, 1.1, 1e-9, INF, NAN)),
                 call(given(1.0, NAN), given(1.5, NAN), rtol=0.5, atol=0.0, equal_nan=True)],
    "allclose": [call(given(1.0, 2.0), given(1.0, 2.0 + 1e-7)), call(given(1.0), given(1.1)),
                 call(given(NAN), given(NAN)),
                 call(given(NAN), given(NAN), equal_nan=True)],
    "equal":    [call(given(1.0, 2.0), given(1.0, 2.0)), call(given(1.0), given(1.0, 1.0)),
                 call(given(1.0), given(2.0))],

    # logic and bits
    "logical_and": TRUTHS, "logical_or": TRUTHS, "logical_xor": TRUTHS,
    "logical_not": [call(truths(3, 4)), call(integers(6)), call(SPECIAL)],
    "bitwise_and": BITS, "bitwise_or": BITS, "bitwise_xor": BITS,
    "bitwise_not": [call(truths(3, 4)), call(integers(3, 4))],

    # selection
    "masked_fill": [call(normal(3, 4), truths(3, 4), 7.0),
                    call(normal(3, 4), truths(4), -1.0), call(integers(3), truths(3), 2)],
}
# fmt: on


def _where(tw: Any, condition: Any, x: Any, y: Any) -> Any:
    return tw.where(condition, x, y)


def _where_method(tw: Any, condition: Any, x: Any, y: Any) -> Any:
    return x.where(condition, y)


_X, _Y = normal(3, 4), normal(4)
_I, _J, _B, _C = integers(3, 4), integers(4), truths(3, 4), truths(4)
_UP = integers(3, 4, low=1)

# fmt: off
OPERATORS = [
    Case("where", _where, (truths(3, 4), normal(3, 4), normal(3, 4))),
    Case("where-broadcast", _where, (truths(3, 1), normal(4), normal())),
    Case("where-numbers", _where, (truths(3, 4), normal(3, 4), 0.0)),
    Case("where-number-first", _where, (truths(3, 4), 1.5, normal(3, 4))),
    Case("where-masks-nan", _where, (np.array([True, False]), given(1.0, NAN), given(NAN, 2.0))),
    Case("where-method", _where_method, (truths(3, 4), normal(3, 4), normal(4))),
    Case("where-positions", lambda tw, x: tw.where(x > 0), (normal(3, 4),)),
    Case("operator +", lambda tw, x, y: (x + y, y + x, x + 2, 2 + x, 2.5 + x, +x), (_X, _Y)),
    Case("operator -", lambda tw, x, y: (x - y, y - x, x - 2, 2 - x, 2.5 - x, -x), (_X, _Y)),
    Case("operator *", lambda tw, x, y: (x * y, x * 2, 3 * x, 2.5 * x), (_X, _Y)),
    Case("operator /", lambda tw, x, y: (x / y, x / 2, 3 / x, 2.5 / x), (_X, _Y)),
    Case("operator **", lambda tw, x, y: (x ** y, x ** 2, x ** 0.5, 3 ** x, 2.5 ** x), (positive(3,
                                          4), _Y)),
    Case("operator %", lambda tw, x, y: (x % y, x % 2), (_X, positive(4))),
    Case("operator //", lambda tw, x, y: (x // y, x // 2, 3 // x, 3 % x), (_X, positive(4)), False),
    Case("operator @", lambda tw, x, y: x @ y, (_X, _Y)),
    Case("abs()", lambda tw, x: abs(x), (_X,)),
    Case("comparisons", lambda tw, x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y, 0 < x,
                                          1 >= x, x == 0), (_X, _Y)),
    Case("integers", lambda tw, i, j: (i + j, i - j, i * j, i / j, i // j, i % j, i ** 2, -i,
                                       7 - i, 7 // j, 7 % j), (_I, _UP)),
    Case("integer bits", lambda tw, i, j: (i & j, i | j, i ^ j, ~i, i << 2, i >> 1, i & 3), (_I,
                                           _J)),
    Case("logic", lambda tw, a, b: (a & b, a | b, a ^ b, ~a), (_B, _C)),
    Case("gates", lambda tw, x, y: (x * y).tanh() + (x + y).sigmoid() * x.maximum(y), (_X, _Y)),
    Case("shared", lambda tw, x: (x * x + x.sin() * x).exp().sum() + (x * x).mean(), (_X,)),
]
# fmt: on

CASES = named(ELEMENTWISE, off_tape={"floor_divide"}) + OPERATORS
