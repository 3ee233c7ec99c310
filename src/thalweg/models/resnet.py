"""Residual networks for images, with torchvision's architecture and names of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thalweg import nn
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import checked, least

__all__ = ["BasicBlock", "ResNet", "resnet18", "resnet34"]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, each normed, and a shortcut s around them.

        y = relu(bn2(conv2(relu(bn1(conv1(x))))) + s(x))

    (N, inplanes, H, W) to (N, planes, H / stride, W / stride). `downsample` is the shortcut s: None
    for x itself, else a module that gives the result's shape.

    >>> import thalweg as tw
    >>> tw.models.BasicBlock(8, 8)(tw.ones(2, 8, 6, 6)).shape
    Size([2, 8, 6, 6])
    """

    @checked(inplanes=least(1), planes=least(1))
    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        self.conv1 = _conv(inplanes, planes, 3, stride, dtype)
        self.bn1 = nn.BatchNorm2d(planes, dtype=dtype)
        self.relu = nn.ReLU()
        self.conv2 = _conv(planes, planes, 3, 1, dtype)
        self.bn2 = nn.BatchNorm2d(planes, dtype=dtype)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """The block's features."""
        past = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + past
        result: Tensor = self.relu(out)
        return result


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, the mean over all places, a linear layer.

    Images (N, in_channels, H, W), of 32 x 32 or more, to logits (N, num_classes). Stage i has
    `layers[i]` blocks of 64 2^i channels; each after the first halves height and width. The names
    of parameters are torchvision's: conv1, bn1, layer1.0.conv1, ..., layer2.0.downsample.0, fc.

    Convolutions begin as Kaiming's normal (fan-out), norms as 1 and 0; `zero_init_residual` begins
    the last norm of each block as 0, so that a block is its shortcut.

    >>> import thalweg as tw
    >>> model = tw.models.ResNet((1, 1, 1, 1), num_classes=10)
    >>> model(tw.zeros(2, 3, 32, 32)).shape
    Size([2, 10])

    Source: He et al., "Deep residual learning for image recognition", 2015.
    """

    @checked(layers=least(1), num_classes=least(1))
    def __init__(
        self,
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        *,
        in_channels: int = 3,
        dtype: Any = None,
    ) -> None:
        if len(layers) != 4:
            raise ConfigError(f"ResNet: layers={layers}; expected four numbers of blocks")
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False, dtype=dtype)
        self.bn1 = nn.BatchNorm2d(64, dtype=dtype)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(64, 64, layers[0], 1, dtype)
        self.layer2 = _stage(64, 128, layers[1], 2, dtype)
        self.layer3 = _stage(128, 256, layers[2], 2, dtype)
        self.layer4 = _stage(256, 512, layers[3], 2, dtype)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, num_classes, dtype=dtype)
        self._begin(zero_init_residual)

    def _begin(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            last = module.bn2.weight if isinstance(module, BasicBlock) else None
            if zero_init_residual and last is not None:
                nn.init.zeros_(last)

    @checked()
    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        if len(x._value.shape) != 4:
            raise ShapeError(f"images of shape (N, C, H, W) expected, got {x._value.shape}")
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        result: Tensor = self.fc(self.avgpool(x).flatten(1))
        return result


def _conv(inplanes: int, planes: int, kernel: int, stride: int, dtype: Any) -> nn.Conv2d:
    """A convolution without a bias: a norm follows it."""
    return nn.Conv2d(inplanes, planes, kernel, stride, kernel // 2, bias=False, dtype=dtype)


def _stage(inplanes: int, planes: int, blocks: int, stride: int, dtype: Any) -> nn.Sequential:
    """Blocks of `planes` channels; the first takes `inplanes` and strides."""
    downsample = None
    if stride != 1 or inplanes != planes:
        shortcut = _conv(inplanes, planes, 1, stride, dtype)
        downsample = nn.Sequential(shortcut, nn.BatchNorm2d(planes, dtype=dtype))
    first = BasicBlock(inplanes, planes, stride, downsample, dtype=dtype)
    rest = (BasicBlock(planes, planes, dtype=dtype) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def resnet18(num_classes: int = 1000, **options: Any) -> ResNet:
    """`ResNet` of 18 layers: two blocks a stage, 11.7 million parameters for 1000 classes.

    Options: those of `ResNet`.
    """
    return ResNet((2, 2, 2, 2), num_classes, **options)


def resnet34(num_classes: int = 1000, **options: Any) -> ResNet:
    """`ResNet` of 34 layers: 3, 4, 6 and 3 blocks, 21.8 million parameters for 1000 classes.

    Options: those of `ResNet`.
    """
    return ResNet((3, 4, 6, 3), num_classes, **options)
