"""Pooling layers: the functions with their options kept, and how they print."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError

# fmt: off
LAYERS: dict[str, tuple[nn.Module, Any, dict[str, Any]]] = {
    "MaxPool1d":   (nn.MaxPool1d(2),                F.max_pool1d, {"kernel_size": 2}),
    "MaxPool1d +": (nn.MaxPool1d(3, 2, 1, 1, False, True), F.max_pool1d,
                    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "MaxPool2d":   (nn.MaxPool2d(2),                F.max_pool2d, {"kernel_size": 2}),
    "MaxPool2d +": (nn.MaxPool2d((2, 3), 1, dilation=2), F.max_pool2d,
                    {"kernel_size": (2, 3), "stride": 1, "dilation": 2}),
    "AvgPool1d":   (nn.AvgPool1d(2),                F.avg_pool1d, {"kernel_size": 2}),
    "AvgPool1d +": (nn.AvgPool1d(3, 2, 1, True, False), F.avg_pool1d,
                    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True,
                     "count_include_pad": False}),
    "AvgPool2d":   (nn.AvgPool2d(2),                F.avg_pool2d, {"kernel_size": 2}),
    "AvgPool2d +": (nn.AvgPool2d(3, 2, 1, divisor_override=4), F.avg_pool2d,
                    {"kernel_size": 3, "stride": 2, "padding": 1, "divisor_override": 4}),
}
# fmt: on


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_the_function_with_its_options(name: str) -> None:
    layer, function, options = LAYERS[name]
    x = tw.randn(2, 3, *(8, 7)[: 1 if "1d" in name else 2])
    assert tw.equal(layer(x), function(x, **options))
    assert tw.equal(layer(x[0]), function(x[0], **options))
    assert list(layer.parameters()) == []


def test_where_the_maxima_stand() -> None:
    x = tw.randn(2, 3, 6, 6)
    y, index = nn.MaxPool2d(2, return_indices=True)(x)
    expected = F.max_pool2d(x, 2, return_indices=True)
    assert tw.equal(y, expected[0])
    assert tw.equal(index, expected[1])


def test_they_say_what_they_are() -> None:
    assert repr(nn.MaxPool2d((2, 3), 1)) == (
        "MaxPool2d(kernel_size=(2, 3), stride=1, padding=0, dilation=1, ceil_mode=False)"
    )
    assert repr(nn.AvgPool2d(2)) == "AvgPool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(nn.AvgPool1d(2)) == "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"
    assert nn.MaxPool2d((2, 3)).describe() == "MaxPool2d 2 x 3"
    assert nn.AvgPool1d(2).describe() == "AvgPool1d 2"


def test_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"^Sequential\.0 \(MaxPool2d 3\): .*size \(2, 2\)"):
        nn.Sequential(nn.MaxPool2d(3))(tw.ones(1, 2, 2))
    for kind in (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d):
        with pytest.raises(ConfigError, match=f"^{kind.__name__}: kernel_size=0; expected a"):
            kind(0)
        with pytest.raises(ConfigError, match=f"^{kind.__name__}: stride"):
            kind(2, 0)
