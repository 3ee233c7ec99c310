"""Images of another size: interpolation, and channels that become places.

Interpolation goes an axis at a time: each place of the result is a weighted sum of a few places of
the input, which are gathered. Both are known from the sizes alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.functional.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d
from thalweg.nn.functional.arguments import checked, least, one_of
from thalweg.ops.creation import tensor
from thalweg.ops.lift import floating

__all__ = [
    "Factors",
    "MODES",
    "channel_shuffle",
    "cubic_weights",
    "interpolate",
    "pixel_shuffle",
    "pixel_unshuffle",
]

Factors: TypeAlias = float | Sequence[float] | None
_Taps = list[tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]]  # (places, weights) of an axis

# For each mode of interpolation, how many axes it is for.
MODES = {
    "nearest": (1, 2),
    "nearest-exact": (1, 2),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "area": (1, 2),
}
_CUBIC = -0.75  # the slope at the neighbours, as in PyTorch and OpenCV


@checked(mode=one_of(*MODES), size=least(1))
def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: Factors = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """Images, or sequences, of another size.

    Input (N, C, H, W) or (N, C, L); result (N, C, *size), or of floor(n * scale_factor) places
    along each axis; one of the two is given, a number for all axes or one each. `mode`:

        nearest           the place at floor(i / scale)
        nearest-exact     the place nearest to the middle of i
        linear, bilinear  the mean of the two (four) places around, weighted by nearness
        bicubic           a cubic through the four (sixteen) around, for images
        area              the mean of the places that fall on it: adaptive_avg_pool

    With `align_corners` the first and the last place keep theirs, else places are small squares
    and the edges of the image keep theirs. The scale is `scale_factor` where given, unless
    `recompute_scale_factor` asks for the quotient of the sizes. Errors: `ConfigError` for options
    that do not exist or fit, `ShapeError` for an input of another rank.

    >>> import thalweg as tw
    >>> x = tw.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> tw.nn.functional.interpolate(x, scale_factor=2)[0, 0]
    tensor([[1., 1., 2., 2.],
            [1., 1., 2., 2.],
            [3., 3., 4., 4.],
            [3., 3., 4., 4.]])
    >>> tw.nn.functional.interpolate(x, size=(2, 3), mode="bilinear", align_corners=True)[0, 0]
    tensor([[1.0000, 1.5000, 2.0000],
            [3.0000, 3.5000, 4.0000]])
    """
    rank = _rank(input, mode)
    if align_corners is not None and mode not in ("linear", "bilinear", "bicubic"):
        raise ConfigError(f"interpolate: align_corners is for linear modes and bicubic, not {mode}")
    shape = input._value.shape[-rank:]
    sizes, factors = _sizes(shape, size, scale_factor)
    if recompute_scale_factor:
        factors = (None,) * rank
    if mode == "area":
        return (adaptive_avg_pool1d if rank == 1 else adaptive_avg_pool2d)(input, sizes)
    x = floating(input) if "linear" in mode or "cubic" in mode else input
    for axis, (n, o, factor) in enumerate(zip(shape, sizes, factors, strict=True), start=-rank):
        if mode == "nearest" and o % n == 0 and factor in (None, o // n):
            x = x.repeat_interleave(o // n, axis) if o != n else x
        else:
            x = _along(x, axis, _taps(n, o, factor, mode, bool(align_corners)))
    return x


def _rank(input: Tensor, mode: str) -> int:
    shape = input._value.shape
    rank = len(shape) - 2
    if rank not in MODES[mode]:
        expected = " or ".join(("", "(N, C, L)", "(N, C, H, W)")[n] for n in MODES[mode])
        raise ShapeError(
            f"interpolate: an input of shape {expected} expected for mode {mode!r}, got {shape}"
        )
    return rank


def _sizes(
    shape: tuple[int, ...], size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The sizes of the result, and the factors that were given."""
    rank = len(shape)
    if (size is None) == (scale_factor is None):
        raise ConfigError("interpolate: either size or scale_factor is given, and not both")
    given = scale_factor if size is None else size
    each = tuple(given) if isinstance(given, Sequence) else (given,) * rank
    if len(each) != rank or not all(x > 0 for x in each):
        what = "scale_factor" if size is None else "size"
        raise ConfigError(
            f"interpolate: {what} is a number above 0, or {rank} of them, got {given!r}"
        )
    if size is not None:
        return tuple(int(n) for n in each), (None,) * rank
    sizes = tuple(math.floor(n * factor) for n, factor in zip(shape, each, strict=True))
    if min(sizes) < 1:
        raise ConfigError(f"interpolate: scale_factor {given!r} leaves nothing of size {shape}")
    return sizes, each


def _taps(n: int, o: int, factor: float | None, mode: str, align: bool) -> _Taps:
    """What the o places of a result take from n places: terms of (places, weights)."""
    step = np.float32(1 / factor) if factor else np.float32(n) / np.float32(o)
    places, one = np.arange(o, dtype=np.float64), np.ones(o)
    if mode.startswith("nearest"):
        middle = 0.5 if mode == "nearest-exact" else 0.0
        at = np.floor(((places + middle) * step).astype(np.float32)).astype(np.int64)
        return [(np.minimum(at, n - 1), one)]
    scale = ((n - 1) / (o - 1) if o > 1 else 0.0) if align else (1 / factor if factor else n / o)
    exact = places * scale if align else (places + 0.5) * scale - 0.5
    if mode != "bicubic":
        exact = np.maximum(exact, 0)
    first = np.floor(exact)
    rest, low = exact - first, first.astype(np.int64)
    if mode != "bicubic":
        return [(np.minimum(low, n - 1), 1 - rest), (np.minimum(low + 1, n - 1), rest)]
    weights = cubic_weights(rest)
    return [(np.clip(low + i - 1, 0, n - 1), weight) for i, weight in enumerate(weights)]


def cubic_weights(rest: Any) -> tuple[Any, Any, Any, Any]:
    """What four neighbours count at a place `rest`, from 0 to 1, behind the second of them."""
    return _far(rest + 1), _near(rest), _near(1 - rest), _far(2 - rest)


def _near(x: Any) -> Any:
    """The cubic kernel up to 1 from its middle. Source: Keys, "Cubic convolution", 1981."""
    return ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1


def _far(x: Any) -> Any:
    """The cubic kernel from 1 to 2."""
    return ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC


def _along(x: Tensor, axis: int, taps: _Taps) -> Tensor:
    terms = []
    for places, weights in taps:
        taken = x.index_select(axis, tensor(places))
        if len(taps) > 1:
            spread = (-1, *(1,) * (-1 - axis))
            taken = taken * tensor(weights, dtype=x.dtype).reshape(spread)
        terms.append(taken)
    return sum(terms[1:], terms[0])


# --- channels and places -------------------------------------------------------------------------


def _require_channels(name: str, input: Tensor, least: int, parts: int) -> None:
    """An error unless the channels, third from the end, divide by `parts`."""
    shape = input._value.shape
    if len(shape) < least:
        raise ShapeError(f"{name}: an input of shape (.., C, H, W) expected, got {shape}")
    if parts < 1 or shape[-3] % parts:
        raise ShapeError(
            f"{name}: input has shape {shape}; its {shape[-3]} channels must be a multiple of "
            f"{parts}"
        )


@checked()
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(.., C r^2, H, W) to (.., C, H r, W r): r x r channels as the places of a small square.

    >>> import thalweg as tw
    >>> tw.nn.functional.pixel_shuffle(tw.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", 2016.
    """
    r = upscale_factor
    _require_channels("pixel_shuffle", input, 3, r * r)
    *lead, channels, height, width = input._value.shape
    split = input.reshape(*lead, channels // (r * r), r, r, height, width)
    n = len(lead)
    mixed = split.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return mixed.reshape(*lead, channels // (r * r), height * r, width * r)


@checked()
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(.., C, H r, W r) to (.., C r^2, H, W): the reverse of `pixel_shuffle`.

    >>> import thalweg as tw
    >>> tw.nn.functional.pixel_unshuffle(tw.ones(1, 6, 4), 2).shape
    Size([4, 3, 2])
    """
    r = downscale_factor
    _require_channels("pixel_unshuffle", input, 3, 1)
    *lead, channels, height, width = input._value.shape
    if height % r or width % r:
        raise ShapeError(
            f"pixel_unshuffle: input has shape {input._value.shape}; {height} and {width} must be "
            f"multiples of {r}"
        )
    split = input.reshape(*lead, channels, height // r, r, width // r, r)
    n = len(lead)
    mixed = split.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return mixed.reshape(*lead, channels * r * r, height // r, width // r)


@checked()
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels of `groups` groups taken in turns, so that the next groups see all: (N, C, H, W).

    >>> import thalweg as tw
    >>> tw.nn.functional.channel_shuffle(tw.arange(4.0).reshape(1, 4, 1, 1), 2).flatten()
    tensor([0., 2., 1., 3.])

    Source: Zhang et al., "ShuffleNet", 2018.
    """
    _require_channels("channel_shuffle", input, 4, groups)
    shape = input._value.shape
    split = input.reshape(shape[0], groups, shape[1] // groups, *shape[2:])
    return split.transpose(1, 2).reshape(shape)
