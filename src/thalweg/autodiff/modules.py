"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.borrowing import borrowed
from thalweg.errors import ConfigError, nearest
from thalweg.ops.joining import stack
from thalweg.tape import TensorBase, not_a_tensor

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["functional_call", "stack_module_state"]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with other tensors in place of its parameters and buffers.

    `parameter_and_buffer_dicts`: a dict of tensors by the names of `named_parameters()` and
    `named_buffers()`, or several; what is not named stays, unless `strict`. `args` is a tuple of
    arguments, or one that is no tuple. What the module assigns to a buffer is assigned to the
    tensor given for it. A parameter that stands under several names is replaced under all of them.

    >>> import thalweg as tw
    >>> layer = tw.nn.Linear(2, 1)
    >>> given = {"weight": tw.tensor([[1.0, 2.0]]), "bias": tw.tensor([0.5])}
    >>> tw.func.functional_call(layer, given, tw.tensor([10.0, 1.0]))
    tensor([12.5000])

    Raises `ConfigError` for a name that the module does not have, for different tensors under
    names of one parameter and, under `strict`, for a name that is missing.

    Source: `torch.func.functional_call`.
    """
    if not tie_weights:
        raise ConfigError(
            "functional_call: tie_weights=False is not there: one parameter under two names gets "
            "one value. Give the module two parameters instead"
        )
    given = _merged(parameter_and_buffer_dicts)
    own = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    pairs = _pairs(own, given)
    missing = [name for name in own if id(own[name]) not in pairs]
    if strict and missing:
        raise ConfigError(f"functional_call: under strict=True, missing: {', '.join(missing)}")
    arguments = args if isinstance(args, tuple) else () if args is None else (args,)
    with borrowed(pairs.values()):
        return module(*arguments, **(kwargs or {}))


def _merged(dicts: Any) -> dict[str, Any]:
    if isinstance(dicts, Mapping):
        return dict(dicts)
    merged: dict[str, Any] = {}
    for one in dicts:
        twice = merged.keys() & one.keys()
        if twice:
            raise ConfigError(f"functional_call: {sorted(twice)} stand in several dictionaries")
        merged |= one
    return merged


def _pairs(own: dict[str, Any], given: dict[str, Any]) -> dict[int, tuple[Any, Any]]:
    """What is replaced and by what, by the identity of the first."""
    pairs: dict[int, tuple[Any, Any]] = {}
    for name, value in given.items():
        if name not in own:
            raise ConfigError(f"functional_call: no parameter {name!r}; {nearest(name, own)}")
        if not isinstance(value, TensorBase):
            raise not_a_tensor(f"functional_call: {name}", value)
        if pairs.setdefault(id(own[name]), (own[name], value))[1] is not value:
            raise ConfigError(
                f"functional_call: {name!r} is one parameter with another name, which was given "
                "another tensor"
            )
    return pairs


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of models of one kind, stacked along a first dimension.

    Gives two dicts by name, for `vmap` of `functional_call`: an ensemble at once.

    >>> import thalweg as tw
    >>> models = [tw.nn.Linear(3, 2) for _ in range(5)]
    >>> parameters, buffers = tw.func.stack_module_state(models)
    >>> call = lambda p, x: tw.func.functional_call(models[0], p, x)
    >>> tw.func.vmap(call, in_dims=(0, None))(parameters, tw.ones(3)).shape
    Size([5, 2])

    Raises `ConfigError` where the models differ in their names, or there is none.

    Source: `torch.func.stack_module_state`.
    """
    if not models:
        raise ConfigError("stack_module_state: at least one model expected, got none")
    states = [(dict(model.named_parameters()), dict(model.named_buffers())) for model in models]
    if any([*p, *b] != [*states[0][0], *states[0][1]] for p, b in states):
        raise ConfigError("stack_module_state: models of one kind expected; their names differ")
    return _stacked([p for p, _ in states]), _stacked([b for _, b in states])


def _stacked(dicts: list[dict[str, Any]]) -> dict[str, Any]:
    found = {name: stack([one[name].detach() for one in dicts]) for name in dicts[0]}
    for name, x in found.items():
        x.requires_grad_(all(one[name].requires_grad for one in dicts))
    return found
