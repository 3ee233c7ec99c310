"""Losses of regression: squared, absolute, Huber, and likelihoods of counts and measurements.

`input` holds predictions, `target` what was measured: the same shape (a `ShapeError` otherwise,
never broadcasting), floating or integer. `reduction` is "mean" (over all elements; the default),
"sum" or "none" (a loss an element); another word is a `ConfigError`.
"""

from __future__ import annotations

import math
from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import DataError, ShapeError
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.functional.checks import first_place, reduced, require, require_same_shape, weighted
from thalweg.ops.lift import floating
from thalweg.tape import composite

__all__ = [
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]


@checked()
def mse_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """(x - y)^2, the L2 loss; its mean over the samples is least squares.

    With `weight`, of input's shape, w times that; the mean divides by the sum of the weights.

    >>> import thalweg as tw
    >>> tw.nn.functional.mse_loss(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 4.0]))
    tensor(2.)

    Source: deck 001 ("L2 loss").
    """
    require_same_shape("mse_loss", input, target)
    return weighted("mse_loss", floating(input - target).square(), weight, reduction)


@checked()
def l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """|x - y|; where they are equal the derivative is 0. `weight` as in `mse_loss`.

    >>> import thalweg as tw
    >>> tw.nn.functional.l1_loss(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 4.0]))
    tensor(1.)
    """
    require_same_shape("l1_loss", input, target)
    return weighted("l1_loss", floating(input - target).abs(), weight, reduction)


def _huber_slope(g: Any, out: Any, d: Any, *, delta: float) -> Any:
    """d, limited to [-delta, delta]."""
    return g * d.maximum(-delta).minimum(delta)


@composite("huber", _huber_slope)
def _huber(d: Tensor, *, delta: float) -> Tensor:
    distance = d.abs()
    near = distance.minimum(delta)
    return near * (distance - near * 0.5)


@checked()
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = x - y.

    With `weight`, of input's shape, w times that; the mean is over the elements, as in PyTorch.

    Raises `ConfigError` unless delta > 0.

    >>> import thalweg as tw
    >>> tw.nn.functional.huber_loss(tw.tensor([0.5, 3.0]), tw.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])

    Source: Huber, "Robust estimation of a location parameter", 1964.
    """
    require_same_shape("huber_loss", input, target)
    losses = _huber(floating(input - target), delta=delta)
    if weight is not None:
        require_same_shape("huber_loss", losses, weight, "weight")
        losses = losses * weight
    return reduced("huber_loss", losses, reduction)


@checked(beta=least(0))
def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = x - y: Huber's over beta.

    beta = 0 is the L1 loss; a negative one a `ConfigError`.

    >>> import thalweg as tw
    >>> tw.nn.functional.smooth_l1_loss(tw.tensor([0.5, 3.0]), tw.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])

    Source: Girshick, "Fast R-CNN", 2015.
    """
    require_same_shape("smooth_l1_loss", input, target)
    d = floating(input - target)
    losses = _huber(d, delta=beta) / beta if beta else d.abs()
    return reduced("smooth_l1_loss", losses, reduction)


@checked()
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """-log P(y) for counts y with a Poisson distribution of rate e^x, without the term log y!.

    e^x - y x; with log_input=False, x is the rate itself: x - y log(x + eps). `full` adds
    Stirling's y log y - y + log(2 pi y) / 2 for log y!, where y > 1.

    >>> import thalweg as tw
    >>> tw.nn.functional.poisson_nll_loss(tw.tensor([0.0]), tw.tensor([3.0]))
    tensor(1.)
    """
    require_same_shape("poisson_nll_loss", input, target)
    x, y = floating(input), floating(target)
    losses = x.exp() - y * x if log_input else x - y * (x + eps).log()
    if full:
        many = y.maximum(1)
        stirling = many * many.log() - many + (many * (2 * math.pi)).log() * 0.5
        losses = losses + stirling.where(y > 1, 0)
    return reduced("poisson_nll_loss", losses, reduction)


@checked()
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """-log p(y) for y normal with mean x and variance v: (log v + (x - y)^2 / v) / 2.

    `var`: a number, a tensor of the shape of input, or one variance for each of its rows (the
    shape without the last dimension, or with size 1 there). Below `eps` it counts as eps, with
    the gradient passing through. `full` adds log(2 pi) / 2. A negative variance is a `DataError`.

    >>> import thalweg as tw
    >>> tw.nn.functional.gaussian_nll_loss(tw.zeros(2), tw.tensor([1.0, 3.0]), 1.0)
    tensor(2.5000)

    Source: Nix, Weigend, "Estimating the mean and variance of the target probability
    distribution", 1994.
    """
    require_same_shape("gaussian_nll_loss", input, target)
    v = _variances(input, var)
    require(v >= 0, lambda: _negative_variance(v))
    v = v + (v.maximum(eps) - v).detach()
    losses = (v.log() + (input - target).square() / v) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", losses, reduction)


def _variances(input: Tensor, var: Tensor | float) -> Tensor:
    shape = input._value.shape
    if not isinstance(var, Tensor):
        return floating(input).new_full((), var)
    given = var._value.shape
    if given == shape or (shape and given == (*shape[:-1], 1)):
        return floating(var)
    if shape and given == shape[:-1]:
        return floating(var).unsqueeze(-1)
    raise ShapeError(
        f"gaussian_nll_loss: var has shape {given}, expected that of input, {shape}, or one "
        f"variance for each of its rows, {shape[:-1]}"
    )


def _negative_variance(v: Tensor) -> DataError:
    place = first_place(~(v >= 0))
    return DataError(
        f"gaussian_nll_loss: var is {v[place].item():g} at {place}; a variance is 0 or more. "
        "Let the model give its logarithm, and pass var.exp()"
    )
