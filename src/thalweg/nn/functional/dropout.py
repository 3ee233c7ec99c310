"""Dropout. Its channel-wise and time-wise variants draw smaller masks, that broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from thalweg._tensor import Tensor
from thalweg.errors import ShapeError
from thalweg.nn.functional.arguments import between, checked
from thalweg.ops.lift import floating, to_dtype
from thalweg.ops.random import Generator, default_generator
from thalweg.primitives.core import normalize_axis
from thalweg.tape import no_grad

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "feature_alpha_dropout",
    "variational_dropout",
]

_SATURATED = -1.7580993408473766  # what SELU becomes far below 0: -scale * alpha


@checked(p=between(0, 1))
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
    return _dropped(input, p, training, generator)


@checked(p=between(0, 1))
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, *, generator: Generator | None = None
) -> Tensor:
    """Dropout of whole channels of sequences: (N, C, L) or (C, L), one draw for each channel.

    Neighbouring places say much the same, so that dropping single ones would turn little off.
    Otherwise as `dropout`.

    >>> import thalweg as tw
    >>> z = tw.nn.functional.dropout1d(tw.ones(50, 4, 3))
    >>> bool((z.amax(2) == z.amin(2)).all())
    True

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """
    rank = _rank("dropout1d", input, (2, 3), "(N, C, L) or (C, L)")
    return _dropped(input, p, training, generator, range(rank - 1, rank))


@checked(p=between(0, 1))
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, *, generator: Generator | None = None
) -> Tensor:
    """Dropout of whole channels of images: (N, C, H, W), one draw for each channel of each.

    An input (N, C, L) is taken as `dropout1d` takes it, as in PyTorch. Otherwise as `dropout`.

    >>> import thalweg as tw
    >>> z = tw.nn.functional.dropout2d(tw.ones(50, 4, 3, 3))
    >>> bool((z.amax((2, 3)) == z.amin((2, 3))).all())
    True
    """
    rank = _rank("dropout2d", input, (3, 4), "(N, C, H, W) or (N, C, L)")
    return _dropped(input, p, training, generator, range(2, rank))


@checked(p=between(0, 1))
def variational_dropout(
    input: Tensor,
    p: float = 0.5,
    dim: int = 0,
    training: bool = True,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Dropout with one mask for all steps of a sequence: `dim` is the dimension of the steps.

    The same units are off from the first step to the last, where a mask a step would let a
    recurrent network see each unit sooner or later. Otherwise as `dropout`.

    >>> import thalweg as tw
    >>> z = tw.nn.functional.variational_dropout(tw.ones(7, 2, 5), dim=0)
    >>> bool((z == z[0]).all())
    True

    Source: Gal, Ghahramani, "A theoretically grounded application of dropout in recurrent neural
    networks", 2016.
    """
    axis = normalize_axis("variational_dropout", dim, len(input._value.shape))
    return _dropped(input, p, training, generator, (axis,))


@checked(p=between(0, 1))
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Dropout that keeps mean 0 and variance 1, for networks of SELU: a (z m + s (1 - m)) + b.

    s is what SELU becomes far below 0, -1.758; a = ((1 - p) (1 + p s^2))^(-1/2), b = -a p s.
    Otherwise as `dropout`, but off unless `training`, as in PyTorch.

    >>> import thalweg as tw
    >>> _ = tw.manual_seed(0)
    >>> z = tw.nn.functional.alpha_dropout(tw.randn(10000), 0.2, training=True)
    >>> bool(z.mean().abs() < 0.05), bool((z.var() - 1).abs() < 0.05)
    (True, True)

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return _dropped(input, p, training, generator, (), _saturated)


@checked(p=between(0, 1))
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`alpha_dropout` of whole channels: (N, C, ..), one draw for each channel.

    >>> import thalweg as tw
    >>> z = tw.nn.functional.feature_alpha_dropout(tw.ones(50, 4, 3), training=True)
    >>> bool((z.amax(2) == z.amin(2)).all())
    True
    """
    rank = len(input._value.shape)
    if rank < 2:
        raise ShapeError(
            f"feature_alpha_dropout: an input of shape (N, C, ..) expected, got "
            f"{input._value.shape}"
        )
    return _dropped(input, p, training, generator, range(2, rank), _saturated)


def _scaled(x: Tensor, mask: Tensor, p: float) -> Tensor:
    return x * (mask * (1 / (1 - p)))


def _saturated(x: Tensor, mask: Tensor, p: float) -> Tensor:
    scale = 1 / math.sqrt((1 - p) * (1 + p * _SATURATED**2))
    shift = -scale * p * _SATURATED
    return (x * mask + (1 - mask) * _SATURATED) * scale + shift


def _rank(name: str, input: Tensor, ranks: tuple[int, ...], expected: str) -> int:
    shape = input._value.shape
    if len(shape) not in ranks:
        raise ShapeError(f"{name}: an input of shape {expected} expected, got {shape}")
    return len(shape)


def _dropped(
    input: Tensor,
    p: float,
    training: bool,
    generator: Generator | None,
    together: Iterable[int] = (),
    rule: Callable[[Tensor, Tensor, float], Tensor] = _scaled,
) -> Tensor:
    """What `rule` makes of input and mask; one draw along the dimensions in `together`."""
    if not training or p == 0:
        return input
    x = floating(input)
    if p == 1:
        return x * x.detach().zeros_like()
    return rule(x, _mask(x, p, generator, together), p)


@no_grad()
def _mask(x: Tensor, p: float, generator: Generator | None, together: Iterable[int]) -> Tensor:
    """m: random bits, as a number from 0 to 2^32 - 1, are at least p 2^32, or not."""
    shared = set(together)
    shape = tuple(1 if axis in shared else n for axis, n in enumerate(x._value.shape))
    bits = (generator or default_generator).bits(shape)
    return to_dtype(bits >= min(round(p * 2**32), 2**32 - 1), x.dtype)
