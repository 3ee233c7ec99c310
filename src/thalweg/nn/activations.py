"""Activations as modules: each is a function of `nn.functional` with its options.

All but the softmax family work element by element, on any shape, and keep it. `inplace` is taken
for PyTorch's sake and changes nothing: tensors are values.
"""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Parameter, Tensor
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import checked, nonzero, one_of
from thalweg.nn.functional.checks import require_order
from thalweg.nn.functional.sliding import require_images
from thalweg.nn.module import Module
from thalweg.ops.creation import full

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Activation(Module):
    """A module whose attributes are the options of a function: it prints them."""

    def extra_repr(self) -> str:
        options = {name: v for name, v in vars(self).items() if isinstance(v, int | float | str)}
        options.pop("_training", None)
        if not options.get("inplace"):
            options.pop("inplace", None)
        return ", ".join(f"{name}={value!r}" for name, value in options.items())


class _InPlace(_Activation):
    """An activation whose one option, `inplace`, changes nothing."""

    @checked()
    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


# --- squashing -----------------------------------------------------------------------------------


class Sigmoid(_Activation):
    """sigmoid(x) = 1 / (1 + e^-x), in (0, 1), with derivative y (1 - y), at most 1/4.

    Source: decks 000 and 002 (saturated units have nearly no gradient).

    >>> import thalweg as tw
    >>> tw.nn.Sigmoid()(tw.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(_Activation):
    """tanh(x) = (1 - e^-2x) / (1 + e^-2x), in (-1, 1), with derivative 1 - y^2. Source: deck 000.

    >>> import thalweg as tw
    >>> tw.nn.Tanh()(tw.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.9640,  0.0000,  0.9640])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class LogSigmoid(_Activation):
    """log(1 / (1 + e^-x)), without overflow.

    >>> import thalweg as tw
    >>> tw.nn.LogSigmoid()(tw.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softsign(_Activation):
    """x / (1 + |x|).

    >>> import thalweg as tw
    >>> tw.nn.Softsign()(tw.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Tanhshrink(_Activation):
    """x - tanh(x).

    >>> import thalweg as tw
    >>> tw.nn.Tanhshrink()(tw.tensor([0.0, 2.0]))
    tensor([0.0000, 1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softshrink(_Activation):
    """x moved towards 0 by lambd, and 0 where |x| <= lambd.

    >>> import thalweg as tw
    >>> tw.nn.Softshrink()(tw.tensor([-1.0, 0.2, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    @checked()
    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class Hardshrink(_Activation):
    """x where |x| > lambd, else 0.

    >>> import thalweg as tw
    >>> tw.nn.Hardshrink()(tw.tensor([-1.0, 0.2, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    @checked()
    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class Hardsigmoid(_InPlace):
    """min(max(x / 6 + 1/2, 0), 1): a sigmoid of three straight lines.

    >>> import thalweg as tw
    >>> tw.nn.Hardsigmoid()(tw.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input)


class Hardtanh(_Activation):
    """min(max(x, min_val), max_val).

    >>> import thalweg as tw
    >>> tw.nn.Hardtanh()(tw.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    @checked()
    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        require_order("Hardtanh", "min_val", "max_val", (min_val, max_val))
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val)


# --- rectifiers ----------------------------------------------------------------------------------


class ReLU(_InPlace):
    """relu(x) = max(0, x), with derivative 1 for x > 0, else 0; at the kink, 0.

    Source: decks 000, 002, 003. Weights as He draws them (`nn.init.kaiming_uniform_`) suit it.

    >>> import thalweg as tw
    >>> tw.nn.ReLU()(tw.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class ReLU6(_InPlace):
    """min(max(0, x), 6).

    >>> import thalweg as tw
    >>> tw.nn.ReLU6()(tw.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input)


class Threshold(_Activation):
    """x where x > threshold, else `value`.

    >>> import thalweg as tw
    >>> tw.nn.Threshold(1.0, -5.0)(tw.tensor([0.5, 2.0]))
    tensor([-5.,  2.])
    """

    @checked()
    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value)


class LeakyReLU(_Activation):
    """x for x > 0, else negative_slope x: no unit dies. Source: deck 002, slope 0.01.

    >>> import thalweg as tw
    >>> tw.nn.LeakyReLU(0.1)(tw.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    @checked()
    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope)


class PReLU(_Activation):
    """x for x > 0, else a x, with a learned slope a: `weight`, (num_parameters,), from `init` on.

    One slope for all, or one for each channel, dimension 1 of x. Source: He et al. 2015.

    >>> import thalweg as tw
    >>> tw.nn.PReLU()(tw.tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    @checked()
    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, *, device: Any = None, dtype: Any = None
    ) -> None:
        self.num_parameters = num_parameters
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)


class ELU(_Activation):
    """x for x > 0, else alpha (e^x - 1). Source: deck 002; Clevert et al. 2016.

    >>> import thalweg as tw
    >>> tw.nn.ELU()(tw.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    @checked()
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha)


class CELU(_Activation):
    """max(0, x) + min(0, alpha (e^(x / alpha) - 1)): an ELU that is smooth for any alpha.

    >>> import thalweg as tw
    >>> tw.nn.CELU(2.0)(tw.tensor([-2.0, 2.0]))
    tensor([-1.2642,  2.0000])
    """

    @checked(alpha=nonzero())
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha)


class SELU(_InPlace):
    """1.0507 times ELU with alpha 1.6733: activations keep mean 0 and variance 1.

    Wants weights of variance 1 / fan_in. Source: Klambauer et al. 2017.

    >>> import thalweg as tw
    >>> tw.nn.SELU()(tw.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input)


# --- smooth rectifiers ---------------------------------------------------------------------------


class GELU(_Activation):
    """x Phi(x), Phi the normal distribution function; or, with approximate="tanh", close to it.

    The approximation is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    Source: Hendrycks, Gimpel 2016.

    >>> import thalweg as tw
    >>> tw.nn.GELU()(tw.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    @checked(approximate=one_of("none", "tanh"))
    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class SiLU(_InPlace):
    """x sigmoid(x), also called swish.

    >>> import thalweg as tw
    >>> tw.nn.SiLU()(tw.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input)


class Mish(_InPlace):
    """x tanh(log(1 + e^x)). Source: Misra 2019.

    >>> import thalweg as tw
    >>> tw.nn.Mish()(tw.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input)


class Hardswish(_InPlace):
    """x min(max(x + 3, 0), 6) / 6.

    >>> import thalweg as tw
    >>> tw.nn.Hardswish()(tw.tensor([-4.0, 3.0]))
    tensor([-0.,  3.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input)


class Softplus(_Activation):
    """log(1 + e^(beta x)) / beta, without overflow; x itself where beta x > threshold.

    >>> import thalweg as tw
    >>> tw.nn.Softplus()(tw.tensor([0.0, 1000.0])).tolist()
    [0.693147..., 1000.0]
    """

    @checked(beta=nonzero())
    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


# --- along a dimension ---------------------------------------------------------------------------


class _AlongDim(_Activation):
    """An activation along one dimension, which is to be named: `dim=None` is an error in use."""

    @checked()
    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """p_i = e^(x_i) / sum_j e^(x_j) along `dim`: positive, and 1 in sum.

    Not in front of `CrossEntropyLoss`, which takes the logits. Source: deck 000.

    >>> import thalweg as tw
    >>> tw.nn.Softmax(dim=-1)(tw.tensor([[0.0, 0.0], [0.0, 1000.0]]))
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongDim):
    """x_i - log sum_j e^(x_j) along `dim`, without overflow.

    >>> import thalweg as tw
    >>> tw.nn.LogSoftmax(dim=-1)(tw.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class Softmax2d(_Activation):
    """`Softmax` over the channels of images, (N, C, H, W) or (C, H, W), at each place.

    >>> import thalweg as tw
    >>> tw.nn.Softmax2d()(tw.zeros(4, 1, 2))[0]
    tensor([[0.2500, 0.2500]])
    """

    def forward(self, input: Tensor) -> Tensor:
        require_images("Softmax2d", input, 2)
        return F.softmax(input, -3)


class Softmin(_AlongDim):
    """e^(-x_i) / sum_j e^(-x_j) along `dim`.

    >>> import thalweg as tw
    >>> tw.nn.Softmin(dim=-1)(tw.tensor([0.0, 1000.0])).tolist()
    [1.0, 0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class GLU(_Activation):
    """a sigmoid(b) for the halves a, b of x along `dim`, which is halved.

    Source: Dauphin et al. 2017.

    >>> import thalweg as tw
    >>> tw.nn.GLU()(tw.tensor([[1.0, 2.0, 0.0, 0.0]]))
    tensor([[0.5000, 1.0000]])
    """

    @checked()
    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)
