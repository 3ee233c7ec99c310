"""The decks' network on real digits: two epochs in both frameworks end in the same place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg
from tests.reference.both import BOTH, DTYPES, TOLERANCES, plain
from tests.reference.training import model_of

EPOCHS, BATCH = 2, 10


def network(tw: Any) -> Any:
    nn = tw.nn
    return nn.Sequential(nn.Linear(64, 30), nn.Sigmoid(), nn.Linear(30, 10))


def trained(tw: Any, dtype: str, data: dict[str, Any]) -> tuple[list[float], Any, float]:
    """The losses of all steps, the parameters as one vector, and the accuracy on other digits."""
    model, loss_of = model_of(tw, network, dtype), tw.nn.CrossEntropyLoss()
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = tw.tensor(data["x"].astype(dtype)), tw.tensor(data["y"])
    losses = []
    for order in data["orders"]:
        for batch in order.reshape(-1, BATCH):
            index = tw.tensor(batch)
            optimizer.zero_grad()
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    guessed = model.eval()(tw.tensor(data["test_x"].astype(dtype))).argmax(1)
    right = (guessed == tw.tensor(data["test_y"])).to(tw.float64).mean().item()
    return losses, plain(tw.nn.utils.parameters_to_vector(model.parameters())), right


@pytest.fixture(scope="module")
def digits() -> dict[str, Any]:
    splits = thalweg.data.load("digits")
    count = len(splits.train.y) // BATCH * BATCH
    random = np.random.default_rng(0)
    return {
        "x": splits.train.x.reshape(-1, 64).numpy(),
        "y": splits.train.y.numpy(),
        "test_x": splits.test.x.reshape(-1, 64).numpy(),
        "test_y": splits.test.y.numpy(),
        "orders": [random.permutation(len(splits.train.y))[:count] for _ in range(EPOCHS)],
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_digits(digits: dict[str, Any], dtype: str) -> None:
    ours, theirs = (trained(tw, dtype, digits) for tw in BOTH)
    tolerance = TOLERANCES["trajectory", dtype]
    np.testing.assert_allclose(ours[0], theirs[0], *tolerance)
    np.testing.assert_allclose(ours[1], theirs[1], *tolerance)
    assert ours[2] == theirs[2] > 0.85
