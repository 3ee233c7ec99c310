"""Coefficients, and the few steps that all of the mathematical functions share.

The coefficients are near-minimax: Chebyshev interpolation in 50 digits, on the interval that is
given, lowest power first, rounded to the type.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.lower.emit import F32, F64, DType, Value
from thalweg.compiler.lower.spelling import bits_of

__all__ = [
    "ASIN",
    "ATAN",
    "COS",
    "ERF",
    "ERFC_32",
    "ERFC_64",
    "EXP",
    "HALF_PI",
    "LOG_2",
    "LOG_2_SHORT",
    "LOG_32",
    "LOG_64",
    "LOG_TAIL",
    "SIN",
    "TANH",
    "TWO_THIRDS_LOW",
    "clamped",
    "float_of",
    "in_pairs",
    "nearest_integer",
    "polynomial",
    "power_of_two",
    "scaled",
]

# Constants as sums of floats. The short ones have room for a product with an exponent.
LOG_2 = {
    F32: (0.6931471824645996, -1.9046542121259336e-09),
    F64: (0.6931471805599453, 2.3190468138462996e-17),
}
LOG_2_SHORT = {
    F32: (0.693145751953125, 1.428606765330187e-06),
    F64: (0.6931471805601177, -1.7239444525614835e-13),
}
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
TWO_THIRDS_LOW = 3.700743415417188e-17

# (e^r - 1 - r) / r^2 for |r| <= log(2) / 2
EXP = {
    F32: (0.5, 0.166666672, 0.041666463, 0.00833331048, 0.00139337708, 0.00019891125),
    F64: (
        0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326058, 0.0013888888888883692,
        0.00019841269875091932, 2.4801587325741483e-05, 2.7557255056538237e-06,
        2.7557273397693973e-07, 2.5105359846830094e-08, 2.091478897260216e-09,
    ),
}  # fmt: skip

# (log(1 + f) - f + f^2 / 2) / f^3 for 1 + f from sqrt(1/2) to sqrt(2)
LOG_32 = (
    0.333333313, -0.24999997, 0.200007156, -0.166678026, 0.142490581, -0.124256872,
    0.116854198, -0.114797339, 0.0697161183,
)  # fmt: skip

# (log((1 + s) / (1 - s)) - 2 s) / s^3, in z = s^2, for the same interval of f = 2 s / (1 - s)
LOG_64 = (
    0.6666666666666666, 0.4000000000000088, 0.28571428570803614, 0.22222222391713917,
    0.18181795640132906, 0.15386239702814658, 0.13268773138656886, 0.13086626147840102,
)  # fmt: skip

# That less 2/3, over z
LOG_TAIL = (
    0.4, 0.28571428571429364, 0.22222222221656232, 0.18181818335314404,
    0.15384594970895457, 0.13334804238225345, 0.11706248540922386, 0.11723051028097753,
)  # fmt: skip

# (tanh(x) - x) / x^3, in x^2, for |x| <= 0.625
TANH = {
    F32: (-0.333333284, 0.133327693, -0.0538509078, 0.0209971797, -0.00609671418),
    F64: (
        -0.3333333333333333, 0.13333333333333042, -0.05396825396789699, 0.021869488519008305,
        -0.008863235103240878, 0.0035921217511549622, -0.0014557754120478055,
        0.0005896606577757043, -0.0002375906496055562, 9.257116129556769e-05,
        -3.12011014257974e-05, 6.485163482793113e-06,
    ),
}  # fmt: skip

# erf(x) / x - 1, in x^2, for |x| <= 1
ERF = {
    F32: (
        0.128379166, -0.376126379, 0.112837821, -0.0268654302, 0.00522103161, -0.000848408032,
        0.000112659589, -9.66704465e-06,
    ),
    F64: (
        0.1283791670955126, -0.37612638903183754, 0.11283791670955126, -0.026866170645131218,
        0.005223977625441674, -0.0008548327023403001, 0.00012055332978879483,
        -1.4925650236967501e-05, 1.6462110782018636e-06, -1.636576864883207e-07,
        1.4806027146128752e-08, -1.2277734486795524e-09, 9.323723518153027e-11,
        -6.1967364287877e-12, 2.8067128195611264e-13,
    ),
}  # fmt: skip

# -log erfc(x) on 1 to 4
ERFC_32 = (
    -0.00032013806, 1.13023341, 0.631826043, 0.110080086, -0.0264211353, 0.0047595962,
    -0.00059680565, 4.60580413e-05, -1.6371514e-06,
)  # fmt: skip

# exp(x^2) erfc(x) in 1 / (x + 2), for x from 1 to 6
ERFC_64 = (
    1.273194538411999e-08, 0.5641886748920729, 1.1284077674102482, 1.9741595366538842,
    2.8258324602066986, 2.6697328216797693, -0.7228605651893688, 0.4045558368126824,
    -86.45933445351965, 471.55570766079865, -2180.9601729464644, 7781.0890875471505,
    -18775.426689495016, 29840.22786377935, -30368.2623604029, 18137.16016576931,
    -4875.8923220392635,
)  # fmt: skip

# (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4, in r^2, for |r| <= pi / 4
SIN = (
    -0.16666666666666666, 0.008333333333330918, -0.00019841269836712495, 2.755731607868067e-06,
    -2.5051126876085338e-08, 1.5917771759341917e-10,
)  # fmt: skip
COS = (
    0.041666666666666664, -0.0013888888888887378, 2.4801587298736863e-05,
    -2.755731725679604e-07, 2.087614315990944e-09, -1.1382408754153254e-11,
)  # fmt: skip

# (asin s - s) / s^3, in s^2, for s <= 1/2
ASIN = (
    0.16666666666666669, 0.07499999999998433, 0.04464285714635543, 0.030381944138531247,
    0.02237217294214989, 0.017352392720869973, 0.013971212973552933, 0.011479177415184906,
    0.01032281435018578, 0.005457506718640358, 0.01740087944269402, -0.014851887071247204,
    0.028757851367421566,
)  # fmt: skip

# (atan t - t) / t^3, in t^2, for |t| <= tan(pi / 8)
ATAN = (
    -0.3333333333333333, 0.19999999999999993, -0.14285714285711518, 0.11111111110754729,
    -0.0909090906700999, 0.07692306736000173, -0.06666642020055166, 0.058819252531928636,
    -0.05258041554297779, 0.04719395030027433, -0.04104436265755082, 0.030635704112969498,
    -0.01391822929102443,
)  # fmt: skip

# Adding this to a small float leaves its nearest integer in the low bits.
_ROUNDER = {F32: 1.5 * 2.0**23, F64: 1.5 * 2.0**52}
_MANTISSA = {F32: 23, F64: 52}
_BIAS = {F32: 127, F64: 1023}


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """The sum of coefficients[k] x^k, by Horner's rule."""
    total = x.like(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total.fma(x, coefficient)
    return total


def in_pairs(x: Value, square: Value, coefficients: Sequence[float]) -> Value:
    """The same two coefficients at a time: fewer steps wait for others."""
    pairs = zip(coefficients[::2], coefficients[1::2], strict=False)
    lines = [x.like(high).fma(x, low) for low, high in pairs]
    lines += [x.like(last) for last in coefficients[len(coefficients) & -2 :]]
    total = lines[-1]
    for line in lines[-2::-1]:
        total = total.fma(square, line)
    return total


def clamped(x: Value, lowest: float, highest: float) -> Value:
    """x in lowest to highest; NaN stays."""
    x = (x > highest).select(highest, x)
    return (x < lowest).select(lowest, x)


def nearest_integer(x: Value, factor: float) -> tuple[Value, Value]:
    """The integer next to x * factor, as an integer and as a float; half to even."""
    rounder = x.like(_ROUNDER[x.dtype])
    sum = x.fma(factor, rounder)
    bits = bits_of(x.dtype)
    return sum.bitcast(bits) - rounder.bitcast(bits), sum - rounder


def float_of(n: Value, dtype: DType) -> Value:
    """A small integer as a float, without an instruction for it (few machines have it for i64)."""
    rounder = n.builder.constant(_ROUNDER[dtype], dtype, n.lanes)
    return (n + rounder.bitcast(n.dtype)).bitcast(dtype) - rounder


def scaled(x: Value, n: Value, as_float: Value) -> Value:
    """x 2^n for x about 1, where the result is denormal or infinite too, rounded once."""
    if x.builder.scales and 8 * x.dtype.itemsize * x.lanes in (128, 256, 512):
        return _scaled_at_once(x, as_float)
    half = _half(n)
    return x * power_of_two(half) * power_of_two(n - half)


def _scaled_at_once(x: Value, power: Value) -> Value:
    """x 2^power by AVX-512's instruction for it."""
    b, type, bits = x.builder, x.type, 8 * x.dtype.itemsize * x.lanes
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if x.dtype == F32 else 'pd'}.{bits}"
    mask = f"i{max(8, x.lanes)}"
    kinds, values = [type, type, type, mask], [x.typed, power.typed, x.typed, f"{mask} -1"]
    if bits == 512:  # and how to round: as the machine is set
        kinds, values = [*kinds, "i32"], [*values, "i32 4"]
    b.declarations.add(f"declare {type} @{name}({', '.join(kinds)})")
    return b.op(f"call {type} @{name}({', '.join(values)})", x.dtype, x.lanes)


def _half(n: Value) -> Value:
    """About n / 2, for |n| below 4096."""
    if n.dtype.itemsize == 4:
        return n >> 1
    positive = n + 4096  # few machines shift i64 with their sign
    halved = n.builder.op(f"lshr {positive.typed}, {n.like(1).text}", n.dtype, n.lanes)
    return halved - 2048


def power_of_two(n: Value) -> Value:
    """2^n as a float, by its exponent bits, for n in the normal range."""
    dtype = F32 if n.dtype.itemsize == 4 else F64
    return ((n + _BIAS[dtype]) << _MANTISSA[dtype]).bitcast(dtype)
