"""Convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ShapeError
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.functional.arguments import checked, one_of
from thalweg.nn.functional.checks import require_divisor
from thalweg.nn.functional.convolution import padding_amounts
from thalweg.nn.functional.sliding import Shape, Sizes, per_axis, require_images, spans
from thalweg.nn.module import Module
from thalweg.ops.creation import empty

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]


_MODES = ("circular", "reflect", "replicate", "zeros")


class _Conv(Module):
    """What convolutional layers of any rank have in common."""

    rank: ClassVar[int]

    @checked(padding_mode=one_of(*_MODES))
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode)
        sizes = (self.kernel_size, self.stride, self.dilation)
        amounts = padding_amounts(type(self).__name__, padding, *sizes)
        self.padding: Shape | str = padding if isinstance(padding, str) else amounts[0]
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self._make(shape, bias, dtype)

    def _set(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        dilation: Sizes,
        groups: int,
        padding_mode: str,
    ) -> None:
        name, rank = type(self).__name__, self.rank
        require_divisor(name, "groups", groups, in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, rank, 1)
        self.stride = per_axis(name, "stride", stride, rank, 1)
        self.dilation = per_axis(name, "dilation", dilation, rank, 1)
        self.padding_mode = padding_mode

    def _make(self, shape: Shape, bias: bool, dtype: Any) -> None:
        self.weight = Parameter(empty(*shape, dtype=dtype))
        self.bias = Parameter(empty(self.out_channels, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from U[-1/sqrt(n), 1/sqrt(n)], n the fan-in."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of the input with the weight, plus the bias."""
        convolve = F.conv1d if self.rank == 1 else F.conv2d
        padding = self.padding if self.padding_mode == "zeros" else 0
        options = (self.stride, padding, self.dilation, self.groups)
        try:
            if self.padding_mode != "zeros":
                require_images(type(self).__name__, input, self.rank)
                input = F.pad(input, self._sides(), self.padding_mode)
            return convolve(input, self.weight, self.bias, *options)
        except ShapeError as error:
            raise self._explained(tuple(input.shape), error) from None

    def _sides(self) -> list[int]:
        """How much is padded at both ends of each axis, the last one first."""
        sizes = (self.kernel_size, self.stride, self.dilation)
        low, high = padding_amounts(type(self).__name__, self.padding, *sizes)
        return [n for pair in reversed(list(zip(low, high, strict=True))) for n in pair]

    def _explained(self, shape: Shape, error: ShapeError) -> ShapeError:
        """The error of an input with other channels, by the layer's own words."""
        if len(shape) not in (self.rank + 1, self.rank + 2):
            return error
        if shape[-self.rank - 1] == self.in_channels:
            return error
        axes = "L" if self.rank == 1 else "H, W"
        return ShapeError(
            f"an input of shape (N, {self.in_channels}, {axes}) expected, got {shape}. "
            + self._advice(shape)
        )

    def _advice(self, shape: Shape) -> str:
        """The likely fix for an input of `shape`, whose channels do not fit."""
        if shape[-1] == self.in_channels:
            return f"Channels come before the places: x.movedim(-1, {-self.rank - 1})"
        if self.in_channels == 1 and len(shape) == self.rank + 1:
            return "A batch without channels: x.unsqueeze(1) gives it one"
        return f"Set in_channels to {shape[-self.rank - 1]}, or change what comes before"

    def describe(self) -> str:
        """The layer with its channels and kernel, such as "Conv2d 1 -> 32, 3 x 3"."""
        kernel = " x ".join(map(str, self.kernel_size))
        return f"{type(self).__name__} {self.in_channels} -> {self.out_channels}, {kernel}"

    def extra_repr(self) -> str:
        """1, 32, kernel_size=(3, 3), stride=(1, 1), and what else is not as usual."""
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        none, once = (0,) * self.rank, (1,) * self.rank
        usual = {"padding": none, "dilation": once, "output_padding": none, "groups": 1}
        for name, value in usual.items():
            given = getattr(self, name, value)
            text += f", {name}={given}" if given != value else ""
        text += ", bias=False" if self.bias is None else ""
        mode = self.padding_mode
        return text + (f", padding_mode={mode}" if mode != "zeros" else "")


class _ConvTranspose(_Conv):
    """What transposed convolutional layers of any rank have in common."""

    padding: Shape

    @checked(padding_mode=one_of("zeros"))
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        name, rank = type(self).__name__, self.rank
        self._set(in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode)
        self.padding = per_axis(name, "padding", padding, rank, 0)
        self.output_padding = per_axis(name, "output_padding", output_padding, rank, 0)
        self._make((in_channels, out_channels // groups, *self.kernel_size), bias, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """The transposed convolution of the input with the weight, plus the bias.

        `output_size`, H' and W', chooses the output_padding.
        """
        convolve = F.conv_transpose1d if self.rank == 1 else F.conv_transpose2d
        more = self.output_padding if output_size is None else self._missing(input, output_size)
        options = (self.stride, self.padding, more, self.groups, self.dilation)
        try:
            return convolve(input, self.weight, self.bias, *options)
        except ShapeError as error:
            raise self._explained(tuple(input.shape), error) from None

    def _missing(self, x: Tensor, output_size: Sequence[int]) -> Shape:
        """The output_padding that gives this size."""
        wanted, counts = tuple(output_size)[-self.rank :], tuple(x.shape)[-self.rank :]
        reach = spans(self.kernel_size, self.dilation)
        axes = zip(counts, self.stride, self.padding, reach, strict=True)
        least = tuple((n - 1) * s - 2 * p + k for n, s, p, k in axes)
        more = tuple(a - b for a, b in zip(wanted, least, strict=False))
        if len(more) != self.rank or any(
            not 0 <= n < s for n, s in zip(more, self.stride, strict=True)
        ):
            most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
            raise ShapeError(
                f"output_size {tuple(output_size)}: an input of size {counts} becomes {least} to "
                f"{most}"
            )
        return more


class Conv1d(_Conv):
    """A convolution along one dimension: y[n, o, l] = b[o] + sum x[n, c, s l + d i] w[o, c, i].

    x: (N, in_channels, L) or (in_channels, L); y: (N, out_channels, L') with
    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1. `weight` is
    (out_channels, in_channels / groups, kernel_size), `bias` (out_channels,) or, with bias=False,
    None. Both begin as U[-1/sqrt(n), 1/sqrt(n)], n = in_channels / groups * kernel_size, as in
    PyTorch. Options as for `Conv2d`.

    >>> import thalweg as tw
    >>> tw.nn.Conv1d(2, 4, 3, padding="same")(tw.ones(8, 2, 100)).shape
    Size([8, 4, 100])
    """

    rank = 1


class Conv2d(_Conv):
    """A convolution of images: a weight slides over them, everywhere the same.

        y[n, o, h, w] = b[o] + sum over c, i, j of x[n, c, s h + d i, s w + d j] weight[o, c, i, j]

    x: (N, in_channels, H, W) or (in_channels, H, W); y: (N, out_channels, H', W') with
    H' = floor((H + 2 padding - dilation (K - 1) - 1) / stride) + 1. `weight` is (out_channels,
    in_channels / groups, K, L), `bias` (out_channels,) or, with bias=False, None. Both begin as
    U[-1/sqrt(n), 1/sqrt(n)], n = in_channels / groups * K * L, as in PyTorch.

    `kernel_size`, `stride`, `padding` and `dilation` are a number for both axes or one each.
    Padding may be "valid" (none) or "same" (for stride 1: y has the size of x); `padding_mode`
    says what is put there: "zeros", "reflect", "replicate" or "circular", as `nn.functional.pad`
    has them. With `groups`, each group of outputs sees its own share of the channels.

    Raises `ConfigError` for options that do not fit, `ShapeError` for an input that does not.

    >>> import thalweg as tw
    >>> layer = tw.nn.Conv2d(1, 32, 3)
    >>> layer(tw.ones(64, 1, 28, 28)).shape
    Size([64, 32, 26, 26])

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """

    rank = 2


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`: (N, in_channels, L) or (in_channels, L) to out_channels and L'.

    L' = (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. As
    `ConvTranspose2d`.

    >>> import thalweg as tw
    >>> tw.nn.ConvTranspose1d(2, 4, 4, stride=2, padding=1)(tw.ones(8, 2, 50)).shape
    Size([8, 4, 100])
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`: an image that is larger, where that would make it smaller.

        y[n, o, s h + d i - p, ..] = b[o] + sum of x[n, c, h, ..] weight[c, o, i, ..]

    x: (N, in_channels, H, W) or (in_channels, H, W); y: (N, out_channels, H', W') with
    H' = (H - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1. `weight` is
    (in_channels, out_channels / groups, K, L), `bias` (out_channels,) or, with bias=False, None.
    Both begin as U[-1/sqrt(n), 1/sqrt(n)], n = out_channels / groups * K * L, as in PyTorch.
    Options are those of `nn.functional.conv_transpose2d`.

    >>> import thalweg as tw
    >>> up = tw.nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1)
    >>> up(tw.ones(2, 16, 7, 7)).shape, up(tw.ones(2, 16, 7, 7), output_size=(14, 14)).shape
    (Size([2, 8, 13, 13]), Size([2, 8, 14, 14]))

    Source: Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", 2016.
    """

    rank = 2
