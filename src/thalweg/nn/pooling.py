"""Pooling layers: images made smaller by the maximum, the mean or a norm of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from thalweg._tensor import Tensor
from thalweg.nn import functional as F
from thalweg.nn.functional.adaptive import Wanted, wanted_sizes
from thalweg.nn.functional.arguments import FINITE_NORM, checked, nonzero
from thalweg.nn.functional.sliding import Shape, Sizes, per_axis
from thalweg.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "LPPool1d",
    "LPPool2d",
    "MaxPool1d",
    "MaxPool2d",
]


class _Pool(Module):
    """What pooling of any kind has in common: how it says what it is."""

    rank: ClassVar[int]
    shown: ClassVar[tuple[str, ...]]  # the attributes that it is printed with
    window: ClassVar[str] = "kernel_size"

    def describe(self) -> str:
        """The layer with its window or its size, such as "MaxPool2d 2" or "AdaptiveAvgPool2d 7"."""
        return f"{type(self).__name__} {_spoken(getattr(self, self.window))}"

    def extra_repr(self) -> str:
        """What it was made with, such as "kernel_size=2, stride=2, padding=0"."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class _MaxPool(_Pool):
    """What maximum pooling of any rank has in common."""

    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    @checked()
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode
        _check_sizes(self, self.rank, kernel_size, stride, padding, dilation)

    def forward(self, input: Tensor) -> Any:
        """The maximum of each window, and with `return_indices` where it stands."""
        pool = F.max_pool1d if self.rank == 1 else F.max_pool2d
        options = (self.kernel_size, self.stride, self.padding, self.dilation)
        return pool(input, *options, self.ceil_mode, self.return_indices)


class MaxPool1d(_MaxPool):
    """The maximum of each window along the last dimension: (N, C, L) -> (N, C, L').

    Options, sizes and errors as for `MaxPool2d`.

    >>> import thalweg as tw
    >>> tw.nn.MaxPool1d(2)(tw.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[3., 2.]])
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window: y[n, c, h, w] = max over i, j of x[n, c, s h + d i, s w + d j].

    x: (N, C, H, W) or (C, H, W); y: H' = floor((H + 2 padding - dilation (kernel_size - 1) - 1) /
    stride) + 1 rows, ceil instead of floor with `ceil_mode`. The stride is `kernel_size` unless
    given. See `nn.functional.max_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.MaxPool2d(2)(tw.ones(8, 32, 26, 26)).shape
    Size([8, 32, 13, 13])
    """

    rank = 2


class _AvgPool(_Pool):
    """What mean pooling of any rank has in common."""

    shown = ("kernel_size", "stride", "padding")
    kernel_size: Sizes
    stride: Sizes


class AvgPool1d(_AvgPool):
    """The mean of each window along the last dimension: (N, C, L) -> (N, C, L').

    Options, sizes and errors as for `AvgPool2d`.

    >>> import thalweg as tw
    >>> tw.nn.AvgPool1d(2)(tw.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[2., 1.]])
    """

    @checked()
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size: Shape = per_axis("AvgPool1d", "kernel_size", kernel_size, 1, 1)
        given = self.kernel_size if stride is None else stride
        self.stride: Shape = per_axis("AvgPool1d", "stride", given, 1, 1)
        self.padding = per_axis("AvgPool1d", "padding", padding, 1, 0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        options = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        return F.avg_pool1d(input, *options, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window: y[n, c, h, w] = 1/m sum over i, j of x[n, c, s h + i, s w + j].

    x: (N, C, H, W) or (C, H, W); sizes of y as for `MaxPool2d`. m is the number of elements of a
    window; zeros of the padding count unless `count_include_pad` is False. See
    `nn.functional.avg_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.AvgPool2d(2)(tw.ones(8, 32, 26, 26)).shape
    Size([8, 32, 13, 13])
    """

    @checked(divisor_override=nonzero())
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override
        _check_sizes(self, 2, kernel_size, stride, padding)

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        options = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        return F.avg_pool2d(input, *options, self.count_include_pad, self.divisor_override)


class _AdaptivePool(_Pool):
    """What pooling to a given size has in common."""

    shown = ("output_size",)
    window = "output_size"

    @checked()
    def __init__(self, output_size: Wanted) -> None:
        wanted_sizes(type(self).__name__, output_size, self.rank)
        self.output_size = output_size


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows that tile a sequence: (N, C, L) -> (N, C, output_size).

    >>> import thalweg as tw
    >>> tw.nn.AdaptiveAvgPool1d(2)(tw.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[2., 1.]])
    """

    rank = 1

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of windows that tile an image, whatever its size: (N, C, *output_size).

    x: (N, C, H, W) or (C, H, W); `output_size` is a number for both axes or one each, None for
    that of x. See `nn.functional.adaptive_avg_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.AdaptiveAvgPool2d(1)(tw.ones(8, 512, 7, 7)).shape
    Size([8, 512, 1, 1])
    """

    rank = 2

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    """What maximum pooling to a given size has in common."""

    @checked()
    def __init__(self, output_size: Wanted, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """The maximum of each window, and with `return_indices` where it stands."""
        pool = F.adaptive_max_pool1d if self.rank == 1 else F.adaptive_max_pool2d
        return pool(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maxima of `output_size` windows that tile a sequence: (N, C, L) -> (N, C, output_size).

    >>> import thalweg as tw
    >>> tw.nn.AdaptiveMaxPool1d(2)(tw.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[3., 2.]])
    """

    rank = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maxima of windows that tile an image, whatever its size: (N, C, *output_size).

    As `AdaptiveAvgPool2d`; with `return_indices` also where each maximum stands in its image.

    >>> import thalweg as tw
    >>> tw.nn.AdaptiveMaxPool2d((3, None))(tw.ones(8, 16, 7, 5)).shape
    Size([8, 16, 3, 5])
    """

    rank = 2


class _LPPool(_Pool):
    """What pooling by a p-norm has in common."""

    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    @checked(norm_type=FINITE_NORM)
    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode
        _check_sizes(self, self.rank, kernel_size, stride)

    def forward(self, input: Tensor) -> Tensor:
        """The p-norm of each window."""
        pool = F.lp_pool1d if self.rank == 1 else F.lp_pool2d
        return pool(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """(sum of x^p)^(1/p) of each window along the last dimension. See `F.lp_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.LPPool1d(2, 2)(tw.tensor([[3.0, 4.0, 1.0, 0.0]]))
    tensor([[5., 1.]])
    """

    rank = 1


class LPPool2d(_LPPool):
    """(sum of x^p)^(1/p) of each window of an image. See `F.lp_pool2d`.

    >>> import thalweg as tw
    >>> tw.nn.LPPool2d(2, 2)(tw.tensor([[[3.0, 0.0], [0.0, 4.0]]]))
    tensor([[[5.]]])
    """

    rank = 2


def _check_sizes(
    module: Module,
    rank: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> None:
    name = type(module).__name__
    per_axis(name, "kernel_size", kernel_size, rank, 1)
    per_axis(name, "stride", kernel_size if stride is None else stride, rank, 1)
    per_axis(name, "padding", padding, rank, 0)
    per_axis(name, "dilation", dilation, rank, 1)


def _spoken(sizes: Wanted) -> str:
    return " x ".join(map(str, sizes)) if isinstance(sizes, Sequence) else str(sizes)
