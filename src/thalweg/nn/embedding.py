"""Embeddings: a learned vector for each of a set of tokens."""

from __future__ import annotations

from typing import Any, Self

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.module import Module
from thalweg.ops.creation import empty
from thalweg.tape import no_grad

__all__ = ["Embedding"]


class Embedding(Module):
    """Look up a row of `weight` (num_embeddings, embedding_dim) for each index.

    Indices: integers from 0 to num_embeddings - 1, of any shape (...); result (...,
    embedding_dim). The weights begin as N(0, 1). The row `padding_idx`, if given, begins as zeros
    and gets no gradient. An index out of range is an error.

    >>> import thalweg as tw
    >>> tw.nn.Embedding(10, 3)(tw.tensor([[1, 2], [4, 4]])).shape
    Size([2, 2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: Any = None,
        _weight: Tensor | None = None,
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ConfigError(
                f"Embedding: padding_idx {padding_idx} is not one of {num_embeddings} rows"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        if _weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype))
            self.reset_parameters()
        else:
            self.weight = Parameter(_weight)

    def reset_parameters(self) -> None:
        """Draw the weights anew from N(0, 1); the padding row becomes zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None
    ) -> Self:
        """An embedding with these weights, (num_embeddings, embedding_dim); frozen or trained.

        >>> import thalweg as tw
        >>> layer = tw.nn.Embedding.from_pretrained(tw.eye(3))
        >>> layer(tw.tensor(2)), layer.weight.requires_grad
        (tensor([0., 0., 1.]), False)
        """
        if embeddings.ndim != 2:
            raise ShapeError(
                f"from_pretrained: a matrix of embeddings expected, got shape {embeddings.shape}"
            )
        count, size = embeddings.shape
        layer = cls(count, size, padding_idx, _weight=embeddings.detach())
        return layer.requires_grad_(not freeze)

    def forward(self, indices: Tensor) -> Tensor:
        """The rows of `weight` at `indices`."""
        return F.embedding(indices, self.weight, self.padding_idx)

    def describe(self) -> str:
        """The layer with its sizes, such as "Embedding 10 x 3"."""
        return f"{type(self).__name__} {self.num_embeddings} x {self.embedding_dim}"

    def extra_repr(self) -> str:
        """10, 3, padding_idx=0"""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
