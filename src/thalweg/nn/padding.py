"""Padding as layers: more elements at the ends of sequences and around images.

`padding` is a number for all sides, or (left, right) and, for images, (left, right, top, bottom);
negative amounts take elements away. What is put there is in the name; see `nn.functional.pad`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import ANY, checked
from thalweg.nn.functional.sliding import require_images
from thalweg.nn.module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ZeroPad1d",
    "ZeroPad2d",
]


class _Pad(Module):
    """What padding of any kind and rank has in common."""

    rank: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float | None = None

    @checked(padding=ANY)
    def __init__(self, padding: int | Sequence[int]) -> None:
        sides = 2 * self.rank
        given = (padding,) * sides if isinstance(padding, int) else tuple(padding)
        if len(given) != sides:
            raise ConfigError(
                f"{type(self).__name__}: padding is a number or {sides} of them, got {padding!r}"
            )
        self.padding: tuple[int, ...] = given

    def forward(self, input: Tensor) -> Tensor:
        """The input with more around it."""
        require_images(type(self).__name__, input, self.rank)
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """(1, 1, 1, 1)"""
        return str(self.padding)


class _ConstantPad(_Pad):
    """Padding with a given number."""

    @checked(padding=ANY)
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """padding=(1, 1), value=3.5"""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` at the ends: (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.ConstantPad1d((1, 2), 0.5)(tw.ones(1, 2))
    tensor([[0.5000, 1.0000, 1.0000, 0.5000, 0.5000]])
    """

    rank = 1


class ConstantPad2d(_ConstantPad):
    """`value` around: (N, C, H, W) or (C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.ConstantPad2d(1, 0.5)(tw.ones(8, 3, 4, 5)).shape
    Size([8, 3, 6, 7])
    """

    rank = 2


class ZeroPad1d(_Pad):
    """Zeros at the ends: (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.ZeroPad1d((1, 2))(tw.ones(1, 2))
    tensor([[0., 1., 1., 0., 0.]])
    """

    rank = 1
    value = 0.0


class ZeroPad2d(_Pad):
    """Zeros around: (N, C, H, W) or (C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.ZeroPad2d((0, 0, 1, 0))(tw.ones(1, 1, 2))
    tensor([[[0., 0.],
             [1., 1.]]])
    """

    rank = 2
    value = 0.0


class ReflectionPad1d(_Pad):
    """The elements inside, mirrored at the edge: (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.ReflectionPad1d(2)(tw.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    rank = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """The elements inside, mirrored at the edges: (N, C, H, W) or (C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.ReflectionPad2d(1)(tw.ones(8, 3, 4, 5)).shape
    Size([8, 3, 6, 7])
    """

    rank = 2
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """The edge once more: (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.ReplicationPad1d((2, 1))(tw.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3.]])
    """

    rank = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """The edges once more: (N, C, H, W) or (C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.ReplicationPad2d(1)(tw.ones(8, 3, 4, 5)).shape
    Size([8, 3, 6, 7])
    """

    rank = 2
    mode = "replicate"


class CircularPad1d(_Pad):
    """The elements of the other end: (N, C, L) or (C, L).

    >>> import thalweg as tw
    >>> tw.nn.CircularPad1d(1)(tw.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    rank = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """The elements of the other ends: (N, C, H, W) or (C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.CircularPad2d(1)(tw.ones(8, 3, 4, 5)).shape
    Size([8, 3, 6, 7])
    """

    rank = 2
    mode = "circular"
