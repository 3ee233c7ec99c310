"""Smooth activations: ELU and its kin, GELU, SiLU, mish, softplus, and what is made of softmax.

Elementwise unless they say otherwise: any shape, and the shape stays; float32 or float64, and the
dtype stays (integers are computed in the default dtype). The piecewise linear ones are in
`piecewise`; sigmoid, tanh, relu, softmax and log_softmax are Tensor methods as well, in
`thalweg.ops`.
"""

from __future__ import annotations

import math
from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked, nonzero, one_of
from thalweg.ops.activations import softmax
from thalweg.ops.lift import floating
from thalweg.primitives.core import normalize_axis
from thalweg.tape import composite

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "logsigmoid",
    "mish",
    "selu",
    "silu",
    "softmin",
    "softplus",
    "softsign",
    "tanhshrink",
]


# --- exponential below 0 -------------------------------------------------------------------------


def _elu_slope(g: Any, out: Any, x: Any, *, alpha: float) -> Any:
    """1 above 0; alpha e^x at 0 and below (from y + alpha, its digits would be lost)."""
    return g.where(x > 0, g * (x.minimum(0).exp() * alpha))


@composite("elu", _elu_slope)
def _elu(x: Tensor, *, alpha: float) -> Tensor:
    return x.where(x > 0, x.expm1() * alpha)


@checked()
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x if x > 0, else alpha (e^x - 1). At 0 the derivative is alpha, that of the left side.

    >>> import thalweg as tw
    >>> tw.nn.functional.elu(tw.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])

    Source: deck 002; Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning
    by exponential linear units", 2016.
    """
    return _elu(floating(input), alpha=alpha)


@checked(alpha=nonzero())
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x if x > 0, else alpha (e^(x / alpha) - 1): an ELU whose derivative is 1 at 0 for any alpha.

    Raises `ConfigError` if alpha is 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.celu(tw.tensor([-2.0, 1.0]), alpha=2.0)
    tensor([-1.2642,  1.0000])

    Source: Barron, "Continuously differentiable exponential linear units", 2017.
    """
    return _celu(floating(input), alpha=alpha)


def _celu_slope(g: Any, out: Any, x: Any, *, alpha: float) -> Any:
    """1 above 0; e^(x / alpha) at 0 and below."""
    return g.where(x > 0, g * (x.minimum(0) / alpha).exp())


@composite("celu", _celu_slope)
def _celu(x: Tensor, *, alpha: float) -> Tensor:
    return x.where(x > 0, (x / alpha).expm1() * alpha)


# The fixed point at mean 0 and variance 1, to the digits that the paper prints.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@checked()
def selu(input: Tensor) -> Tensor:
    """scale * elu(x, alpha), with the alpha and scale that keep mean 0 and variance 1.

    >>> import thalweg as tw
    >>> tw.nn.functional.selu(tw.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.1113,  0.0000,  1.0507])

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return elu(input, _SELU_ALPHA) * _SELU_SCALE


# --- x times a gate ------------------------------------------------------------------------------


@checked(approximate=one_of("none", "tanh"))
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x P(N <= x) for a standard normal N: x (1 + erf(x / sqrt 2)) / 2.

    `approximate="tanh"` gives x sigmoid(2 u) = x (1 + tanh u) / 2 with
    u = sqrt(2/pi) (x + 0.044715 x^3). Raises `ConfigError` on another word.

    >>> import thalweg as tw
    >>> tw.nn.functional.gelu(tw.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])

    Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
    """
    x = floating(input)
    if approximate == "none":
        return _gelu(x, _normal_cdf(x))
    return _gelu_tanh(x)


def _density(x: Any) -> Any:
    return (x * x * -0.5).exp() * (1 / math.sqrt(2 * math.pi))


@composite("normal_cdf", lambda g, out, x: g * _density(x))
def _normal_cdf(x: Tensor) -> Tensor:
    """P(N <= x)."""
    return (x * math.sqrt(0.5)).erf() * 0.5 + 0.5


# `gate` has no derivative of its own here: the rule is the whole one with respect to x, one
# product with g instead of two. Second derivatives come through the gate, which the rule reads.
@composite("gelu", lambda g, out, x, gate: g * (gate + x * _density(x)), None)
def _gelu(x: Tensor, gate: Tensor) -> Tensor:
    return x * gate


_GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
_GELU_CUBIC = _GELU_LINEAR * 0.044715


def _gelu_gate(x: Any) -> Any:
    return (x * (x * x * _GELU_CUBIC + _GELU_LINEAR)).sigmoid()


def _gelu_tanh_slope(g: Any, out: Any, x: Any) -> Any:
    """s + x s' with s = sigmoid(2u); the gate is cheaper to compute again than to keep."""
    gate = _gelu_gate(x)
    inner = x * (x * x * (3 * _GELU_CUBIC) + _GELU_LINEAR)
    return g * (gate * (inner * (1 - gate) + 1))


@composite("gelu_tanh", _gelu_tanh_slope)
def _gelu_tanh(x: Tensor) -> Tensor:
    return x * _gelu_gate(x)  # type: ignore[no-any-return]  # the gate serves the rule too


@checked()
def silu(input: Tensor) -> Tensor:
    """x sigmoid(x), also called swish.

    >>> import thalweg as tw
    >>> tw.nn.functional.silu(tw.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])

    Source: Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units", 2017.
    """
    x = floating(input)
    return x * x.sigmoid()


@checked()
def mish(input: Tensor) -> Tensor:
    """x tanh(softplus(x)).

    >>> import thalweg as tw
    >>> tw.nn.functional.mish(tw.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])

    Source: Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    x = floating(input)
    return x * _softplus(x).tanh()


@checked()
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), where a and b are the halves of x along `dim`; that dimension is halved.

    Raises `ShapeError` if its size is odd.

    >>> import thalweg as tw
    >>> tw.nn.functional.glu(tw.tensor([[1.0, 2.0, 0.0, 0.0]]))
    tensor([[0.5000, 1.0000]])

    Source: Dauphin et al., "Language modeling with gated convolutional networks", 2017.
    """
    shape = input._value.shape
    size = shape[normalize_axis("glu", dim, len(shape))]
    if size % 2:
        raise ShapeError(
            f"glu: dimension {dim} of shape {shape} has the odd size {size}; "
            "it is split into two halves, so its size must be even"
        )
    half = size // 2
    return input.narrow(dim, 0, half) * input.narrow(dim, half, half).sigmoid()


# --- softplus and its logarithmic kin ------------------------------------------------------------


@composite("softplus", lambda g, out, x: g * x.sigmoid())
def _softplus(x: Tensor) -> Tensor:
    return x.maximum(0) + (-x.abs()).exp().log1p()


@checked(beta=nonzero())
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, a smooth ReLU; x itself where beta x > threshold, as in PyTorch.

    Computed as max(x, 0) + log(1 + e^-|x|), so that nothing overflows and a very negative x gives
    e^x, not 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.softplus(tw.tensor([-100.0, 0.0, 100.0]))
    tensor([3.7835e-44, 6.9315e-01, 1.0000e+02])

    Source: Dugas et al., "Incorporating second-order functional knowledge for better option
    pricing", 2001.
    """
    x = floating(input)
    scaled = x if beta == 1 else x * beta
    smooth = _softplus(scaled)
    return x.where(scaled > threshold, smooth if beta == 1 else smooth / beta)


@checked()
def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|), finite for every finite x.

    >>> import thalweg as tw
    >>> tw.nn.functional.logsigmoid(tw.tensor([-1000.0, 0.0]))
    tensor([-1000.0000,    -0.6931])

    Source: deck 002 (sigmoid).
    """
    return _logsigmoid(floating(input))


@composite("logsigmoid", lambda g, out, x: g * (-x).sigmoid())
def _logsigmoid(x: Tensor) -> Tensor:
    return x.minimum(0) - (-x.abs()).exp().log1p()


# --- others --------------------------------------------------------------------------------------


@checked()
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|), with derivative 1 / (1 + |x|)^2.

    >>> import thalweg as tw
    >>> tw.nn.functional.softsign(tw.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.
    """
    return _softsign(floating(input))


def _softsign_slope(g: Any, out: Any, x: Any) -> Any:
    # Squared last: (1 + |x|)^2 would overflow long before the quotient vanishes.
    reach = x.abs() + 1
    return g / reach / reach


@composite("softsign", _softsign_slope)
def _softsign(x: Tensor) -> Tensor:
    return x / (x.abs() + 1)


@composite("tanhshrink", lambda g, out, x: g * x.tanh().square())
def _tanhshrink(x: Tensor) -> Tensor:
    return x - x.tanh()


@checked()
def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x), with derivative tanh(x)^2.

    >>> import thalweg as tw
    >>> tw.nn.functional.tanhshrink(tw.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2384,  0.0000,  0.2384])
    """
    return _tanhshrink(floating(input))


@checked()
def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """softmax(-x) along `dim`: the smallest gets most. See `softmax`.

    >>> import thalweg as tw
    >>> tw.nn.functional.softmin(tw.tensor([0.0, 0.0, 1000.0]), dim=0)
    tensor([0.5000, 0.5000, 0.0000])
    """
    return softmax(-input, dim, dtype)
