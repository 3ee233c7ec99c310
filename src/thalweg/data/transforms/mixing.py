"""Pairs of examples mixed, and their targets with them."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from thalweg._tensor import Tensor
from thalweg.data.transforms.base import Transform, images
from thalweg.data.transforms.values import rectangles
from thalweg.errors import ConfigError
from thalweg.nn.functional.embedding import one_hot
from thalweg.ops.creation import tensor
from thalweg.ops.random import rand, randperm

__all__ = ["CutMix", "MixUp"]

_QUANTILES = 1024


class _Mixing(Transform):
    """lambda ~ Beta(alpha, alpha) of one example, the rest of another; targets likewise."""

    def __init__(self, alpha: float = 1.0, num_classes: int | None = None) -> None:
        if not alpha > 0 or not math.isfinite(alpha):
            raise ConfigError(f"{type(self).__name__}: alpha = {alpha!r}; expected more than 0")
        self.alpha, self.num_classes = alpha, num_classes

    def apply(self, x: Tensor) -> Tensor:
        raise ConfigError(
            f"{type(self).__name__} mixes targets too: call it with both, x, y = mix(x, y)"
        )

    def _share(self) -> Tensor:
        """lambda, of rank 0, for the whole batch: by the distribution's quantile function."""
        table = tensor(_beta_quantiles(self.alpha))
        place = rand(()) * _QUANTILES
        below = place.floor()
        index, part = below.long(), place - below
        return table[index] * (1 - part) + table[index + 1] * part

    def _probabilities(self, y: Tensor, dtype: object) -> Tensor:
        """Labels as probabilities; other targets as they are."""
        if y._value.dtype.kind == "f":
            return y
        if self.num_classes is None:
            raise ConfigError(
                f"{type(self).__name__}: targets of dtype {y.dtype} are labels: give num_classes, "
                "for their probabilities"
            )
        return one_hot(y, self.num_classes).to(dtype)


class MixUp(_Mixing):
    """x <- lambda x + (1 - lambda) x', and y likewise, with x', y' the batch in another order.

    lambda ~ Beta(alpha, alpha), one a batch. Labels become probabilities of `num_classes` classes,
    which `cross_entropy` takes.
    Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    >>> import thalweg as tw
    >>> x, y = MixUp(0.2, num_classes=10)(tw.randn(4, 3), tw.tensor([1, 2, 3, 4]))
    >>> y.shape, bool((y.sum(1) - 1).abs().max() < 1e-6)
    (Size([4, 10]), True)
    """

    def both(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Both mixed."""
        if y is None:
            return self.apply(x), None
        order, share = randperm(len(x)), self._share().to(x.dtype)
        targets = self._probabilities(y, x.dtype)
        return _mixed(x, x[order], share), _mixed(targets, targets[order], share)


class CutMix(_Mixing):
    """A rectangle of each image, 1 - lambda of its area, from another one; targets by its area.

    Source: Yun et al., "CutMix", ICCV 2019.

    >>> import thalweg as tw
    >>> x, y = CutMix(num_classes=2)(tw.rand(4, 3, 8, 8), tw.tensor([0, 1, 0, 1]))
    >>> x.shape, y.shape
    (Size([4, 3, 8, 8]), Size([4, 2]))
    """

    def both(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Both mixed."""
        if y is None:
            return self.apply(x), None
        full = images("CutMix", x)
        order, side = randperm(len(x)), (1 - self._share()).sqrt()
        height, width = full.shape[2:]
        inside = rectangles(side.expand(1) * height, side.expand(1) * width, height, width)
        share = 1 - inside.to(x.dtype).mean()
        targets = self._probabilities(y, x.dtype)
        mixed = full[order].where(inside, full).reshape(x.shape)
        return mixed, _mixed(targets, targets[order], share)


def _mixed(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    return a * share + b * (1 - share)


@lru_cache(maxsize=16)
def _beta_quantiles(alpha: float) -> tuple[float, ...]:
    """The quantiles 0, 1/1024, .. 1 of Beta(alpha, alpha), to about 1e-4.

    With x = sin^2(t) the density 2 sin^(2 alpha - 1) cos^(2 alpha - 1) of t is tame but for its
    ends, where small alpha has all its weight: there the grid is geometric.
    """
    near = np.geomspace(1e-160, 1e-3, 40_000)
    half = np.concatenate([[0.0], near, np.linspace(1e-3, np.pi / 4, 40_000)[1:]])
    middle = (half[1:] + half[:-1]) / 2
    with np.errstate(divide="ignore"):
        density = np.exp((2 * alpha - 1) * (np.log(np.sin(middle)) + np.log(np.cos(middle))))
    share = np.concatenate([[0.0], np.cumsum(density * np.diff(half))])
    share *= 0.5 / share[-1]
    levels = np.arange(_QUANTILES // 2 + 1) / _QUANTILES
    lower = np.sin(np.interp(levels, share, half)) ** 2
    return tuple(float(q) for q in [*lower, *(1 - lower[-2::-1])])
