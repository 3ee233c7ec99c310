"""A program of primitives as data, that can be printed, and made into a function.

A `Recipe` is a list of steps over numbered values; `Recipe.function` is it as a function of
tensors. Its inputs are arguments and states, tensors that were there before, to which a step may
assign. With `loss`, it also gives the gradients of the sum of some values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.ops.lift import lift
from thalweg.primitives import REGISTRY
from thalweg.tape import bind, wrap

__all__ = ["FLOATS", "Given", "Recipe", "Shape", "Step", "apply_step"]

Shape = tuple[int, ...]
FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Given:
    """An input: a state or an argument, with integers from low to high, or any numbers."""

    shape: Shape
    dtype: str
    low: int | None = None
    high: int | None = None
    state: bool = False

    def array(self, random: np.random.Generator) -> Any:
        if self.dtype == "bool":
            return random.random(self.shape) < 0.5
        if self.low is None:
            return np.asarray(random.standard_normal(self.shape), self.dtype)
        assert self.high is not None
        return np.asarray(random.integers(self.low, self.high, self.shape, endpoint=True)).astype(
            self.dtype
        )


@dataclass(frozen=True)
class Step:
    """values.append(primitive(*operands, **attributes)), or, for "assign", a = b in place.

    An operand is the number of a value, or a Python number in a tuple of one.
    """

    name: str
    operands: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A program. `loss`: the values whose sum is differentiated by the float inputs."""

    inputs: tuple[Given, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...]
    loss: tuple[int, ...] = ()
    seed: int = 0

    def arrays(self) -> list[Any]:
        """Values for the inputs."""
        random = np.random.default_rng(self.seed)
        return [given.array(random) for given in self.inputs]

    def function(self, states: Sequence[tw.Tensor]) -> Callable[..., list[tw.Tensor | None]]:
        """The program as a function of its arguments."""

        def run(*arguments: tw.Tensor) -> list[tw.Tensor | None]:
            given, kept = iter(arguments), iter(states)
            values = [next(kept) if x.state else next(given) for x in self.inputs]
            leaves = []
            if self.loss:
                values = [
                    x if given.state or not x.dtype.is_floating_point else _leaf(x)
                    for x, given in zip(values, self.inputs, strict=True)
                ]
                leaves = [x for x in values if x.requires_grad]
            for step in self.steps:
                apply_step(step, values)
            results: list[tw.Tensor | None] = [values[n].detach() for n in self.results]
            if self.loss:
                total = sum(values[n].double().sum() for n in self.loss)
                if isinstance(total, tw.Tensor) and total.requires_grad:
                    results += tw.autograd.grad(total, leaves, allow_unused=True)
            return results

        return run

    def states(self, arrays: Sequence[Any]) -> list[tw.Tensor]:
        """Tensors that hold the states' values."""
        found = []
        for given, array in zip(self.inputs, arrays, strict=True):
            if given.state:
                found.append(wrap(np.array(array)))
                if self.loss and given.dtype in FLOATS:
                    found[-1].requires_grad_()
        return found


def _leaf(x: tw.Tensor) -> tw.Tensor:
    return x.detach().requires_grad_()


def apply_step(step: Step, values: list[tw.Tensor]) -> None:
    """Append what a step computes to the values so far."""
    if step.name == "assign":
        target, source = step.operands
        with tw.no_grad():
            values[target].copy_(values[source].detach())
        return
    numbered = step.operands[1:] if step.name == "select" else step.operands
    beside = next((values[n] for n in numbered if not isinstance(n, tuple)), None)
    operands = [_operand(n, values, beside) for n in step.operands]
    attributes = {
        name: np.dtype(value) if name == "dtype" else value
        for name, value in step.attributes.items()
    }
    values.append(bind(REGISTRY[step.name], *operands, **attributes))


def _operand(operand: Any, values: Sequence[tw.Tensor], beside: tw.Tensor | None) -> tw.Tensor:
    return lift(operand[0], beside) if isinstance(operand, tuple) else values[operand]
