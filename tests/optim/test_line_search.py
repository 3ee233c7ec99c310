"""Line searches on functions of one number, and the optimizers that use them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import ConfigError, TraceError
from thalweg.optim import LBFGS, LineSearchGD, Optimizer
from thalweg.optim.line_search import Point, backtracking, exact, strong_wolfe

Function = Callable[[float], float]

# --- on a line ------------------------------------------------------------------------------------

# fmt: off
# A function, its slope at 0, where it is lowest.
CURVES: dict[str, tuple[Function, float, float]] = {
    "parabola":  (lambda t: (t - 3) ** 2,                -6.0,  3.0),
    "near":      (lambda t: (t - 1e-3) ** 2,             -2e-3, 1e-3),
    "far":       (lambda t: (t - 500) ** 2,              -1e3,  500.0),
    "quartic":   (lambda t: (t - 2) ** 4,                -32.0, 2.0),
    "kink":      (lambda t: abs(t - 0.7),                -1.0,  0.7),
    "flat tail": (lambda t: -t * math.exp(-t),           -1.0,  1.0),
    "wall":      (lambda t: -t if t < 1 else math.nan,   -1.0,  1.0),
    "cosh":      (lambda t: math.cosh(t - 1.3),          -math.sinh(1.3), 1.3),
}
# fmt: on


@pytest.mark.parametrize("step", [1e-3, 1.0, 64.0])
@pytest.mark.parametrize("name", CURVES)
def test_exact(name: str, step: float) -> None:
    phi, slope, lowest = CURVES[name]
    found = exact(phi, Point(0.0, phi(0.0), slope), step, max_eval=200)
    tolerance = 1e-2 if name == "quartic" else 1e-4
    assert found.step == pytest.approx(lowest, rel=tolerance, abs=1e-6)
    assert found.value == phi(found.step)
    assert found.evaluations <= 100


def test_strong_wolfe_down_a_line_goes_as_far_as_it_may() -> None:
    found = strong_wolfe(lambda t: Point(t, -t, -1.0), Point(0.0, 0.0, -1.0), 1.0, max_eval=4)
    assert found.step > 100
    assert found.value == -found.step


def test_exact_without_a_minimum() -> None:
    found = exact(lambda t: -t, Point(0.0, 0.0, -1.0), max_eval=10)
    assert (found.step, found.evaluations) == (2.0**9, 10)
    nowhere = exact(lambda t: 1.0, Point(0.0, 0.0, -1.0), max_eval=10)
    assert (nowhere.step, nowhere.value) == (0.0, 0.0)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("sufficient", [1e-4, 0.3])
def test_backtracking(name: str, sufficient: float) -> None:
    """The first step of the sequence that lowers enough; the one before did not."""
    phi, slope, _ = CURVES[name]
    start = Point(0.0, phi(0.0), slope)
    found = backtracking(phi, start, 500.0, sufficient=sufficient, shrink=0.4)

    def is_enough(t: float) -> bool:
        return phi(t) <= start.value + sufficient * t * slope

    assert is_enough(found.step)
    assert found.step == 500.0 or not is_enough(found.step / 0.4)
    assert found.step == pytest.approx(500 * 0.4 ** (found.evaluations - 1))


def test_backtracking_in_vain() -> None:
    found = backtracking(lambda t: math.nan, Point(0.0, 1.0, -1.0), max_eval=5)
    assert (found.step, found.value, found.evaluations) == (0.0, 1.0, 5)


@pytest.mark.parametrize("step", [1e-3, 1.0, 9.0])
@pytest.mark.parametrize("name", ["parabola", "far", "quartic", "flat tail", "cosh"])
def test_strong_wolfe(name: str, step: float) -> None:
    phi, slope, _ = CURVES[name]

    def point(t: float) -> Point:
        return Point(t, phi(t), (phi(t + 1e-5) - phi(t - 1e-5)) / 2e-5)

    found = strong_wolfe(point, Point(0.0, phi(0.0), slope), step, c2=0.4)
    assert found.value <= phi(0.0) + 1e-4 * found.step * slope
    assert abs(found.slope) <= 0.4 * abs(slope) + 1e-3


@pytest.mark.parametrize("search", [backtracking, exact])
def test_refused(search: Any) -> None:
    with pytest.raises(ConfigError, match="the slope at 0 is 1.0; expected a direction of descent"):
        search(abs, Point(0.0, 0.0, 1.0))
    with pytest.raises(ConfigError, match="step=0.0; expected a number above 0"):
        search(abs, Point(0.0, 0.0, -1.0), 0.0)
    with pytest.raises(ConfigError, match="shrink=1.0"):
        backtracking(abs, Point(0.0, 0.0, -1.0), shrink=1.0)


# --- as optimizers --------------------------------------------------------------------------------


def bowl(w: tw.Tensor) -> tw.Tensor:
    """Steep in one direction, with its minimum at 1."""
    return (tw.tensor([1.0, 30.0], dtype=w.dtype) * (w - 1) ** 2).sum()


# fmt: off
MAKERS: dict[str, Callable[[Any], Optimizer]] = {
    "backtracking": lambda p: LineSearchGD(p, lr=1.0),
    "exact":        lambda p: LineSearchGD(p, line_search_fn="exact"),
    "wolfe":        lambda p: LineSearchGD(p, line_search_fn="strong_wolfe"),
    "lbfgs":        lambda p: LBFGS(p, lr=0.5, max_iter=3),
    "lbfgs, wolfe": lambda p: LBFGS(p, max_iter=3, line_search_fn="strong_wolfe"),
}
# fmt: on


def made(name: str, *, is_compiled: bool = False, sign: int = 1) -> tuple[Any, Any, Any]:
    w = tw.tensor([4.0, -3.0], dtype=tw.float64, requires_grad=True)
    optimizer = MAKERS[name]([w])

    def closure() -> tw.Tensor:
        optimizer.zero_grad()
        loss = sign * bowl(w)
        loss.backward()
        return loss.detach()

    return w, optimizer, tw.compile(closure) if is_compiled else closure


@pytest.mark.parametrize("name", MAKERS)
def test_every_step_goes_down(name: str) -> None:
    w, optimizer, closure = made(name)
    losses = [optimizer.step(closure).item() for _ in range(100)]
    searched = name != "lbfgs"
    assert not searched or all(b <= a for a, b in pairwise(losses))
    assert w.tolist() == pytest.approx([1.0, 1.0], abs=1e-2)


@pytest.mark.parametrize("name", MAKERS)
def test_a_compiled_closure(name: str) -> None:
    eager, native = made(name), made(name, is_compiled=True)
    for _ in range(5):
        ours, theirs = (float(optimizer.step(closure)) for _, optimizer, closure in (eager, native))
        assert theirs == pytest.approx(ours, rel=1e-9)
    assert native[0].tolist() == pytest.approx(eager[0].tolist(), rel=1e-7)


@pytest.mark.parametrize("name", MAKERS)
def test_ascent(name: str) -> None:
    w, optimizer, closure = made(name, sign=-1)
    optimizer.param_groups[0]["maximize"] = True
    down, other, descent = made(name)
    for _ in range(5):
        optimizer.step(closure)
        other.step(descent)
    assert w.tolist() == down.tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_resumed_with_the_same_bits(name: str) -> None:
    straight, optimizer, closure = made(name)
    for _ in range(6):
        optimizer.step(closure)
    w, first, begun = made(name)
    for _ in range(2):
        first.step(begun)
    saved = first.state_dict()
    groups = json.loads(json.dumps(saved["param_groups"]))
    assert all(isinstance(x, tw.Tensor) for s in saved["state"].values() for x in s.values())
    resumed, second, going = made(name)
    with tw.no_grad():
        resumed.copy_(w)
    second.load_state_dict({"state": saved["state"], "param_groups": groups})
    for _ in range(4):
        second.step(going)
    assert resumed.tolist() == straight.tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_what_a_step_needs(name: str) -> None:
    w, optimizer, closure = made(name)
    with pytest.raises(ConfigError, match="step needs a closure"):
        optimizer.step()
    with pytest.raises(TraceError, match=r"call it outside of\s+compiled functions"):
        tw.compile(lambda: optimizer.step(closure))()
    with pytest.raises(ConfigError, match="expected one group"):
        optimizer.add_param_group({"params": [tw.ones(2, requires_grad=True)]})
    assert w.tolist() == [4.0, -3.0]


def test_exact_search_needs_one_step_for_a_round_bowl() -> None:
    w = tw.tensor([3.0, -4.0, 12.0], dtype=tw.float64, requires_grad=True)
    optimizer = LineSearchGD([w], line_search_fn="exact", max_eval=60)

    def closure() -> tw.Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float(w.detach().norm()) < 1e-4


def test_several_parameters_and_one_without_a_gradient() -> None:
    a, b = (tw.ones(2, 3, dtype=tw.float64, requires_grad=True) for _ in range(2))
    c = tw.tensor(5.0, dtype=tw.float64, requires_grad=True)
    optimizer = LBFGS([a, b, c], line_search_fn="strong_wolfe")

    def closure() -> tw.Tensor:
        optimizer.zero_grad()
        loss = (a**2).sum() + (c - 2) ** 4
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert float(a.detach().abs().max()) < 1e-3
    assert b.tolist() == [[1.0] * 3] * 2
    assert c.item() == pytest.approx(2.0, abs=0.05)


def test_at_a_stationary_point_nothing_moves() -> None:
    for name in MAKERS:
        w, optimizer, closure = made(name)
        with tw.no_grad():
            w.fill_(1.0)
        optimizer.step(closure)
        assert w.tolist() == [1.0, 1.0]


def test_a_state_of_another_model() -> None:
    _, optimizer, closure = made("lbfgs")
    optimizer.step(closure)
    saved = optimizer.state_dict()
    other = MAKERS["lbfgs"]([tw.ones(3, dtype=tw.float64, requires_grad=True)])
    with pytest.raises(ConfigError, match=r"vectors of shape \(2,\) for 3 parameters"):
        other.load_state_dict(saved)
    saved["state"][0]["momentum"] = tw.ones(2)
    with pytest.raises(ConfigError, match="LBFGS has no 'momentum'"):
        optimizer.load_state_dict(saved)
