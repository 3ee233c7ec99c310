"""A work in Thalweg: the step that `in_torch` has, compiled, and scanned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import thalweg
from benchmarks.training.in_torch import loss_for, network, optimizer_for
from benchmarks.training.layers import Array
from benchmarks.training.works import Work

__all__ = ["build", "step_of"]


def build(work: Work, x: Array, y: Array, variant: str) -> Callable[[Array], Sequence[Any]]:
    """A function from rows (steps, batch) to the losses of the steps, run."""
    step = step_of(work, x, y)
    return lambda rows: step.scan(thalweg.from_numpy(rows)).numpy()


def step_of(work: Work, x: Array, y: Array) -> Any:
    """The compiled step."""
    model = network(thalweg, work)
    optimizer = optimizer_for(thalweg, model, work)
    images, labels = thalweg.from_numpy(x), thalweg.from_numpy(y)

    @thalweg.compile
    def step(index: Any) -> Any:
        loss = loss_for(thalweg, model, images[index], labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step
