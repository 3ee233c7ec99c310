"""Two copies of a small training, one of them compiled, and how near they stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
import thalweg.nn.functional as F

__all__ = ["Training", "batches", "near", "twins"]


class Training:
    """A network, its optimizer, and what one step does."""

    def __init__(
        self,
        optimizer: Callable[..., Any],
        build: Callable[[], tw.nn.Module],
        settle: Callable[[Any], Any] | None = None,
        before_step: Callable[[tw.nn.Module], None] | None = None,
    ) -> None:
        tw.manual_seed(0)
        self.model = build()
        self.optimizer = optimizer(self.model.parameters())
        self.schedule = settle(self.optimizer) if settle else None
        self.before_step = before_step

    def step(self, x: tw.Tensor, y: tw.Tensor) -> tw.Tensor:
        loss = F.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        if self.before_step:
            self.before_step(self.model)
        self.optimizer.step()
        if self.schedule:
            self.schedule.step()
        return loss

    def values(self) -> list[Any]:
        """The parameters, then the gradients."""
        parameters = list(self.model.parameters())
        kept = [p.grad for p in parameters if p.grad is not None]
        return [x.detach().numpy() for x in [*parameters, *kept]]


def twins(*args: Any, **kwargs: Any) -> tuple[Training, Training, Any]:
    """An eager training, a copy to be compiled, and the copy's compiled step."""
    eager, native = Training(*args, **kwargs), Training(*args, **kwargs)
    return eager, native, tw.compile(native.step)


def near(got: Any, wanted: Any, within: float = 2e-5) -> None:
    """Equal but for rounding, which training steps carry on."""
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=within, atol=within)


def batches(count: int, size: int = 9, seed: int = 0) -> list[tuple[tw.Tensor, tw.Tensor]]:
    """Batches of 7 numbers with labels below 4."""
    random = np.random.default_rng(seed)
    return [
        (
            tw.tensor(random.standard_normal((size, 7)).astype(np.float32)),
            tw.tensor(random.integers(0, 4, size)),
        )
        for _ in range(count)
    ]
