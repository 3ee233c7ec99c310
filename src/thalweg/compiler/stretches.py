"""What loops touch of a buffer at each row, where rows are the points of their first axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from thalweg.compiler.kernels import Access

__all__ = ["Stretch", "stretch_of"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """At row n: elements from n step + low to n step + high."""

    step: int
    low: int
    high: int

    def joined(self, other: Stretch) -> Stretch | None:
        """Both, where they step alike."""
        if self.step != other.step:
            return None
        return Stretch(self.step, min(self.low, other.low), max(self.high, other.high))

    @property
    def is_apart(self) -> bool:
        """Whether no two rows touch the same."""
        return self.high - self.low < abs(self.step)

    def size(self, rows: int) -> int:
        """Elements from the first that some rows touch to the last."""
        return (rows - 1) * abs(self.step) + self.high - self.low + 1


def stretch_of(access: Access, space: Sequence[int], lead: int) -> Stretch | None:
    """What `access` touches at a row, which the first `lead` axes of `space` count; None where the
    rows do not follow each other evenly.

    >>> import numpy as np
    >>> from thalweg.compiler.kernels import Buffer
    >>> x = Buffer("x", 24, np.dtype(np.float32), "input")
    >>> stretch_of(Access(x, 1, (12, 4, 1)), (2, 3, 2), lead=2)
    Stretch(step=4, low=1, high=2)
    """
    sizes = zip(space[:lead], access.strides[:lead], strict=True)
    moving = [(size, stride) for size, stride in sizes if size > 1]
    if any(outer != size * inner for (_, outer), (size, inner) in pairwise(moving)):
        return None
    inside = zip(space[lead:], access.strides[lead:], strict=True)
    far = [(size - 1) * stride for size, stride in inside]
    far += [(part.size - 1) * part.stride for part in access.indirect]
    low = access.offset + sum(min(reach, 0) for reach in far)
    return Stretch(moving[-1][1], low, access.offset + sum(max(reach, 0) for reach in far))
