"""What all optimizers share: parameters in groups, a state for each, one step over them all.

An optimizer is its equations. A new one says three things, in one file:

    init(p, group)                        the state a parameter begins with, a small dataclass
    once(group, lr, step)                 numbers that all parameters share, computed once a step
    update(p, g, state, group, numbers)   the equations: new values for the state and for p

all as operations on tensors that branch on nothing but the group's plain hyperparameters, so that
the same lines run eagerly, traced and compiled. See `thalweg.optim.sgd` and `thalweg.optim.adam`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from thalweg._tensor import Tensor
from thalweg.dtypes import DType
from thalweg.errors import ConfigError
from thalweg.ops.creation import zeros_like
from thalweg.ops.lift import to_dtype
from thalweg.optim.groups import ParamGroup, Params, read_groups
from thalweg.optim.states import read_state, snapshot, tensors_of
from thalweg.settings import Configured, Rule, flag, nonnegative
from thalweg.tape import concretely, enable_grad, mode, no_grad

__all__ = ["Numbers", "Optimizer", "Schedule", "Stateless"]

R = TypeVar("R")
# What all parameters share in a step: tensors of rank 0, and what never changes as plain numbers.
Numbers: TypeAlias = "tuple[Tensor | float, ...]"


class Schedule(Protocol):
    """What an optimizer knows of a schedule that is attached to it."""

    def joined(self, group: ParamGroup, index: int) -> None:
        """The schedule is to change the step size of `group` too, the `index`-th one."""

    def scheduled(self, lr: Tensor, index: int) -> Tensor:
        """The step size of group `index` now; `lr` is what it is without this schedule."""

    def has_momentum(self) -> bool:
        """Whether the schedule changes the momentum as well."""

    def scheduled_momentum(self, momentum: Tensor, index: int) -> Tensor:
        """The momentum of group `index` now; `momentum` is what it was."""


@dataclass(slots=True)
class Stateless:
    """The state of a parameter whose update needs none."""


class Optimizer(Configured, ABC):
    """Updates parameters from their gradients, with PyTorch's face.

    `params` is an iterable of tensors, of (name, tensor), or of dicts, the parameter groups, each
    with "params" and the hyperparameters that differ from `defaults`.

    `param_groups` lists the groups; `state` maps each parameter to a dataclass of tensors, which
    is there from the start. Gradients accumulate as long as `zero_grad` is not called.

    Raises `ConfigError` for an empty list of parameters (a generator that is used up), for
    duplicates, for what is no floating leaf tensor, and for unknown or impossible hyperparameters.

    >>> import thalweg as tw
    >>> w = tw.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = tw.optim.SGD([w], lr=0.25)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.7500, -0.5000], requires_grad=True)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        "lr": nonnegative,
        "weight_decay": nonnegative,
        "maximize": flag,
    }

    def __init__(self, params: Params, defaults: Mapping[str, Any]) -> None:
        if "lr" not in defaults:
            raise ConfigError(f'{type(self).__name__}: defaults without "lr", the step size')
        self.defaults: dict[str, Any] = {"maximize": False, **defaults}
        self.param_groups: list[ParamGroup] = []
        self.schedules: list[Schedule] = []
        self._state: dict[Tensor, Any] = {}
        for group in read_groups(params):
            self._add(group)

    # --- the equations: each optimizer has its own ----------------------------------------------

    def init(self, p: Tensor, group: Mapping[str, Any]) -> Any:
        """The state `p` begins with: a dataclass of tensors, None where `group` asks for none.

        A field "step", of rank 0 in float64, counts the steps that `p` has made.
        """
        return Stateless()

    def once(self, group: Mapping[str, Any], lr: Tensor, step: Tensor | None) -> Numbers:
        """Numbers that all parameters share, of rank 0 in float64: here the step size alone.

        `step` counts from 1; it is None if the states do not count. `update` is given the numbers
        in the dtype of its parameter. A momentum is to be used by way of these numbers: it is a
        tensor in float64 where a schedule changes it.
        """
        return (lr,)

    @abstractmethod
    def update(
        self,
        p: Tensor,
        g: Tensor,
        state: Any,
        group: Mapping[str, Any],
        numbers: Numbers,
    ) -> None:
        """Give `state` and `p` their new values, from the gradient `g` and `once`'s `numbers`."""

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise `ConfigError` for hyperparameters that do not go together."""

    # --- one step -------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or, with `set_to_none=False`, make them 0."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None if set_to_none else zeros_like(p)

    @no_grad()
    def step(self, closure: Callable[[], R] | None = None) -> R | None:
        """Update every parameter that has a gradient.

        `closure`, if given, is called first, with recording on: it computes the gradients and
        returns the loss, which `step` returns.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.version != group.fitted:
                self._fit(group)
            if mode.trace is not None:
                mode.trace.guard(group, "version", group.version)
            for cohort in group.ready():
                self._update(group, cohort)
        return loss

    def _update(self, group: ParamGroup, ready: list[tuple[Tensor, Tensor]]) -> None:
        hyper = group.raw
        numbers = self.once(hyper, hyper["lr"], self._count(ready))
        cast: dict[DType, Numbers] = {}
        for p, g in ready:
            dtype = p.dtype
            if dtype not in cast:
                cast[dtype] = tuple(
                    [to_dtype(x, dtype) if isinstance(x, Tensor) else x for x in numbers]
                )
                self._follow(group, dtype)
            self.update(p, -g if hyper["maximize"] else g, self._state[p], hyper, cast[dtype])

    def _count(self, ready: list[tuple[Tensor, Tensor]]) -> Tensor | None:
        """Count the step for parameters that have all made the same number of them."""
        before: Tensor | None = getattr(self._state[ready[0][0]], "step", None)
        if before is None:
            return None
        count = before + 1
        for p, _ in ready:
            self._state[p].step._assign(count)
        return count

    # --- state ----------------------------------------------------------------------------------

    @property
    def state(self) -> Mapping[Tensor, Any]:
        """The state of each parameter, to look at; `load_state_dict` sets it."""
        return MappingProxyType(self._state)

    def _fit(self, group: ParamGroup) -> None:
        """Let a group's states be what its hyperparameters and the parameters' dtypes ask for.

        What a state has and still needs is kept; what it lacks begins anew.
        """
        self.check(group.raw)
        for p in group["params"]:
            with concretely():
                self._state[p] = _kept(self._state.get(p), self.init(p, group.raw))
        group.fitted = group.version

    def _follow(self, group: ParamGroup, dtype: DType) -> None:
        """Refit the states when parameters have a dtype that none had: after `model.double()`."""
        if dtype not in group.dtypes:
            group.dtypes.add(dtype)
            self._fit(group)

    def state_dict(self) -> dict[str, Any]:
        """The states and hyperparameters now, in PyTorch's layout.

        {"state": {0: {"momentum_buffer": tensor}, ...}, "param_groups": [{"lr": 0.1, ...}]}:
        parameters are known by their number, over all groups. Tensors stand in "state" only, so
        they fit a safetensors file, and the rest, plain numbers and names, JSON. Unlike PyTorch's
        it is a snapshot: it does not change as training goes on.

        >>> import thalweg as tw
        >>> w = tw.zeros(2, requires_grad=True)
        >>> tw.optim.SGD([w], lr=0.1, momentum=0.9).state_dict()["state"]
        {0: {'momentum_buffer': tensor([0., 0.])}}
        """
        for group in self.param_groups:
            if group.version != group.fitted:
                self._fit(group)
        return snapshot(self.param_groups, self._state)

    @no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave, with the same bits.

        The hyperparameters become those of `state_dict`. A parameter without an entry begins
        anew, as in PyTorch. Keys of "state" may be strings ("0"), as JSON has them.

        Raises `ConfigError`, `ShapeError` or `DTypeError` if groups, names, shapes or dtypes do not
        fit; then nothing has changed.
        """
        groups, states = read_state(self, state_dict)
        for group, loaded in zip(self.param_groups, groups, strict=True):
            group.update({key: loaded[key] for key in loaded if not loaded.is_fixed(key)})
            self._fit(group)
        for p, tensors in states.items():
            for name, tensor in tensors_of(self._state[p]).items():
                tensor._assign(tensors[name])
        for group in self.param_groups:
            group.regroup(lambda p: getattr(self._state[p], "step", None))

    # --- groups and schedules -------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Train more parameters, with hyperparameters of their own where given.

        Schedules that are attached change this group's step size too, from now on.

        >>> import thalweg as tw
        >>> head, backbone = tw.ones(3, requires_grad=True), tw.ones(2, requires_grad=True)
        >>> optimizer = tw.optim.SGD([head], lr=0.1)
        >>> optimizer.add_param_group({"params": [backbone], "lr": 0.01})
        >>> [float(group["lr"]) for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        (group,) = read_groups([param_group])
        self._add(group)

    def _add(self, values: dict[str, Any]) -> None:
        group = ParamGroup(type(self).__name__, self.rules, self.defaults, self.defaults | values)
        self._refuse_duplicates(group)
        self.check(group.raw)
        for schedule in self.schedules:
            schedule.joined(group, len(self.param_groups))
        self._fit(group)
        self.param_groups.append(group)
        if self.schedules:
            self.reschedule()

    def _refuse_duplicates(self, group: ParamGroup) -> None:
        seen = {p for other in self.param_groups for p in other["params"]}
        for position, p in enumerate(group["params"]):
            if p in seen:
                raise ConfigError(
                    f"{type(self).__name__}: {group.label(position)} of group "
                    f"{len(self.param_groups)}, of shape {tuple(p.shape)}, is given twice; "
                    "expected each parameter once, in one group"
                )
            seen.add(p)

    def attach(self, schedule: Schedule) -> None:
        """Let `schedule` change the step sizes; a schedule does this when it is made."""
        for index, group in enumerate(self.param_groups):
            schedule.joined(group, index)
        self.schedules.append(schedule)
        self.reschedule()

    def detach(self, schedule: Schedule) -> None:
        """Take back `attach`, as one does that combines schedules and applies them itself."""
        self.schedules = [other for other in self.schedules if other is not schedule]
        self.reschedule()

    def reschedule(self) -> None:
        """Set each "lr" to what the schedules, one after another, make of "initial_lr"."""
        for index, group in enumerate(self.param_groups):
            if "initial_lr" not in group:
                group["initial_lr"] = group["lr"]
            group["lr"] = self.scheduled(group["initial_lr"], index)
            if self.has_momentum():
                momentum = group.changing_momentum()
                momentum._assign(self.scheduled_momentum(momentum, index))

    def scheduled(self, lr: Tensor, index: int) -> Tensor:
        """What the schedules make of the step size `lr` of group `index` now."""
        for schedule in self.schedules:
            lr = schedule.scheduled(lr, index)
        return lr

    def has_momentum(self) -> bool:
        """Whether a schedule changes the momentum as well."""
        return any(schedule.has_momentum() for schedule in self.schedules)

    def scheduled_momentum(self, momentum: Tensor, index: int) -> Tensor:
        """What the schedules make of the momentum of group `index` now."""
        for schedule in self.schedules:
            momentum = schedule.scheduled_momentum(momentum, index)
        return momentum

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            shown = {key: value for key, value in group.plain().items() if key != "param_names"}
            lines += [f"    {key}: {shown[key]}" for key in sorted(shown)]
        return "\n".join([*lines, ")"])


def _kept(old: Any, fresh: Any) -> Any:
    """A fresh state with the tensors that the old one has, in the dtypes of the fresh one."""
    for field in fields(fresh):
        had, wanted = getattr(old, field.name, None), getattr(fresh, field.name)
        if had is not None and wanted is not None:
            setattr(fresh, field.name, had.to(wanted.dtype))
    return fresh
