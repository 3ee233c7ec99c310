"""Lengths, angles and distances of vectors along one dimension."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.nn.functional.arguments import checked

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


@checked()
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(||x||_p, eps) along `dim`: vectors of length 1; a vector of zeros stays zeros.

    Any shape that has `dim`; the result has the same.

    >>> import thalweg as tw
    >>> tw.nn.functional.normalize(tw.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


@checked()
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(||x1||, eps) max(||x2||, eps)) along `dim`, which is dropped.

    The other dimensions broadcast.

    >>> import thalweg as tw
    >>> a, b = tw.tensor([[1.0, 0.0]]), tw.tensor([[1.0, 1.0]])
    >>> tw.nn.functional.cosine_similarity(a, b)
    tensor([0.7071])
    """
    return (normalize(x1, 2.0, dim, eps) * normalize(x2, 2.0, dim, eps)).sum(dim)


@checked()
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """||x1 - x2 + eps||_p along the last dimension, which is dropped unless `keepdim`.

    The other dimensions broadcast. `eps` keeps the derivative finite where both are equal.

    >>> import thalweg as tw
    >>> tw.nn.functional.pairwise_distance(tw.tensor([[3.0, 0.0]]), tw.tensor([[0.0, 4.0]]))
    tensor([5.])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim)
