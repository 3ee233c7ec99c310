"""What a transform is, and several in a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import ConfigError, ShapeError
from thalweg.ops.random import rand

__all__ = ["Compose", "Transform", "chosen", "images", "interval", "probability"]


class Transform(ABC):
    """A change of a batch x, or of a batch x and its targets y: transform(x), transform(x, y)."""

    def __call__(self, x: Tensor, y: Tensor | None = None) -> Any:
        """The changed x, or with targets (x, y)."""
        changed, targets = self.both(x, y)
        return changed if y is None else (changed, targets)

    def both(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The changed x and y; most transforms leave y alone."""
        return self.apply(x), y

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """The changed x."""

    def __repr__(self) -> str:
        said = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({said})"


class Compose(Transform):
    """Transforms one after another.

    >>> import thalweg as tw
    >>> T = tw.data.transforms
    >>> augment = T.Compose([T.RandomHorizontalFlip(1.0), T.Normalize(0.5, 0.5)])
    >>> augment(tw.tensor([[[[0.0, 0.5, 1.0]]]]))
    tensor([[[[ 1.,  0., -1.]]]])
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise ConfigError(f"Compose: {transform!r} is no transform")

    def both(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """All of them, in order."""
        for transform in self.transforms:
            x, y = transform.both(x, y)
        return x, y

    def apply(self, x: Tensor) -> Tensor:
        """All of them, in order."""
        return self.both(x, None)[0]


# --- what several of them need -------------------------------------------------------------------


def images(name: str, x: Tensor) -> Tensor:
    """`x` as (N, C, H, W), or a `ShapeError`."""
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"{name}: a batch of shape {tuple(x.shape)}; expected images (N, C, H, W) or "
            "(N, H, W). One image: x[None]"
        )
    return x if x.ndim == 4 else x[:, None]


def chosen(x: Tensor, p: float) -> Tensor:
    """A bool (N, 1, 1, 1): which of the images, each with probability p."""
    return rand(len(x), 1, 1, 1) < p


def probability(name: str, p: float) -> float:
    """`p`, or a `ConfigError`."""
    if not 0 <= p <= 1:
        raise ConfigError(f"{name}: p = {p!r}; expected a probability from 0 to 1")
    return p


def interval(name: str, what: str, given: Any, lowest: float) -> tuple[float, float]:
    """(low, high) with lowest <= low <= high, or a `ConfigError`."""
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: {what} = {given!r}; expected (low, high)") from None
    if not lowest <= low <= high:
        raise ConfigError(f"{name}: {what} = {given!r}; expected {lowest:g} <= low <= high")
    return low, high
