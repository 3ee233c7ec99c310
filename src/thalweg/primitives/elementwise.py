"""Elementwise primitives: arithmetic, mathematics, comparison, selection, bits and casts.

Operands broadcast as in NumPy, and have one dtype (select's condition is bool). Their
Jacobians are diagonal: the VJP of every one of them is g times a derivative, summed over
whatever broadcasting repeated (`unbroadcast`, here and nowhere else); the JVP is the tangent
times the same derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.errors import DTypeError
from thalweg.primitives._erf import erf as _erf
from thalweg.primitives.core import (
    Abstract,
    Primitive,
    Rule,
    broadcast_shapes,
    check_kind,
    linear,
    lined_up,
    primitive,
    same_dtype,
    spoken,
)

__all__ = [
    "absolute",
    "acos",
    "add",
    "asin",
    "atan",
    "atan2",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "cast",
    "ceil",
    "cos",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logistic",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "remainder",
    "round",
    "scalar_power",
    "select",
    "shift_left",
    "shift_right",
    "sign",
    "sin",
    "sqrt",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "unbroadcast",
]

_BOOL = np.dtype(np.bool_)


def unbroadcast(g: Any, operand: Any) -> Any:
    """Sum the cotangent `g` over the axes along which `operand` was broadcast."""
    target = operand._value.shape
    if g._value.shape == target:
        return g
    shape = g._value.shape
    extra = len(shape) - len(target)
    if shape[extra:] == target:
        return g.sum(tuple(range(extra)))
    repeated = [
        axis
        for axis, size in enumerate(shape)
        if axis < extra or (target[axis - extra] == 1 and size != 1)
    ]
    summed = g.sum(tuple(repeated))
    return summed if summed._value.shape == target else summed.reshape(target)


def _fitted(rule: Rule | None, position: int) -> Rule | None:
    """`rule` with its result summed down to the shape of the operand it belongs to."""
    if rule is None:
        return None

    def vjp(g: Any, out: Any, *operands: Any, **attributes: Any) -> Any:
        return unbroadcast(rule(g, out, *operands, **attributes), operands[position])

    return vjp


def _forward(*rules: Rule | None) -> Rule:
    """The JVP from the VJP rules: a diagonal Jacobian is its own transpose."""

    def jvp(
        apply: Any, tangents: Sequence[Any], out: Any, *operands: Any, **attributes: Any
    ) -> Any:
        total = None
        for rule, t in zip(rules, tangents, strict=True):
            if rule is not None and t is not None:
                part = rule(t, out, *operands, **attributes)
                total = part if total is None else total + part
        if total is None or total._value.shape == out._value.shape:
            return total
        return total.expand(out._value.shape)

    return jvp


def _together(
    apply: Any, size: int, batched: Sequence[bool], *operands: Any, **attributes: Any
) -> Any:
    """The batching rule: operands broadcast against each other, cases against cases."""
    return apply(*lined_up(batched, operands), **attributes)


def _elementwise(
    name: str,
    evaluate: Callable[..., Any],
    *vjp: Rule | None,
    kinds: str = "fiu",
    result: np.dtype[Any] | None = None,
) -> Primitive:
    """Enter a row. `kinds`: the NumPy kinds of dtype it takes. `result`: its dtype, if fixed."""

    def infer(*operands: Abstract, **attributes: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        dtype = same_dtype(name, *operands)
        check_kind(name, dtype, kinds)
        return broadcast_shapes(name, *(o.shape for o in operands)), result or dtype

    fitted: Sequence[Rule | None] | None = None
    if vjp:
        single = len(vjp) == 1
        fitted = vjp if single else tuple(_fitted(rule, i) for i, rule in enumerate(vjp))
    return primitive(name, infer, evaluate, fitted, _forward(*vjp) if vjp else None, _together)


# --- arithmetic ------------------------------------------------------------------------------


def _remainder_by(g: Any, out: Any, a: Any, b: Any) -> Any:
    return -g * a.div(b).floor()


def _power_base(g: Any, out: Any, a: Any, b: Any) -> Any:
    """b a^(b-1); where a = 0 <= b < 1 it is 0, as for sqrt."""
    steep = (a != 0) | (b < 0) | (b >= 1)
    return g * (b * a.where(steep, 1) ** (b - 1)).where(steep, 0)


def _power_exponent(g: Any, out: Any, a: Any, b: Any) -> Any:
    """a^b log a, taken as 0 where a = 0 <= b, as its limit is."""
    return g * out * a.where((a != 0) | (b < 0), 1).log()


def _power(a: Any, b: Any) -> Any:
    if a.dtype.kind in "iu" and b.size and b.min() < 0:
        raise DTypeError(
            "power: an integer to a negative power is no integer. Cast the base: x.float()"
        )
    return _to_power(a, b)


def _numbers(ufunc: Any) -> Callable[[Any, Any], Any]:
    """`ufunc` without bools, of which NumPy would make an int8, a type that no tensor has."""

    def evaluate(a: Any, b: Any) -> Any:
        if a.dtype.kind == "b":
            raise TypeError  # the shape rule says why
        return ufunc(a, b)

    return evaluate


_to_power = _numbers(np.power)


def _route(g: Any, wins: Any, ties: Any) -> Any:
    """The max gate: the gradient goes to the operand that wins; a tie shares it, half to each."""
    return g.where(wins, (0.5 * g).where(ties, 0))


# fmt: off
add       = _elementwise("add",       np.add,      lambda g, out, a, b: g,
                                                   lambda g, out, a, b: g, kinds="fiub")
subtract  = _elementwise("subtract",  np.subtract, lambda g, out, a, b: g,
                                                   lambda g, out, a, b: -g)
multiply  = _elementwise("multiply",  np.multiply, lambda g, out, a, b: g * b,
                                                   lambda g, out, a, b: g * a, kinds="fiub")
divide    = _elementwise("divide",    np.divide,   lambda g, out, a, b: g / b,
                                                   lambda g, out, a, b: -g * out / b, kinds="f")
power     = _elementwise("power",     _power,      _power_base, _power_exponent)
remainder = _elementwise("remainder", _numbers(np.remainder), lambda g, out, a, b: g, _remainder_by)
floor_divide = _elementwise("floor_divide", _numbers(np.floor_divide))
maximum   = _elementwise("maximum",   np.maximum,  lambda g, out, a, b: _route(g, a > b, a == b),
                                                   lambda g, out, a, b: _route(g, b > a, a == b),
                                      kinds="fiub")
minimum   = _elementwise("minimum",   np.minimum,  lambda g, out, a, b: _route(g, a < b, a == b),
                                                   lambda g, out, a, b: _route(g, b < a, a == b),
                                      kinds="fiub")
atan2     = _elementwise("atan2",     np.arctan2,  lambda g, out, a, b: g * b / (a * a + b * b),
                                                   lambda g, out, a, b: -g * a / (a * a + b * b), kinds="f")
negative  = _elementwise("negative",  np.negative, lambda g, out, x: -g)
absolute  = _elementwise("absolute",  np.absolute, lambda g, out, x: g * x.sign(), kinds="fiub")
sign      = _elementwise("sign",      np.sign,     lambda g, out, x: g.zeros_like())
floor     = _elementwise("floor",     np.floor,    lambda g, out, x: g.zeros_like(), kinds="f")
ceil      = _elementwise("ceil",      np.ceil,     lambda g, out, x: g.zeros_like(), kinds="f")
round     = _elementwise("round",     np.rint,     lambda g, out, x: g.zeros_like(), kinds="f")
trunc     = _elementwise("trunc",     np.trunc,    lambda g, out, x: g.zeros_like(), kinds="f")

# --- mathematics: floating types only ---------------------------------------------------------

def _logistic(x: Any) -> Any:
    out = np.negative(x)
    out = np.exp(out, out=out if out.ndim else None)
    out += 1
    return np.reciprocal(out, out=out if out.ndim else None)


def _sqrt_slope(g: Any, out: Any, x: Any) -> Any:
    """g / (2 sqrt x), and 0 where x is: sqrt(x * x) has a subgradient there, not inf * 0 = NaN."""
    return (0.5 * g / out.where(out != 0, 1)).where(out != 0, 0)


exp      = _elementwise("exp",      np.exp,     lambda g, out, x: g * out, kinds="f")
expm1    = _elementwise("expm1",    np.expm1,   lambda g, out, x: g * (out + 1), kinds="f")
log      = _elementwise("log",      np.log,     lambda g, out, x: g / x, kinds="f")
log1p    = _elementwise("log1p",    np.log1p,   lambda g, out, x: g / (x + 1), kinds="f")
sqrt     = _elementwise("sqrt",     np.sqrt,    _sqrt_slope, kinds="f")
sin      = _elementwise("sin",      np.sin,     lambda g, out, x: g * x.cos(), kinds="f")
cos      = _elementwise("cos",      np.cos,     lambda g, out, x: -g * x.sin(), kinds="f")
tan      = _elementwise("tan",      np.tan,     lambda g, out, x: g * (out * out + 1), kinds="f")
asin     = _elementwise("asin",     np.arcsin,  lambda g, out, x: g * (1 - x * x).rsqrt(), kinds="f")
acos     = _elementwise("acos",     np.arccos,  lambda g, out, x: -g * (1 - x * x).rsqrt(), kinds="f")
atan     = _elementwise("atan",     np.arctan,  lambda g, out, x: g / (x * x + 1), kinds="f")
tanh     = _elementwise("tanh",     np.tanh,    lambda g, out, x: g * (1 - out * out), kinds="f")
logistic = _elementwise("logistic", _logistic,  lambda g, out, x: g * (out * (1 - out)), kinds="f")
erf      = _elementwise("erf",      _erf,       lambda g, out, x: g * (x * x).neg().exp() * (2 / math.sqrt(math.pi)), kinds="f")


def _scalar_power_slope(g: Any, out: Any, x: Any, *, exponent: float) -> Any:
    """g n x^(n-1); where x = 0 and 0 < n < 1 it is 0, as for sqrt."""
    if exponent == 0:
        return g.zeros_like()
    if exponent >= 1:
        return g * (exponent * x ** (exponent - 1))
    if exponent > 0:
        return (g * (exponent * x.where(x != 0, 1) ** (exponent - 1))).where(x != 0, 0)
    safe = x.where((x != 0) | (g != 0), 1)  # where nothing flows, no 0 * inf
    return g * (exponent * safe ** (exponent - 1))


def _scalar_power_infer(x: Abstract, *, exponent: float) -> tuple[tuple[int, ...], np.dtype[Any]]:
    check_kind("power", x.dtype, "fiu")
    return x.shape, x.dtype


def _scalar_power(x: Any, *, exponent: float) -> Any:
    """x ** exponent; the small powers as products, which cost a tenth."""
    if x.dtype.kind in "bV":
        raise TypeError  # the shape rule says why
    if exponent == 1:
        return x
    if exponent == 2:
        return x * x
    return x * x * x if exponent == 3 else x**exponent


scalar_power = primitive("scalar_power", _scalar_power_infer, _scalar_power, (_scalar_power_slope,),
                         _forward(_scalar_power_slope), _together)

# --- comparison and selection -----------------------------------------------------------------

equal         = _elementwise("equal",         np.equal,         kinds="fiub", result=_BOOL)
not_equal     = _elementwise("not_equal",     np.not_equal,     kinds="fiub", result=_BOOL)
less          = _elementwise("less",          np.less,          kinds="fiub", result=_BOOL)
less_equal    = _elementwise("less_equal",    np.less_equal,    kinds="fiub", result=_BOOL)
greater       = _elementwise("greater",       np.greater,       kinds="fiub", result=_BOOL)
greater_equal = _elementwise("greater_equal", np.greater_equal, kinds="fiub", result=_BOOL)
isfinite      = _elementwise("isfinite",      np.isfinite,      kinds="fiub", result=_BOOL)
isnan         = _elementwise("isnan",         np.isnan,         kinds="fiub", result=_BOOL)

# --- bits: bool (where they are logic) and the integers ---------------------------------------

bitwise_and = _elementwise("bitwise_and", np.bitwise_and, kinds="iub")
bitwise_or  = _elementwise("bitwise_or",  np.bitwise_or,  kinds="iub")
bitwise_xor = _elementwise("bitwise_xor", np.bitwise_xor, kinds="iub")
bitwise_not = _elementwise("bitwise_not", np.invert,      kinds="iub")
shift_left  = _elementwise("shift_left",  _numbers(np.left_shift),  kinds="iu")
shift_right = _elementwise("shift_right", _numbers(np.right_shift), kinds="iu")
# fmt: on


def _select_infer(
    condition: Abstract, a: Abstract, b: Abstract
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if condition.dtype != _BOOL:
        raise DTypeError(
            f"where: the condition is bool, got {spoken(condition.dtype)}; use x != 0 or x.bool()"
        )
    dtype = same_dtype("where", a, b)
    return broadcast_shapes("where", condition.shape, a.shape, b.shape), dtype


def _select(condition: Any, a: Any, b: Any) -> Any:
    if condition.dtype.kind != "b":
        raise TypeError  # NumPy would take numbers for their truth; the shape rule says why not
    if condition.size < 8192 or a.dtype.kind != "f" or a.dtype is not b.dtype:
        return np.where(condition, a, b)
    # Bit by bit, up to ten times faster: np.where guesses a branch an element, and often wrong.
    bits = np.int32 if a.itemsize == 4 else np.int64
    mask = np.negative(condition.view(np.int8)).astype(bits)
    first, second = a.view(bits), b.view(bits)
    return (second ^ ((first ^ second) & mask)).view(a.dtype)


def _select_jvp(apply: Any, tangents: Sequence[Any], out: Any, condition: Any, *_: Any) -> Any:
    _, a, b = tangents
    if a is None:
        return None if b is None else b.where(condition.logical_not(), 0).expand(out._value.shape)
    t = a.where(condition, 0) if b is None else apply(condition, a, b)
    return t.expand(out._value.shape)


select = primitive(
    "select",
    _select_infer,
    _select,
    (
        None,
        _fitted(lambda g, out, condition, a, b: g.where(condition, 0), 1),
        _fitted(lambda g, out, condition, a, b: g.where(condition.logical_not(), 0), 2),
    ),
    _select_jvp,
    _together,
)


# --- casts ------------------------------------------------------------------------------------

_BFLOAT16 = np.dtype([("bfloat16", "<u2")])
_FLOAT16 = np.dtype([("float16", "<f2")])


def _cast(x: Any, *, dtype: np.dtype[Any]) -> Any:
    if x.dtype.names:
        x = _from_bfloat16(x) if x.dtype == _BFLOAT16 else x["float16"]
    if dtype == _BFLOAT16:
        return _to_bfloat16(x.astype(np.float32))
    if dtype == _FLOAT16:
        return x.astype(np.float16).view(_FLOAT16)
    return x.astype(dtype, order="C")


def _from_bfloat16(x: Any) -> Any:
    return (x["bfloat16"].astype(np.uint32) << 16).view(np.float32)


def _to_bfloat16(x: Any) -> Any:
    """The upper half of a float32, rounded to nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(x).view(np.uint32).reshape(x.shape)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    upper = np.where(np.isnan(x), (bits >> 16) | 0x40, rounded).astype("<u2")
    return upper.view(_BFLOAT16).reshape(x.shape)


def _cast_vjp(g: Any, out: Any, x: Any, *, dtype: np.dtype[Any]) -> Any:
    """The cotangent of a storage tensor is float32, so that cotangents can be added up."""
    return g if x.dtype.is_storage else g.to(x.dtype)


cast = primitive(
    "cast",
    lambda x, *, dtype: (x.shape, dtype),
    _cast,
    (_cast_vjp,),
    linear,
    _together,
)
