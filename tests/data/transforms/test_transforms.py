"""Augmentation: what each transform may do to an image, how often, and that it compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.data import transforms as T
from thalweg.errors import ConfigError, DTypeError, ShapeError

MANY = 2000


def one_image(height: int = 5, width: int = 7) -> tw.Tensor:
    """The same image of two channels, all of whose pixels differ, many times."""
    image = tw.arange(2 * height * width).float().reshape(1, 2, height, width) + 1
    return image.expand(MANY, 2, height, width)


def kinds(found: tw.Tensor) -> dict[bytes, int]:
    """How often each different image came."""
    rows = found.numpy().reshape(len(found), -1)
    values, counts = np.unique(rows, axis=0, return_counts=True)
    return {v.tobytes(): int(c) for v, c in zip(values, counts, strict=True)}


def near(count: int, share: float) -> bool:
    """Within five standard deviations of a binomial."""
    return bool(abs(count - MANY * share) < 5 * np.sqrt(MANY * share * (1 - share)))


@pytest.mark.parametrize(("flip", "axis"), [(T.RandomHorizontalFlip, 3), (T.RandomVerticalFlip, 2)])
def test_flips_are_whole_and_as_frequent_as_said(flip: Any, axis: int) -> None:
    tw.manual_seed(1)
    x = one_image()
    found = kinds(flip(0.3)(x))
    assert near(found[x[0].flip(axis - 1).numpy().tobytes()], 0.3)
    assert near(found[x[0].numpy().tobytes()], 0.7)
    assert len(found) == 2


def test_crops_come_from_every_place_alike() -> None:
    tw.manual_seed(2)
    x = one_image(3, 4)
    padded = np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    found = kinds(T.RandomCrop((3, 4), padding=1)(x))
    windows = [
        np.ascontiguousarray(padded[:, i : i + 3, j : j + 4]) for i in range(3) for j in range(3)
    ]
    assert len(found) == 9
    assert all(near(found[window.tobytes()], 1 / 9) for window in windows)


def test_quarter_turns_and_whole_shifts_are_exact() -> None:
    x = tw.arange(25).float().reshape(1, 1, 5, 5)
    for quarters in range(4):
        turned = T.RandomRotation((90.0 * quarters,) * 2)(x)
        expected = np.rot90(x.numpy(), quarters, (2, 3))
        np.testing.assert_allclose(turned.numpy(), expected, atol=1e-4)
    wide = tw.arange(12).float().reshape(1, 3, 4)
    half = T.RandomRotation((180, 180))(wide)
    np.testing.assert_allclose(half.numpy(), wide.numpy()[:, ::-1, ::-1], atol=1e-4)


def test_an_affine_map_stays_in_its_bounds() -> None:
    tw.manual_seed(3)
    x = tw.zeros(MANY, 41, 41)
    x[:, 20, 20] = 1
    moved = T.RandomAffine(0, translate=(0.25, 0.1))(x).numpy()
    rows, columns = np.indices((41, 41))
    down = (moved * rows).sum((1, 2)) / moved.sum((1, 2)) - 20
    right = (moved * columns).sum((1, 2)) / moved.sum((1, 2)) - 20
    assert abs(right).max() <= 0.25 * 41 + 1e-3
    assert abs(down).max() <= 0.1 * 41 + 1e-3
    assert abs(right).max() > 9
    assert abs(down).max() > 3.5
    square = tw.zeros(2, 40, 40)
    square[:, 10:30, 10:30] = 1
    grown = T.RandomAffine(0, scale=(1.5, 1.5))(square)
    assert grown.sum().item() / square.sum().item() == pytest.approx(2.25, rel=0.02)


def test_noise_has_its_moments() -> None:
    tw.manual_seed(4)
    noise = T.GaussianNoise(0.5, 0.2, clip=False)(tw.zeros(300, 300))
    assert noise.mean().item() == pytest.approx(0.5, abs=0.005)
    assert noise.std().item() == pytest.approx(0.2, abs=0.005)
    clipped = T.GaussianNoise(0.0, 1.0)(tw.zeros(100))
    assert clipped.min().item() == 0
    assert clipped.max().item() <= 1


def test_erased_rectangles_have_their_size_and_lie_inside() -> None:
    tw.manual_seed(5)
    found = T.RandomErasing(0.5, scale=(0.1, 0.3), ratio=(0.5, 2.0))(tw.ones(MANY, 1, 20, 20))
    shares = (found == 0).float().mean((1, 2, 3)).numpy()
    assert near(int((shares > 0).sum()), 0.5)
    assert shares[shares > 0].min() > 0.07
    assert shares.max() < 0.34
    for image in (found[:50, 0] == 0).numpy():
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        if len(rows):
            box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert box.all(), "one rectangle, nothing else"


def test_mixup_mixes_inputs_and_targets_alike() -> None:
    tw.manual_seed(6)
    x, labels = tw.eye(8), tw.arange(8)
    mixed, y = T.MixUp(0.4, num_classes=8)(x, labels)
    np.testing.assert_allclose(mixed.numpy(), y.numpy(), atol=1e-7)
    np.testing.assert_allclose(y.sum(1).numpy(), np.ones(8), atol=1e-6)
    loss = tw.nn.functional.cross_entropy(mixed, y)
    assert np.isfinite(loss.item())
    wide = tw.rand(4, 3)
    again, same = T.MixUp()(wide, wide)
    np.testing.assert_allclose(again.numpy(), same.numpy())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_is_beta_distributed(alpha: float) -> None:
    tw.manual_seed(7)
    mix = T.MixUp(alpha)
    drawn = np.array([mix._share().item() for _ in range(3000)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.04)
    assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_cutmix_weighs_targets_by_area() -> None:
    tw.manual_seed(8)
    x = tw.arange(6).float().reshape(6, 1, 1, 1).expand(6, 1, 16, 16)
    mixed, y = T.CutMix(num_classes=6)(x, tw.arange(6))
    for image, target in zip(mixed.numpy(), y.numpy(), strict=True):
        areas = np.bincount(image.astype(int).ravel(), minlength=6) / 256
        np.testing.assert_allclose(areas, target, atol=1e-6)


ALL: list[Callable[[], T.Transform]] = [
    T.RandomHorizontalFlip,
    T.RandomVerticalFlip,
    lambda: T.RandomCrop(8, padding=2),
    lambda: T.RandomRotation(30),
    lambda: T.RandomAffine((-10, 20), (0.1, 0.2), (0.8, 1.2)),
    T.GaussianNoise,
    T.RandomErasing,
    lambda: T.Normalize([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]),
    lambda: T.MixUp(num_classes=10),
    lambda: T.CutMix(num_classes=10),
    lambda: T.Compose([T.RandomCrop(8, 1), T.RandomErasing(), T.MixUp(0.3, 10)]),
]


@pytest.mark.parametrize("make", ALL, ids=lambda make: repr(make()))
def test_compiled_it_draws_the_same(make: Callable[[], T.Transform]) -> None:
    transform = make()
    x, y = tw.rand(6, 3, 8, 8), tw.randint(0, 10, (6,))
    compiled = tw.compile(lambda x, y: transform(x, y))
    for seed in (1, 2):
        tw.manual_seed(seed)
        expected = transform(x, y)
        tw.manual_seed(seed)
        found = compiled(x, y)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    assert len(compiled.programs) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: T.RandomHorizontalFlip(1.5), "probability"),
        (lambda: T.RandomCrop(0), "size = 0"),
        (lambda: T.RandomRotation((3, 1)), "degrees"),
        (lambda: T.RandomCrop((3, 4, 5)), "size = "),
        (lambda: T.RandomCrop(3, padding=1.5), "padding = 1.5"),  # type: ignore[arg-type]
        (lambda: T.RandomAffine(1, translate=(2, 0)), "from 0 to 1"),
        (lambda: T.RandomAffine(1, translate=0.1), "two shares"),  # type: ignore[arg-type]
        (lambda: T.Normalize(0.0, 0.0), "above 0"),
        (lambda: T.GaussianNoise(sigma=-1), "0 or more"),
        (lambda: T.RandomErasing(scale=(0.1, 2)), "up to 1"),
        (lambda: T.MixUp(0), "more than 0"),
        (lambda: T.Compose([3]), "no transform"),  # type: ignore[list-item]
        (lambda: T.MixUp()(tw.ones(2)), "call it with both"),
        (lambda: T.MixUp()(tw.ones(2, 2), tw.arange(2)), "give num_classes"),
    ],
)
def test_wrong_settings_say_so(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.mark.parametrize(
    "transform",
    [
        T.RandomCrop((3, 4), padding=1),
        T.RandomHorizontalFlip(),
        T.RandomAffine(10, (0.1, 0.1), (0.9, 1.1)),
        T.GaussianNoise(),
        T.RandomErasing(),
    ],
)
def test_no_images_at_all(transform: Any) -> None:
    assert len(transform(tw.ones(0, 3, 5, 5))) == 0


def test_noise_is_no_byte() -> None:
    with pytest.raises(DTypeError, match=r"GaussianNoise: images of .*x.float\(\) / 255"):
        T.GaussianNoise()(tw.ones(1, 1, 2, 2, dtype=tw.uint8))


def test_wrong_shapes_say_so() -> None:
    with pytest.raises(ShapeError, match=r"One image: x\[None\]"):
        T.RandomHorizontalFlip()(tw.ones(3, 3))
    with pytest.raises(ShapeError, match="smaller size, or more padding"):
        T.RandomCrop(8)(tw.ones(1, 1, 7, 9))
    with pytest.raises(ShapeError, match="2 means for images of 3 channels"):
        T.Normalize([0.0, 0.0], [1.0, 1.0])(tw.ones(1, 3, 2, 2))
