"""Weights by length and direction, and of spectral norm 1, in the form that came first.

What is trained stands in the module itself, as `weight_g` and `weight_v`, or `weight_orig` beside
the buffers `weight_u` and `weight_v`: programs and files from before `parametrizations` use these
names. A new program takes `parametrizations.weight_norm` and `parametrizations.spectral_norm`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.functional.distance import normalize
from thalweg.nn.hooks import forget
from thalweg.nn.module import Module
from thalweg.nn.utils.measures import (
    length,
    output_dim,
    parameter_of,
    rows,
    singular_vectors,
    spectral_value,
)
from thalweg.nn.utils.properties import compute, computed, stop_computing
from thalweg.ops.random import randn
from thalweg.tape import no_grad

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

R = TypeVar("R", bound="_Normalized")


@dataclass(frozen=True)
class _Normalized(ABC):
    """What module.name is computed to, and the names of what it is computed from."""

    name: str
    dim: int

    parts: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __call__(self, module: Module) -> Tensor:
        """The value of module.name."""

    def write(self, module: Module, value: Any) -> None:
        """Refuse a value: it would be lost."""
        first = self.name + self.parts[0]
        raise ConfigError(
            f"{type(module).__name__}.{self.name} is computed from {first!r}: set that, or remove "
            "the normalization first"
        )


@dataclass(frozen=True)
class _ByLength(_Normalized):
    """w = g v / ||v||."""

    parts: ClassVar[tuple[str, ...]] = ("_g", "_v")

    def __call__(self, module: Module) -> Tensor:
        g, v = (getattr(module, self.name + part) for part in self.parts)
        weight: Tensor = v * (g / length(v, self.dim))
        return weight


@dataclass(frozen=True)
class _BySpectrum(_Normalized):
    """w = W / (u^T W v)."""

    steps: int
    eps: float

    parts: ClassVar[tuple[str, ...]] = ("_orig", "_u", "_v")

    def _found(self, module: Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight, u, v = (getattr(module, self.name + part) for part in self.parts)
        return weight, rows(weight, self.dim), u, v

    def __call__(self, module: Module) -> Tensor:
        weight, matrix, u, v = self._found(module)
        return weight / spectral_value(matrix, u, v)

    def move(self, module: Module, args: tuple[Any, ...]) -> None:
        """Before each forward while training: u and v move on, v first."""
        if module.training:
            _, matrix, u, v = self._found(module)
            singular_vectors(matrix.T, v, u, self.steps, self.eps)


@checked()
def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let module.weight be w = g v / ||v||, of which length g and direction v are trained.

    The norm is taken of each slice of `dim`, such as each output's weights, or of all with
    dim=None. g is the parameter `weight_g`, v `weight_v`; the module computes what it did before.
    Gives the module; `remove_weight_norm` undoes it. In a new program take
    `parametrizations.weight_norm`.

    Raises `ConfigError` if there is no such tensor, or if it is computed already.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.weight_norm(tw.nn.Linear(20, 40))
    >>> {name: tuple(p.shape) for name, p in layer.named_parameters()}
    {'bias': (40,), 'weight_g': (40, 1), 'weight_v': (40, 20)}

    Source: Salimans, Kingma, "Weight normalization", 2016.
    """
    weight = parameter_of("weight_norm", module, name)
    read = _ByLength(name, -1 if dim is None else dim)
    g = length(weight.detach(), read.dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(g))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    compute(module, name, read, read.write)
    return module


@checked()
def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Let module.weight, which `weight_norm` computes, be a parameter again; gives the module.

    Raises `ConfigError` where there is nothing to remove.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.weight_norm(tw.nn.Linear(2, 3))
    >>> list(tw.nn.utils.remove_weight_norm(layer).state_dict())
    ['bias', 'weight']
    """
    _removed(module, name, _ByLength, "weight_norm")
    return module


@checked(n_power_iterations=least(1))
def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Let module.weight be W / sigma(W), sigma the largest singular value of W as a matrix.

    No input grows by more than a factor of 1. sigma = u^T W v, with vectors that move on by
    `n_power_iterations` of the power method in each forward while training. W is the parameter
    `weight_orig`, u and v the buffers `weight_u` and `weight_v`. `dim`, the outputs', becomes the
    rows of the matrix: 0, for a transposed convolution 1, unless given. Gives the module;
    `remove_spectral_norm` undoes it. In a new program take `parametrizations.spectral_norm`.

    Raises `ConfigError` if there is no such tensor, or if it is computed already.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.spectral_norm(tw.nn.Linear(20, 40))
    >>> list(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    weight = parameter_of("spectral_norm", module, name)
    axis = output_dim("spectral_norm", module, weight, dim)
    read = _BySpectrum(name, axis, n_power_iterations, eps)
    starts = [randn(n, dtype=weight.dtype) for n in rows(weight.detach(), axis).shape]
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    for part, start in zip(("_u", "_v"), starts, strict=True):
        module.register_buffer(name + part, normalize(start, dim=0, eps=eps))
    compute(module, name, read, read.write)
    module.register_forward_pre_hook(read.move)
    return module


@checked()
def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Let module.weight, which `spectral_norm` computes, be a parameter again; gives the module.

    It keeps the value it is computed to. Raises `ConfigError` where there is nothing to remove.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.spectral_norm(tw.nn.Linear(2, 3))
    >>> list(tw.nn.utils.remove_spectral_norm(layer).state_dict())
    ['bias', 'weight']
    """
    read = _removed(module, name, _BySpectrum, "spectral_norm")
    forget(module, lambda hook: getattr(hook, "__self__", None) == read)
    return module


@no_grad()
def _removed(module: Module, name: str, kind: type[R], owner: str) -> R:
    """Make module.name a parameter of the value it has; gives what computed it."""
    found: Any = computed(module).get(name, (None,))[0]
    if not isinstance(found, kind):
        raise ConfigError(
            f"remove_{owner}: {owner} does not compute {name!r} of this {type(module).__name__}"
        )
    value = found(module).detach()
    for part in found.parts:
        delattr(module, name + part)
    module._buffer_names = {
        k: v for k, v in module._buffer_names.items() if k not in {name + p for p in found.parts}
    }
    stop_computing(module, name)
    module.register_parameter(name, Parameter(value))
    return found
