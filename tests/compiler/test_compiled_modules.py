"""`tw.compile` of a module, and of a method: it stays what it was, and its calls are compiled."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, TraceError

X = tw.tensor([[1.0, -2.0, 3.0], [0.5, 1.5, -1.0]])


class Net(nn.Module):
    def __init__(self) -> None:
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.scale = 2.0

    def forward(self, x: tw.Tensor) -> Any:
        return self.layers(x) * self.scale


class Decorated(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(3, 2)

    @tw.compile
    def forward(self, x: tw.Tensor) -> Any:
        return self.inner(x)


def plain() -> str:
    return "no tensor"


@tw.compile
def named(x: tw.Tensor) -> tw.Tensor:
    return x + 1


def pair() -> tuple[Any, Any]:
    """A network, and the same compiled; of some others two rows have a variance near 0."""
    tw.manual_seed(0)
    net = Net()
    return net, tw.compile(net)


def test_it_is_a_module() -> None:
    net, model = pair()
    assert issubclass(type(model), Net)
    assert [*map(id, model.parameters())] == [*map(id, net.parameters())]
    assert list(model.state_dict()) == list(net.state_dict())
    assert repr(model) == repr(net)
    assert model.eval() is model
    assert not net.training
    assert not net.layers.training
    model.scale = 3.0
    assert net.scale == 3.0
    assert tw.allclose(model(X), net(X), atol=1e-6)
    assert model.graph().equations
    with pytest.raises(AttributeError, match=r"'Net' object has no attribute 'nothing'"):
        _ = model.nothing


def test_it_trains_in_an_eager_loop() -> None:
    net, model = pair()
    other = copy.deepcopy(net)
    for trained in (model, other):
        optimizer = tw.optim.SGD(trained.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            trained(X).square().mean().backward()
            optimizer.step()
    for name, value in net.state_dict().items():
        assert tw.allclose(value, other.state_dict()[name], atol=1e-5), name


def test_it_stands_in_a_container() -> None:
    _, model = pair()
    whole = nn.Sequential(model, nn.Linear(2, 1)).eval()
    assert tuple(whole(X).shape) == (2, 1)
    assert "0.layers.0.weight" in whole.state_dict()
    assert tw.allclose(tw.compile(whole)(X), whole(X), atol=1e-6)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_computes_with_its_own_parameters(copied: Any) -> None:
    net, model = pair()
    net.eval()
    before = model(X)
    other = copied(model)
    with tw.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert other(X).abs().max().item() == 0
    assert tw.equal(model(X), before)
    assert other.graph().equations, "a copy is compiled too"


def test_a_module_compiles_itself() -> None:
    net = Net().eval()
    expected = net(X)
    net.compile()  # gives nothing, as in PyTorch
    assert tw.allclose(net(X), expected, atol=1e-6)
    found: Any = net
    assert found.graph().equations
    assert tw.allclose(copy.deepcopy(net)(X), expected, atol=1e-6)


def test_a_decorated_method_is_each_object_s() -> None:
    one, two = Decorated(), Decorated()
    for net in (one, two, one):
        assert tw.allclose(net(X), net.inner(X), atol=1e-6)
    assert one.forward.scan(X).shape == (2, 2)
    assert one.forward.graph().equations
    assert Decorated.forward(one, X).shape == (2, 2)
    other = copy.deepcopy(one)
    with tw.no_grad():
        other.inner.weight.zero_()
    assert not tw.equal(other(X), one(X))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def test_a_compiled_function_is_copied_and_saved(copied: Any) -> None:
    assert named(tw.zeros(2)).tolist() == [1, 1]
    other = copied(named)
    assert other(tw.ones(2)).tolist() == [2, 2]
    assert other.__name__ == "named"
    assert copied(tw.compile(plain)).fn is plain


def test_what_cannot_be_called_cannot_be_compiled() -> None:
    number: Any = 3
    with pytest.raises(ConfigError, match="a function or a module expected, got int"):
        tw.compile(number)


def test_there_is_nothing_to_see_before_a_call() -> None:
    _, model = pair()
    for look in ("graph", "llvm", "asm", "explain"):
        with pytest.raises(TraceError, match="Net has no program yet: call it once"):
            getattr(model, look)()
