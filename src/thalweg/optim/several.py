"""Several optimizers as one, each with its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.optim.closures import ClosureOptimizer
from thalweg.optim.optimizer import Numbers, Optimizer
from thalweg.tape import enable_grad, no_grad

__all__ = ["Several"]

R = TypeVar("R")


class Several(Optimizer):
    """Optimizers that take their steps together, such as `Muon` for matrices, `AdamW` for the rest.

    Its `param_groups` are those of the optimizers, one after another, so that one schedule, one
    clipping and one state dictionary serve them all.

    Raises `ConfigError` for a parameter that two of them have, and for optimizers that need a
    closure.

    >>> import thalweg as tw
    >>> model = tw.nn.Linear(3, 2)
    >>> optimizer = Several(tw.optim.Muon([model.weight]), tw.optim.AdamW([model.bias]))
    >>> [group["lr"].item() for group in optimizer.param_groups]
    [0.001, 0.001]
    >>> model(tw.ones(3)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(self, *optimizers: Optimizer) -> None:
        if not optimizers:
            raise ConfigError("Several: no optimizers; expected one or more")
        for part in optimizers:
            if isinstance(part, ClosureOptimizer) or not isinstance(part, Optimizer):
                raise ConfigError(
                    f"Several: a {type(part).__name__}; expected optimizers that need no closure"
                )
        self.parts = optimizers
        self.defaults = {}
        self.schedules = []
        self.param_groups = []
        for part in optimizers:
            for group in part.param_groups:
                self._refuse_duplicates(group)
                self.param_groups.append(group)
        self._state = {}
        self._owners = {p: part for part in optimizers for p in part.state}

    @no_grad()
    def step(self, closure: Callable[[], R] | None = None) -> R | None:
        """Call `closure`, if given, once; then let each optimizer take its step."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def update(
        self, p: Tensor, g: Tensor, state: Any, group: Mapping[str, Any], numbers: Numbers
    ) -> None:
        """As the optimizer that has `p` does it."""
        self._owners[p].update(p, g, state, group, numbers)

    @property
    def state(self) -> Mapping[Tensor, Any]:
        """The states of all of them."""
        return {p: state for part in self.parts for p, state in part.state.items()}

    def state_dict(self) -> dict[str, Any]:
        """{"optimizers": [one state dictionary for each]}."""
        return {"optimizers": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave; each optimizer checks its own before it changes.

        Raises `ConfigError` if there are not as many.
        """
        saved = state_dict.get("optimizers", ())
        if len(saved) != len(self.parts):
            raise ConfigError(
                f"Several: a state of {len(saved)} optimizers for {len(self.parts)}; make them as "
                "they were saved"
            )
        for part, own in zip(self.parts, saved, strict=True):
            part.load_state_dict(own)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Refused: which of them would have it?"""
        raise ConfigError("Several: add the group to one of its optimizers before they are joined")
