"""A recurrent network, the same lines in PyTorch and in Thalweg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.training.layers import Array

__all__ = ["LSTM"]

_CLASSES = 10


@dataclass(frozen=True)
class LSTM:
    """One LSTM over `length` steps of `width` numbers, of as many units; the last step's output
    decides the class.
    """

    width: int = 256
    length: int = 128

    @property
    def image(self) -> tuple[int, ...]:
        """The shape of an example."""
        return (self.length, self.width)

    def parameters(self) -> dict[str, Array]:
        """Initial parameters, by PyTorch's names: uniform, as far as 1 / sqrt(width) from 0."""
        wide, rng = self.width, np.random.default_rng(1)
        shapes = {
            "rnn.weight_ih_l0": (4 * wide, wide),
            "rnn.weight_hh_l0": (4 * wide, wide),
            "rnn.bias_ih_l0": (4 * wide,),
            "rnn.bias_hh_l0": (4 * wide,),
            "head.weight": (_CLASSES, wide),
            "head.bias": (_CLASSES,),
        }
        far = wide**-0.5
        return {n: rng.uniform(-far, far, s).astype(np.float32) for n, s in shapes.items()}

    @property
    def flop(self) -> float:
        """Operations of an example's products: forward, backward to weights and to inputs.

        The sequence wants no gradient.
        """
        product = 2.0 * 4 * self.width**2
        return self.length * product * (2 + 3) + 3 * 2.0 * _CLASSES * self.width

    def module(self, torch: Any) -> Any:
        """The network, of PyTorch or of Thalweg."""
        nn, size = torch.nn, self
        module: Any = nn.Module

        class Model(module):  # type: ignore[misc]  # of either library
            def __init__(self) -> None:
                super().__init__()
                self.rnn = nn.LSTM(size.width, size.width, batch_first=True)
                self.head = nn.Linear(size.width, _CLASSES)

            def forward(self, x: Any) -> Any:
                return self.head(self.rnn(x)[0][:, -1])

        return Model()
