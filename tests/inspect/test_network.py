"""The graph of a network made with `nn`: layers, activations and losses are lines, not heaps."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn


def network() -> nn.Sequential:
    tw.manual_seed(0)
    layers = [nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 3)]
    return nn.Sequential(*layers)


def test_three_layers_and_a_loss() -> None:
    model, x, labels = network(), tw.randn(8, 6), tw.randint(0, 3, (8,))
    loss = nn.CrossEntropyLoss()(model(x), labels)
    graph = tw.graph(loss, model, x=x, labels=labels)
    assert graph.text(shapes=False).splitlines() == [
        "t1  = x @ 0.weight.T",
        "t2  = t1 + 0.bias",
        "t3  = relu(t2)",
        "t4  = t3 @ 2.weight.T",
        "t5  = t4 + 2.bias",
        "t6  = sigmoid(t5)",
        "t7  = t6 @ 4.weight.T",
        "t8  = t7 + 4.bias",
        "t9  = log_softmax(t8, dim=1)",
        "t10 = cross_entropy(t8, t9, labels)",
    ]
    assert graph.absent == ()


def test_every_parameter_has_its_name_and_its_cotangent_is_its_gradient() -> None:
    model, x, labels = network(), tw.randn(8, 6), tw.randint(0, 3, (8,))
    loss = nn.CrossEntropyLoss()(model(x), labels)
    shown = {
        v.name: v.cotangent
        for v in tw.graph(loss, model, cotangents=True).vertices
        if v.kind == "parameter"
    }
    loss.backward()
    assert list(shown) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        assert shown[name].tolist() == parameter.grad.tolist()


def test_a_frozen_layer_is_an_input_with_its_name() -> None:
    model, x = network(), tw.randn(8, 6)
    model[0].requires_grad_(False)
    graph = tw.graph(model(x).sum(), model, x=x)
    kinds = {v.name: v.kind for v in graph.vertices}
    # Nothing before the first trained layer is recorded: its result is where the graph begins.
    assert "0.weight" not in kinds
    assert kinds["2.weight"] == "parameter"
    model[2].requires_grad_(False)
    model[0].requires_grad_(True)
    kinds = {v.name: v.kind for v in tw.graph(model(x).sum(), model, x=x).vertices}
    assert (kinds["0.weight"], kinds["2.weight"]) == ("parameter", "input")


def test_a_shared_layer_is_drawn_once() -> None:
    layer = nn.Linear(4, 4)
    out = nn.Sequential(layer, nn.Tanh(), layer)(tw.randn(2, 4)).sum()
    names = [v.name for v in tw.graph(out, layer).vertices if v.kind == "parameter"]
    assert names == ["weight", "bias"]


@pytest.mark.parametrize("name", ["ReLU", "GELU", "Softplus", "LogSoftmax", "SELU", "Mish"])
def test_activations_can_be_seen(name: str) -> None:
    activation = getattr(nn, name)(dim=1) if name == "LogSoftmax" else getattr(nn, name)()
    x = tw.randn(3, 4).requires_grad_()
    assert tw.graph(activation(x).sum(), x=x).svg().startswith("<svg ")
