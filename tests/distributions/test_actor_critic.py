"""PyTorch's actor-critic example on a pole that is balanced on a cart, written in NumPy.

An action is drawn of what the policy says, and its logarithm of probability weighed by how much
better than expected the episode went on: REINFORCE with a learned baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.distributions import Categorical

F = nn.functional
LONGEST = 120


class CartPole:
    """Barto, Sutton, Anderson 1983: force on a cart of 1 kg, a pole of 0.1 kg and 0.5 m to its
    middle; steps of 0.02 s. Over when the cart is 2.4 m away or the pole at 12 degrees.
    """

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        self.state = self.random.uniform(-0.05, 0.05, 4)
        return self.state.astype(np.float32)

    def step(self, action: int) -> tuple[np.ndarray, bool]:
        _, v, angle, spin = self.state
        force = 10.0 if action == 1 else -10.0
        sin, cos = math.sin(angle), math.cos(angle)
        push = (force + 0.05 * spin**2 * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        run = push - 0.05 * turn * cos / 1.1
        rates = np.array([v, run, spin, turn])
        self.state = self.state + 0.02 * rates
        over = abs(self.state[0]) > 2.4 or abs(self.state[2]) > math.radians(12)
        return self.state.astype(np.float32), over


class Policy(nn.Module):
    """Logits of the two actions, and how long the pole will stay up."""

    def __init__(self) -> None:
        self.affine = nn.Linear(4, 32)
        self.action_head, self.value_head = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, x: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
        x = F.relu(self.affine(x))
        return self.action_head(x), self.value_head(x).squeeze(-1)


def train(episodes: int, compiled: bool) -> tuple[list[int], Policy]:
    """How long each episode was, and what was learned."""
    tw.manual_seed(0)
    model, world = Policy(), CartPole(0)
    optimizer = tw.optim.Adam(model.parameters(), lr=0.02)

    @tw.no_grad()
    def act(state: tw.Tensor) -> tw.Tensor:
        return Categorical(logits=model(state)[0]).sample()

    def learn(states: tw.Tensor, actions: tw.Tensor, gains: tw.Tensor, mask: tw.Tensor) -> Any:
        logits, values = model(states)
        better = (gains - values).detach()
        chosen = Categorical(logits=logits).log_prob(actions)
        losses = F.smooth_l1_loss(values, gains, reduction="none") - chosen * better
        loss = (losses * mask).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    made: Callable[[Any], Any] = tw.compile if compiled else lambda function: function
    act, learn = made(act), made(learn)
    lengths = []
    for _ in range(episodes):
        state, states, actions = world.reset(), [], []
        for _ in range(LONGEST):
            action = int(act(tw.tensor(state)))
            states.append(state)
            actions.append(action)
            state, over = world.step(action)
            if over:
                break
        learn(*_padded(states, actions))
        lengths.append(len(actions))
    return lengths, model


def _padded(states: list[Any], actions: list[int]) -> list[tw.Tensor]:
    """An episode as tensors of one size: states, actions, normalized gains, which steps count."""
    count = len(actions)
    gains = np.zeros(count)
    total = 0.0
    for t in reversed(range(count)):
        total = gains[t] = 1.0 + 0.99 * total
    gains = (gains - gains.mean()) / (gains.std() + 1e-6)
    rest = LONGEST - count
    columns = (
        np.pad(np.array(states, np.float32), ((0, rest), (0, 0))),
        np.pad(np.array(actions), (0, rest)),
        np.pad(gains.astype(np.float32), (0, rest)),
        np.pad(np.ones(count, np.float32), (0, rest)),
    )
    return [tw.tensor(column) for column in columns]


def test_it_learns_to_balance() -> None:
    lengths, _ = train(120, compiled=True)
    assert np.mean(lengths[:20]) < 40
    assert np.mean(lengths[-20:]) > 2 * np.mean(lengths[:20])


def test_compiled_like_eager() -> None:
    """The same actions, as random numbers are the same, and the same parameters."""
    (lengths, model), (others, twin) = train(4, compiled=True), train(4, compiled=False)
    assert lengths == others
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(
            value.numpy(), twin.state_dict()[name].numpy(), 1e-3, 1e-4, err_msg=name
        )


@pytest.mark.parametrize("action", [0, 1])
def test_the_pole_falls_away_from_the_push(action: int) -> None:
    world = CartPole(1)
    world.reset()
    steps = 0
    over = False
    while not over:
        state, over = world.step(action)
        steps += 1
    assert steps < 15
    assert np.sign(state[1]) == (1 if action else -1)
    assert np.sign(state[2]) == (-1 if action else 1)
