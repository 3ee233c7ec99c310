"""LeNet-5, the network that read cheques."""

from __future__ import annotations

from typing import Any

from thalweg import nn
from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked, least, one_of

__all__ = ["LeNet", "lenet"]


_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class LeNet(nn.Module):
    """Two convolutions of 5 x 5, each with a 2 x 2 pool, and three fully connected layers.

    Images (N, in_channels, 28, 28) to logits (N, num_classes): 6 and 16 channels, then 120 and 84
    units. `activation` is "tanh", as it was, or "relu". 61,706 parameters for ten classes.

    >>> import thalweg as tw
    >>> model = tw.models.lenet()
    >>> model(tw.zeros(2, 1, 28, 28)).shape, sum(p.numel() for p in model.parameters())
    (Size([2, 10]), 61706)

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998; max
    pooling in place of the trained subsampling there. Deck 003.
    """

    @checked(activation=one_of(*_ACTIVATIONS), num_classes=least(1))
    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        activation: str = "relu",
        *,
        dtype: Any = None,
    ) -> None:
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=2, dtype=dtype)
        self.conv2 = nn.Conv2d(6, 16, 5, dtype=dtype)
        self.fc1 = nn.Linear(16 * 5 * 5, 120, dtype=dtype)
        self.fc2 = nn.Linear(120, 84, dtype=dtype)
        self.fc3 = nn.Linear(84, num_classes, dtype=dtype)
        self.pool = nn.MaxPool2d(2)
        self.activation = _ACTIVATIONS[activation]()

    @checked()
    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        if tuple(x._value.shape[2:]) != (28, 28):
            raise ShapeError(f"images of shape (N, C, 28, 28) expected, got {x._value.shape}")
        act = self.activation
        x = self.pool(act(self.conv1(x)))
        x = self.pool(act(self.conv2(x))).flatten(1)
        result: Tensor = self.fc3(act(self.fc2(act(self.fc1(x)))))
        return result


def lenet(num_classes: int = 10, **options: Any) -> LeNet:
    """`LeNet` for so many classes. Options: those of `LeNet`."""
    return LeNet(num_classes, **options)
