"""Deck 004's regularized neuron, by hand, by graph and by tape.

    z = w x + b      y = sigmoid(z)      L = 1/2 (y - t)^2
    R = 1/2 w^2      L_reg = L + lambda R

The deck works it twice: by the rules of calculus, in one expression, and backwards through the
graph, each v-bar from those of the vertices computed from v. Both are here.
"""

from __future__ import annotations

import math

import pytest

import thalweg as tw

W, X, B, T, LAMBDA = 0.8, 1.5, -0.3, 1.0, 0.1

PARENTS = {"L_reg": ("L", "t9"), "w": ("t1", "R")}


class Neuron:
    """The program, each vertex of the deck's graph by its name."""

    def __init__(self) -> None:
        self.w = tw.tensor(W, dtype=tw.float64, requires_grad=True)
        self.b = tw.tensor(B, dtype=tw.float64, requires_grad=True)
        self.x = tw.tensor(X, dtype=tw.float64)
        self.t = tw.tensor(T, dtype=tw.float64)
        self.z = self.w * self.x + self.b
        self.y = tw.sigmoid(self.z)
        self.L = (self.y - self.t) ** 2 / 2
        self.R = self.w**2 / 2
        self.L_reg = self.L + LAMBDA * self.R


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def values() -> dict[str, float]:
    z = W * X + B
    y = sigmoid(z)
    loss, penalty = (y - T) ** 2 / 2, W**2 / 2
    return {"z": z, "y": y, "L": loss, "R": penalty, "L_reg": loss + LAMBDA * penalty}


def bars() -> dict[str, float]:
    """Each v-bar as the deck computes it, from the output to the inputs."""
    v = values()
    bar = {"L_reg": 1.0}
    bar["R"] = bar["L_reg"] * LAMBDA
    bar["L"] = bar["L_reg"]
    bar["y"] = bar["L"] * (v["y"] - T)
    bar["z"] = bar["y"] * v["y"] * (1 - v["y"])  # sigma' = sigma (1 - sigma)
    bar["w"] = bar["z"] * X + bar["R"] * W  # the multivariate chain rule: w is used twice
    bar["b"] = bar["z"]
    return bar


def test_forward() -> None:
    neuron = Neuron()
    for name, value in values().items():
        assert getattr(neuron, name).item() == pytest.approx(value, rel=1e-15), name


def test_by_tape_every_bar() -> None:
    neuron = Neuron()
    where = {getattr(neuron, name).grad_fn: name for name in values()}
    where |= {neuron.w: "w", neuron.b: "b"}
    found = {}
    for step in tw.backward_steps(neuron.L_reg):
        key = step.node or step.leaf
        if key in where:
            found[where[key]] = step.cotangent.item()
    assert found == pytest.approx(bars(), rel=1e-14)
    assert list(found) == ["L_reg", "R", "L", "y", "z", "w", "b"]  # children before parents


def test_by_hand_in_one_expression() -> None:
    """The deck's right-hand side: (sigma(wx+b) - t) sigma'(wx+b) x + lambda w, and without x."""
    y = sigmoid(W * X + B)
    common = (y - T) * y * (1 - y)
    assert bars()["w"] == pytest.approx(common * X + LAMBDA * W, rel=1e-15)
    assert bars()["b"] == pytest.approx(common, rel=1e-15)


def test_by_graph() -> None:
    neuron = Neuron()
    graph = tw.graph(neuron.L_reg, vars(neuron), cotangents=True)
    shown = {v.name: v.cotangent.item() for v in graph.vertices if v.cotangent is not None}
    assert {name: shown[name] for name in bars()} == pytest.approx(bars(), rel=1e-14)
    assert graph.text(shapes=False).splitlines() == [
        "t1    = w * x",
        "z     = t1 + b",
        "y     = sigmoid(z)",
        "t4    = y - t",
        "t5    = t4 ** 2",
        "L     = t5 / 2",
        "t7    = w ** 2",
        "R     = t7 / 2",
        "t9    = 0.1 * R",
        "L_reg = L + t9",
    ]


def test_backward_leaves_the_sums_in_grad() -> None:
    neuron = Neuron()
    neuron.L_reg.backward()
    assert neuron.w.grad.item() == pytest.approx(bars()["w"], rel=1e-14)
    assert neuron.b.grad.item() == pytest.approx(bars()["b"], rel=1e-14)
    assert neuron.x.grad is None


def test_two_layers_in_vectors() -> None:
    """The same deck, "multilayer networks, vectorized view": every bar of the two-layer network.

    z = W1 x + b1,  h = sigma(z),  y = W2 h + b2,  L = 1/2 |y - t|^2
    """
    tw.manual_seed(4)
    x, t = tw.randn(3, dtype=tw.float64), tw.randn(2, dtype=tw.float64)
    W1, b1 = (tw.randn(*s, dtype=tw.float64).requires_grad_() for s in ((4, 3), (4,)))
    W2, b2 = (tw.randn(*s, dtype=tw.float64).requires_grad_() for s in ((2, 4), (2,)))
    z = W1 @ x + b1
    h = tw.sigmoid(z)
    y = W2 @ h + b2
    L = ((y - t) ** 2).sum() / 2
    named = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "z": z, "h": h, "y": y}
    graph = tw.graph(L, named, cotangents=True)
    bar = {v.name: v.cotangent.numpy() for v in graph.vertices if v.cotangent is not None}
    with tw.no_grad():
        y_bar = y - t
        h_bar = W2.T @ y_bar
        z_bar = h_bar * h * (1 - h)
        expected = {
            "y": y_bar,
            "W2": y_bar.outer(h),
            "b2": y_bar,
            "h": h_bar,
            "z": z_bar,
            "W1": z_bar.outer(x),
            "b1": z_bar,
        }
    for name, value in expected.items():
        assert bar[name] == pytest.approx(value.numpy(), rel=1e-12, abs=1e-14), name
