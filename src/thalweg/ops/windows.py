"""Sliding windows, what convolution and pooling are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import ShapeError
from thalweg.primitives import windows as w
from thalweg.primitives.core import normalize_axis
from thalweg.tape import bind

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Windows"]


class Windows:
    """Tensor's windows."""

    __slots__ = ()

    def windows(
        self: Tensor,
        sizes: tuple[int, ...],
        strides: tuple[int, ...],
        dilations: tuple[int, ...],
    ) -> Tensor:
        """Windows over the last dimensions: y[.., h, w, i, j] = x[.., s h + d i, s w + d j].

        Raises `ShapeError` where a window does not fit, and unless all sizes, strides s and
        dilations d are 1 or more.

        >>> import thalweg as tw
        >>> tw.arange(5).windows((2,), (1,), (2,))
        tensor([[0, 2],
                [1, 3],
                [2, 4]])
        """
        return bind(w.windows, self, sizes=sizes, strides=strides, dilations=dilations)

    def overlap_add(
        self: Tensor,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dilations: tuple[int, ...],
    ) -> Tensor:
        """The windows put back into zeros of `shape`; where they overlap, they add up.

        The transpose of `windows`: shape (.., h, w, i, j) -> (.., *shape).

        >>> import thalweg as tw
        >>> tw.ones(3, 2).overlap_add((4,), (1,), (1,))
        tensor([1., 2., 2., 1.])
        """
        return bind(w.overlap_add, self, shape=shape, strides=strides, dilations=dilations)

    def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
        """Windows of `size` along one dimension, every `step`; the window is the last dimension.

        >>> import thalweg as tw
        >>> tw.arange(6).unfold(0, 3, 2)
        tensor([[0, 1, 2],
                [2, 3, 4]])
        """
        axis = normalize_axis("unfold", dimension, len(self._value.shape))
        if size > self._value.shape[axis] or size < 1 or step < 1:
            raise ShapeError(
                f"unfold: windows of {size}, every {step}, along dimension {dimension} of shape "
                f"{self._value.shape}: a size that fits and a step of 1 or more expected"
            )
        slid = self.movedim(axis, -1).windows((size,), (step,), (1,))
        return slid.movedim(-2, axis)
