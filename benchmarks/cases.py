"""What is measured, written once for both frameworks: `torch` is PyTorch or Thalweg."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["ADDITIONS", "CLASSIFIERS", "Addition", "Classifier"]


@dataclass(frozen=True)
class Classifier:
    """A training step of a fully connected classifier: cross-entropy, SGD, one fixed batch."""

    sizes: tuple[int, ...]
    activation: str
    batch: int
    limit: float  # the ratio to PyTorch to reach

    def __str__(self) -> str:
        return f"step {'-'.join(map(str, self.sizes))} {self.activation}, batch {self.batch}"

    @property
    def flop(self) -> int:
        """Multiplications and additions in the step's matrix products.

        Each layer has one product forward and two backward; the first needs no input gradient.
        """
        weights = [m * n for m, n in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.batch * (3 * sum(weights) - weights[0])

    def build(self, torch: Any) -> Callable[[], Any]:
        """The step, as a function that returns the loss before it."""
        torch.manual_seed(0)
        model = self.model(torch.nn)
        loss_function = torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        x = torch.randn(self.batch, self.sizes[0])
        labels = torch.randint(0, self.sizes[-1], (self.batch,))

        def step() -> Any:
            optimizer.zero_grad()
            loss = loss_function(model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def model(self, nn: Any) -> Any:
        """The network: an activation between every two fully connected layers."""
        layers = []
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False):
            layers += [nn.Linear(fan_in, fan_out), getattr(nn, self.activation)()]
        return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class Addition:
    """One addition of four elements: nearly nothing but the operation's overhead."""

    requires_grad: bool

    def __str__(self) -> str:
        return f"a + b of 4 elements, {'with' if self.requires_grad else 'no'} gradient"

    def build(self, torch: Any) -> Callable[[], Any]:
        """The addition, as a function."""
        a = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=self.requires_grad)
        b = torch.tensor([5.0, 6.0, 7.0, 8.0])
        return lambda: a + b


CLASSIFIERS = (
    Classifier((784, 30, 10), "Sigmoid", batch=32, limit=1.3),
    Classifier((784, 512, 512, 512, 10), "ReLU", batch=128, limit=1.0),
)
ADDITIONS = (Addition(requires_grad=False), Addition(requires_grad=True))
