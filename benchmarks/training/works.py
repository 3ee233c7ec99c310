"""What is trained: a network, a batch, an optimizer, for a number of steps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.training.known import GPT, ResNet
from benchmarks.training.layers import Array, Layers, convolution, dense, normalized
from benchmarks.training.recurrent import LSTM

__all__ = ["WORKS", "Network", "Work", "data", "windows", "work_named"]

Network = Layers | GPT | ResNet | LSTM


@dataclass(frozen=True)
class Work:
    """A network trained on cross-entropy, for `steps` steps a round.

    to_torch, to_jax   the ratios to reach, at most
    """

    name: str
    network: Network
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

    @property
    def image(self) -> tuple[int, ...]:
        """The shape of an example."""
        return self.network.image

    @property
    def flop(self) -> float:
        """Operations of a step's products."""
        return self.network.flop * self.batch


def data(work: Work) -> tuple[Array, Array]:
    """The examples (n, image) and their labels: MNIST or Shakespeare where THALWEG_DATA has them,
    else noise.
    """
    rng = np.random.default_rng(0)
    if isinstance(work.network, GPT):
        return windows(_text(work.network.vocabulary), work.examples, work.network.context)
    if os.environ.get("THALWEG_DATA") and work.image == (784,):
        from thalweg.data import load

        train = load("mnist").train
        x, y = train.x.numpy().reshape(-1, 784), train.y.numpy()
        return np.resize(x, (work.examples, 784)), np.resize(y, work.examples)
    x = rng.standard_normal((work.examples, *work.image), np.float32)
    return x, rng.integers(0, 10, work.examples)


def windows(text: Array, count: int, length: int) -> tuple[Array, Array]:
    """Windows of so many characters, (count, length), and at each place the next character."""
    starts = np.random.default_rng(0).integers(0, len(text) - length, (count, 1))
    places = starts + np.arange(length)
    return text[places], text[places + 1]


def _text(vocabulary: int) -> Array:
    """The numbers of a text's characters."""
    path = Path(os.environ.get("THALWEG_DATA", "")) / "text" / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        return np.random.default_rng(0).integers(0, vocabulary, 100_000)
    letters = np.frombuffer(path.read_bytes(), np.uint8)
    return np.unique(letters, return_inverse=True)[1].astype(np.int64)


# fmt: off
WORKS = (
    Work("epoch 784-30-10, batch 32, SGD", dense((784, 30, 10), "sigmoid"),
         32, "sgd", 0.1, 60_000 // 32, to_torch=0.15, to_jax=0.5),
    Work("epoch 784-128-10, batch 64, SGD", dense((784, 128, 10), "relu"),
         64, "sgd", 0.01, 60_000 // 64, to_torch=0.18, to_jax=0.8),
    Work("epoch 784-512-512-512-10, batch 128, SGD", dense((784, 512, 512, 512, 10), "relu"),
         128, "sgd", 0.01, 60_000 // 128, to_torch=0.45, to_jax=0.65),
    Work("step of a LeNet, 28x28, batch 64, AdamW", Layers((1, 28, 28),
         (*convolution(1, 32, 0), *convolution(32, 64, 0), ("pool",), ("flatten",),
          ("linear", 64 * 12 * 12, 128), ("relu",), ("linear", 128, 10))),
         64, "adamw", 1e-4, 10, to_torch=0.50, examples=1000),
    Work("step of 5 convolutions, 32x32x3, batch 64, AdamW", Layers((3, 32, 32),
         (*convolution(3, 64, 1), *convolution(64, 64, 1), ("pool",), *convolution(64, 128, 1),
          *convolution(128, 128, 1), ("pool",), *convolution(128, 256, 1), ("flatten",),
          ("linear", 256 * 8 * 8, 10))),
         64, "adamw", 1e-4, 3, to_torch=0.85, examples=1000),
    Work("step of 5 convolutions with batch norm, 32x32x3, batch 64, AdamW", Layers((3, 32, 32),
         (*normalized(3, 64, 1), *normalized(64, 64, 1), ("pool",), *normalized(64, 128, 1),
          *normalized(128, 128, 1), ("pool",), *normalized(128, 256, 1), ("flatten",),
          ("linear", 256 * 8 * 8, 10))),
         64, "adamw", 1e-4, 3, to_torch=0.85, examples=1000),
    Work("step of a GPT of 4 layers of 128, 64 characters, batch 32, AdamW", GPT(),
         32, "adamw", 1e-4, 10, to_torch=0.45, examples=1000),
    Work("step of a ResNet-18, 64x64x3, batch 16, SGD", ResNet(),
         16, "sgd", 1e-3, 3, to_torch=0.90, examples=200),
    Work("step of an LSTM of 256, 128 steps, batch 64, SGD", LSTM(),
         64, "sgd", 0.1, 3, to_torch=0.70, examples=500),
)
# fmt: on


def work_named(name: str) -> Work:
    """The work of that name."""
    return next(work for work in WORKS if work.name == name)
