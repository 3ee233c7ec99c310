"""Deck 003's toy function, every intermediate value and derivative, forward and then backward.

    f[x, phi] = beta3 + omega3 cos[beta2 + omega2 exp[beta1 + omega1 sin[beta0 + omega0 x]]]
    l = (f - y)^2

The derivatives are worked with `math`, in the deck's order, and compared with what the backward
pass yields as it goes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest

import thalweg as tw

BETA = (0.3, -0.5, 0.2, 1.1)
OMEGA = (0.7, 0.9, -0.4, 1.6)
X, Y = 1.3, 0.4

ORDER = ["f3", "h3", "f2", "h2", "f1", "h1", "f0"]  # the deck's: from the output backwards


class Chain(NamedTuple):
    """The program's tensors, by the deck's names."""

    loss: tw.Tensor
    named: dict[str, tw.Tensor]


@pytest.fixture
def chain() -> Chain:
    beta = [tw.tensor(b, dtype=tw.float64, requires_grad=True) for b in BETA]
    omega = [tw.tensor(w, dtype=tw.float64, requires_grad=True) for w in OMEGA]
    x, y = tw.tensor(X, dtype=tw.float64), tw.tensor(Y, dtype=tw.float64)
    f0 = beta[0] + omega[0] * x
    h1 = tw.sin(f0)
    f1 = beta[1] + omega[1] * h1
    h2 = tw.exp(f1)
    f2 = beta[2] + omega[2] * h2
    h3 = tw.cos(f2)
    f3 = beta[3] + omega[3] * h3
    loss = (f3 - y) ** 2
    named = {"x": x, "y": y, "f0": f0, "h1": h1, "f1": f1, "h2": h2, "f2": f2, "h3": h3, "f3": f3}
    named |= {f"beta{k}": b for k, b in enumerate(beta)}
    named |= {f"omega{k}": w for k, w in enumerate(omega)}
    return Chain(loss, named | {"l": loss})


def forward_by_hand() -> dict[str, float]:
    f0 = BETA[0] + OMEGA[0] * X
    h1 = math.sin(f0)
    f1 = BETA[1] + OMEGA[1] * h1
    h2 = math.exp(f1)
    f2 = BETA[2] + OMEGA[2] * h2
    h3 = math.cos(f2)
    f3 = BETA[3] + OMEGA[3] * h3
    return {
        "f0": f0, "h1": h1, "f1": f1, "h2": h2, "f2": f2, "h3": h3, "f3": f3, "l": (f3 - Y) ** 2
    }  # fmt: skip


def backward_by_hand() -> dict[str, float]:
    """d l / d each intermediate, each from the one before it."""
    v = forward_by_hand()
    d = {"f3": 2 * (v["f3"] - Y)}
    d["h3"] = OMEGA[3] * d["f3"]
    d["f2"] = -math.sin(v["f2"]) * d["h3"]
    d["h2"] = OMEGA[2] * d["f2"]
    d["f1"] = math.exp(v["f1"]) * d["h2"]
    d["h1"] = OMEGA[1] * d["f1"]
    d["f0"] = math.cos(v["f0"]) * d["h1"]
    inputs = (X, v["h1"], v["h2"], v["h3"])
    for k, h in enumerate(inputs):
        d[f"beta{k}"] = d[f"f{k}"]
        d[f"omega{k}"] = h * d[f"f{k}"]
    return d


def test_the_formula_in_one_line_gives_the_same() -> None:
    f = BETA[3] + OMEGA[3] * math.cos(
        BETA[2] + OMEGA[2] * math.exp(BETA[1] + OMEGA[1] * math.sin(BETA[0] + OMEGA[0] * X))
    )
    assert forward_by_hand()["l"] == pytest.approx((f - Y) ** 2, rel=1e-15)


def test_forward(chain: Chain) -> None:
    for name, value in forward_by_hand().items():
        assert chain.named[name].item() == pytest.approx(value, rel=1e-15), name


def test_backward_step_by_step_in_the_order_of_the_deck(chain: Chain) -> None:
    nodes = {chain.named[name].grad_fn: name for name in ORDER}
    met = []
    for step in tw.backward_steps(chain.loss):
        if step.node in nodes:
            name = nodes[step.node]
            met.append(name)
            assert step.value.item() == pytest.approx(forward_by_hand()[name], rel=1e-14), name
            assert step.cotangent.item() == pytest.approx(backward_by_hand()[name], rel=1e-13), name
    assert met == ORDER


def test_parameters_come_last_each_with_its_derivative(chain: Chain) -> None:
    steps = list(tw.backward_steps(chain.loss))
    leaves = [step for step in steps if step.leaf is not None]
    assert steps[-len(leaves) :] == leaves
    names = {id(t): name for name, t in chain.named.items()}
    derivatives = {names[id(step.leaf)]: step.cotangent.item() for step in leaves}
    expected = {n: d for n, d in backward_by_hand().items() if n.startswith(("beta", "omega"))}
    assert derivatives == pytest.approx(expected, rel=1e-13)


def test_backward_fills_grad_with_the_same(chain: Chain) -> None:
    list(tw.backward_steps(chain.loss))  # looking changes nothing
    chain.loss.backward()
    expected = backward_by_hand()
    for k in range(4):
        for name in (f"beta{k}", f"omega{k}"):
            assert chain.named[name].grad.item() == pytest.approx(expected[name], rel=1e-13), name


def test_central_differences_agree() -> None:
    step = 1e-6
    expected = backward_by_hand()

    def loss(changed: str, by: float) -> float:
        p = {f"beta{k}": b for k, b in enumerate(BETA)} | {
            f"omega{k}": w for k, w in enumerate(OMEGA)
        }
        p[changed] += by
        h = math.sin(p["beta0"] + p["omega0"] * X)
        h = math.exp(p["beta1"] + p["omega1"] * h)
        h = math.cos(p["beta2"] + p["omega2"] * h)
        return (p["beta3"] + p["omega3"] * h - Y) ** 2

    for name in (f"{kind}{k}" for kind in ("beta", "omega") for k in range(4)):
        slope = (loss(name, step) - loss(name, -step)) / (2 * step)
        assert slope == pytest.approx(expected[name], rel=1e-8), name


def test_the_graph_shows_it_all(chain: Chain) -> None:
    graph = tw.graph(chain.loss, chain.named, values=True, cotangents=True)
    shown: dict[str, Any] = {v.name: v for v in graph.vertices}
    for name, value in forward_by_hand().items():
        assert shown[name].value.item() == pytest.approx(value, rel=1e-14)
    for name, derivative in backward_by_hand().items():
        assert shown[name].cotangent.item() == pytest.approx(derivative, rel=1e-13)


def test_the_sequence_of_operations(chain: Chain) -> None:
    assert tw.graph(chain.loss, chain.named).text(shapes=False).splitlines() == [
        "t1  = omega0 * x",
        "f0  = beta0 + t1",
        "h1  = sin(f0)",
        "t4  = omega1 * h1",
        "f1  = beta1 + t4",
        "h2  = exp(f1)",
        "t7  = omega2 * h2",
        "f2  = beta2 + t7",
        "h3  = cos(f2)",
        "t10 = omega3 * h3",
        "f3  = beta3 + t10",
        "t12 = f3 - y",
        "l   = t12 ** 2",
    ]
