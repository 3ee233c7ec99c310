"""Rprop: step sizes that grow while a gradient's sign stays, and shrink when it turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.creation import full_like, zeros, zeros_like
from thalweg.optim.groups import Params
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.settings import Rule, positive

__all__ = ["Rprop", "StepSizes"]


@dataclass(slots=True)
class StepSizes:
    """The step count, the gradient before, and each element's step size."""

    step: Tensor
    prev: Tensor
    step_size: Tensor


class Rprop(Optimizer):
    """Resilient propagation, for full batches: only the gradient's sign counts. For each element,
    with (eta-, eta+) = `etas` and g' the gradient before:

        g g' > 0:  Delta <- min(eta+ Delta, Delta_max)
        g g' < 0:  Delta <- max(eta- Delta, Delta_min),  g <- 0: no step, for we have gone too far
        theta <- theta - sign(g) Delta

    Delta begins with `lr`, as that is in the first step; later `lr` has no effect.
    (Delta_min, Delta_max) = `step_sizes`. `maximize` ascends: g becomes -g.

    Source: Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm", ICNN 1993.

    Raises `ConfigError` for numbers out of range.

    >>> import thalweg as tw
    >>> w = tw.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = Rprop([w], lr=0.1)
    >>> for slopes in [100.0, -0.01], [100.0, 0.01]:
    ...     w.grad = tw.tensor(slopes)
    ...     optimizer.step()
    >>> w, optimizer.state[w].step_size
    (tensor([0.7800, 1.1000], requires_grad=True), tensor([0.1200, 0.0500]))
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        "lr": Optimizer.rules["lr"],
        "maximize": Optimizer.rules["maximize"],
        "etas": lambda name, value: _around_1(name, value),
        "step_sizes": lambda name, value: _limits(name, value),
    }

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults)

    def init(self, p: Tensor, group: Mapping[str, Any]) -> StepSizes:
        """No gradient before; the step sizes, 0 here, are set in the first step."""
        return StepSizes(zeros(dtype=dtypes.float64), zeros_like(p), zeros_like(p))

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """What is added to the step sizes: lr in the first step, then 0."""
        assert step is not None  # `StepSizes` counts
        return (lr.where(step == 1, 0),)

    def update(
        self, p: Tensor, g: Tensor, state: StepSizes, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """The equations above."""
        (start,), (less, more), (low, high) = numbers, group["etas"], group["step_sizes"]
        along = g * state.prev
        scale = full_like(g, more).where(along > 0, full_like(g, less).where(along < 0, 1))
        size = state.step_size._assign(((state.step_size + start) * scale).clamp(low, high))
        g = g.where(along >= 0, 0)
        p -= g.sign() * size
        state.prev._assign(g)


def _pair(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, Iterable) or len(given := tuple(value)) != 2:
        raise ConfigError(f"{name}={value!r}; expected two numbers")
    return positive(name, given[0]), positive(name, given[1])


def _around_1(name: str, value: Any) -> tuple[float, float]:
    less, more = _pair(name, value)
    if not less < 1 < more:
        raise ConfigError(f"{name}={value!r}; expected one number below 1 and one above")
    return less, more


def _limits(name: str, value: Any) -> tuple[float, float]:
    low, high = _pair(name, value)
    if low > high:
        raise ConfigError(f"{name}={value!r}; expected the smallest step size, then the largest")
    return low, high
