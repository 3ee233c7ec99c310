"""Augmentation: random changes of a batch that leave its meaning, drawn inside the training step.

    augment = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()])
    x = augment(x)

They take batches of images (N, C, H, W) or (N, H, W), and unlike torchvision's draw for every
image by itself. All of it is tensor operations: it runs compiled, with the rest of the step.
"""  # noqa: E501  # a line of code

from thalweg.data.transforms.base import Compose, Transform
from thalweg.data.transforms.geometry import (
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
)
from thalweg.data.transforms.mixing import CutMix, MixUp
from thalweg.data.transforms.values import GaussianNoise, Normalize, RandomErasing

__all__ = [
    "Compose",
    "CutMix",
    "GaussianNoise",
    "MixUp",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Transform",
]
