"""Containers of modules and parameters: indexing, slicing, changing, printing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_children()]


# --- Sequential ----------------------------------------------------------------------------------


def test_sequential_applies_in_order() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2, bias=False), nn.ReLU())
    x = tw.randn(5, 2, 3)
    expected = (x.reshape(5, 6) @ net[1].weight.T).relu()
    assert tw.allclose(net(x), expected)


def test_an_empty_sequential_is_the_identity() -> None:
    x = tw.ones(2)
    assert nn.Sequential()(x) is x


def test_named_layers() -> None:
    net = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), act=nn.Tanh()))
    assert names(net) == ["hidden", "act"]
    assert net.hidden is net[0] is net["hidden"] is net.get_submodule("hidden")
    assert list(net.state_dict()) == ["hidden.weight", "hidden.bias"]


def test_index_and_slice_share_the_layers() -> None:
    a, b, c = nn.Linear(1, 1), nn.ReLU(), nn.Tanh()
    net = nn.Sequential(a, b, c)
    assert (net[0], net[-1], net["1"], len(net)) == (a, c, b, 3)
    tail = net[1:]
    assert isinstance(tail, nn.Sequential)
    assert list(tail) == [b, c]
    assert names(tail) == ["1", "2"]  # as in PyTorch: a slice keeps the names


@pytest.mark.parametrize("index", [3, -4, "x"])
def test_index_out_of_range(index: Any) -> None:
    net = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU())
    with pytest.raises(IndexError, match=f"Sequential of 3 items has no item {index!r}"):
        net[index]


def test_changing_a_sequential() -> None:
    a, b, c, d = nn.Linear(1, 1), nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    net = nn.Sequential(a, b)
    assert net.append(c) is net
    net.insert(1, d)
    assert list(net) == [a, d, b, c]
    assert names(net) == ["0", "1", "2", "3"]
    net[1] = b
    del net[-1]
    del net[0]
    assert list(net) == [b, b]
    assert names(nn.Sequential(a, b, c, d).extend([nn.Linear(2, 2)])) == list("01234")
    assert net.pop() is b
    assert len(net) == 1


def test_deleting_renumbers_only_numbered_layers() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    del net[:2]
    assert names(net) == ["0"]
    named = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh(), c=nn.Sigmoid()))
    del named[0]
    assert names(named) == ["b", "c"]


def test_appending_to_a_slice_replaces_nothing() -> None:
    tail = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())[1:]
    tail.append(nn.ELU())
    assert [type(m).__name__ for m in tail] == ["Tanh", "Sigmoid", "ELU"]


def test_adding_sequentials() -> None:
    a, b = nn.ReLU(), nn.Tanh()
    both = nn.Sequential(a) + nn.Sequential(b)
    assert isinstance(both, nn.Sequential)
    assert list(both) == [a, b]
    both += [nn.Sigmoid()]
    assert names(both) == ["0", "1", "2"]


def test_what_is_no_module() -> None:
    with pytest.raises(ConfigError, match=r"write Sequential\(\*layers\)"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(ConfigError, match="item '1' is to be a Module, got function"):
        nn.Sequential(nn.ReLU(), tw.relu)


# --- ModuleList and ModuleDict -------------------------------------------------------------------


def test_module_list() -> None:
    a, b, c = nn.Linear(1, 1), nn.Linear(1, 2), nn.Linear(2, 2)
    layers = nn.ModuleList([a, b])
    layers.append(c)
    assert list(layers[1:]) == [b, c]
    assert names(layers[1:]) == ["0", "1"]
    assert b in layers
    assert list(layers + nn.ModuleList([a])) == [a, b, c, a]
    layers.insert(0, c)
    assert [*layers] == [c, a, b, c]
    with pytest.raises(NotImplementedError, match="ModuleList does not define forward"):
        layers(1)


def test_module_list_prints_equal_neighbours_once() -> None:
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(1, 2), nn.ReLU()])
    assert repr(layers) == (
        "ModuleList(\n"
        "  (0-1): 2 x ReLU()\n"
        "  (2): Linear(in_features=1, out_features=2, bias=True)\n"
        "  (3): ReLU()\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict() -> None:
    a, b = nn.ReLU(), nn.Tanh()
    layers = nn.ModuleDict({"a": a})
    layers["b"] = b
    layers.update({"a": b, "c": a})
    assert list(layers.items()) == [("a", b), ("b", b), ("c", a)]
    assert (list(layers), list(layers.keys()), list(layers.values())) == (
        ["a", "b", "c"],
        ["a", "b", "c"],
        [b, b, a],
    )
    assert "a" in layers
    assert "d" not in layers
    assert layers.pop("c") is a
    del layers["b"]
    assert len(layers) == 1
    layers.clear()
    assert len(layers) == 0


def test_module_dict_errors() -> None:
    layers = nn.ModuleDict({"hidden": nn.ReLU()})
    with pytest.raises(ConfigError, match=r"no 'hiden'; did you mean 'hidden'\?"):
        layers["hiden"]
    with pytest.raises(ConfigError, match="method or class attribute 'keys'"):
        layers["keys"] = nn.ReLU()
    layers.eval()
    with pytest.raises(ConfigError, match="method or class attribute 'training'"):
        layers["training"] = nn.ReLU()


# --- ParameterList and ParameterDict -------------------------------------------------------------


def test_parameter_list() -> None:
    weights = nn.ParameterList([tw.ones(2), nn.Parameter(tw.zeros(1), requires_grad=False)])
    weights.append(tw.ones(3))
    assert [p.requires_grad for p in weights] == [True, False, True]
    assert list(weights.state_dict()) == ["0", "1", "2"]
    assert len(weights[1:]) == 2
    assert repr(weights[:1]) == "ParameterList(\n  (0): Parameter of thalweg.float32, (2,)\n)"
    with pytest.raises(ConfigError, match="is to be a Parameter, got float"):
        weights.append(1.0)  # type: ignore[arg-type]


def test_parameter_dict_in_a_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.scales = nn.ParameterDict({"a": tw.ones(2)})

        def forward(self, x: tw.Tensor) -> tw.Tensor:
            return x * self.scales["a"]

    net = Net()
    net(tw.ones(2)).sum().backward()
    assert net.get_parameter("scales.a").grad.tolist() == [1, 1]
