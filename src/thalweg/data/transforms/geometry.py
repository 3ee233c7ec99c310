"""Images moved: flipped, cropped, turned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thalweg._tensor import Tensor
from thalweg.data.transforms.base import Transform, chosen, images, interval, probability
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.arguments import is_listed, is_whole
from thalweg.nn.functional.padding import pad
from thalweg.nn.functional.sampling import affine_grid, grid_sample
from thalweg.ops.creation import arange
from thalweg.ops.joining import stack
from thalweg.ops.random import rand, randint

__all__ = [
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
]


class _Flip(Transform):
    """Each image turned over along a dimension, with probability p."""

    _dim: int

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(type(self).__name__, p)

    def apply(self, x: Tensor) -> Tensor:
        full = images(type(self).__name__, x)
        return full.flip(self._dim).where(chosen(full, self.p), full).reshape(x.shape)


class RandomHorizontalFlip(_Flip):
    """Left and right exchanged, in each image with probability p. Source: deck 000.

    >>> import thalweg as tw
    >>> RandomHorizontalFlip(1.0)(tw.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    _dim = 3


class RandomVerticalFlip(_Flip):
    """Top and bottom exchanged, in each image with probability p."""

    _dim = 2


class RandomCrop(Transform):
    """A window of `size` at a random place of each image, after `padding` zeros on every side.

    size is (height, width) or one number for both. Raises `ShapeError` where an image is smaller.
    Source: deck 000; He et al., "Deep residual learning", 2015 (crops of 32 after padding by 4).

    >>> import thalweg as tw
    >>> RandomCrop(28, padding=2)(tw.ones(5, 1, 28, 28)).shape
    Size([5, 1, 28, 28])
    """

    def __init__(self, size: int | Sequence[int], padding: int = 0, fill: float = 0.0) -> None:
        pair = (size, size) if isinstance(size, int) else tuple(size) if is_listed(size) else ()
        if len(pair) != 2 or not all(is_whole(n) and n > 0 for n in pair):
            raise ConfigError(
                f"RandomCrop: size = {size!r}; expected one whole number above 0, or two"
            )
        if not is_whole(padding) or padding < 0:
            raise ConfigError(
                f"RandomCrop: padding = {padding!r}; expected a whole number, 0 or more"
            )
        self.size: tuple[int, int] = (int(pair[0]), int(pair[1]))
        self.padding, self.fill = padding, fill

    def apply(self, x: Tensor) -> Tensor:
        """A window of each image."""
        full = images("RandomCrop", x)
        if self.padding:
            full = pad(full, [self.padding] * 4, value=self.fill)
        n, channels, height, width = full.shape
        rows, columns = self.size
        if rows > height or columns > width:
            raise ShapeError(
                f"RandomCrop: windows of {self.size} from images of {(height, width)}, padding "
                "included; give a smaller size, or more padding"
            )
        top = randint(0, height - rows + 1, (n, 1, 1)) + arange(rows)[:, None]
        left = randint(0, width - columns + 1, (n, 1, 1)) + arange(columns)
        place = (top * width + left).flatten(1).unsqueeze(1).expand(n, channels, -1)
        window = full.flatten(2).gather(2, place)
        shape = (n, channels, *self.size) if x.ndim == 4 else (n, *self.size)
        return window.reshape(shape)


class RandomAffine(Transform):
    """Each image turned, shifted and scaled at random about its centre, bilinearly.

    degrees    turned by an angle from -degrees to degrees, or in (low, high); counter-clockwise
    translate  shifted by at most these shares of (width, height), or not
    scale      grown by a factor in (low, high), or not

    What comes from outside is 0.

    >>> import thalweg as tw
    >>> RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1))(tw.ones(5, 28, 28)).shape
    Size([5, 28, 28])
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        translate: tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
    ) -> None:
        name = type(self).__name__
        pair = (-abs(degrees), abs(degrees)) if isinstance(degrees, int | float) else degrees
        self.degrees = interval(name, "degrees", pair, -math.inf)
        self.translate = None if translate is None else _shares(name, translate)
        self.scale = None if scale is None else interval(name, "scale", scale, 1e-6)

    def apply(self, x: Tensor) -> Tensor:
        """Each image by a map of its own."""
        full = images(type(self).__name__, x)
        n, _, height, width = full.shape
        grid = affine_grid(self._maps(n, height, width), tuple(full.shape))
        return grid_sample(full, grid.to(full.dtype)).reshape(x.shape)

    def _maps(self, n: int, height: int, width: int) -> Tensor:
        """From places in the result to places in the image, (n, 2, 3): the inverse of what moves.

        A place (x, y) is counted in halves of the width and of the height: turning happens in
        pixels, so that of images that are no squares it is a turning too.
        """
        angle = _between(n, *self.degrees) * (math.pi / 180)
        shrunk = 1 / _between(n, *self.scale) if self.scale else angle.new_ones(n)
        cos, sin, ratio = angle.cos() * shrunk, angle.sin() * shrunk, height / width
        right, down = self.translate or (0.0, 0.0)
        tx, ty = _between(n, -2 * right, 2 * right), _between(n, -2 * down, 2 * down)
        first = stack([cos, -sin * ratio, -cos * tx + sin * ratio * ty], -1)
        second = stack([sin / ratio, cos, -sin / ratio * tx - cos * ty], -1)
        return stack([first, second], 1)


class RandomRotation(RandomAffine):
    """Each image turned about its centre by an angle from -degrees to degrees, or in (low, high).

    >>> import thalweg as tw
    >>> image = tw.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> RandomRotation((90, 90))(image).round()
    tensor([[[2., 4.],
             [1., 3.]]])
    """

    def __init__(self, degrees: float | tuple[float, float]) -> None:
        super().__init__(degrees)


def _shares(name: str, translate: Any) -> tuple[float, float]:
    try:
        right, down = map(float, translate)
    except (TypeError, ValueError):
        right = down = math.nan
    if not (0 <= right <= 1 and 0 <= down <= 1):
        raise ConfigError(
            f"{name}: translate = {translate!r}; expected two shares, (right, down), from 0 to 1"
        )
    return right, down


def _between(n: int, low: float, high: float) -> Tensor:
    return rand(n) * (high - low) + low
