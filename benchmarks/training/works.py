"""What is trained: a network, a batch, an optimizer, for a number of steps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WORKS", "Array", "Layer", "Work", "data", "dense", "work_named"]

Array = npt.NDArray[Any]
Layer = tuple[Any, ...]  # (name, sizes..): linear in out | conv in out padding | batchnorm n | ..
_KERNEL = 3


@dataclass(frozen=True)
class Work:
    """A network trained on cross-entropy.

    image     the shape of an example, channels first
    epoch     whether a round is an epoch over all examples, else `steps` steps
    to_torch, to_jax   the ratios to reach, at most
    """

    name: str
    image: tuple[int, ...]
    layers: tuple[Layer, ...]
    batch: int
    optimizer: str
    rate: float
    steps: int
    to_torch: float
    to_jax: float | None = None
    examples: int = 60_000

    @property
    def is_epoch(self) -> bool:
        """Whether a round goes over all examples."""
        return self.steps == self.examples // self.batch

    def rows(self, rng: np.random.Generator) -> Array:
        """A round's batches of row numbers, (steps, batch), in a new order."""
        order = rng.permutation(self.examples)[: self.steps * self.batch]
        return order.reshape(self.steps, self.batch)

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
        """Operations of a step's products: forward, and backward to weights and to inputs.

        The first layer's inputs want no gradient.
        """
        total, image, is_first = 0.0, self.image, True
        for layer in self.layers:
            image = shape_after(layer, image)
            if layer[0] in ("linear", "conv"):
                window = layer[1] * (_KERNEL**2 if layer[0] == "conv" else 1)
                total += 2 * float(np.prod(image)) * window * (2 if is_first else 3)
                is_first = False
        return total * self.batch


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


def _f32(array: Array) -> Array:
    return array.astype(np.float32)


def dense(sizes: tuple[int, ...], activation: str) -> tuple[Layer, ...]:
    """Fully connected layers with an activation between every two."""
    layers: list[Layer] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [("linear", fan_in, fan_out), (activation,)]
    return tuple(layers[:-1])


def data(work: Work) -> tuple[Array, Array]:
    """The examples (n, image) and their labels: MNIST where THALWEG_DATA has it, else noise."""
    if os.environ.get("THALWEG_DATA") and work.image == (784,):
        from thalweg.data import load

        train = load("mnist").train
        x, y = train.x.numpy().reshape(-1, 784), train.y.numpy()
        return np.resize(x, (work.examples, 784)), np.resize(y, work.examples)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((work.examples, *work.image), np.float32)
    return x, rng.integers(0, 10, work.examples)


def convolution(fan_in: int, fan_out: int, padding: int) -> tuple[Layer, ...]:
    """A 3x3 convolution and a ReLU."""
    return ("conv", fan_in, fan_out, padding), ("relu",)


def normalized(fan_in: int, fan_out: int, padding: int) -> tuple[Layer, ...]:
    """A 3x3 convolution, batch normalization and a ReLU."""
    return ("conv", fan_in, fan_out, padding), ("batchnorm", fan_out), ("relu",)


# fmt: off
WORKS = (
    Work("epoch 784-30-10, batch 32, SGD", (784,), dense((784, 30, 10), "sigmoid"),
         32, "sgd", 0.1, 60_000 // 32, to_torch=0.15, to_jax=0.5),
    Work("epoch 784-128-10, batch 64, SGD", (784,), dense((784, 128, 10), "relu"),
         64, "sgd", 0.01, 60_000 // 64, to_torch=0.18, to_jax=0.8),
    Work("epoch 784-512-512-512-10, batch 128, SGD", (784,),
         dense((784, 512, 512, 512, 10), "relu"),
         128, "sgd", 0.01, 60_000 // 128, to_torch=0.45, to_jax=0.65),
    Work("step of a LeNet, 28x28, batch 64, AdamW", (1, 28, 28),
         (*convolution(1, 32, 0), *convolution(32, 64, 0), ("pool",), ("flatten",),
          ("linear", 64 * 12 * 12, 128), ("relu",), ("linear", 128, 10)),
         64, "adamw", 1e-4, 10, to_torch=0.50, examples=1000),
    Work("step of 5 convolutions, 32x32x3, batch 64, AdamW", (3, 32, 32),
         (*convolution(3, 64, 1), *convolution(64, 64, 1), ("pool",), *convolution(64, 128, 1),
          *convolution(128, 128, 1), ("pool",), *convolution(128, 256, 1), ("flatten",),
          ("linear", 256 * 8 * 8, 10)),
         64, "adamw", 1e-4, 3, to_torch=0.85, examples=1000),
    Work("step of 5 convolutions with batch norm, 32x32x3, batch 64, AdamW", (3, 32, 32),
         (*normalized(3, 64, 1), *normalized(64, 64, 1), ("pool",), *normalized(64, 128, 1),
          *normalized(128, 128, 1), ("pool",), *normalized(128, 256, 1), ("flatten",),
          ("linear", 256 * 8 * 8, 10)),
         64, "adamw", 1e-4, 3, to_torch=0.85, examples=1000),
)
# fmt: on


def work_named(name: str) -> Work:
    """The work of that name."""
    return next(work for work in WORKS if work.name == name)
