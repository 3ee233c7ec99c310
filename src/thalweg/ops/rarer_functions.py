"""The functional spellings of the rarer operations: `tw.kron(x, y)` is `x.kron(y)`."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.ops.spelling import of_tensor

__all__ = [
    "addbmm",
    "addmv",
    "addr",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "baddbmm",
    "copysign",
    "cross",
    "cummax",
    "cummin",
    "det",
    "diagflat",
    "digamma",
    "dsplit",
    "erfc",
    "erfinv",
    "fix",
    "float_power",
    "fmax",
    "fmin",
    "ger",
    "greater",
    "greater_equal",
    "heaviside",
    "hsplit",
    "index_put",
    "inverse",
    "isneginf",
    "isposinf",
    "kron",
    "kthvalue",
    "ldexp",
    "less",
    "less_equal",
    "lgamma",
    "logaddexp2",
    "logcumsumexp",
    "logdet",
    "masked_scatter",
    "matrix_exp",
    "matrix_power",
    "msort",
    "nanmedian",
    "not_equal",
    "pinverse",
    "positive",
    "renorm",
    "rot90",
    "scatter_reduce",
    "select_scatter",
    "sgn",
    "signbit",
    "sinc",
    "slogdet",
    "true_divide",
    "unique_consecutive",
    "vdot",
    "vsplit",
]

addbmm = of_tensor(Tensor.addbmm)
addmv = of_tensor(Tensor.addmv)
addr = of_tensor(Tensor.addr)
arccos = Tensor.arccos
arccosh = Tensor.arccosh
arcsin = Tensor.arcsin
arcsinh = Tensor.arcsinh
arctan = Tensor.arctan
arctan2 = Tensor.arctan2
arctanh = Tensor.arctanh
baddbmm = of_tensor(Tensor.baddbmm)
copysign = of_tensor(Tensor.copysign)
cross = of_tensor(Tensor.cross)
cummax = of_tensor(Tensor.cummax)
cummin = of_tensor(Tensor.cummin)
det = of_tensor(Tensor.det)
diagflat = of_tensor(Tensor.diagflat)
digamma = of_tensor(Tensor.digamma)
dsplit = of_tensor(Tensor.dsplit)
erfc = of_tensor(Tensor.erfc)
erfinv = of_tensor(Tensor.erfinv)
fix = Tensor.fix
float_power = of_tensor(Tensor.float_power)
fmax = of_tensor(Tensor.fmax)
fmin = of_tensor(Tensor.fmin)
ger = of_tensor(Tensor.ger)
greater = Tensor.greater
greater_equal = Tensor.greater_equal
heaviside = of_tensor(Tensor.heaviside)
hsplit = of_tensor(Tensor.hsplit)
index_put = of_tensor(Tensor.index_put)
inverse = of_tensor(Tensor.inverse)
isneginf = of_tensor(Tensor.isneginf)
isposinf = of_tensor(Tensor.isposinf)
kron = of_tensor(Tensor.kron)
kthvalue = of_tensor(Tensor.kthvalue)
ldexp = of_tensor(Tensor.ldexp)
less = Tensor.less
less_equal = Tensor.less_equal
lgamma = of_tensor(Tensor.lgamma)
logaddexp2 = of_tensor(Tensor.logaddexp2)
logcumsumexp = of_tensor(Tensor.logcumsumexp)
logdet = of_tensor(Tensor.logdet)
masked_scatter = of_tensor(Tensor.masked_scatter)
matrix_exp = of_tensor(Tensor.matrix_exp)
matrix_power = of_tensor(Tensor.matrix_power)
msort = of_tensor(Tensor.msort)
nanmedian = of_tensor(Tensor.nanmedian)
not_equal = Tensor.not_equal
pinverse = of_tensor(Tensor.pinverse)
positive = of_tensor(Tensor.positive)
renorm = of_tensor(Tensor.renorm)
rot90 = of_tensor(Tensor.rot90)
scatter_reduce = of_tensor(Tensor.scatter_reduce)
select_scatter = of_tensor(Tensor.select_scatter)
sgn = Tensor.sgn
signbit = of_tensor(Tensor.signbit)
sinc = of_tensor(Tensor.sinc)
slogdet = of_tensor(Tensor.slogdet)
true_divide = Tensor.true_divide
unique_consecutive = of_tensor(Tensor.unique_consecutive)
vdot = of_tensor(Tensor.vdot)
vsplit = of_tensor(Tensor.vsplit)
