"""Dropout. Its channel-wise and time-wise variants will draw smaller masks, that broadcast."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError
from thalweg.ops.lift import floating, to_dtype
from thalweg.ops.random import Generator, default_generator
from thalweg.tape import no_grad

__all__ = ["dropout"]


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, *, generator: Generator | None = None
) -> Tensor:
    """z m / (1 - p), with m = 0 with probability p, else 1, drawn for every element of z.

    Any shape, floating; the expected value is z. The gradient goes through the same mask: none
    for what was turned off. Not `training`, or p = 0: z itself; p = 1: zeros. The mask comes
    from `generator`, or the default one that `tw.manual_seed` sets. Raises `ConfigError` if p is
    outside [0, 1].

    >>> import thalweg as tw
    >>> _ = tw.manual_seed(0)
    >>> z = tw.nn.functional.dropout(tw.ones(1000), p=0.2)
    >>> sorted(set(z.tolist())), z.mean()
    ([0.0, 1.25], tensor(1.0075))

    Source: deck 000; Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.
    """
    if not 0 <= p <= 1:
        raise ConfigError(f"dropout: p is a probability, from 0 to 1; got {p!r}")
    if not training or p == 0:
        return input
    x = floating(input)
    return x * _mask(x, p, generator or default_generator)


@no_grad()
def _mask(x: Tensor, p: float, generator: Generator) -> Tensor:
    """m / (1 - p): random bits, as a number from 0 to 2^32 - 1, are at least p 2^32, or not."""
    if p == 1:
        return x.zeros_like()
    kept = generator.bits(x._value.shape) >= min(round(p * 2**32), 2**32 - 1)
    return to_dtype(kept, x.dtype) * (1 / (1 - p))
