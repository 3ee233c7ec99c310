"""Residual connections: what a layer learns is added to what came in."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.module import Module

__all__ = ["Residual"]


class Residual(Module):
    """shortcut(x) + inner(x), or x + inner(x): the gradient reaches x undiminished.

    `inner` is any module, `shortcut` one that gives the same shape where inner changes it, such as
    a linear map. Raises `ShapeError` where the two shapes differ: they are never broadcast.

    >>> import thalweg as tw
    >>> block = tw.nn.Residual(tw.nn.Sequential(tw.nn.LayerNorm(4), tw.nn.Linear(4, 4)))
    >>> block(tw.ones(2, 4)).shape
    Size([2, 4])

    Source: He et al., "Deep residual learning for image recognition", 2015.
    """

    @checked()
    def __init__(self, inner: Module, shortcut: Module | None = None) -> None:
        self.inner = inner
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """shortcut(x) + inner(x)."""
        past: Tensor = x if self.shortcut is None else self.shortcut(x)
        new: Tensor = self.inner(x)
        if past._value.shape != new._value.shape:
            raise ShapeError(
                f"the shortcut gives shape {past._value.shape}, inner {new._value.shape}: they are "
                "added. Give a shortcut that changes the shape in the same way"
            )
        return past + new
