"""SGD by hand: small numbers in float64, the momentum of each deck."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import SGD
from thalweg.optim.lr_scheduler import StepLR

GRADIENTS = (1.0, 3.0, -2.0, 0.5)


def path(
    gradients: tuple[float, ...] = GRADIENTS, start: float = 2.0, **options: Any
) -> list[float]:
    """The parameter after each step, for gradients that do not depend on it."""
    w = tw.tensor(start, dtype=tw.float64, requires_grad=True)
    optimizer = SGD([w], **options)
    values = []
    for gradient in gradients:
        w.grad = tw.tensor(gradient, dtype=tw.float64)
        optimizer.step()
        values.append(w.item())
    return values


def test_plain() -> None:
    assert path(lr=0.5) == [1.5, 0.0, 1.0, 0.75]


def test_polyak() -> None:
    # gamma: 1, 3.5, -0.25, 0.375
    assert path(lr=0.5, momentum=0.5) == [1.5, -0.25, -0.125, -0.3125]


def test_dampening_spares_the_first_gradient() -> None:
    # gamma: 1, 0.5 + 0.75 * 3 = 2.75, 1.375 - 1.5 = -0.125, -0.0625 + 0.375 = 0.3125
    assert path(lr=0.5, momentum=0.5, dampening=0.25) == [1.5, 0.125, 0.1875, 0.03125]


def test_nesterov() -> None:
    # gamma as above; moves: 1 + 0.5 = 1.5, 3 + 1.75 = 4.75, -2 - 0.125, 0.5 + 0.1875
    assert path(lr=0.5, momentum=0.5, nesterov=True) == [1.25, -1.125, -0.0625, -0.40625]


def test_averaged_is_deck_003() -> None:
    # m: 0.5, 0.25 + 1.5 = 1.75, 0.875 - 1 = -0.125, -0.0625 + 0.25 = 0.1875
    expected = [2 - 0.25, 1.75 - 0.875, 0.875 + 0.0625, 0.9375 - 0.09375]
    assert path(lr=0.5, momentum=0.5, form="averaged") == expected


def test_averaged_is_polyak_at_a_smaller_step() -> None:
    averaged = path(lr=0.5, momentum=0.9, form="averaged")
    assert averaged == pytest.approx(path(lr=0.5 * (1 - 0.9), momentum=0.9), rel=1e-14)


def test_velocity_is_deck_001_and_004() -> None:
    # v = gamma v + eta g: 0.5, 0.25 + 1.5 = 1.75, 0.875 - 1 = -0.125, -0.0625 + 0.25 = 0.1875
    assert path(lr=0.5, momentum=0.5, form="velocity") == [1.5, -0.25, -0.125, -0.3125]


def test_velocity_keeps_the_steps_made_when_the_step_size_falls() -> None:
    def last(form: str) -> float:
        w = tw.tensor(0.0, dtype=tw.float64, requires_grad=True)
        optimizer = SGD([w], lr=1.0, momentum=0.5, form=form)
        schedule = StepLR(optimizer, step_size=1, gamma=0.5)
        for gradient in (1.0, 0.0):
            w.grad = tw.tensor(gradient, dtype=tw.float64)
            optimizer.step()
            schedule.step()
        return w.item()

    assert (last("polyak"), last("velocity")) == (-1 - 0.5 * 0.5, -1 - 0.5)


@pytest.mark.parametrize("form", ["averaged", "velocity"])
def test_nesterov_looks_ahead_in_every_form(form: str) -> None:
    # The push u and the velocity are those of test_averaged / test_velocity, which agree at 0.5.
    pushes, velocities = [0.5, 1.5, -1.0, 0.25], [0.5, 1.75, -0.125, 0.1875]
    scale = 0.5 if form == "averaged" else 1.0
    expected, w = [], 2.0
    for push, velocity in zip(pushes, velocities, strict=True):
        w -= scale * (push + 0.5 * velocity)
        expected.append(w)
    assert path(lr=0.5, momentum=0.5, form=form, nesterov=True) == expected


def test_weight_decay_is_the_gradient_of_the_penalty() -> None:
    lr, decay = 0.25, 0.5
    start = tw.tensor([3.0, -1.0], dtype=tw.float64)
    decayed, penalized = (start.clone().requires_grad_() for _ in range(2))
    one, two = SGD([decayed], lr=lr, weight_decay=decay), SGD([penalized], lr=lr)
    for _ in range(3):
        one.zero_grad()
        two.zero_grad()
        (decayed**3).sum().backward()
        ((penalized**3).sum() + decay / 2 * (penalized**2).sum()).backward()
        before = decayed.detach()
        gradient = 3 * before**2
        one.step()
        two.step()
        # theta - eps (grad L + grad R), not the deck's grad L - grad R
        assert decayed.tolist() == (before - lr * (gradient + decay * before)).tolist()
    assert decayed.tolist() == pytest.approx(penalized.tolist(), rel=1e-14)


def test_maximize_comes_before_the_penalty() -> None:
    # g = -1 + 0.5 * 2 = 0
    assert path((1.0,), lr=0.5, weight_decay=0.5, maximize=True) == [2.0]


def test_momentum_goes_through_a_quadratic_as_by_hand() -> None:
    w = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    optimizer = SGD([w], lr=0.25, momentum=0.5)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        (w * w).backward()
        optimizer.step()
        seen.append((w.item(), optimizer.state[w].momentum_buffer.item()))
    assert seen == [(0.5, 2.0), (0.0, 2.0), (-0.25, 1.0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "SGD: lr=-0.1"),
        ({"momentum": -0.5}, "SGD: momentum=-0.5"),
        ({"weight_decay": -1}, "SGD: weight_decay=-1"),
        ({"nesterov": True}, "expected momentum above 0"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "no dampening"),
        ({"form": "averaged", "momentum": 0.9, "dampening": 0.1}, 'only "polyak"'),
        ({"form": "average"}, "did you mean 'averaged'"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SGD([tw.zeros(1, requires_grad=True)], **options)
