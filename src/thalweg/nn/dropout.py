"""Dropout. Its channel-wise and time-wise variants join it here."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.nn import functional as F
from thalweg.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
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

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        if not 0 <= p <= 1:
            raise ConfigError(f"Dropout: p is a probability, from 0 to 1; got {p!r}")
        self.p = p
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """z m / (1 - p), or x in eval mode."""
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """p=0.5, inplace=False"""
        return f"p={self.p}, inplace={self.inplace}"
