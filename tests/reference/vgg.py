"""VGG in PyTorch, written from its published architecture, with torchvision's names."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["VGG"]


class VGG(nn.Module):
    """Of eleven layers."""

    def __init__(self, classes: int, norms: bool, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for widths in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
            for width in widths:
                layers.append(nn.Conv2d(before, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] * norms + [nn.ReLU(inplace=True)]
                before = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 49, hidden), nn.ReLU(True), nn.Dropout(0.0)),
            *(nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(0.0)),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
