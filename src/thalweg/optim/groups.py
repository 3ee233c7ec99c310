"""Parameter groups: parameters that are updated with the same hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

from thalweg import dtypes
from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, nearest
from thalweg.ops.creation import tensor
from thalweg.settings import Rule, nonnegative, refuse_unknown

__all__ = ["ParamGroup", "Params", "read_groups"]

Params: TypeAlias = "Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Mapping[str, Any]]"

# What schedules change: rank-0 float64 tensors, so that no step size is a constant of a program.
SCHEDULED = ("lr", "initial_lr")
# Where a group may have a momentum, which some schedules change too.
MOMENTUM = ("momentum", "betas")
# What a group holds beside its hyperparameters, once and for all.
FIXED = ("params", "param_names")


class ParamGroup(MutableMapping[str, Any]):
    """The hyperparameters of some parameters, by name, as in PyTorch: `group["lr"] = 0.1`.

    "lr" (and "initial_lr", which a schedule adds) is a float64 tensor of rank 0. Setting it, to a
    number or a tensor, gives that same tensor a new value; `group["lr"] *= 0.5` works as well.
    Reading gives the tensor: it compares and formats like a number, and `float(group["lr"])` is
    its value now. Keep that float, not the tensor, in a list of past step sizes.

    The others are plain Python values, checked when they are set. "params" is a tuple: use
    `Optimizer.add_param_group` to train more parameters. "name" may hold a name of your own. Where
    a schedule changes the momentum, that is a tensor like "lr"; see `changing_momentum`.

    Raises `ConfigError` for an unknown name or a value out of range.

    >>> import thalweg as tw
    >>> optimizer = tw.optim.SGD([tw.zeros(2, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> (group,) = optimizer.param_groups
    >>> group["lr"] *= 0.5
    >>> group["lr"], group["momentum"]
    (tensor(0.0500, dtype=thalweg.float64), 0.9)
    """

    def __init__(
        self, owner: str, rules: Mapping[str, Rule], known: Iterable[str], values: Mapping[str, Any]
    ) -> None:
        self.owner = owner
        self.rules = rules
        self.known = (*known, "initial_lr", "name")
        self.version = 0  # counts changes of hyperparameters that are not tensors
        self.fitted = -1  # the version that the states of the parameters fit
        self.dtypes = {p.dtype for p in values["params"]}
        self.raw: dict[str, Any] = {key: values[key] for key in FIXED if key in values}
        # The parameters by the number of steps they have made, which is one number for all until
        # some have no gradient.
        self.cohorts: list[list[Tensor]] = [list(values["params"])]
        for key, value in values.items():
            if key not in FIXED:
                self[key] = value

    def __getitem__(self, key: str) -> Any:
        try:
            return self.raw[key]
        except KeyError:
            raise KeyError(f"{key!r}; {nearest(str(key), self.raw)}") from None

    def __setitem__(self, key: str, value: Any) -> None:
        if key in FIXED:
            raise ConfigError(
                f"a group's {key!r} do not change; use optimizer.add_param_group(...)"
            )
        refuse_unknown(self.owner, [key], self.known)
        if key in SCHEDULED:
            self._schedule(key, value)
            return
        rule = self.rules.get(key)
        value = rule(f"{self.owner}: {key}", value) if rule else value
        if self._is_changing(key):
            value = self._keep_tensor(key, value)
        if key not in self.raw or value is not self.raw[key]:
            self.raw[key] = value
            self.version += 1

    def _schedule(self, key: str, value: Any) -> None:
        """Give the tensor `key` a new value, or make it."""
        if isinstance(value, Tensor):
            value = value.detach().to(dtypes.float64)
        else:
            value = tensor(nonnegative(f"{self.owner}: {key}", value), dtype=dtypes.float64)
        if key in self.raw:
            self.raw[key]._assign(value)
        elif value.ndim:
            raise ConfigError(f"{self.owner}: {key} of shape {tuple(value.shape)}; expected rank 0")
        else:
            self.raw[key] = value

    @property
    def momentum_key(self) -> str | None:
        """Which hyperparameter is the momentum: "momentum", or "betas" for the first of them."""
        return next((key for key in MOMENTUM if key in self.raw), None)

    def changing_momentum(self) -> Tensor:
        """The momentum, from now on a tensor that a schedule may change as it does "lr".

        It is a float64 tensor of rank 0: `raw["momentum"]` itself, or the first of `raw["betas"]`.

        Raises `ConfigError` if the optimizer has neither.
        """
        key = self.momentum_key
        if key is None:
            raise ConfigError(
                f"{self.owner} has no momentum and no betas for a schedule to change; "
                "make the schedule with cycle_momentum=False"
            )
        if not self._is_changing(key):
            first = tensor(_first(self.raw[key]), dtype=dtypes.float64)
            self.raw[key] = (first, *self.raw[key][1:]) if key == "betas" else first
            self.version += 1
        found: Tensor = _first(self.raw[key])
        return found

    def _is_changing(self, key: str) -> bool:
        return key in MOMENTUM and key in self.raw and isinstance(_first(self.raw[key]), Tensor)

    def _keep_tensor(self, key: str, value: Any) -> Any:
        """`value` of the momentum, given to the tensor that holds it."""
        held = self.raw[key]
        _first(held).fill_(_first(value))
        if key == "betas" and value[1:] != held[1:]:
            return (held[0], *value[1:])
        return held

    def __delitem__(self, key: str) -> None:
        raise ConfigError(f"a group keeps its {key!r}; set it to another value")

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return repr(self.raw)

    def ready(self) -> list[list[tuple[Tensor, Tensor]]]:
        """The parameters that have a gradient, with it, by cohort; the others fall behind."""
        ready = [[(p, p.grad) for p in cohort if p.grad is not None] for cohort in self.cohorts]
        if any(0 < len(now) < len(all_) for now, all_ in zip(ready, self.cohorts, strict=True)):
            behind = [[p for p in cohort if p.grad is None] for cohort in self.cohorts]
            ahead = [[p for p, _ in now] for now in ready]
            self.cohorts = [cohort for cohort in ahead + behind if cohort]
        return [now for now in ready if now]

    def regroup(self, count: Callable[[Tensor], Tensor | None]) -> None:
        """Find the cohorts anew: `count` tells how many steps a parameter has made."""
        cohorts: dict[float | None, list[Tensor]] = {}
        for p in self["params"]:
            steps = count(p)
            cohorts.setdefault(None if steps is None else float(steps), []).append(p)
        self.cohorts = list(cohorts.values())

    @staticmethod
    def is_fixed(key: str) -> bool:
        """Whether `key` is about the parameters themselves, and not to be set."""
        return key in FIXED

    def plain(self) -> dict[str, Any]:
        """Everything but the parameters in plain Python, with the tensors as floats."""
        values = {key: value for key, value in self.raw.items() if key != "params"}
        for key, plain in {**dict.fromkeys(SCHEDULED, float), "param_names": list}.items():
            if key in values:
                values[key] = plain(values[key])
        for key in filter(self._is_changing, MOMENTUM):
            value = self.raw[key]
            values[key] = (float(value[0]), *value[1:]) if key == "betas" else float(value)
        return values

    def label(self, position: int) -> str:
        """How an error calls the parameter at `position`: by its name, if it has one."""
        names = self.raw.get("param_names")
        return f"parameter {names[position]!r}" if names else f"parameter {position}"


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def read_groups(params: Any) -> list[dict[str, Any]]:
    """What an optimizer is given, as a list of groups: dicts with a tuple "params".

    `params` is an iterable of tensors, of (name, tensor), or of dicts with "params" and the
    hyperparameters that are theirs alone.

    Raises `ConfigError` if it is none of these, or holds no parameter.
    """
    if isinstance(params, Tensor):
        raise ConfigError("params is one tensor; expected an iterable: write [tensor]")
    if isinstance(params, Mapping):
        raise ConfigError(
            "params is a mapping; expected an iterable of tensors, of (name, tensor) or of groups: "
            'write [{"params": ...}] for a group, model.parameters() for a model'
        )
    given = _entries(params)
    grouped = [isinstance(entry, Mapping) for entry in given]
    if any(grouped) and not all(grouped):
        raise ConfigError("params mixes groups (dicts) with tensors; expected one or the other")
    groups = [_with_names(group) for group in (given if any(grouped) else [{"params": given}])]
    if not any(group["params"] for group in groups):
        raise ConfigError(
            "an empty parameter list. A generator such as model.parameters() gives its parameters "
            "once: call it again, or keep list(model.parameters())"
        )
    return groups


def _entries(params: Any) -> list[Any]:
    if isinstance(params, Tensor):
        return [params]
    if isinstance(params, set | frozenset):
        raise ConfigError("params is a set, which has no order; expected a list")
    if not isinstance(params, Iterable) or isinstance(params, str):
        raise ConfigError(
            f"params is a {type(params).__name__}; expected tensors: model.parameters()"
        )
    return list(params)


def _with_names(group: Mapping[str, Any]) -> dict[str, Any]:
    """`group` with its "params" as a tuple of checked tensors, and their names if they have any."""
    if "params" not in group:
        raise ConfigError(f'a group without "params"; it has: {", ".join(map(str, group))}')
    if "param_names" in group:
        raise ConfigError('names are given with the parameters: {"params": [(name, tensor), ...]}')
    entries = _entries(group["params"])
    if not entries and isinstance(group["params"], Iterator):
        raise ConfigError(
            'a group\'s "params" is a generator that is used up: it gives its parameters once. '
            "Call model.parameters() again, or keep a list of them"
        )
    named = [isinstance(entry, tuple) and len(entry) == 2 for entry in entries]
    if any(named) and not all(named):
        raise ConfigError("params mixes (name, tensor) with tensors; expected one or the other")
    if any(named):
        group = {**group, "param_names": tuple(str(name) for name, _ in entries)}
        entries = [parameter for _, parameter in entries]
    for position, entry in enumerate(entries):
        _check_parameter(f"params[{position}]", entry)
    return {**group, "params": tuple(entries)}


def _check_parameter(name: str, parameter: Any) -> None:
    if not isinstance(parameter, Tensor):
        raise ConfigError(
            f"{name} is a {type(parameter).__name__}; expected a tensor: model.parameters()"
        )
    if not parameter.is_leaf:
        raise ConfigError(
            f"{name}, of shape {tuple(parameter.shape)}, is computed from other tensors; expected "
            "a leaf: optimize those, or x.detach().requires_grad_()"
        )
    if parameter.dtype not in (dtypes.float32, dtypes.float64):
        raise ConfigError(
            f"{name} is {parameter.dtype!r}; expected float32 or float64: the other types "
            "are for storage and for counting"
        )
