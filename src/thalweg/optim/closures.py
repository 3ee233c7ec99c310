"""Optimizers that evaluate the loss as often as they need: what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, TraceError
from thalweg.ops.creation import zeros_like
from thalweg.ops.joining import cat
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.tape import enable_grad, mode, no_grad

__all__ = ["ClosureOptimizer", "Evaluate"]

R = TypeVar("R")
# Calls the closure where the parameters are now: the loss, and the gradients as one vector.
Evaluate: TypeAlias = Callable[[], tuple[float, Tensor]]


class ClosureOptimizer(Optimizer):
    """An optimizer whose `step(closure)` moves all parameters, as one vector, along directions.

    The closure forgets the gradients, computes the loss and its gradients, and returns the loss. It
    may be compiled; `step` itself looks at values to decide, so it runs in Python. A new one gives
    `search`. There is one group of parameters.
    """

    @abstractmethod
    def search(self, evaluate: Evaluate, group: Mapping[str, Any]) -> None:
        """One step: evaluate, and go somewhere."""

    def update(
        self, p: Tensor, g: Tensor, state: Any, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """theta <- theta + t d: `numbers` holds t, `g` is the part d of the direction."""
        p += numbers[0] * g

    @no_grad()
    def step(self, closure: Callable[[], R] | None = None) -> R | None:
        """Call `closure` as often as it takes, and move; gives the loss of the first call.

        Raises `ConfigError` without a closure, `TraceError` inside a compiled function.
        """
        name = type(self).__name__
        if mode.trace is not None:
            raise TraceError(
                f"{name}.step looks at values to decide how far to go: call it outside of "
                "compiled functions. The closure it is given may be compiled"
            )
        if closure is None:
            raise ConfigError(
                f"{name}.step needs a closure: a function that calls zero_grad() and backward() "
                "and returns the loss"
            )
        (group,) = self.param_groups
        losses: list[R] = []

        def evaluate() -> tuple[float, Tensor]:
            with enable_grad():
                losses.append(closure())
            loss: Any = losses[-1]
            value, gradient = float(loss), self._gradient()
            return (-value, -gradient) if group["maximize"] else (value, gradient)

        self.search(evaluate, group.raw)
        return losses[0]

    def place(self) -> list[Tensor]:
        """Where the parameters are now. A value does not change, so this copies nothing."""
        return [p.detach() for p in self.param_groups[0]["params"]]

    def go(self, origin: list[Tensor], step: float, direction: Tensor) -> None:
        """To origin + step * direction."""
        (group,) = self.param_groups
        first = 0
        for p, start in zip(group["params"], origin, strict=True):
            part = direction[first : first + p.numel()].reshape(p.shape).to(p.dtype)
            p._assign(start)
            self.update(p, part, self._state[p], group.raw, (step,))
            first += p.numel()

    def _gradient(self) -> Tensor:
        """The gradients of all parameters as one vector; 0 where there is none."""
        found = [(p, p.grad) for p in self.param_groups[0]["params"]]
        return cat([(zeros_like(p) if g is None else g).detach().flatten() for p, g in found])

    def _add(self, values: dict[str, Any]) -> None:
        if self.param_groups:
            raise ConfigError(
                f"{type(self).__name__} moves all parameters together: expected one group, got "
                "another. Use an optimizer for each"
            )
        super()._add(values)
