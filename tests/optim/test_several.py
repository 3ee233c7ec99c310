"""Several optimizers as one."""

from __future__ import annotations

from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError
from thalweg.optim import LBFGS, SGD, AdamW, Muon, Several
from thalweg.optim.lr_scheduler import OneCycleLR, StepLR


def both() -> tuple[list[tw.Tensor], Several]:
    params = [(tw.arange(6.0).reshape(2, 3) / 6).requires_grad_(), tw.ones(3, requires_grad=True)]
    params = [p.detach().requires_grad_() for p in params]
    return params, Several(Muon(params[:1], lr=0.1), AdamW(params[1:], lr=0.05))


def descend(optimizer: Any, params: list[tw.Tensor]) -> tw.Tensor:
    optimizer.zero_grad()
    loss = sum((p**2).sum() for p in params)
    loss.backward()
    optimizer.step()
    return loss.detach()


def test_each_takes_its_own_step() -> None:
    params, optimizer = both()
    alone, _ = both()
    single = Muon(alone[:1], lr=0.1), AdamW(alone[1:], lr=0.05)
    for _ in range(4):
        descend(optimizer, params)
        for part, p in zip(single, alone, strict=True):
            descend(part, [p])
    assert [p.tolist() for p in params] == [p.tolist() for p in alone]
    assert [type(s).__name__ for s in optimizer.state.values()] == ["Velocity", "Moments"]


def test_one_schedule_for_all_of_them_also_compiled() -> None:
    params, optimizer = both()
    schedule = StepLR(optimizer, 2, 0.5)
    OneCycleLR(optimizer, [0.1, 0.05], total_steps=9)
    step = tw.compile(lambda: (descend(optimizer, params), schedule.step())[0])
    losses = [float(step()) for _ in range(4)]
    assert losses[-1] < losses[0]
    first, second = (float(group["lr"]) for group in optimizer.param_groups)
    assert first == pytest.approx(2 * second)


def test_resumed_with_the_same_bits() -> None:
    straight, optimizer = both()
    for _ in range(5):
        descend(optimizer, straight)
    params, first = both()
    for _ in range(2):
        descend(first, params)
    second = Several(Muon(params[:1]), AdamW(params[1:]))
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        descend(second, params)
    assert [p.tolist() for p in params] == [p.tolist() for p in straight]


def test_a_closure_is_called_once() -> None:
    params, optimizer = both()
    calls = []

    def closure() -> tw.Tensor:
        calls.append(1)
        return (params[1] ** 2).sum()

    assert float(optimizer.step(closure)) == 3.0
    assert len(calls) == 1


def test_refused() -> None:
    w, v = (tw.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(ConfigError, match="no optimizers"):
        Several()
    with pytest.raises(ConfigError, match="given twice"):
        Several(SGD([w]), SGD([v, w]))
    with pytest.raises(ConfigError, match="a LBFGS; expected optimizers that need no closure"):
        Several(LBFGS([w]))
    optimizer = Several(SGD([w]))
    with pytest.raises(ConfigError, match="a state of 0 optimizers for 1"):
        optimizer.load_state_dict({})
    with pytest.raises(ConfigError, match="before they are joined"):
        optimizer.add_param_group({"params": [v]})
