"""The length of a parameter, a gradient or a step."""

from __future__ import annotations

import math

from thalweg._tensor import Tensor

__all__ = ["norm", "rms"]


def norm(x: Tensor) -> Tensor:
    """||x||, the 2-norm of all elements.

    >>> import thalweg as tw
    >>> norm(tw.tensor([[1.0, 2.0], [4.0, 2.0]]))
    tensor(5.)
    """
    return (x * x).sum().sqrt()


def rms(x: Tensor) -> Tensor:
    """||x|| / sqrt(n), the root mean square of the n elements; of none it is 0.

    >>> import thalweg as tw
    >>> rms(tw.tensor([[1.0, 2.0], [4.0, 2.0]]))
    tensor(2.5000)
    """
    return norm(x) / math.sqrt(max(1, x.numel()))
