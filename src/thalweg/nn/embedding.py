"""Embeddings: a learned vector for each of a set of tokens."""

from __future__ import annotations

from typing import Any, Self

from thalweg._tensor import Parameter, Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn import functional as F
from thalweg.nn import init
from thalweg.nn.functional.arguments import checked, one_of
from thalweg.nn.functional.embedding import BAGS
from thalweg.nn.module import Module
from thalweg.ops.creation import empty
from thalweg.tape import no_grad

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What embeddings and bags of them have in common: rows of weights."""

    def _make(
        self, count: int, size: int, padding_idx: int | None, dtype: Any, weight: Tensor | None
    ) -> None:
        if padding_idx is not None and not -count <= padding_idx < count:
            raise ConfigError(
                f"{type(self).__name__}: padding_idx {padding_idx} is not one of {count} rows"
            )
        self.num_embeddings, self.embedding_dim = count, size
        self.padding_idx = None if padding_idx is None else padding_idx % count
        if weight is None:
            self.weight = Parameter(empty(count, size, dtype=dtype))
            self.reset_parameters()
        else:
            self.weight = Parameter(weight)

    def reset_parameters(self) -> None:
        """Draw the weights anew from N(0, 1); the padding row becomes zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def describe(self) -> str:
        """The layer with its sizes, such as "Embedding 10 x 3"."""
        return f"{type(self).__name__} {self.num_embeddings} x {self.embedding_dim}"


class Embedding(_Table):
    """Look up a row of `weight` (num_embeddings, embedding_dim) for each index.

    Indices: integers from 0 to num_embeddings - 1, of any shape (...); result (...,
    embedding_dim). The weights begin as N(0, 1). The row `padding_idx`, if given, begins as zeros
    and gets no gradient. With `max_norm`, rows whose `norm_type`-norm is larger are scaled down to
    it when they are looked up; `scale_grad_by_freq` divides the gradient of a row by the number of
    times it was. An index out of range is an error.

    >>> import thalweg as tw
    >>> tw.nn.Embedding(10, 3)(tw.tensor([[1, 2], [4, 4]])).shape
    Size([2, 2, 3])
    """

    @checked()
    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
        _weight: Tensor | None = None,
    ) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self._make(num_embeddings, embedding_dim, padding_idx, dtype, _weight)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
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
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq)
        layer = cls(count, size, *options, _weight=embeddings.detach())
        return layer.requires_grad_(not freeze)

    def forward(self, input: Tensor) -> Tensor:
        """The rows of `weight` at the indices in `input`."""
        options = (self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)
        return F.embedding(input, self.weight, *options)

    def extra_repr(self) -> str:
        """10, 3, padding_idx=0"""
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        given = [f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *given])


class EmbeddingBag(_Table):
    """The mean, sum or maximum of the rows that a bag of indices names, such as a text's words.

    Indices (B, n), or (n,) with `offsets` (B,) at which the bags begin; result (B, embedding_dim).
    The weights begin as N(0, 1), the row `padding_idx`, which does not count, as zeros. See
    `nn.functional.embedding_bag`.

    >>> import thalweg as tw
    >>> bag = tw.nn.EmbeddingBag(10, 3, mode="sum")
    >>> bag(tw.tensor([1, 2, 4, 5]), offsets=tw.tensor([0, 3])).shape
    Size([2, 3])
    """

    @checked(mode=one_of(*BAGS))
    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        *,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.mode = scale_grad_by_freq, mode
        self.include_last_offset = include_last_offset
        self._make(num_embeddings, embedding_dim, padding_idx, dtype, None)

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        """A row for each bag."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        """10, 3, mode='sum'"""
        usual = {"max_norm": None, "norm_type": 2, "scale_grad_by_freq": False, "mode": ""}
        given = [f"{k}={getattr(self, k)!r}" for k, v in usual.items() if getattr(self, k) != v]
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *given]) + padding
