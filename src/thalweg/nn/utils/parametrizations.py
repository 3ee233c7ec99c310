"""Weights by length and direction, and weights of spectral norm 1: usual parametrizations."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn.convolution import ConvTranspose1d, ConvTranspose2d
from thalweg.nn.functional.distance import normalize
from thalweg.nn.module import Module
from thalweg.nn.utils.parametrize import register_parametrization
from thalweg.ops.random import randn
from thalweg.primitives.core import normalize_axis
from thalweg.tape import no_grad

__all__ = ["spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """w = g v / ||v||, the norm over all dimensions but one."""

    def __init__(self, dim: int | None) -> None:
        self.dim = -1 if dim is None else dim

    def _norm(self, v: Tensor) -> Tensor:
        if self.dim == -1:
            return v.norm()
        others = tuple(axis for axis in range(v.ndim) if axis != self.dim % v.ndim)
        return v.norm(dim=others, keepdim=True) if others else v.abs()

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """g v / ||v||."""
        return v * (g / self._norm(v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """||weight|| and weight itself."""
        return self._norm(weight), weight


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
        self.dim = normalize_axis("spectral_norm", dim, weight.ndim)
        self.eps, self.n_power_iterations = eps, n_power_iterations
        if weight.ndim > 1:
            matrix = self._matrix(weight.detach())
            for label, size in zip(("_u", "_v"), matrix.shape, strict=True):
                start = normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps)
                self.register_buffer(label, start)
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    @no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        """u and v towards the singular vectors of the largest singular value."""
        u, v = self._u, self._v
        for _ in range(times):
            u = normalize(matrix @ v, dim=0, eps=self.eps)
            v = normalize(matrix.T @ u, dim=0, eps=self.eps)
        self._u.copy_(u)
        self._v.copy_(v)

    def forward(self, weight: Tensor) -> Tensor:
        """weight / (u^T W v); u and v move on first while training."""
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u.detach(), self._v.detach()
        return weight / (u * (matrix @ v)).sum()

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
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d) else 0
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )
