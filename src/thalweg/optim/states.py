"""An optimizer's state as a dictionary in PyTorch's layout: written, and read with every check.

What PyTorch wrote is read, too.

{"state": {0: {"momentum_buffer": tensor}, 1: ...},
 "param_groups": [{"lr": 0.1, "momentum": 0.9, ..., "params": [0, 1]}]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from thalweg._tensor import Tensor
from thalweg.dtypes import promote_types
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.creation import as_tensor
from thalweg.optim.groups import ParamGroup
from thalweg.settings import refuse_unknown

if TYPE_CHECKING:
    from thalweg.optim.optimizer import Optimizer

__all__ = ["read_state", "snapshot", "tensors_of"]

Tensors = dict[str, Tensor]

# How PyTorch runs an update, which is in its dictionaries and means nothing here; and settings that
# its optimizers do not have, as what they do.
_ENGINE = frozenset({"foreach", "fused", "capturable", "differentiable"})
_UNSAID = {"form": "polyak", "maximize": False}


def tensors_of(state: Any) -> Tensors:
    """The tensors of a parameter's state by field; a field that is None is not in use."""
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    return {name: value for name, value in values.items() if value is not None}


def snapshot(groups: Sequence[ParamGroup], states: Mapping[Tensor, Any]) -> dict[str, Any]:
    """The dictionary of `groups` and `states` as they are now."""
    saved_groups = []
    for group, numbers in _numbered(groups):
        saved_groups.append({**group.plain(), "params": numbers})
    saved_states = {
        number: {name: x.detach() for name, x in tensors_of(states[p]).items()}
        for group, numbers in _numbered(groups)
        for number, p in zip(numbers, group["params"], strict=True)
    }
    used = {number: tensors for number, tensors in saved_states.items() if tensors}
    return {"state": used, "param_groups": saved_groups}


def read_state(
    optimizer: Optimizer, saved: Mapping[str, Any]
) -> tuple[list[ParamGroup], dict[Tensor, Tensors]]:
    """The groups and each parameter's tensors as `saved` has them; the optimizer stays as it is."""
    where = f"a state of {type(optimizer).__name__}"
    _need(where, saved, ("state", "param_groups"))
    refuse_unknown(where, saved, ("state", "param_groups"))
    groups = _read_groups(optimizer, saved["param_groups"])
    given = {_number(key): value for key, value in saved["state"].items()}
    states = {}
    for group, numbers in _numbered(groups):
        for position, (number, p) in enumerate(zip(numbers, group["params"], strict=True)):
            begin = tensors_of(optimizer.init(p, group.raw))
            entry = {k: x for k, x in (given.pop(number, None) or {}).items() if x is not None}
            name = f"{where}: {group.label(position)}"
            states[p] = _fitting(name, _counted(entry, begin), begin) if entry else begin
    if given:
        raise ConfigError(f"{where} has entries for parameters {sorted(given)}, beyond the last")
    return groups, states


def _numbered(groups: Sequence[ParamGroup]) -> list[tuple[ParamGroup, list[int]]]:
    """Each group with the numbers of its parameters, counted over all groups."""
    numbered, first = [], 0
    for group in groups:
        numbered.append((group, list(range(first, first + len(group["params"])))))
        first += len(group["params"])
    return numbered


def _number(key: Any) -> int:
    if isinstance(key, int) or (isinstance(key, str) and key.isdecimal()):
        return int(key)
    raise ConfigError(f"a state's keys are the numbers of parameters; got {key!r}")


def _need(where: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in given]
    if missing:
        raise ConfigError(f"{where} lacks {', '.join(map(repr, missing))}")


def _read_groups(optimizer: Optimizer, saved: Sequence[Mapping[str, Any]]) -> list[ParamGroup]:
    groups, owner = optimizer.param_groups, type(optimizer).__name__
    if len(saved) != len(groups):
        raise ConfigError(
            f"a state with {len(saved)} parameter groups for the {len(groups)} of this {owner}; "
            "make the optimizer with the same groups as the saved one"
        )
    read = []
    for index, (group, values) in enumerate(zip(groups, saved, strict=True)):
        where = f"group {index} of a state of {owner}"
        values = {
            **{key: value for key, value in _UNSAID.items() if key in optimizer.defaults},
            **{key: value for key, value in values.items() if key not in _ENGINE},
        }
        _need(where, values, ("params", *optimizer.defaults))
        _same_parameters(where, group, values)
        kept = {key: group[key] for key in group if group.is_fixed(key)}
        read.append(ParamGroup(owner, optimizer.rules, optimizer.defaults, {**values, **kept}))
        optimizer.check(read[-1].raw)
    return read


def _same_parameters(where: str, group: ParamGroup, saved: Mapping[str, Any]) -> None:
    count, expected = len(saved["params"]), len(group["params"])
    if count != expected:
        raise ConfigError(f"{where} has {count} parameters; this optimizer's has {expected}")
    names, given = group.get("param_names"), saved.get("param_names")
    if names and given and list(names) != list(given):
        differ = next(pair for pair in zip(given, names, strict=True) if pair[0] != pair[1])
        raise ConfigError(
            f"{where} has {differ[0]!r} where this optimizer has {differ[1]!r}; "
            "give the parameters in the same order"
        )


def _counted(entry: dict[str, Any], begin: Tensors) -> dict[str, Any]:
    """With a step where PyTorch's SGD counts none: its buffer is there from the first step on."""
    is_sgd = begin.keys() == {"momentum_buffer", "step"}
    return {"step": 1.0, **entry} if is_sgd and "momentum_buffer" in entry else entry


def _fitting(where: str, entry: Mapping[str, Any], begin: Tensors) -> Tensors:
    """The tensors of `entry`, which must be like those a state begins with."""
    _need(where, entry, list(begin))
    refuse_unknown(where, entry, begin)
    return {name: _like(f"{where}: {name}", entry[name], begin[name]) for name in begin}


def _like(where: str, value: Any, wanted: Tensor) -> Tensor:
    """`value` as a tensor of the shape and dtype of `wanted`, if that loses nothing."""
    given = as_tensor(value)
    if given.shape != wanted.shape:
        raise ShapeError(
            f"{where} has shape {tuple(given.shape)}, the parameter needs {tuple(wanted.shape)}; "
            "is this the state of another model?"
        )
    if promote_types(given.dtype, wanted.dtype) is not wanted.dtype:
        raise DTypeError(
            f"{where} is {given.dtype!r}, the parameter needs {wanted.dtype!r}, which holds less; "
            "bring the model to the dtype of the saved one first"
        )
    return given.to(wanted.dtype)
