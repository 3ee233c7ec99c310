"""Choices by chance that a gradient goes through."""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.dtypes import finfo
from thalweg.nn.functional.arguments import above, checked
from thalweg.ops.activations import softmax
from thalweg.ops.creation import arange
from thalweg.ops.lift import floating, to_dtype
from thalweg.ops.random import Generator, rand
from thalweg.primitives.core import normalize_axis

__all__ = ["gumbel_softmax"]


@checked(tau=above(0))
def gumbel_softmax(
    logits: Tensor,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """softmax((x + g) / tau) along `dim`, with independent Gumbel numbers g = -log(-log u).

    The largest element is class c with probability softmax(x)_c; the smaller the temperature
    `tau`, the nearer it is to 1. With `hard` the result is 1 there and 0 elsewhere, and the
    gradient that of the soft one. `eps` is PyTorch's and means nothing. The numbers come from
    `generator`, or the default one that `tw.manual_seed` sets.

    Raises `ShapeError` for a dimension that there is not.

    >>> import thalweg as tw
    >>> tw.nn.functional.gumbel_softmax(tw.tensor([0.0, 80.0, 0.0]), hard=True)
    tensor([0., 1., 0.])

    Source: Jang et al., "Categorical reparameterization with Gumbel-softmax", 2017.
    """
    x = floating(logits)
    axis = normalize_axis("gumbel_softmax", dim, x.ndim)
    race = -(1 - rand(x.shape, dtype=x.dtype, generator=generator)).log()
    gumbel = -race.clamp(finfo(x.dtype).eps / 4).log()
    soft = softmax((x + gumbel) / tau, axis)
    if not hard:
        return soft
    places = arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    chosen = to_dtype(places.eq(soft.detach().argmax(axis, keepdim=True)), x.dtype)
    return chosen - soft.detach() + soft
