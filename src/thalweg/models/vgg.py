"""VGG networks for images, with torchvision's architecture and names of parameters."""

from __future__ import annotations

from typing import Any

from thalweg import nn
from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked, least

__all__ = ["VGG", "vgg11", "vgg11_bn"]

_ELEVEN = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")


class VGG(nn.Module):
    """3 x 3 convolutions with ReLU, five halvings, then three fully connected layers.

    Images (N, 3, H, W), of 32 x 32 or more, to logits (N, num_classes). `plan` lists the channels
    of the convolutions, and "pool"; with `batch_norm`, each convolution is followed by a norm.
    `hidden` is the width of the two hidden layers behind, whose inputs are 512 x 7 x 7 features.
    The names of parameters are torchvision's: features.0, ..., classifier.0, classifier.6.

    Convolutions begin as Kaiming's normal (fan-out), linear layers as N(0, 0.01^2), biases as 0.

    >>> import thalweg as tw
    >>> model = tw.models.vgg11(num_classes=10, hidden=64)
    >>> model(tw.zeros(2, 3, 32, 32)).shape
    Size([2, 10])

    Source: Simonyan, Zisserman, "Very deep convolutional networks", 2014.
    """

    @checked(num_classes=least(1), hidden=least(1))
    def __init__(
        self,
        plan: tuple[int | str, ...],
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
        *,
        hidden: int = 4096,
        dtype: Any = None,
    ) -> None:
        self.features = _features(plan, batch_norm, dtype)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, hidden, dtype=dtype),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden, dtype=dtype),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes, dtype=dtype),
        )
        self._begin()

    def _begin(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @checked()
    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        if len(x._value.shape) != 4 or min(x._value.shape[2:]) < 32:
            raise ShapeError(
                f"images of shape (N, 3, H, W) expected, of 32 x 32 or more: they are halved five "
                f"times; got {x._value.shape}"
            )
        result: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return result


def _features(plan: tuple[int | str, ...], batch_norm: bool, dtype: Any) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for width in plan:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1, dtype=dtype))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width, dtype=dtype))
        layers.append(nn.ReLU())
        channels = width
    return nn.Sequential(*layers)


def vgg11(num_classes: int = 1000, **options: Any) -> VGG:
    """`VGG` of 11 layers, without norms. Options: those of `VGG`."""
    return VGG(_ELEVEN, num_classes, **options)


def vgg11_bn(num_classes: int = 1000, **options: Any) -> VGG:
    """`VGG` of 11 layers, each convolution followed by a norm. Options: those of `VGG`."""
    return VGG(_ELEVEN, num_classes, batch_norm=True, **options)
