"""What normalized weights are divided by: lengths of slices, and the largest singular value."""

from __future__ import annotations

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, nearest
from thalweg.nn.convolution import ConvTranspose1d, ConvTranspose2d
from thalweg.nn.functional.distance import normalize
from thalweg.nn.module import Module
from thalweg.primitives.core import normalize_axis
from thalweg.tape import no_grad

__all__ = ["length", "output_dim", "parameter_of", "rows", "singular_vectors", "spectral_value"]


def parameter_of(owner: str, module: Module, name: str) -> Parameter:
    """The parameter of that name, which is not computed yet; else a `ConfigError` of `owner`."""
    found = vars(module).get(name)
    if isinstance(found, Parameter):
        return found
    if isinstance(getattr(type(module), name, None), property):
        raise ConfigError(
            f"{owner}: {name!r} of this {type(module).__name__} is computed already; remove that "
            "first"
        )
    known = [known for known, value in vars(module).items() if isinstance(value, Parameter)]
    raise ConfigError(
        f"{owner}: {type(module).__name__} has no parameter {name!r}; {nearest(name, known)}"
    )


def length(v: Tensor, dim: int) -> Tensor:
    """The 2-norm of each slice of `dim`, with sizes of 1 elsewhere; of all of v where dim is -1."""
    if dim == -1:
        return v.norm()
    others = tuple(axis for axis in range(v.ndim) if axis != dim % v.ndim)
    return v.norm(dim=others, keepdim=True) if others else v.abs()


def output_dim(owner: str, module: Module, weight: Tensor, dim: int | None) -> int:
    """`dim`, or that of the outputs: 0, for a transposed convolution 1."""
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d) else 0
    return normalize_axis(owner, dim, weight.ndim)


def rows(weight: Tensor, dim: int) -> Tensor:
    """The weight as a matrix whose rows are the slices of `dim`."""
    return weight.movedim(dim, 0).reshape(weight.shape[dim], -1)


@no_grad()
def singular_vectors(matrix: Tensor, u: Tensor, v: Tensor, times: int, eps: float) -> None:
    """Move u and v, by the power method, towards the vectors of the largest singular value."""
    left, right = u.detach(), v.detach()
    for _ in range(times):
        left = normalize(matrix @ right, dim=0, eps=eps)
        right = normalize(matrix.T @ left, dim=0, eps=eps)
    u.copy_(left)
    v.copy_(right)


def spectral_value(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """u^T W v: the largest singular value where u and v are its vectors."""
    return (u.detach() * (matrix @ v.detach())).sum()
