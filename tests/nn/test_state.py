"""state_dict and load_state_dict: names, order, snapshots, and what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import CheckpointError, ConfigTypeError


def network() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 2, bias=False)))
    net.register_buffer("count", tw.tensor(5))
    net.register_buffer("scratch", tw.zeros(1), persistent=False)
    return net


def test_names_and_order_are_pytorchs() -> None:
    assert list(network().state_dict()) == ["count", "0.weight", "0.bias", "1.1.weight"]
    assert list(network().state_dict(prefix="net."))[:2] == ["net.count", "net.0.weight"]


def test_it_is_a_snapshot() -> None:
    net = network()
    state = net.state_dict()
    with tw.no_grad():
        net[0].bias.fill_(7.0)
    assert state["0.bias"].abs().amax().item() < 1
    assert not state["0.bias"].requires_grad
    assert net.state_dict(keep_vars=True)["0.bias"] is net[0].bias


def test_round_trip() -> None:
    source, target = network(), network()
    with tw.no_grad():
        source.count += 1
    parameters = list(target.parameters())
    keys = target.load_state_dict(source.state_dict())
    assert (keys.missing_keys, keys.unexpected_keys) == ([], [])
    assert repr(keys) == "<All keys matched successfully>"
    for name, value in source.state_dict().items():
        assert tw.equal(target.state_dict()[name], value), name
    assert all(a is b for a, b in zip(parameters, target.parameters(), strict=True))
    assert all(p.requires_grad and p.is_leaf for p in target.parameters())


def test_values_are_cast_and_arrays_taken() -> None:
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": np.array([[1, 2]]), "bias": tw.ones(1, dtype=tw.float64)})
    assert net.weight.tolist() == [[1.0, 2.0]]
    assert (net.weight.dtype, net.bias.dtype) == (tw.float32, tw.float32)


def changed(**changes: Any) -> dict[str, Any]:
    state = {name: tw.zeros(value.shape) for name, value in network().state_dict().items()}
    state |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (changed(**{"0__bias": None}), r"Sequential, nothing was loaded:\n  missing: 0\.bias$"),
        (changed(extra=tw.ones(1)), r"unexpected: extra$"),
        (
            changed(**{"0__weight": None, "0__wieght": tw.zeros(4, 3)}),
            r"unexpected: 0\.wieght \(did you mean 0\.weight\?\)",
        ),
        (
            changed(**{"0__weight": tw.zeros(3, 4)}),
            r"0\.weight: shape \(3, 4\) in the state, \(4, 3\) in the module",
        ),
        (
            {f"module.{name}": value for name, value in changed().items()},
            r"all names begin with 'module\.'; without it they fit",
        ),
    ],
)
def test_what_does_not_fit_changes_nothing(state: dict[str, Any], message: str) -> None:
    net = network()
    before = net.state_dict()
    with pytest.raises(CheckpointError, match=message):
        net.load_state_dict(state)
    assert all(tw.equal(value, before[name]) for name, value in net.state_dict().items())


def test_not_strict_takes_what_fits_and_tells_the_rest() -> None:
    net = network()
    keys = net.load_state_dict(changed(**{"0__bias": None, "more": tw.ones(1)}), strict=False)
    assert keys == (["0.bias"], ["more"])
    assert repr(keys) == "IncompatibleKeys(missing_keys=['0.bias'], unexpected_keys=['more'])"
    assert net[0].weight.abs().sum().item() == 0


def test_a_wrong_shape_is_an_error_even_if_not_strict() -> None:
    with pytest.raises(CheckpointError, match="shape"):
        network().load_state_dict({"0.bias": tw.zeros(9)}, strict=False)


def test_a_module_in_place_of_its_state() -> None:
    words = r"Sequential.load_state_dict: a dictionary .* got Sequential: give its state_dict\(\)"
    with pytest.raises(ConfigTypeError, match=words):
        network().load_state_dict(network())


def test_long_lists_are_cut() -> None:
    net = nn.Sequential(*[nn.Linear(1, 1) for _ in range(20)])
    with pytest.raises(CheckpointError, match=r"\.\.\. and 32 more such") as caught:
        net.load_state_dict({})
    assert len(str(caught.value).splitlines()) == 10
