"""Training in both frameworks, from the same weights, on the same data, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from tests.reference.both import TOLERANCES, copied, plain

__all__ = [
    "STEPS",
    "Trajectory",
    "assert_same_trajectory",
    "batches",
    "classifier",
    "default_dtype",
    "train",
]

STEPS = 50
BATCH = 8
_random = np.random.default_rng(7)
INPUTS = _random.normal(size=(40, 6))
LABELS = _random.integers(0, 4, size=40)

Trajectory = list[dict[str, Any]]
Build = Callable[[Any], Any]
Make = Callable[[Any, Any], Any]


def classifier(tw: Any) -> Any:
    """Two hidden layers, one smooth and one with kinks and a learned slope."""
    nn = tw.nn
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.PReLU(8), nn.Linear(8, 4))


def batches(tw: Any, dtype: str) -> Iterator[tuple[Any, Any]]:
    """Batches of the data, in order, without end."""
    x, y = tw.tensor(INPUTS.astype(dtype)), tw.tensor(LABELS)
    while True:
        for start in range(0, len(LABELS), BATCH):
            yield x[start : start + BATCH], y[start : start + BATCH]


def initial_weights(build: Build) -> dict[str, Any]:
    """PyTorch's, of a fixed seed."""
    torch.manual_seed(3)
    return {name: plain(x).astype("float64") for name, x in build(torch).state_dict().items()}


@contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """PyTorch's optimizers keep some numbers of their state in its default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def model_of(tw: Any, build: Build, dtype: str) -> Any:
    model = build(tw)
    if dtype == "float64":
        model.double()
    model.load_state_dict(copied(tw, initial_weights(build)))
    return model


def _cross_entropy(tw: Any) -> Any:
    return tw.nn.functional.cross_entropy


def train(
    tw: Any,
    make: Make,
    dtype: str,
    *,
    between: Callable[[Any, Any, int], None] | None = None,
    after: Callable[[Any, int, float], None] | None = None,
    accumulate: int = 1,
    build: Build = classifier,
    loss_of: Build = _cross_entropy,
) -> Trajectory:
    """The parameters, and the loss, after each of fifty steps.

    `make(tw, model)` gives the optimizer, `loss_of(tw)` the loss. `between(tw, model, step)` is
    called between backward and step, `after(optimizer, step, loss)` at the end of each step.
    """
    model = model_of(tw, build, dtype)
    optimizer, loss_function = make(tw, model), loss_of(tw)
    source, found = batches(tw, dtype), []
    for step in range(STEPS):
        optimizer.zero_grad()
        for _ in range(accumulate):
            x, y = next(source)
            loss = loss_function(model(x), y) / accumulate
            loss.backward()
        if between:
            between(tw, model, step)
        optimizer.step()
        if after:
            after(optimizer, step, loss.item())
        state = {name: plain(p).copy() for name, p in model.named_parameters()}
        found.append({**state, "loss": np.asarray(loss.item(), dtype=dtype)})
    return found


def assert_same_trajectory(ours: Trajectory, theirs: Trajectory, dtype: str) -> None:
    """Every parameter and the loss, within the tolerance, after every step; and that it moved."""
    tolerance = TOLERANCES["trajectory", dtype]
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert list(a) == list(b)
        for name, value in a.items():
            assert value.dtype == b[name].dtype
            where = f"{name} after step {step}"
            np.testing.assert_allclose(value, b[name], *tolerance, err_msg=where)
    moved = [not np.array_equal(ours[0][name], ours[-1][name]) for name in ours[0]]
    assert all(moved)
