"""Fully connected layers."""

from __future__ import annotations

import math
from typing import Any

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ShapeError
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.module import Module
from thalweg.ops.creation import empty

__all__ = ["Bilinear", "Identity", "Linear"]


class Linear(Module):
    """A fully connected layer: z = x W^T + b, the pre-activations of `out_features` units.

    x: (..., in_features), z: (..., out_features). `weight` is (out_features, in_features), `bias`
    (out_features,) or, with bias=False, None. Both begin as U[-1/sqrt(in), 1/sqrt(in)], as in
    PyTorch. Source: deck 003, f = beta + Omega h.

    A `ShapeError` for another size of the last dimension says what would fit.

    >>> import thalweg as tw
    >>> layer = tw.nn.Linear(784, 30)
    >>> layer(tw.ones(32, 784)).shape
    Size([32, 30])
    """

    @checked()
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype))
        self.bias = Parameter(empty(out_features, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from U[-1/sqrt(in), 1/sqrt(in)]."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """x W^T + b."""
        try:
            return F.linear(input, self.weight, self.bias)
        except ShapeError as error:
            raise self._explained(input, error) from None

    def _explained(self, x: Tensor, error: ShapeError) -> ShapeError:
        shape = tuple(x.shape)
        if shape[-1:] == (self.in_features,):
            return error  # something else does not fit: a bias or weight that was replaced
        return ShapeError(
            f"an input of shape (..., {self.in_features}) expected, got {shape}. "
            + self._advice(shape)
        )

    def _advice(self, shape: tuple[int, ...]) -> str:
        """The likely fix for an input of `shape`."""
        fits = [axis for axis, size in enumerate(shape) if size == self.in_features]
        for axis in range(1, len(shape) - 1):
            if math.prod(shape[axis:]) == self.in_features:
                flatten = "nn.Flatten()" if axis == 1 else f"nn.Flatten({axis})"
                return (
                    f"Put {flatten} in front: dimensions {axis} to {len(shape) - 1} together "
                    f"have {self.in_features} elements"
                )
        if len(shape) > 1 and math.prod(shape) == self.in_features:
            return "It looks like one sample without a batch dimension: pass x.reshape(1, -1)"
        if fits:
            return f"Dimension {fits[-1]} has that size: x.movedim({fits[-1]}, -1) puts it last"
        if not shape:
            return "A single number: give it its dimensions with x.reshape(1, 1)"
        flat = f" ({math.prod(shape[1:])} with nn.Flatten() in front)" if len(shape) > 2 else ""
        return f"Set in_features to {shape[-1]}{flat}, or give it {self.in_features} features"

    def describe(self) -> str:
        """The layer with its sizes, such as "Linear 784 -> 30"."""
        return f"{type(self).__name__} {self.in_features} -> {self.out_features}"

    def extra_repr(self) -> str:
        """in_features=784, out_features=30, bias=True"""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """y = x1^T A x2 + b: what two inputs have to do with each other.

    x1: (..., in1_features), x2: (..., in2_features), y: (..., out_features). `weight` is
    (out_features, in1_features, in2_features), `bias` (out_features,) or, with bias=False, None.
    Both begin as U[-1/sqrt(in1), 1/sqrt(in1)], as in PyTorch.

    >>> import thalweg as tw
    >>> tw.nn.Bilinear(20, 30, 40)(tw.ones(8, 20), tw.ones(8, 30)).shape
    Size([8, 40])
    """

    @checked(in1_features=least(1))
    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, dtype=dtype))
        self.bias = Parameter(empty(out_features, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from U[-1/sqrt(in1), 1/sqrt(in1)]."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """x1^T A x2 + b."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def describe(self) -> str:
        """The layer with its sizes, such as "Bilinear 20 x 30 -> 40"."""
        sizes = f"{self.in1_features} x {self.in2_features} -> {self.out_features}"
        return f"{type(self).__name__} {sizes}"

    def extra_repr(self) -> str:
        """in1_features=20, in2_features=30, out_features=40, bias=True"""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Identity(Module):
    """f(x) = x: a place that holds nothing. Arguments of the constructor are not looked at.

    >>> import thalweg as tw
    >>> tw.nn.Identity()(tw.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    @checked()
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """The input."""
        return input
