"""Module: what counts as its part, in which order, and what is done to all of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, DTypeError, ShapeError


class Block(nn.Module):
    """Parts of every kind, set in an order other than that of the result."""

    def __init__(self) -> None:
        self.inner = nn.Linear(2, 3)
        self.register_buffer("steps", tw.tensor(0))
        self.register_buffer("cache", tw.zeros(2), persistent=False)
        self.scale = nn.Parameter(tw.ones(3))
        self.plain = tw.zeros(5)

    def forward(self, x: tw.Tensor) -> tw.Tensor:
        return self.inner(x) * self.scale


class Listed(nn.Module):
    """Parts in plain lists, tuples and dictionaries."""

    def __init__(self) -> None:
        self.layers = [nn.Linear(2, 2), (nn.ReLU(), nn.Linear(2, 1, bias=False))]
        self.heads = {"a": nn.Linear(1, 1), 3: nn.Tanh()}
        self.weights = [nn.Parameter(tw.ones(1)), 7, "text"]


# --- what counts ---------------------------------------------------------------------------------


def test_parameters_come_before_those_of_children_and_buffers_are_not_among_them() -> None:
    assert [name for name, _ in Block().named_parameters()] == [
        "scale",
        "inner.weight",
        "inner.bias",
    ]


def test_without_recurse_only_what_is_the_modules_own() -> None:
    block = Block()
    assert [name for name, _ in block.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in nn.Sequential(block).named_buffers(recurse=False)] == []


def test_prefix_goes_in_front() -> None:
    assert [n for n, _ in Block().named_buffers(prefix="net")] == ["net.steps", "net.cache"]
    assert [n for n, _ in Block().named_modules(prefix="net")] == ["net", "net.inner"]


def test_lists_tuples_and_dictionaries_are_part_of_it() -> None:
    net = Listed()
    assert [name for name, _ in net.named_parameters()] == [
        "weights.0",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.1.weight",
        "heads.a.weight",
        "heads.a.bias",
    ]
    assert [n for n, _ in net.named_children()] == [
        "layers.0",
        "layers.1.0",
        "layers.1.1",
        "heads.a",
        "heads.3",
    ]


def test_a_layer_put_into_a_list_later_is_found() -> None:
    net = Listed()
    net.layers.append(nn.Linear(1, 1))
    assert "layers.2.weight" in dict(net.named_parameters())


def test_no_super_init_and_any_attribute_may_go() -> None:
    block = Block()
    del block.inner
    assert [name for name, _ in block.named_parameters()] == ["scale"]
    block.scale = None
    block.steps = None
    assert list(block.parameters()) == []
    assert list(block.state_dict()) == []


def test_a_buffer_stays_one_when_its_tensor_is_replaced() -> None:
    block = Block()
    block.steps = block.steps + 1
    assert dict(block.named_buffers())["steps"].item() == 1


def test_buffers_of_one_module_are_not_those_of_another() -> None:
    assert list(nn.Linear(1, 1).named_buffers()) == []
    assert list(nn.Module._buffer_names) == []


def test_shared_modules_and_parameters_count_once() -> None:
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.parameters())) == 2
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "0", "1", "2"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_circles_are_not_followed() -> None:
    parent, child = Block(), Block()
    parent.child, child.parent = child, parent
    child.family = family = [parent]
    family.append(family)  # type: ignore[arg-type]  # a list inside itself
    assert len(list(parent.parameters())) == 6
    assert "child.inner.weight" in parent.state_dict()
    assert len(list(parent.apply(lambda module: None).modules())) == 4


def test_attributes_may_be_set_while_modules_are_visited() -> None:
    net = nn.Sequential(Block(), Block())
    for number, module in enumerate(net.modules()):
        module.number = number
        net.last = number
    assert net.last == 4


def test_get_by_path() -> None:
    net = nn.Sequential(Listed(), Block())
    assert net.get_submodule("") is net
    assert net.get_submodule("0.layers.1.0") is net[0].layers[1][0]
    assert net.get_parameter("1.inner.bias") is net[1].inner.bias
    assert net.get_buffer("1.steps") is net[1].steps
    with pytest.raises(ConfigError, match=r"Sequential has no '1\.iner'; did you mean '1\.inner'"):
        net.get_submodule("1.iner")


# --- setting -------------------------------------------------------------------------------------


def test_a_plain_tensor_does_not_take_a_parameters_place() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match=r"Linear\.weight is a Parameter.*nn\.Parameter"):
        layer.weight = layer.weight * 2
    with tw.no_grad():
        layer.weight *= 2  # the same parameter, with another value
    layer.weight = nn.Parameter(tw.zeros(2, 2))
    assert layer.get_parameter("weight").sum().item() == 0


def test_registering() -> None:
    module = nn.Module()
    module.register_parameter("w", nn.Parameter(tw.ones(2)))
    module.register_parameter("b", None)
    module.add_module("child", nn.ReLU())
    module.register_module("gone", None)
    assert [n for n, _ in module.named_parameters()] == ["w"]
    assert [n for n, _ in module.named_children()] == ["child"]


@pytest.mark.parametrize("name", ["", "a.b", "training", "forward"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ConfigError, match=r"name"):
        nn.Module().add_module(name, nn.ReLU())


def test_registering_another_kind() -> None:
    module: Any = nn.Module()
    with pytest.raises(ConfigError, match="a Module expected, got Parameter"):
        module.add_module("x", nn.Parameter(tw.ones(1)))
    with pytest.raises(ConfigError, match="a Parameter expected, got Tensor"):
        module.register_parameter("x", tw.ones(1))
    with pytest.raises(ConfigError, match="a Tensor expected, got float"):
        module.register_buffer("x", 1.0)


# --- for all of it -------------------------------------------------------------------------------


def test_train_and_eval_reach_everything() -> None:
    net = nn.Sequential(Listed(), Block())
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())).apply(lambda m: seen.append(m.describe()))
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_requires_grad_and_zero_grad() -> None:
    block = Block()
    block(tw.ones(1, 2)).sum().backward()
    block.zero_grad(set_to_none=False)
    assert [p.grad.abs().sum().item() for p in block.parameters()] == [0, 0, 0]
    block.zero_grad()
    assert [p.grad for p in block.parameters()] == [None, None, None]
    block.requires_grad_(False)
    assert not block(tw.ones(1, 2)).requires_grad


def test_to_casts_what_is_floating_in_place() -> None:
    block = Block()
    before = list(block.parameters())
    block(tw.ones(1, 2)).sum().backward()
    assert block.double() is block
    assert {p.dtype for p in block.parameters()} == {tw.float64}
    assert {p.grad.dtype for p in block.parameters()} == {tw.float64}
    assert (block.steps.dtype, block.cache.dtype) == (tw.int64, tw.float64)
    assert all(a is b for a, b in zip(before, block.parameters(), strict=True))
    assert block.float().scale.dtype is tw.float32
    assert block.to(tw.ones(1, dtype=tw.float64)).scale.dtype is tw.float64
    assert block.to("cpu").cpu().scale.dtype is tw.float64
    assert block.to(dtype="float32").scale.dtype is tw.float32


def test_to_what_cannot_be() -> None:
    with pytest.raises(DTypeError, match=r"floating, not thalweg\.int64"):
        Block().to(tw.int64)
    with pytest.raises(ConfigError, match="cuda"):
        Block().to("cuda")


def test_deepcopy_is_a_network_of_its_own() -> None:
    net = nn.Sequential(Block(), Listed())
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    with tw.no_grad():
        twin[0].scale.zero_()
        twin[0].steps += 1
    assert net[0].scale.sum().item() == 3
    assert net[0].steps.item() == 0
    assert isinstance(twin[0].scale, nn.Parameter)


def test_deepcopy_keeps_what_is_shared_shared() -> None:
    layer = nn.Linear(2, 2)
    twin = copy.deepcopy(nn.Sequential(layer, layer))
    assert twin[0] is twin[1]
    assert twin[0] is not layer


# --- calling and printing ------------------------------------------------------------------------


def test_call_passes_keywords_on() -> None:
    class Scaled(nn.Module):
        def forward(self, x: tw.Tensor, *, by: float) -> tw.Tensor:
            return x * by

    assert Scaled()(tw.tensor(2.0), by=3.0).item() == 6


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        nn.Module()(1)


def test_an_error_names_the_path_of_the_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.body = [nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 1))]

        def forward(self, x: tw.Tensor) -> tw.Tensor:
            return self.body[0](x)

    with pytest.raises(ShapeError, match=r"^Net\.body\.0\.2 \(Linear 4 -> 1\): ") as caught:
        Net()(tw.ones(5, 2))
    assert caught.value.layer == "Linear 4 -> 1"
    assert caught.value.layers == ["2", "body.0", "Net"]


def test_an_error_names_what_stands_in_a_list_or_a_dictionary_of_modules() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = nn.ModuleList([nn.Linear(2, 3), nn.Linear(4, 1)])
            self.heads = nn.ModuleDict({"mean": nn.Linear(7, 1)})

        def forward(self, x: tw.Tensor, deep: bool = True) -> tw.Tensor:
            return self.layers[1](self.layers[0](x)) if deep else self.heads["mean"](x)

    with pytest.raises(ShapeError, match=r"^Sequential\.0\.layers\.1 \(Linear 4 -> 1\): "):
        nn.Sequential(Net())(tw.ones(5, 2))
    with pytest.raises(ShapeError, match=r"^Net\.heads\.mean \(Linear 7 -> 1\): "):
        Net()(tw.ones(5, 2), False)


def test_an_error_of_a_lone_layer_names_it_once() -> None:
    with pytest.raises(ShapeError, match=r"^Linear 4 -> 1: an input"):
        nn.Linear(4, 1)(tw.ones(5, 2))


def test_an_error_in_a_forward_of_ones_own() -> None:
    class Sum(nn.Module):
        def forward(self, x: tw.Tensor) -> tw.Tensor:
            return x + tw.ones(7)

    with pytest.raises(ShapeError, match=r"^Sequential\.1 \(Sum\): .*do not broadcast"):
        nn.Sequential(nn.Linear(2, 3), Sum())(tw.ones(5, 2))


def test_an_error_in_a_module_that_is_no_attribute() -> None:
    hidden = nn.Linear(4, 1)

    class Caller(nn.Module):
        def forward(self, x: tw.Tensor) -> tw.Tensor:
            return hidden(x)

    with pytest.raises(ShapeError, match=r"^Caller\.Linear \(Linear 4 -> 1\): "):
        Caller()(tw.ones(5, 2))


def test_repr_is_pytorchs() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.body = nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.2))
            self.drop = nn.Dropout(0.1)

        def extra_repr(self) -> str:
            return "width=3"

    assert repr(Net()) == (
        "Net(\n"
        "  width=3\n"
        "  (body): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "    (1): LeakyReLU(negative_slope=0.2)\n"
        "  )\n"
        "  (drop): Dropout(p=0.1, inplace=False)\n"
        ")"
    )
