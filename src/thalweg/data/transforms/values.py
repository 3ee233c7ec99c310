"""The values of pixels changed: normalized, noisy, erased."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thalweg._tensor import Tensor
from thalweg.data.transforms.base import Transform, chosen, images, interval, probability
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.creation import arange, tensor
from thalweg.ops.random import rand, randn_like

__all__ = ["GaussianNoise", "Normalize", "RandomErasing", "rectangles"]


class Normalize(Transform):
    """(x - mean) / std, of each channel by its own numbers where several are given.

    >>> import thalweg as tw
    >>> Normalize([0.0, 1.0], [1.0, 2.0])(tw.ones(1, 2, 1, 1)).flatten()
    tensor([1., 0.])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = _numbers(mean), _numbers(std)
        if len(self.mean) != len(self.std) or not all(s > 0 for s in self.std):
            raise ConfigError(
                f"Normalize: mean = {mean!r}, std = {std!r}; expected as many of one as of the "
                "other, the standard deviations above 0"
            )

    def apply(self, x: Tensor) -> Tensor:
        """The normalized images."""
        full = images("Normalize", x)
        if len(self.mean) not in (1, full.shape[1]):
            raise ShapeError(
                f"Normalize: {len(self.mean)} means for images of {full.shape[1]} channels"
            )
        mean = tensor(self.mean, dtype=full.dtype).reshape(-1, 1, 1)
        std = tensor(self.std, dtype=full.dtype).reshape(-1, 1, 1)
        return ((full - mean) / std).reshape(x.shape)


class GaussianNoise(Transform):
    """x + mean + sigma e, with e normal in every pixel; afterwards from 0 to 1 with `clip`.

    >>> import thalweg as tw
    >>> noisy = GaussianNoise(sigma=0.1)(tw.full((2, 8, 8), 0.5))
    >>> bool((noisy >= 0).all() and (noisy <= 1).all() and (noisy != 0.5).any())
    True
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        if not sigma >= 0:
            raise ConfigError(f"GaussianNoise: sigma = {sigma!r}; expected 0 or more")
        self.mean, self.sigma, self.clip = mean, sigma, clip

    def apply(self, x: Tensor) -> Tensor:
        """The noisy batch, of any shape."""
        if not x.is_floating_point():
            raise DTypeError(
                f"GaussianNoise: images of {x.dtype!r}; expected float32 or float64, from 0 to 1 "
                "with clip: x.float() / 255"
            )
        noisy = x + self.mean + self.sigma * randn_like(x)
        return noisy.clamp(0, 1) if self.clip else noisy


class RandomErasing(Transform):
    """A rectangle of each image set to `value`, with probability p.

    Its area is a share in `scale` of the image's, its height over width in `ratio`.
    Source: Zhong et al., "Random erasing data augmentation", AAAI 2020.

    >>> import thalweg as tw
    >>> erased = RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))(tw.ones(1, 1, 8, 8))
    >>> int((erased == 0).sum())
    16
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float = 0.0,
    ) -> None:
        self.p = probability("RandomErasing", p)
        self.scale = interval("RandomErasing", "scale", scale, 0)
        self.ratio = interval("RandomErasing", "ratio", ratio, 1e-6)
        if self.scale[1] > 1:
            raise ConfigError(f"RandomErasing: scale = {scale!r}; expected shares up to 1")
        self.value = value

    def apply(self, x: Tensor) -> Tensor:
        """The images with a rectangle less."""
        full = images("RandomErasing", x)
        n, _, height, width = full.shape
        area = _drawn(n, *self.scale) * (height * width)
        ratio = _drawn(n, math.log(self.ratio[0]), math.log(self.ratio[1])).exp()
        inside = rectangles((area * ratio).sqrt(), (area / ratio).sqrt(), height, width)
        erased = inside & chosen(full, self.p)
        return full.where(~erased, self.value).reshape(x.shape)


def rectangles(high: Tensor, wide: Tensor, height: int, width: int) -> Tensor:
    """Masks (N, 1, height, width) of rectangles of these sizes, each at a random place inside."""
    rows, columns = high.round().clamp(1, height), wide.round().clamp(1, width)
    top = (rand(len(rows)) * (height - rows + 1)).floor()[:, None]
    left = (rand(len(rows)) * (width - columns + 1)).floor()[:, None]
    y, x = arange(height).float(), arange(width).float()
    in_rows = (y >= top) & (y < top + rows[:, None])
    in_columns = (x >= left) & (x < left + columns[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _drawn(n: int, low: float, high: float) -> Tensor:
    return rand(n) * (high - low) + low


def _numbers(given: float | Sequence[float]) -> tuple[float, ...]:
    return (float(given),) if isinstance(given, int | float) else tuple(map(float, given))
