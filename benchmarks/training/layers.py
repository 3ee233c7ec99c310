"""Networks that are one layer after the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Layer", "Layers", "convolution", "dense", "normalized", "shape_after"]

Array = npt.NDArray[Any]
Layer = tuple[Any, ...]  # (name, sizes..): linear in out | conv in out padding | batchnorm n | ..
_KERNEL = 3


@dataclass(frozen=True)
class Layers:
    """Layers for examples of shape `image`, channels first."""

    image: tuple[int, ...]
    layers: tuple[Layer, ...]

    def parameters(self) -> dict[str, Array]:
        """Initial parameters, by PyTorch's names and in its layouts."""
        rng = np.random.default_rng(1)
        found: dict[str, Array] = {}
        for number, layer in enumerate(self.layers):
            if layer[0] in ("linear", "conv"):
                fan_in, fan_out = layer[1:3]
                kernel = (_KERNEL, _KERNEL) if layer[0] == "conv" else ()
                shape = (fan_out, fan_in, *kernel)
                scale = np.sqrt(2 / np.prod(shape[1:]))
                found[f"{number}.weight"] = _f32(scale * rng.standard_normal(shape))
                found[f"{number}.bias"] = np.zeros(fan_out, np.float32)
            elif layer[0] == "batchnorm":
                found[f"{number}.weight"] = np.ones(layer[1], np.float32)
                found[f"{number}.bias"] = np.zeros(layer[1], np.float32)
        return found

    @property
    def flop(self) -> float:
        """Operations of an example's products: forward, and backward to weights and to inputs.

        The first layer's inputs want no gradient.
        """
        total, image, is_first = 0.0, self.image, True
        for layer in self.layers:
            image = shape_after(layer, image)
            if layer[0] in ("linear", "conv"):
                window = layer[1] * (_KERNEL**2 if layer[0] == "conv" else 1)
                total += 2 * float(np.prod(image)) * window * (2 if is_first else 3)
                is_first = False
        return total

    def module(self, torch: Any) -> Any:
        """The network, of PyTorch or of Thalweg."""
        return torch.nn.Sequential(*(_module(torch.nn, layer) for layer in self.layers))


def shape_after(layer: Layer, image: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an example after a layer."""
    match layer:
        case ("linear", _, fan_out):
            return (fan_out,)
        case ("conv", _, channels, padding):
            lost = _KERNEL - 1 - 2 * padding
            return (channels, *(size - lost for size in image[1:]))
        case ("pool",):
            return (image[0], *(size // 2 for size in image[1:]))
        case ("flatten",):
            return (int(np.prod(image)),)
        case _:
            return image


def _module(nn: Any, layer: Layer) -> Any:
    match layer:
        case ("linear", fan_in, fan_out):
            return nn.Linear(fan_in, fan_out)
        case ("conv", fan_in, fan_out, padding):
            return nn.Conv2d(fan_in, fan_out, _KERNEL, padding=padding)
        case ("batchnorm", channels):
            return nn.BatchNorm2d(channels)
        case ("pool",):
            return nn.MaxPool2d(2)
        case (name,):
            return {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten}[name]()
        case _:
            raise ValueError(f"no such layer: {layer}")


def _f32(array: Array) -> Array:
    return array.astype(np.float32)


def dense(sizes: tuple[int, ...], activation: str) -> Layers:
    """Fully connected layers with an activation between every two."""
    layers: list[Layer] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [("linear", fan_in, fan_out), (activation,)]
    return Layers(sizes[:1], tuple(layers[:-1]))


def convolution(fan_in: int, fan_out: int, padding: int) -> tuple[Layer, ...]:
    """A 3x3 convolution and a ReLU."""
    return ("conv", fan_in, fan_out, padding), ("relu",)


def normalized(fan_in: int, fan_out: int, padding: int) -> tuple[Layer, ...]:
    """A 3x3 convolution, batch normalization and a ReLU."""
    return ("conv", fan_in, fan_out, padding), ("batchnorm", fan_out), ("relu",)
