"""Networks for images: sizes, beginnings, compiled steps, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg import models, nn
from thalweg.errors import ConfigError, ShapeError

F = nn.functional

# Parameters for 1000 classes, as torchvision's documentation counts them.
COUNTS = {
    models.resnet18: 11_689_512,
    models.resnet34: 21_797_672,
    models.vgg11: 132_863_336,
    models.vgg11_bn: 132_868_840,
}


@pytest.mark.parametrize("make", COUNTS)
def test_as_many_parameters_as_elsewhere(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda *args, **options: None)
    assert sum(p.numel() for p in make().parameters()) == COUNTS[make]


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
@pytest.mark.parametrize(
    "make",
    [
        lambda: models.ResNet((1, 1, 1, 1), 7),
        lambda: models.vgg11(7, hidden=16),
        lambda: models.vgg11_bn(7, hidden=16),
    ],
)
def test_any_size_of_images(make: Callable[[], nn.Module], size: tuple[int, int]) -> None:
    assert make().eval()(tw.zeros(1, 3, *size)).shape == (1, 7)


def test_how_a_resnet_begins() -> None:
    model = models.ResNet((1, 1, 1, 1), 4, zero_init_residual=True)
    block: Any = model.layer2[0]
    assert not block.bn2.weight.any()
    assert block.conv1.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    x = tw.rand(2, 64, 6, 6)
    assert tw.equal(block(x), block.downsample(x).relu())
    with pytest.raises(ConfigError, match="four numbers of blocks"):
        models.ResNet((2, 2))


STEPS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "block": (lambda: models.BasicBlock(3, 3), (2, 3, 5, 5)),
    "lenet": (lambda: models.lenet(activation="tanh"), (3, 1, 28, 28)),
    "resnet": (lambda: models.ResNet((1, 1, 1, 1), 5), (2, 3, 64, 64)),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_compiled_training_step(name: str) -> None:
    tw.manual_seed(0)
    make, shape = STEPS[name]
    ours, other = make(), make()
    other.load_state_dict(ours.state_dict())
    x = tw.randn(*shape)

    def step(model: nn.Module) -> tw.Tensor:
        model.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss.detach()

    compiled = tw.compile(lambda: step(other))
    for _ in range(2):
        assert tw.allclose(step(ours), compiled(), rtol=1e-4)
    for (path, a), b in zip(ours.named_parameters(), other.parameters(), strict=True):
        assert tw.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5), path
    for (path, a), b in zip(ours.named_buffers(), other.buffers(), strict=True):
        assert tw.allclose(a, b, rtol=1e-4, atol=1e-6), path


@pytest.mark.parametrize(
    ("make", "shape", "mentions"),
    [
        (lambda: models.ResNet((1, 1, 1, 1)), (3, 32, 32), r"\(N, C, H, W\) expected"),
        (lambda: models.vgg11(4, hidden=4), (2, 3, 31, 40), "32 x 32 or more"),
        (models.lenet, (2, 1, 32, 32), r"\(N, C, 28, 28\) expected, got \(2, 1, 32, 32\)"),
    ],
)
def test_what_does_not_fit(
    make: Callable[[], nn.Module], shape: tuple[int, ...], mentions: str
) -> None:
    with pytest.raises(ShapeError, match=mentions):
        make()(tw.zeros(shape))


def test_an_unknown_activation() -> None:
    with pytest.raises(ConfigError, match="did you mean 'relu'"):
        models.lenet(activation="rely")
