"""MNIST-1D, generated: ten short curves, one a digit, each drawn 500 times and disturbed.

A stand-in for MNIST that a small network learns in seconds, on which linear, dense, convolutional
and recurrent networks still differ. The constants and the order of the random draws are those
published with the paper, so that `generate()` gives the published 4,000 + 1,000 signals, number for
number. `numpy.random.RandomState` is used for that reason only: its stream is frozen for good.

Source: S. Greydanus, D. Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024
(arXiv:2011.14439); constants from github.com/greydanus/mnist1d, Apache-2.0.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from thalweg.data.splits import Parts
from thalweg.errors import ConfigError

__all__ = ["LENGTH", "generate", "read"]

Array = npt.NDArray[Any]

LENGTH: Final = 40
"""Samples in a signal."""

# The height of each digit's stroke at twelve points along it.
# fmt: off
_TEMPLATES: Final = np.array([
    [5.0, 6.0, 6.50, 6.75, 7.0, 7.00, 7.00, 7.0, 6.75, 6.5, 6.0, 5.0],
    [5.0, 3.0, 3.00, 3.40, 3.8, 4.20, 4.60, 5.0, 5.40, 5.8, 5.0, 5.0],
    [5.0, 6.0, 6.50, 6.50, 6.0, 5.25, 4.75, 4.0, 3.50, 3.5, 4.0, 5.0],
    [5.0, 6.0, 6.50, 6.50, 6.0, 5.00, 5.00, 6.0, 6.50, 6.5, 6.0, 5.0],
    [5.0, 4.4, 3.80, 3.20, 2.6, 2.60, 5.00, 5.0, 5.00, 5.0, 5.0, 5.0],
    [5.0, 3.0, 3.00, 3.00, 3.0, 5.00, 6.00, 6.5, 6.50, 6.0, 4.5, 5.0],
    [5.0, 4.0, 3.50, 3.25, 3.0, 3.00, 3.00, 3.0, 3.25, 3.5, 4.0, 5.0],
    [5.0, 7.0, 7.00, 6.60, 6.2, 5.80, 5.40, 5.0, 4.60, 4.2, 5.0, 5.0],
    [5.0, 4.0, 3.50, 3.50, 4.0, 5.00, 5.00, 4.0, 3.50, 3.5, 4.0, 5.0],
    [5.0, 4.0, 3.50, 3.50, 4.0, 5.00, 5.00, 5.0, 5.00, 4.7, 4.3, 5.0],
])
# fmt: on
_CLASSES, _POINTS = _TEMPLATES.shape
_PADDING: Final = (36, 60)  # zeros appended to a template, at least and at most
_WIDTH: Final = _POINTS + _PADDING[1]  # samples while the signal is disturbed
_SHIFT: Final = 48  # moved around the circle by fewer than this many samples
_SCALE: Final = 0.4  # width of the range of heights around 1
_SHEAR: Final = 0.75
_SMOOTH_NOISE: Final = 0.25  # fills the zeros
_NOISE: Final = 0.02  # on every sample
_BLUR: Final = 2.0  # standard deviation, in samples, of the blur that correlates the noise
_NONZERO: Final = 1e-8  # tells a template's zeros from the padding's


def read(dev: int = 500) -> Parts:
    """3,500 training, 500 development (the last of the published 4,000) and 1,000 test signals."""
    x, y = generate()
    x, x_test, y, y_test = x[:4000], x[4000:], y[:4000], y[4000:]
    return Parts((x[:-dev], y[:-dev]), (x[-dev:], y[-dev:]), (x_test, y_test))


def generate(count: int = 5000, seed: int = 42) -> tuple[Array, npt.NDArray[np.int64]]:
    """Signals (count, 40) of float32, in random order, with labels (count,) of 0 to 9.

    `count` is a multiple of 10. The whole set is shifted and scaled to mean 0 and standard
    deviation 1. With the defaults, the first 4,000 are the published training set, and the rest
    its test set.

    >>> x, y = generate(100)
    >>> x.shape, y.shape
    ((100, 40), (100,))
    """
    if count < _CLASSES or count % _CLASSES:
        raise ConfigError(
            f"{count} signals; expected a multiple of {_CLASSES}, as many of each digit"
        )
    random = np.random.RandomState(seed)
    curves = _curves()
    labels = np.repeat(np.arange(_CLASSES, dtype=np.int64), count // _CLASSES)
    x = np.stack([_disturbed(curves[label], random) for label in labels])
    order = random.permutation(count)
    x, labels = x[order], labels[order]
    return ((x - x.mean()) / x.std()).astype(np.float32), labels


def _curves() -> Array:
    """The templates at mean 0 and standard deviation 1, then moved so that each starts at 0."""
    x = _TEMPLATES - _TEMPLATES.mean(1, keepdims=True)
    x /= x.std(1, keepdims=True)
    return np.asarray((x - x[:, :1]) / 6.0)


def _disturbed(curve: Array, random: np.random.RandomState) -> Array:
    """One signal: padded, stretched, scaled, moved, noise added, sheared, sampled at 40 points."""
    low, high = _PADDING
    zeros = np.zeros(low + int(random.rand() * (high - low + 1)))
    x = _resample(np.concatenate([curve + _NONZERO, zeros]), _WIDTH)
    x *= 1 + _SCALE * (random.rand() - 0.5)
    x = np.roll(x, random.choice(_SHIFT))
    background = _blur(_SMOOTH_NOISE * random.randn(_WIDTH))
    x = np.where(x != 0, x, background) + _NOISE * random.randn(_WIDTH)
    x -= _SHEAR * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, _WIDTH)
    return _resample(x, LENGTH)


def _resample(x: Array, length: int) -> Array:
    """`x` at `length` equally spaced points from its first sample to its last, linearly."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(x)), x)


def _blur(x: Array) -> Array:
    """Convolution with a Gaussian cut at four standard deviations, the ends mirrored."""
    reach = int(4 * _BLUR)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _BLUR) ** 2)
    return np.convolve(np.pad(x, reach, mode="symmetric"), kernel / kernel.sum(), "valid")
