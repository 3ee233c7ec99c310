"""Convolutional layers: what they hold, how they begin and print, and what does not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [1, 2])
def test_it_is_the_function_with_its_weight(rank: int, bias: bool) -> None:
    kind, function = [(nn.Conv1d, nn.functional.conv1d), (nn.Conv2d, nn.functional.conv2d)][
        rank - 1
    ]
    layer = kind(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=bias)
    x = tw.randn(3, 4, *(9, 8)[:rank])
    expected = function(x, layer.weight, layer.bias, stride=2, padding=2, dilation=2, groups=2)
    assert tw.equal(layer(x), expected)
    assert tw.equal(layer(x[0]), function(x[0], layer.weight, layer.bias, 2, 2, 2, 2))
    assert list(layer.state_dict()) == ["weight", "bias"][: 1 + bias]


def test_shapes_of_weights() -> None:
    assert nn.Conv2d(4, 6, (3, 2), groups=2).weight.shape == (6, 2, 3, 2)
    assert nn.Conv1d(4, 6, 3).weight.shape == (6, 4, 3)
    assert nn.Conv2d(4, 6, 3, dtype=tw.float64).bias.dtype is tw.float64


@pytest.mark.parametrize("layer", [nn.Conv2d(16, 100, 5, groups=4), nn.Conv1d(20, 200, 5)])
def test_it_begins_uniform_within_one_over_the_root_of_fan_in(layer: Any) -> None:
    tw.manual_seed(3)
    layer.reset_parameters()
    assert math.prod(layer.weight.shape[1:]) == 100
    for values in (layer.weight, layer.bias):
        scaled = values.detach() * 10
        assert 0.9 < scaled.abs().amax().item() <= 1
        assert scaled.mean().abs().item() < 4 / math.sqrt(3 * scaled.numel())
    assert (layer.weight.detach() * 10).var().item() == pytest.approx(1 / 3, rel=0.05)


@pytest.mark.parametrize("padding", ["same", "valid", 1, (0, 2)])
def test_padding(padding: Any) -> None:
    layer = nn.Conv2d(1, 2, (3, 4), padding=padding)
    wanted = {"same": (5, 6), "valid": (3, 3), 1: (5, 5), (0, 2): (3, 7)}
    assert layer(tw.ones(1, 1, 5, 6)).shape == (1, 2, *wanted[padding])


def test_it_says_what_it_is() -> None:
    layer = nn.Conv2d(1, 32, 3)
    assert layer.describe() == "Conv2d 1 -> 32, 3 x 3"
    assert repr(layer) == "Conv2d(1, 32, kernel_size=(3, 3), stride=(1, 1))"
    full = nn.Conv1d(2, 4, 3, 2, "valid", 3, 2, bias=False)
    assert full.describe() == "Conv1d 2 -> 4, 3"
    assert repr(full) == (
        "Conv1d(2, 4, kernel_size=(3,), stride=(2,), padding=valid, dilation=(3,), groups=2, "
        "bias=False)"
    )


def test_a_network_learns() -> None:
    """To tell vertical bars from horizontal ones, wherever they stand."""
    tw.manual_seed(0)
    images, labels = tw.zeros(32, 1, 8, 8), tw.arange(32) % 2
    for i in range(32):
        where = (i, 0, slice(None), i % 7) if i % 2 else (i, 0, i % 7, slice(None))
        images[where] = 1.0
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    optimizer = tw.optim.Adam(net.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.5
    assert losses[-1] < 0.05
    assert tw.equal(net(images).argmax(1), labels)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((64, 28, 28), r"A batch without channels: x\.unsqueeze\(1\) gives it one"),
        ((64, 28, 28, 1), r"Channels come before the places: x\.movedim\(-1, -3\)"),
        ((64, 3, 28, 28), "Set in_channels to 3, or change what comes before"),
    ],
)
def test_channels_that_do_not_fit(shape: tuple[int, ...], advice: str) -> None:
    net = nn.Sequential(nn.Identity(), nn.Conv2d(1, 32, 3))
    with pytest.raises(ShapeError, match=advice) as caught:
        net(tw.zeros(shape))
    start = "Sequential.1 (Conv2d 1 -> 32, 3 x 3): an input of shape (N, 1, H, W) expected, got "
    assert str(caught.value).startswith(f"{start}{shape}. ")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((64, 784), r"\(C, H, W\) expected, got \(64, 784\)"),
        ((64, 1, 2, 28), r"a kernel of \(3, 3\) does not fit into an input of size \(2, 28\)"),
    ],
)
def test_sizes_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=rf"^Conv2d 1 -> 32, 3 x 3: conv2d: .*{message}"):
        nn.Conv2d(1, 32, 3)(tw.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 4, 3), {"groups": 2}, "groups=2 must divide in_channels=3 and out_channels=4"),
        ((4, 3, 3), {"groups": 2}, "must divide"),
        ((4, 4, 3), {"groups": 0}, "groups=0"),
        ((1, 1, "3"), {}, "kernel_size='3'; expected a whole number of 1 or more"),
        ((1, 1, (3, 3, 3)), {}, r"kernel_size=\(3, 3, 3\).*or 2 of them"),
        ((1, 1, 3), {"stride": 0}, "stride"),
        ((1, 1, 3), {"dilation": 0}, "dilation"),
        ((1, 1, 3), {"padding": "full"}, "'full'"),
        ((1, 1, 3), {"padding": "same", "stride": 2}, "stride 1"),
        (
            (1, 1, 3),
            {"padding_mode": "mirror"},
            "no padding_mode 'mirror': .*Known: circular, reflect, replicate, zeros",
        ),
    ],
)
def test_options_that_do_not_fit(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^Conv2d: .*{message}"):
        nn.Conv2d(*arguments, **options)


def test_a_transposed_layer_chooses_the_size_asked_for() -> None:
    down, up = nn.Conv2d(2, 3, 3, stride=3, padding=1), nn.ConvTranspose2d(3, 2, 3, 3, 1)
    for size in ((10, 11), (11, 12), (12, 13)):
        y = down(tw.ones(4, 2, *size))
        assert up(y, output_size=size).shape == (4, 2, *size)
        assert up(y, output_size=(4, 2, *size)).shape == (4, 2, *size)
    with pytest.raises(ShapeError, match=r"\(9, 9\): an input of size \(4, 4\) becomes \(10, 10\)"):
        up(tw.ones(4, 3, 4, 4), output_size=(9, 9))


def test_a_transposed_layer_is_the_transpose() -> None:
    """<conv(x), y> = <x, conv_transpose(y)> with the same weight."""
    options = {"stride": 2, "padding": 1, "groups": 2, "bias": False, "dilation": 2}
    down, up = nn.Conv1d(4, 6, 3, **options), nn.ConvTranspose1d(6, 4, 3, **options)
    up.load_state_dict(down.state_dict())
    x = tw.randn(2, 4, 11)
    y = tw.randn(2, 6, 5)
    assert tw.allclose((down(x) * y).sum(), (x * up(y)).sum(), atol=1e-4)


def test_what_a_transposed_layer_says() -> None:
    layer = nn.ConvTranspose2d(3, 8, 2, 2, output_padding=1)
    assert repr(layer).startswith("ConvTranspose2d(3, 8, kernel_size=(2, 2), stride=(2, 2), output")
    with pytest.raises(
        ShapeError, match=r"^Sequential\.0 \(ConvTranspose2d 3 -> 8, 2 x 2\): .*3, H"
    ):
        nn.Sequential(layer)(tw.ones(1, 4, 5, 5))
    with pytest.raises(ConfigError, match="output_padding"):
        nn.ConvTranspose2d(3, 8, 2, output_padding=1)(tw.ones(1, 3, 2, 2))
