"""Augmentation by name: flip, crop:4, rotate:10, .. as flags and TOML files have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from thalweg.data import Encoding
from thalweg.data import transforms as T
from thalweg.errors import ConfigError, DataError, nearest

__all__ = ["check_augment", "make_augment"]

# fmt: off
# name: (its number where none is given, the transform for a number and a data set)
_CHANGES: Final[dict[str, tuple[float, Callable[[float, Encoding], T.Transform]]]] = {
    "flip":   (0.5,  lambda p, e: T.RandomHorizontalFlip(p)),
    "crop":   (4,    lambda n, e: T.RandomCrop(_size(e), padding=_whole("crop", n))),
    "rotate": (10,   lambda d, e: T.RandomRotation(d)),
    "shift":  (0.1,  lambda s, e: T.RandomAffine(0, translate=(s, s))),
    "noise":  (0.1,  lambda s, e: T.GaussianNoise(sigma=s, clip=False)),
    "erase":  (0.5,  lambda p, e: T.RandomErasing(p)),
    "mixup":  (0.2,  lambda a, e: T.MixUp(a, len(e.classes) or None)),
    "cutmix": (1.0,  lambda a, e: T.CutMix(a, len(e.classes) or None)),
}
# fmt: on
_ANYWHERE: Final = ("noise", "mixup")  # what is no change of a picture


def check_augment(names: Sequence[str]) -> None:
    """Raise `ConfigError` for an unknown name, or a number that is none."""
    for name in names:
        _read(name)


def make_augment(names: Sequence[str], encoding: Encoding) -> T.Transform | None:
    """The transforms in this order; None for no names. Raises `DataError` for data without them."""
    found = []
    for word in names:
        name, number = _read(word)
        if encoding.task == "text" or (encoding.image_shape is None and name not in _ANYWHERE):
            raise DataError(
                f"augment = {word!r} is for pictures, and {encoding.name} has none; "
                f"{' and '.join(_ANYWHERE)} fit any numbers"
            )
        if name in ("mixup", "cutmix") and encoding.task != "classification":
            raise DataError(f"augment = {word!r} is for classification, not for {encoding.task}")
        found.append(_CHANGES[name][1](number, encoding))
    return T.Compose(found) if found else None


def _read(word: str) -> tuple[str, float]:
    name, _, text = word.partition(":")
    if name not in _CHANGES:
        raise ConfigError(f"unknown augment {name!r}: {nearest(name, _CHANGES)}")
    default = _CHANGES[name][0]
    try:
        return name, float(text) if text else default
    except ValueError:
        raise ConfigError(f"augment = {word!r}; expected a number, as {name}:{default:g}") from None


def _size(encoding: Encoding) -> tuple[int, int]:
    assert encoding.image_shape is not None
    return encoding.image_shape[-2], encoding.image_shape[-1]


def _whole(name: str, number: float) -> int:
    if number != int(number):
        raise ConfigError(f"augment = '{name}:{number:g}'; expected a whole number of pixels")
    return int(number)
