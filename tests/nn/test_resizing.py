"""Padding, resizing and adaptive pooling as layers: what they refuse, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError, ThalwegError

# fmt: off
REFUSED: dict[str, tuple[Any, type[ThalwegError], str]] = {
    "three sides":      (lambda: nn.ZeroPad2d((1, 2, 3)), ConfigError, "ZeroPad2d: .*4 of them"),
    "no channels":      (lambda: nn.ReflectionPad1d(1)(tw.ones(4)), ShapeError, r"\(N, C, L\)"),
    "more than there":  (lambda: nn.ReflectionPad1d(3)(tw.ones(1, 3)), ShapeError, "reflect has 2"),
    "no size":          (nn.Upsample, ConfigError, "either size or scale_factor"),
    "two sizes":        (lambda: nn.Upsample(4, 2.0), ConfigError, "not both"),
    "no pixels":        (lambda: nn.PixelShuffle(3)(tw.ones(4, 2, 2)), ShapeError, "multiple of 9"),
    "no output":        (lambda: nn.AdaptiveAvgPool2d(0), ConfigError, "AdaptiveAvgPool2d: output"),
    "three outputs":    (lambda: nn.AdaptiveMaxPool1d((1, 2)), ConfigError, "output_size"),
    "no kernel":        (lambda: nn.LPPool2d(2, 0), ConfigError, "LPPool2d: kernel_size"),
}
# fmt: on


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()


def test_an_image_of_any_size_becomes_one_of_a_given_size() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten())
    for size in ((9, 9), (7, 12), (5, 5)):
        assert model(tw.ones(2, 1, *size)).shape == (2, 24)
    assert model[1].describe() == "AdaptiveAvgPool2d 2 x 3"
    assert nn.AdaptiveMaxPool2d((None, 1)).describe() == "AdaptiveMaxPool2d None x 1"


def test_upsampling_by_a_factor_keeps_means() -> None:
    x = tw.randn(2, 3, 4, 5)
    for mode in ("nearest", "nearest-exact", "area"):
        y = nn.Upsample(scale_factor=3, mode=mode)(x)
        assert tw.allclose(nn.AvgPool2d(3)(y), x, atol=1e-6)
