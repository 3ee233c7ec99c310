"""Weights by length and direction, of spectral norm 1, or orthogonal: usual parametrizations."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn.functional.distance import normalize
from thalweg.nn.module import Module
from thalweg.nn.utils.measures import (
    length,
    output_dim,
    rows,
    singular_vectors,
    spectral_value,
)
from thalweg.nn.utils.orthogonality import orthogonal
from thalweg.nn.utils.parametrize import register_parametrization
from thalweg.ops.random import randn

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """w = g v / ||v||, the norm over all dimensions but one."""

    def __init__(self, dim: int | None) -> None:
        self.dim = -1 if dim is None else dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """g v / ||v||."""
        return v * (g / length(v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """||weight|| and weight itself."""
        return length(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let module.weight be w = g v / ||v||, of which length g and direction v are trained.

    The norm is taken of each slice of `dim`, such as each output's weights, or of all with
    dim=None. g is `parametrizations.weight.original0`, v `original1`; the module computes what it
    did before. Gives the module; `parametrize.remove_parametrizations(module, "weight")` undoes it.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.parametrizations.weight_norm(tw.nn.Linear(20, 40))
    >>> {name: tuple(p.shape) for name, p in layer.named_parameters()}
    {'bias': (40,), 'parametrizations.weight.original0': (40, 1),
     'parametrizations.weight.original1': (40, 20)}

    Source: Salimans, Kingma, "Weight normalization", 2016.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """W / sigma(W), sigma estimated by the power method."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations < 1:
            raise ConfigError(
                f"spectral_norm: n_power_iterations is 1 or more, got {n_power_iterations!r}"
            )
        self.dim = dim
        self.eps, self.n_power_iterations = eps, n_power_iterations
        if weight.ndim > 1:
            matrix = rows(weight.detach(), dim)
            for label, size in zip(("_u", "_v"), matrix.shape, strict=True):
                start = normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps)
                self.register_buffer(label, start)
            singular_vectors(matrix, self._u, self._v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        """weight / (u^T W v); u and v move on first while training."""
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = rows(weight, self.dim)
        if self.training:
            singular_vectors(matrix, self._u, self._v, self.n_power_iterations, self.eps)
        return weight / spectral_value(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """The weight itself."""
        return value

    _u: Tensor
    _v: Tensor


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Let module.weight be W / sigma(W), sigma the largest singular value of W as a matrix.

    No input grows by more than a factor of 1. sigma = u^T W v, with vectors that move on by
    `n_power_iterations` of the power method whenever the weight is read while training; they are
    state, as `parametrizations.weight.0._u` and `_v`. `dim`, the outputs', becomes the rows of the
    matrix: 0, for a transposed convolution 1, unless given. Gives the module;
    `parametrize.remove_parametrizations(module, "weight")` undoes it.

    >>> import thalweg as tw
    >>> layer = tw.nn.utils.parametrizations.spectral_norm(tw.nn.Linear(20, 40))
    >>> list(layer.state_dict())[1:]
    ['parametrizations.weight.original', 'parametrizations.weight.0._u',
     'parametrizations.weight.0._v']

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ConfigError(f"spectral_norm: {type(module).__name__} has no tensor {name!r}")
    dim = output_dim("spectral_norm", module, weight, dim)
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )
