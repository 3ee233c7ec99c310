"""Layers that change the shape only."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Dimensions `start_dim` to `end_dim` as one: (N, C, H, W) to (N, C H W) as it stands.

    >>> import thalweg as tw
    >>> tw.nn.Flatten()(tw.zeros(32, 1, 28, 28)).shape
    Size([32, 784])
    """

    @checked()
    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    @checked()
    def forward(self, input: Tensor) -> Tensor:
        """input.flatten(start_dim, end_dim)."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """start_dim=1, end_dim=-1"""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension `dim` as several, of the sizes `unflattened_size`; one of them may be -1.

    >>> import thalweg as tw
    >>> tw.nn.Unflatten(1, (1, 28, 28))(tw.zeros(32, 784)).shape
    Size([32, 1, 28, 28])
    """

    @checked()
    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    @checked()
    def forward(self, input: Tensor) -> Tensor:
        """input.unflatten(dim, unflattened_size)."""
        try:
            return input.unflatten(self.dim, self.unflattened_size)
        except ShapeError as error:
            raise ShapeError(f"unflattened_size={self.unflattened_size}: {error.message}") from None

    def extra_repr(self) -> str:
        """dim=1, unflattened_size=(1, 28, 28)"""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
