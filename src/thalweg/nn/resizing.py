"""Layers that change the size of images: interpolation, and channels that become places."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import checked, least, one_of
from thalweg.nn.functional.resizing import MODES, Factors
from thalweg.nn.functional.sliding import Sizes
from thalweg.nn.module import Module

__all__ = ["ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample"]


class Upsample(Module):
    """Images, or sequences, of another size: `nn.functional.interpolate` with its options.

    x: (N, C, H, W) or (N, C, L). `mode` is "nearest", "nearest-exact", "linear" (sequences),
    "bilinear", "bicubic" (images) or "area".

    >>> import thalweg as tw
    >>> tw.nn.Upsample(scale_factor=2, mode="bilinear")(tw.ones(2, 3, 5, 5)).shape
    Size([2, 3, 10, 10])
    """

    @checked(mode=one_of(*MODES), size=least(1))
    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: Factors = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ConfigError("Upsample: either size or scale_factor is given, and not both")
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = (
            tuple(map(float, scale_factor))
            if isinstance(scale_factor, Sequence)
            else scale_factor and float(scale_factor)
        )
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The input in the other size."""
        given = (self.size, self.scale_factor)
        return F.interpolate(
            input, *given, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        """scale_factor=2.0, mode='nearest'"""
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor}, mode={self.mode!r}"
        return f"size={self.size}, mode={self.mode!r}"


class PixelShuffle(Module):
    """r x r channels as the places of a small square: (N, C r^2, H, W) to (N, C, H r, W r).

    >>> import thalweg as tw
    >>> tw.nn.PixelShuffle(2)(tw.ones(8, 12, 4, 4)).shape
    Size([8, 3, 8, 8])
    """

    @checked()
    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The input with larger images of fewer channels."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """upscale_factor=2"""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The reverse of `PixelShuffle`: (N, C, H r, W r) to (N, C r^2, H, W).

    >>> import thalweg as tw
    >>> tw.nn.PixelUnshuffle(2)(tw.ones(8, 3, 8, 8)).shape
    Size([8, 12, 4, 4])
    """

    @checked()
    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The input with smaller images of more channels."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """downscale_factor=2"""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels of `groups` groups taken in turns: (N, C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.ChannelShuffle(2)(tw.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    @checked()
    def __init__(self, groups: int) -> None:
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """The input with its channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """groups=2"""
        return f"groups={self.groups}"


class Unfold(Module):
    """Each window of an image as a column: (N, C, H, W) to (N, C k l, windows). See `F.unfold`.

    >>> import thalweg as tw
    >>> tw.nn.Unfold(3, padding=1)(tw.ones(2, 4, 8, 8)).shape
    Size([2, 36, 64])
    """

    @checked()
    def __init__(
        self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The columns."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """kernel_size=3, dilation=1, padding=0, stride=1"""
        names = ("kernel_size", "dilation", "padding", "stride")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class Fold(Module):
    """Columns put back as the windows of an image, which add up where they overlap. See `F.fold`.

    >>> import thalweg as tw
    >>> tw.nn.Fold((8, 8), 3, padding=1)(tw.ones(2, 36, 64)).shape
    Size([2, 4, 8, 8])
    """

    @checked(output_size=least(1))
    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The images."""
        options = self.kernel_size, self.dilation, self.padding, self.stride
        return F.fold(input, self.output_size, *options)

    def extra_repr(self) -> str:
        """output_size=(8, 8), kernel_size=3, dilation=1, padding=0, stride=1"""
        names = ("output_size", "kernel_size", "dilation", "padding", "stride")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
