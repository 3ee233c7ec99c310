"""The functional spellings: `tw.exp(x)` is `x.exp()`, one definition for both."""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Tensor
from thalweg.ops.lift import lift, promote
from thalweg.ops.spelling import of_tensor
from thalweg.primitives import elementwise
from thalweg.tape import TensorBase, bind

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "all",
    "allclose",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "bincount",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "bmm",
    "broadcast_to",
    "cdist",
    "ceil",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "cos",
    "cosh",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "deg2rad",
    "detach",
    "diag",
    "diag_embed",
    "diagonal",
    "diff",
    "dist",
    "div",
    "divide",
    "dot",
    "eq",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "floor",
    "floor_divide",
    "fmod",
    "frac",
    "gather",
    "ge",
    "gt",
    "histc",
    "hypot",
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "inner",
    "is_floating_point",
    "is_tensor",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "le",
    "lerp",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsumexp",
    "lt",
    "masked_fill",
    "masked_select",
    "matmul",
    "max",
    "maximum",
    "mean",
    "median",
    "min",
    "minimum",
    "mm",
    "moveaxis",
    "movedim",
    "mul",
    "multiply",
    "mv",
    "nan_to_num",
    "nanmean",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "negative",
    "nonzero",
    "norm",
    "numel",
    "outer",
    "permute",
    "pow",
    "prod",
    "quantile",
    "rad2deg",
    "ravel",
    "reciprocal",
    "remainder",
    "repeat_interleave",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "scatter",
    "scatter_add",
    "select",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "std",
    "std_mean",
    "sub",
    "subtract",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "tensor_split",
    "tensordot",
    "tile",
    "topk",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "unbind",
    "unflatten",
    "unique",
    "unsqueeze",
    "var",
    "var_mean",
    "where",
    "xlogy",
]

abs = Tensor.abs
absolute = Tensor.absolute
acos = Tensor.acos
acosh = Tensor.acosh
add = Tensor.add
addcdiv = Tensor.addcdiv
addcmul = Tensor.addcmul
addmm = of_tensor(Tensor.addmm)
all = of_tensor(Tensor.all)
allclose = Tensor.allclose
amax = of_tensor(Tensor.amax)
amin = of_tensor(Tensor.amin)
aminmax = of_tensor(Tensor.aminmax)
any = of_tensor(Tensor.any)
argmax = of_tensor(Tensor.argmax)
argmin = of_tensor(Tensor.argmin)
argsort = of_tensor(Tensor.argsort)
argwhere = of_tensor(Tensor.argwhere)
asin = Tensor.asin
asinh = Tensor.asinh
atan = Tensor.atan
atan2 = Tensor.atan2
atanh = Tensor.atanh
atleast_1d = of_tensor(Tensor.atleast_1d)
bincount = of_tensor(Tensor.bincount)
bitwise_and = Tensor.bitwise_and
bitwise_not = Tensor.bitwise_not
bitwise_or = Tensor.bitwise_or
bitwise_xor = Tensor.bitwise_xor
bmm = of_tensor(Tensor.bmm)
broadcast_to = of_tensor(Tensor.broadcast_to)
cdist = of_tensor(Tensor.cdist)
ceil = Tensor.ceil
chunk = of_tensor(Tensor.chunk)
clamp = Tensor.clamp
clamp_max = Tensor.clamp_max
clamp_min = Tensor.clamp_min
clip = Tensor.clip
clone = of_tensor(Tensor.clone)
cos = Tensor.cos
cosh = Tensor.cosh
count_nonzero = of_tensor(Tensor.count_nonzero)
cumprod = of_tensor(Tensor.cumprod)
cumsum = of_tensor(Tensor.cumsum)
deg2rad = Tensor.deg2rad
detach = of_tensor(Tensor.detach)
diag = of_tensor(Tensor.diag)
diag_embed = of_tensor(Tensor.diag_embed)
diagonal = of_tensor(Tensor.diagonal)
diff = of_tensor(Tensor.diff)
dist = of_tensor(Tensor.dist)
div = Tensor.div
divide = Tensor.divide
dot = of_tensor(Tensor.dot)
eq = Tensor.eq
equal = Tensor.equal
erf = Tensor.erf
exp = Tensor.exp
exp2 = Tensor.exp2
expm1 = Tensor.expm1
flatten = of_tensor(Tensor.flatten)
flip = of_tensor(Tensor.flip)
fliplr = of_tensor(Tensor.fliplr)
flipud = of_tensor(Tensor.flipud)
floor = Tensor.floor
floor_divide = Tensor.floor_divide
fmod = Tensor.fmod
frac = Tensor.frac
gather = of_tensor(Tensor.gather)
ge = Tensor.ge
gt = Tensor.gt
histc = of_tensor(Tensor.histc)
hypot = Tensor.hypot
index_add = of_tensor(Tensor.index_add)
index_copy = of_tensor(Tensor.index_copy)
index_fill = of_tensor(Tensor.index_fill)
index_select = of_tensor(Tensor.index_select)
inner = of_tensor(Tensor.inner)
is_floating_point = of_tensor(Tensor.is_floating_point)
isclose = Tensor.isclose
isfinite = Tensor.isfinite
isin = of_tensor(Tensor.isin)
isinf = Tensor.isinf
isnan = Tensor.isnan
le = Tensor.le
lerp = Tensor.lerp
log = Tensor.log
log10 = Tensor.log10
log1p = Tensor.log1p
log2 = Tensor.log2
logaddexp = Tensor.logaddexp
logical_and = Tensor.logical_and
logical_not = Tensor.logical_not
logical_or = Tensor.logical_or
logical_xor = Tensor.logical_xor
logit = Tensor.logit
logsumexp = of_tensor(Tensor.logsumexp)
lt = Tensor.lt
masked_fill = Tensor.masked_fill
masked_select = of_tensor(Tensor.masked_select)
matmul = of_tensor(Tensor.matmul)
max = of_tensor(Tensor.max)
maximum = Tensor.maximum
mean = of_tensor(Tensor.mean)
median = of_tensor(Tensor.median)
min = of_tensor(Tensor.min)
minimum = Tensor.minimum
mm = of_tensor(Tensor.mm)
moveaxis = of_tensor(Tensor.moveaxis)
movedim = of_tensor(Tensor.movedim)
mul = Tensor.mul
multiply = Tensor.multiply
mv = of_tensor(Tensor.mv)
nan_to_num = Tensor.nan_to_num
nanmean = of_tensor(Tensor.nanmean)
nansum = of_tensor(Tensor.nansum)
narrow = of_tensor(Tensor.narrow)
ne = Tensor.ne
neg = Tensor.neg
negative = Tensor.negative
nonzero = of_tensor(Tensor.nonzero)
norm = of_tensor(Tensor.norm)
numel = of_tensor(Tensor.numel)
outer = of_tensor(Tensor.outer)
permute = of_tensor(Tensor.permute)
pow = Tensor.pow
prod = of_tensor(Tensor.prod)
quantile = of_tensor(Tensor.quantile)
rad2deg = Tensor.rad2deg
ravel = of_tensor(Tensor.ravel)
reciprocal = Tensor.reciprocal
remainder = Tensor.remainder
repeat_interleave = of_tensor(Tensor.repeat_interleave)
reshape = of_tensor(Tensor.reshape)
roll = of_tensor(Tensor.roll)
round = Tensor.round
rsqrt = Tensor.rsqrt
scatter = of_tensor(Tensor.scatter)
scatter_add = of_tensor(Tensor.scatter_add)
select = of_tensor(Tensor.select)
sigmoid = Tensor.sigmoid
sign = Tensor.sign
sin = Tensor.sin
sinh = Tensor.sinh
sort = of_tensor(Tensor.sort)
split = of_tensor(Tensor.split)
sqrt = Tensor.sqrt
square = Tensor.square
squeeze = of_tensor(Tensor.squeeze)
std = of_tensor(Tensor.std)
std_mean = of_tensor(Tensor.std_mean)
sub = Tensor.sub
subtract = Tensor.subtract
sum = of_tensor(Tensor.sum)
swapaxes = of_tensor(Tensor.swapaxes)
swapdims = of_tensor(Tensor.swapdims)
t = of_tensor(Tensor.t)
take = of_tensor(Tensor.take)
take_along_dim = of_tensor(Tensor.take_along_dim)
tan = Tensor.tan
tanh = Tensor.tanh
tensor_split = of_tensor(Tensor.tensor_split)
tensordot = of_tensor(Tensor.tensordot)
tile = of_tensor(Tensor.tile)
topk = of_tensor(Tensor.topk)
transpose = of_tensor(Tensor.transpose)
tril = of_tensor(Tensor.tril)
triu = of_tensor(Tensor.triu)
trunc = Tensor.trunc
unbind = of_tensor(Tensor.unbind)
unflatten = of_tensor(Tensor.unflatten)
unique = of_tensor(Tensor.unique)
unsqueeze = of_tensor(Tensor.unsqueeze)
var = of_tensor(Tensor.var)
var_mean = of_tensor(Tensor.var_mean)
xlogy = Tensor.xlogy


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` (bool) holds, `other` elsewhere; all three broadcast.

    With the condition alone, the index tensors of the places where it holds.

    >>> import thalweg as tw
    >>> x = tw.tensor([-1.0, 2.0])
    >>> tw.where(x > 0, x, 0)
    tensor([0., 2.])
    """
    if input is None and other is None:
        return condition.nonzero().unbind(1)
    if not isinstance(input, TensorBase) and not isinstance(other, TensorBase):
        input = lift(input)
    return bind(elementwise.select, condition, *promote(input, other))


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor."""
    return isinstance(x, TensorBase)
