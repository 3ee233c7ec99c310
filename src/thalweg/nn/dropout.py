"""Dropout as layers: on while training, off in eval mode."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import between, checked
from thalweg.nn.module import Module

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "FeatureAlphaDropout",
    "VariationalDropout",
]


class _Dropout(Module):
    """What all kinds of dropout have in common."""

    @checked(p=between(0, 1))
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        """p=0.5, inplace=False"""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """While training, turn off each element with probability p; in eval mode, the identity.

    z' = z m / (1 - p), with m ~ Bernoulli(1 - p) drawn anew at each call, for z of any shape: the
    expected value is z, and no gradient goes to what was turned off. Usual are 0.1 <= p <= 0.5,
    on the input and after activations, never on the logits. `inplace` changes nothing: tensors
    are values. Source: deck 000; Srivastava et al. 2014.

    >>> import thalweg as tw
    >>> _ = tw.manual_seed(0)
    >>> layer = tw.nn.Dropout(0.5)
    >>> sorted(set(layer(tw.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(tw.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """z m / (1 - p), or the input in eval mode."""
        return F.dropout(input, self.p, self.training)


class Dropout1d(_Dropout):
    """Dropout of whole channels of sequences: (N, C, L) or (C, L). See `F.dropout1d`.

    >>> import thalweg as tw
    >>> z = tw.nn.Dropout1d(0.5)(tw.ones(4, 3, 5))
    >>> bool((z[..., 0] == z[..., 4]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some channels off, the others times 1 / (1 - p); or the input in eval mode."""
        return F.dropout1d(input, self.p, self.training)


class Dropout2d(_Dropout):
    """Dropout of whole channels of images: (N, C, H, W). See `F.dropout2d`.

    >>> import thalweg as tw
    >>> z = tw.nn.Dropout2d(0.5)(tw.ones(4, 3, 5, 5))
    >>> bool((z[..., 0, 0] == z[..., 4, 4]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some channels off, the others times 1 / (1 - p); or the input in eval mode."""
        return F.dropout2d(input, self.p, self.training)


class VariationalDropout(_Dropout):
    """Dropout for sequences: one mask for all their steps, another for each sequence.

    x: (L, N, E) or (L, E), with `batch_first` (N, L, E); the result has the same shape. Drawn
    anew at each call. PyTorch has none; put it between recurrent layers, or in front of one. With
    batch_first=False an unbatched (L, E) has its steps first as well.

    >>> import thalweg as tw
    >>> z = tw.nn.VariationalDropout(0.5, batch_first=True)(tw.ones(4, 7, 5))
    >>> bool((z[:, 0] == z[:, 6]).all())
    True

    Source: deck 000 (time-wise dropout); Gal, Ghahramani, "A theoretically grounded application of
    dropout in recurrent neural networks", 2016.
    """

    @checked(p=between(0, 1))
    def __init__(self, p: float = 0.5, batch_first: bool = False) -> None:
        self.p = p
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        """x with units off in all steps, the others times 1 / (1 - p); or x in eval mode."""
        dim = 1 if self.batch_first and x.ndim > 2 else 0
        return F.variational_dropout(x, self.p, dim, self.training)

    def extra_repr(self) -> str:
        """p=0.5, batch_first=False"""
        return f"p={self.p}, batch_first={self.batch_first}"


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, behind SELU. See `F.alpha_dropout`.

    >>> import thalweg as tw
    >>> tw.nn.AlphaDropout(0.2).eval()(tw.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some elements saturated, all shifted and scaled; or the input in eval mode."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels: (N, C, ..). See `F.feature_alpha_dropout`.

    >>> import thalweg as tw
    >>> z = tw.nn.FeatureAlphaDropout()(tw.ones(4, 3, 5))
    >>> bool((z[..., 0] == z[..., 4]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some channels saturated, all shifted and scaled; or the input in eval mode."""
        return F.feature_alpha_dropout(input, self.p, self.training)
