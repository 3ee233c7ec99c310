"""Initial weights: each function draws new values for a tensor, in place, and gives it back.

A weight is (out, in, ...), as layers hold it: fan_in = n is the second size, fan_out = m the
first, each times the sizes that follow (the taps of a convolution). Biases begin as 0
(`zeros_(layer.bias)`), or 0.01 for ReLU units so that fewer die (`constant_(layer.bias, 0.01)`).
Numbers come from `generator`, the default one unless given. Source: deck 000, "Parameters
initialization"; deck 003, "Initialization".
"""

from __future__ import annotations

import math

import numpy as np

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import above, checked, least, one_of
from thalweg.nn.functional.checks import require_divisor, require_order
from thalweg.ops.creation import eye, from_numpy
from thalweg.ops.random import Generator, rand, randn
from thalweg.tape import no_grad

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


_SLOPE = 0.01  # of leaky_relu, unless said
_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
    "leaky_relu": math.sqrt(2 / (1 + _SLOPE**2)),
}
_FANS = ("fan_in", "fan_out")


# --- without regard to the size ------------------------------------------------------------------


@checked()
@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """Zeros: for biases. Weights that are all equal never become different."""
    return tensor.fill_(0.0)


@checked()
@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return tensor.fill_(1.0)


@checked()
@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere.

    >>> import thalweg as tw
    >>> tw.nn.init.constant_(tw.nn.Linear(3, 2).bias, 0.01).tolist()
    [0.009999..., 0.009999...]
    """
    return tensor.fill_(val)


@checked()
@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity, of a matrix of any shape: a linear layer that passes its input on."""
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: a matrix expected, got shape {tuple(tensor.shape)}")
    return tensor.copy_(eye(*tensor.shape))


@checked(groups=least(1))
@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The identity, of a convolution's weight: each channel passes its input on, in its group.

    Shape (out, in, taps) or (out, in, taps, taps): 1 in the middle of the taps.

    >>> import thalweg as tw
    >>> tw.nn.init.dirac_(tw.empty(2, 2, 3))[1].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    shape = tuple(tensor.shape)
    if len(shape) not in (3, 4):
        raise ShapeError(
            f"dirac_: a weight (out, in, taps..) of a convolution expected, got {shape}"
        )
    require_divisor("dirac_", "groups", groups, out=shape[0])
    each = shape[0] // groups
    middle = np.zeros(shape)
    for channel in range(shape[0]):
        if channel % each < shape[1]:
            middle[(channel, channel % each, *(n // 2 for n in shape[2:]))] = 1
    return tensor.copy_(from_numpy(middle))


@checked()
@no_grad()
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U[a, b)."""
    require_order("uniform_", "a", "b", (a, b))
    return tensor.uniform_(a, b, generator=generator)


@checked()
@no_grad()
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """N(mean, std^2)."""
    return tensor.normal_(mean, std, generator=generator)


@checked(std=above(0))
@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """N(mean, std^2) given that the value lies in [a, b]: by the inverse of its distribution.

    >>> import thalweg as tw
    >>> x = tw.nn.init.trunc_normal_(tw.empty(1000), a=-1.0, b=0.5)
    >>> bool((x >= -1).all() and (x <= 0.5).all())
    True
    """
    if not a < b:
        raise ConfigError(f"trunc_normal_: a={a}, b={b}; expected a < b")
    low, high = (math.erf((limit - mean) / std / math.sqrt(2)) for limit in (a, b))
    uniform = rand(tensor.shape, dtype=dtypes.float64, generator=generator)
    drawn = _inverse_erf(low + (high - low) * uniform) * (std * math.sqrt(2)) + mean
    return tensor.copy_(drawn.clamp(a, b))


def _inverse_erf(y: Tensor) -> Tensor:
    """x with erf(x) = y, in float64: an approximation to 2e-3, and three Newton steps.

    Source: Winitzki, "A handy approximation for the error function and its inverse", 2008.
    """
    tail = ((1 - y) * (1 + y)).clamp(min=1e-300).log()
    half = tail / 2 + 2 / (math.pi * 0.147)
    x = ((half * half - tail / 0.147).sqrt() - half).sqrt() * y.sign()
    for _ in range(3):
        x = x - (x.erf() - y) * (x * x).exp() * (math.sqrt(math.pi) / 2)
    return x


# --- by fan-in and fan-out -----------------------------------------------------------------------


@checked(nonlinearity=one_of(*_GAINS))
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor on the standard deviation that makes up for what an activation takes away.

    1 for linear and sigmoid, 5/3 for tanh, sqrt 2 for relu, sqrt(2 / (1 + slope^2)) for
    leaky_relu, whose slope is `param` (0.01 unless given), 3/4 for selu.

    >>> calculate_gain("leaky_relu", 0.0) == calculate_gain("relu") == 2**0.5
    True
    """
    if nonlinearity == "leaky_relu" and param is not None:
        return math.sqrt(2 / (1 + param**2))
    return _GAINS[nonlinearity]


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out), at least 1 each so that weights without elements have them too."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ShapeError(
            f"{name}: fan-in and fan-out are those of a weight (out, in, ...), got shape "
            f"{tuple(shape)}. For a bias use zeros_"
        )
    taps = math.prod(shape[2:])
    return max(shape[1] * taps, 1), max(shape[0] * taps, 1)


@checked()
def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U[-gain sqrt6 / sqrt(m + n), +gain sqrt6 / sqrt(m + n)]: Glorot's, for tanh and its like.

    The variance is 2 gain^2 / (m + n), between what keeps that of activations (1/n) and that of
    gradients (1/m). Source: deck 000; Glorot, Bengio 2010.

    >>> import thalweg as tw
    >>> weight = tw.nn.init.xavier_uniform_(tw.empty(30, 24))
    >>> bool(weight.abs().amax() <= (6 / 54) ** 0.5)
    True
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


@checked()
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, 2 gain^2 / (m + n)): Glorot's variance. Source: Glorot, Bengio 2010."""
    std = gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor)))
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """gain / sqrt(fan)."""
    fan_in, fan_out = _fans(name, tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


@checked(mode=one_of(*_FANS), nonlinearity=one_of(*_GAINS))
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U[-sqrt6 / sqrt n, +sqrt6 / sqrt n]: He's, for ReLU.

    In general U[-b, b] with b = gain sqrt(3 / fan) and the gain of `nonlinearity`; `a` is the
    slope of a leaky ReLU. `mode` "fan_in" keeps the variance of activations forward, "fan_out"
    that of gradients backward. Source: deck 000; He et al. 2015.

    >>> import thalweg as tw
    >>> weight = tw.nn.init.kaiming_uniform_(tw.empty(30, 24))
    >>> bool(weight.abs().amax() <= (6 / 24) ** 0.5)
    True
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


@checked(mode=one_of(*_FANS), nonlinearity=one_of(*_GAINS))
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, 2 / D), D the fan-in: He's variance, for ReLU.

    E[relu(f)^2] is half the variance of f, so D sigma^2 / 2 = 1 keeps it from layer to layer. In
    general N(0, gain^2 / fan); options as `kaiming_uniform_`. Source: deck 003; He et al. 2015.
    """
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_
he_uniform_, he_normal_ = kaiming_uniform_, kaiming_normal_


# --- by structure --------------------------------------------------------------------------------


@checked()
@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer.

    Dimensions after the first count as columns. Uniformly distributed: the Q of a normal matrix,
    with the signs that make R's diagonal positive. Source: Saxe, McClelland, Ganguli 2014.

    >>> import thalweg as tw
    >>> w = tw.nn.init.orthogonal_(tw.empty(3, 5))
    >>> tw.allclose(w @ w.T, tw.eye(3), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: a matrix expected, got shape {tuple(tensor.shape)}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    normal = randn(rows, columns, dtype=dtypes.float64, generator=generator)
    if rows < columns:
        return tensor.copy_(_orthonormal(normal.T).T.reshape(tensor.shape) * gain)
    return tensor.copy_(_orthonormal(normal).reshape(tensor.shape) * gain)


def _orthonormal(matrix: Tensor) -> Tensor:
    """Q of the QR decomposition whose R has a positive diagonal: it is unique."""
    q, r = np.linalg.qr(matrix.numpy())
    return from_numpy(q * np.where(np.diagonal(r) < 0, -1.0, 1.0))


@checked()
@no_grad()
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """N(0, std^2), with the share `sparsity` of each column, rounded up, set to 0.

    Source: Martens 2010.

    >>> import thalweg as tw
    >>> tw.nn.init.sparse_(tw.empty(10, 3), sparsity=0.8).count_nonzero(0).tolist()
    [2, 2, 2]
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: a matrix expected, got shape {tuple(tensor.shape)}")
    normal = randn(tensor.shape, generator=generator) * std
    rank = rand(tensor.shape, generator=generator).argsort(0).argsort(0)
    return tensor.copy_(normal.where(rank >= math.ceil(sparsity * tensor.shape[0]), 0.0))
