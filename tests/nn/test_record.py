"""record: the pre-activations and activations of every layer, and their gradients."""

from __future__ import annotations

import thalweg as tw
from thalweg import nn


class Shallow(nn.Module):
    """Activations by a function, so only their layer's neighbours see them."""

    def __init__(self) -> None:
        self.hidden = nn.Linear(3, 4)
        self.output = nn.Linear(4, 2)

    def forward(self, x: tw.Tensor) -> tw.Tensor:
        return self.output(self.hidden(x).relu())


def test_preactivations_and_activations() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
    x = tw.randn(5, 3)
    with nn.record(net) as layers:
        y = net(x)
    assert list(layers) == ["0", "1", "2", ""]
    assert tw.equal(layers["0"], x @ net[0].weight.T + net[0].bias)
    assert tw.equal(layers["1"], layers["0"].sigmoid())
    assert layers[""] is layers["2"] is y


def test_inputs_show_activations_that_are_functions() -> None:
    net = Shallow()
    with nn.record(net) as layers:
        net(tw.randn(5, 3))
    assert tw.equal(layers.inputs["output"][0], layers["hidden"].relu())


def test_gradients_of_the_outputs() -> None:
    net = Shallow()
    with nn.record(net, retain_grad=True) as layers:
        loss = net(tw.randn(5, 3)).square().sum()
    loss.backward()
    assert tw.allclose(layers["output"].grad, 2 * layers["output"].detach())
    expected = (layers["output"].grad @ net.output.weight.detach()) * layers["hidden"].gt(0)
    assert tw.allclose(layers["hidden"].grad, expected.detach())


def test_only_inside_the_block_and_the_last_call_counts() -> None:
    net = Shallow()
    with nn.record(net) as layers:
        net(tw.zeros(2, 3))
        net(tw.zeros(7, 3))
    net(tw.zeros(9, 3))
    assert layers[""].shape == (7, 2)
    assert all(module._hooks is None for module in net.modules())


def test_hooks_go_even_after_an_error() -> None:
    net = Shallow()
    try:
        with nn.record(net) as layers:
            net(tw.zeros(2, 5))
    except tw.errors.ShapeError:
        assert dict(layers) == {}
    assert all(module._hooks is None for module in net.modules())
