"""Piecewise linear activations: leaky ReLU and PReLU, the hard variants, shrinkage, thresholds.

Elementwise: any shape, and the shape stays; float32 or float64, and the dtype stays. At a kink
the derivative is that of one side, the same as PyTorch's; each docstring says which.
"""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.checks import require_order
from thalweg.ops.lift import floating
from thalweg.tape import composite

__all__ = [
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "prelu",
    "relu6",
    "softshrink",
    "threshold",
]


@checked()
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x if x > 0, else negative_slope x. At 0 the derivative is negative_slope.

    For slopes up to 1 this is the decks' max(0.01 x, x).

    >>> import thalweg as tw
    >>> tw.nn.functional.leaky_relu(tw.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.0200,  0.0000,  3.0000])

    Source: deck 002; Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic
    models", 2013.
    """
    return _leaky_relu(floating(input), negative_slope=negative_slope)


def _leaky_relu_slope(g: Any, out: Any, x: Any, *, negative_slope: float) -> Any:
    return g.where(x > 0, g * negative_slope)


@composite("leaky_relu", _leaky_relu_slope)
def _leaky_relu(x: Tensor, *, negative_slope: float) -> Tensor:
    return x.where(x > 0, x * negative_slope)


@checked()
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x if x > 0, else w x, with a learned slope: one for all, or one a channel (dimension 1).

    `weight` has shape (1,) or (channels,); an input of rank 0 or 1 has one channel. At 0 the
    derivatives are w and 0. Raises `ShapeError` if `weight` fits neither.

    >>> import thalweg as tw
    >>> tw.nn.functional.prelu(tw.tensor([[-2.0, -2.0]]), tw.tensor([0.25, 0.5]))
    tensor([[-0.5000, -1.0000]])

    Source: He et al., "Delving deep into rectifiers", 2015.
    """
    shape = input._value.shape
    count = weight.numel()
    channels = shape[1] if len(shape) > 1 else 1
    if len(weight._value.shape) > 1 or count not in (1, channels):
        raise ShapeError(
            f"prelu: weight has shape {weight._value.shape}, input {shape}: "
            f"expected one slope, (1,), or one for each of the {channels} channels, ({channels},)"
        )
    slope = weight.reshape(() if count == 1 else (count, *(1,) * (len(shape) - 2)))
    return input.where(input > 0, slope * input)


@checked()
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """x if x > threshold, else `value`. At the threshold the derivative is 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.threshold(tw.tensor([0.5, 1.0, 2.0]), 1.0, -5.0)
    tensor([-5., -5.,  2.])
    """
    return input.masked_fill(input <= threshold, value)


@checked()
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x limited to [min_val, max_val]. At the limits the derivative is 0.

    Raises `ConfigError` unless min_val <= max_val.

    >>> import thalweg as tw
    >>> tw.nn.functional.hardtanh(tw.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])

    Source: Collobert, "Large scale machine learning", 2004.
    """
    require_order("hardtanh", "min_val", "max_val", (min_val, max_val))
    return _hardtanh(input, low=min_val, high=max_val)


def _hardtanh_slope(g: Any, out: Any, x: Any, *, low: float, high: float) -> Any:
    return g.masked_fill((x <= low) | (x >= high), 0)


@composite("hardtanh", _hardtanh_slope)
def _hardtanh(x: Tensor, *, low: float, high: float) -> Tensor:
    return x.maximum(low).minimum(high)


@checked()
def relu6(input: Tensor) -> Tensor:
    """min(max(x, 0), 6). At 0 and 6 the derivative is 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.relu6(tw.tensor([-1.0, 3.0, 7.0]))
    tensor([0., 3., 6.])

    Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """
    return hardtanh(input, 0.0, 6.0)


@checked()
def hardsigmoid(input: Tensor) -> Tensor:
    """relu6(x + 3) / 6: 0 up to -3, 1 from 3 on, a line between. At -3 and 3 the derivative is 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.hardsigmoid(tw.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])

    Source: Courbariaux, Bengio, David, "BinaryConnect", 2015.
    """
    return relu6(floating(input) + 3) / 6


@checked()
def hardswish(input: Tensor) -> Tensor:
    """x relu6(x + 3) / 6. At -3 the derivative is 0, at 3 it is 1: those of the outer sides.

    >>> import thalweg as tw
    >>> tw.nn.functional.hardswish(tw.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000,  0.6667,  4.0000])

    Source: Howard et al., "Searching for MobileNetV3", 2019.
    """
    return _hardswish(floating(input))


def _hardswish_slope(g: Any, out: Any, x: Any) -> Any:
    return g.where(x >= 3, (g * (x / 3 + 0.5)).masked_fill(x <= -3, 0))


@composite("hardswish", _hardswish_slope)
def _hardswish(x: Tensor) -> Tensor:
    return x * (x / 6 + 0.5).maximum(0).minimum(1)


@checked()
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0. At the jumps the derivative is 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.hardshrink(tw.tensor([-1.0, 0.5, 0.6]))
    tensor([-1.0000,  0.0000,  0.6000])
    """
    return input.masked_fill((input >= -lambd) & (input <= lambd), 0)


@checked()
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, 0 where |x| <= lambd. At the kinks the derivative is 0.

    The proximal operator of lambd |x|. Raises `ConfigError` if lambd is negative.

    >>> import thalweg as tw
    >>> tw.nn.functional.softshrink(tw.tensor([-1.0, 0.2, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    return _softshrink(input, lambd=lambd)


def _softshrink_slope(g: Any, out: Any, x: Any, *, lambd: float) -> Any:
    return g.masked_fill((x >= -lambd) & (x <= lambd), 0)


@composite("softshrink", _softshrink_slope)
def _softshrink(x: Tensor, *, lambd: float) -> Tensor:
    return x - x.maximum(-lambd).minimum(lambd)
