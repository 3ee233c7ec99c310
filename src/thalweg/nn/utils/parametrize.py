"""Parameters that are computed from others: `weight` as a function of what is trained.

A parametrization is a module whose forward gives the tensor; its `right_inverse`, if it has one,
gives what to begin with. The tensor becomes a property that is computed whenever it is read, and
what is trained stands under `parametrizations`, with PyTorch's names in the state dictionary:
`parametrizations.weight.original`, or `original0`, `original1` where it takes several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, ShapeError, nearest
from thalweg.nn.containers import ModuleDict, ModuleList
from thalweg.nn.module import Module
from thalweg.nn.utils.properties import compute, stop_computing
from thalweg.tape import no_grad

__all__ = [
    "ParametrizationList",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
]


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, one after the other, and what they are applied to."""

    def __init__(self, parametrization: Module, original: Tensor) -> None:
        super().__init__([parametrization])
        begun = _inverted(parametrization, original)
        self.is_tensor = isinstance(begun, Tensor)
        if self.is_tensor:
            with no_grad():
                original.copy_(begun)  # the same parameter: an optimizer goes on with it
            self._hold("original", original)
        else:
            for number, part in enumerate(begun):
                self._hold(f"original{number}", _like(original, part))

    def _hold(self, name: str, tensor: Tensor) -> None:
        if isinstance(tensor, Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)

    @property
    def originals(self) -> list[Tensor]:
        """What is trained."""
        return [value for value in vars(self).values() if isinstance(value, Tensor)]

    def forward(self) -> Any:
        """The tensor."""
        first, *others = self
        out = first(*self.originals)
        for parametrization in others:
            out = parametrization(out)
        return out

    @no_grad()
    def right_inverse(self, value: Tensor) -> None:
        """Let the originals be such that the tensor is `value`."""
        begun: Any = value
        for parametrization in reversed(list(self)):
            begun = _inverted(parametrization, begun)
        for original, part in zip(
            self.originals, [begun] if self.is_tensor else begun, strict=True
        ):
            original.copy_(part)


@no_grad()
def _inverted(parametrization: Module, value: Tensor) -> Any:
    inverse = getattr(parametrization, "right_inverse", None)
    return value if inverse is None else inverse(value)


def _like(original: Tensor, value: Tensor) -> Tensor:
    """`value` as a parameter, if `original` is one."""
    if isinstance(original, Parameter):
        return Parameter(value.detach(), original.requires_grad)
    return value.detach()


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let module.tensor_name be what `parametrization` makes of a parameter; gives the module.

    Setting it sets what it is computed from, by `right_inverse`. A second parametrization is
    applied to what the first gives. Optimizers made before know the old parameter: where it has a
    `right_inverse` that gives several, hand them the new ones.

    Raises `ConfigError` if there is no such tensor, `ShapeError` if the parametrization changes
    its shape or dtype, unless `unsafe`.

    >>> import thalweg as tw
    >>> from thalweg.nn.utils import parametrize
    >>> class Symmetric(tw.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = parametrize.register_parametrization(tw.nn.Linear(3, 3), "weight", Symmetric())
    >>> tw.equal(layer.weight, layer.weight.T), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _check_kept(getattr(module, tensor_name), parametrization, unsafe)
        _lists(module)[tensor_name].append(parametrization)
        return module
    original = vars(module).get(tensor_name)
    if not isinstance(original, Tensor):
        known = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
        raise ConfigError(
            f"{type(module).__name__} has no tensor {tensor_name!r}; {nearest(tensor_name, known)}"
        )
    held = ParametrizationList(parametrization, original)
    if not unsafe:
        _check_same(original, held())
    delattr(module, tensor_name)
    module._buffer_names = {k: v for k, v in module._buffer_names.items() if k != tensor_name}
    if not is_parametrized(module):
        module.add_module("parametrizations", ModuleDict())
    _lists(module)[tensor_name] = held
    compute(module, tensor_name, *_property(tensor_name), label="Parametrized")
    return module


def _lists(module: Module) -> Any:
    """The parametrizations of a module's tensors by their names."""
    return vars(module)["parametrizations"]


def _property(name: str) -> tuple[Callable[[Module], Any], Callable[[Module, Any], None]]:
    def read(module: Module) -> Any:
        return _lists(module)[name]()

    def write(module: Module, value: Any) -> None:
        _lists(module)[name].right_inverse(value)

    return read, write


def _check_kept(tensor: Tensor, parametrization: Module, unsafe: bool) -> None:
    if not unsafe:
        with no_grad():
            _check_same(tensor, parametrization(tensor))


def _check_same(tensor: Tensor, made: Any) -> None:
    if not isinstance(made, Tensor) or (made.shape, made.dtype) != (tensor.shape, tensor.dtype):
        given = (
            f"{made.dtype!r} of shape {tuple(made.shape)}"
            if isinstance(made, Tensor)
            else repr(made)[:40]
        )
        raise ShapeError(
            f"the parametrization gives {given} for a tensor that is {tensor.dtype!r} of shape "
            f"{tuple(tensor.shape)}; if that is meant, pass unsafe=True"
        )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrized tensor, or one of that name.

    >>> import thalweg as tw
    >>> tw.nn.utils.parametrize.is_parametrized(tw.nn.Linear(3, 3))
    False
    """
    held = vars(module).get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Let module.tensor_name be a plain parameter again; gives the module.

    It keeps the value it is computed to; with leave_parametrized=False it becomes what it was
    computed from, if that was one tensor. Raises `ConfigError` where there is nothing to remove.

    >>> import thalweg as tw
    >>> from thalweg.nn.utils import parametrizations, parametrize
    >>> layer = parametrizations.weight_norm(tw.nn.Linear(3, 2))
    >>> parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ConfigError(f"{type(module).__name__} has no parametrization of {tensor_name!r}")
    held: ParametrizationList = _lists(module)[tensor_name]
    if not (leave_parametrized or held.is_tensor):
        raise ConfigError(
            f"{tensor_name!r} is computed from {len(held.originals)} tensors, of which none can "
            "take its place: leave_parametrized=False does not fit"
        )
    original = held.originals[0]
    with no_grad():
        value = getattr(module, tensor_name) if leave_parametrized else original
        if held.is_tensor:
            original.copy_(value)  # the same parameter: an optimizer goes on with it
        else:
            original = _like(original, value)
    stop_computing(module, tensor_name)
    del _lists(module)[tensor_name]
    if not is_parametrized(module):
        delattr(module, "parametrizations")
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original)
    return module
