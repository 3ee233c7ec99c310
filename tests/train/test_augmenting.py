"""Augmentation in training: drawn in every step, compiled and not, off in evaluation."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.data import Encoding, transforms
from thalweg.errors import ConfigError, DataError, ShapeError
from thalweg.train.augmenting import check_augment, make_augment
from thalweg.train.config import Config
from thalweg.train.recipe import check_names, load_splits, make_trainer

PICTURES = Encoding("p", "classification", (12,), classes=("a", "b"), image_shape=(1, 3, 4))
TABLE = Encoding("t", "regression", (3,), target_names=("y",))


def trained(compile: bool, augment: tuple[str, ...]) -> tuple[list[float], dict[str, float] | None]:
    config = Config.from_dict(
        {"epochs": 2, "hidden": [16], "batch_size": 50, "augment": augment, "compile": compile}
    )
    splits = load_splits(config)
    result = make_trainer(config, splits.encoding).fit(splits, config.epochs)
    return [row["loss"] for row in result.history], result.test


def test_the_same_draws_compiled_and_step_by_step() -> None:
    words = ("crop:1", "rotate:5", "noise:0.05", "mixup")
    native, measured = trained(True, words)
    eager, expected = trained(False, words)
    np.testing.assert_allclose(native, eager, rtol=1e-3)
    assert measured is not None
    assert expected is not None
    assert measured["accuracy"] == pytest.approx(expected["accuracy"], abs=0.02)
    assert native != pytest.approx(trained(True, ())[0], rel=1e-2)


def test_evaluation_sees_the_pictures_as_they_are() -> None:
    splits = tw.data.load("digits")
    model = tw.nn.Linear(64, 10)
    trainer = tw.train.Trainer(
        model, tw.nn.functional.cross_entropy, tw.optim.SGD(model.parameters(), lr=0.1),
        augment=transforms.RandomErasing(1.0, scale=(1, 1)),
    )  # fmt: skip
    trainer.fit(splits, epochs=1)
    measures = tw.train.metrics.measures_for(splits.encoding)
    plain = tw.nn.functional.cross_entropy(model(splits.dev.x), splits.dev.y).item()
    assert trainer.evaluate(splits.dev, measures)["loss"] == pytest.approx(plain, rel=1e-4)
    moved = [p.abs().max().item() for p in (model.weight.grad or model.weight,)]
    assert np.isfinite(moved).all()


@pytest.mark.parametrize("compile", [True, False])
def test_crops_are_what_a_model_of_any_size_trains_on(compile: bool) -> None:
    splits = tw.data.load("digits", flat=False)
    seen: list[tuple[int, ...]] = []

    class Pooled(tw.nn.Module):
        def __init__(self) -> None:
            self.conv, self.head = tw.nn.Conv2d(1, 4, 3), tw.nn.Linear(4, 10)

        def forward(self, x: tw.Tensor) -> tw.Tensor:
            seen.append(tuple(x.shape[1:]))
            return self.head(self.conv(x).mean((2, 3)))

    model = Pooled()
    trainer = tw.train.Trainer(
        model, tw.nn.functional.cross_entropy, tw.optim.SGD(model.parameters(), lr=0.1),
        augment=transforms.RandomCrop(6), compile=compile, batch_size=200,
    )  # fmt: skip
    trainer.fit(splits, epochs=1)
    assert {(1, 6, 6), (1, 8, 8)} == set(seen)
    flat = tw.nn.Linear(64, 10)
    trainer = tw.train.Trainer(
        flat, tw.nn.functional.cross_entropy, tw.optim.SGD(flat.parameters(), lr=0.1),
        augment=transforms.RandomCrop(6), compile=compile,
    )  # fmt: skip
    with pytest.raises(ShapeError, match=r"\(\.\.\., 64\) expected, got \(32, 36\)"):
        trainer.fit(tw.data.load("digits"), epochs=1)


def test_names_and_numbers() -> None:
    found = make_augment(("flip", "crop:2", "noise:0.3", "mixup:1"), PICTURES)
    assert repr(found) == (
        "Compose(transforms=[RandomHorizontalFlip(p=0.5), RandomCrop(size=(3, 4), padding=2, "
        "fill=0.0), GaussianNoise(mean=0.0, sigma=0.3, clip=False), "
        "MixUp(alpha=1.0, num_classes=2)])"
    )
    assert make_augment((), PICTURES) is None
    assert make_augment(("noise",), TABLE) is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["flop"], "did you mean 'flip'"),
        (["crop:x"], "expected a number, as crop:4"),
    ],
)
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_augment(words)
    with pytest.raises(ConfigError, match=message):
        check_names(Config.from_dict({"augment": words}))


def test_what_the_data_does_not_have() -> None:
    with pytest.raises(DataError, match="is for pictures"):
        make_augment(("flip",), TABLE)
    with pytest.raises(DataError, match="is for classification"):
        make_augment(("mixup",), TABLE)
    with pytest.raises(ConfigError, match="whole number of pixels"):
        make_augment(("crop:1.5",), PICTURES)
