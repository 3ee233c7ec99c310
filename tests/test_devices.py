"""Programs that choose a device: there is one, and every other is an error."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

import thalweg as tw
from tests.nn.built import MODULES
from thalweg.errors import ConfigError

X = tw.ones(2, 3)
LAYER = tw.nn.Linear(2, 1)
MAKERS: list[Callable[..., tw.Tensor]] = [
    lambda device: tw.tensor([1.0], device=device),
    lambda device: tw.as_tensor([1.0], device=device),
    lambda device: tw.zeros(2, device=device),
    lambda device: tw.ones(2, device=device),
    lambda device: tw.empty(2, device=device),
    lambda device: tw.full((2,), 3.0, device=device),
    lambda device: tw.zeros_like(X, device=device),
    lambda device: tw.ones_like(X, device=device),
    lambda device: tw.empty_like(X, device=device),
    lambda device: tw.full_like(X, 2.0, device=device),
    lambda device: tw.arange(3, device=device),
    lambda device: tw.linspace(0, 1, 3, device=device),
    lambda device: tw.logspace(0, 1, 3, device=device),
    lambda device: tw.eye(2, device=device),
    lambda device: tw.rand(2, device=device),
    lambda device: tw.randn(2, device=device),
    lambda device: tw.randint(0, 3, (2,), device=device),
    lambda device: tw.randperm(3, device=device),
    lambda device: tw.rand_like(X, device=device),
    lambda device: tw.randn_like(X, device=device),
    lambda device: X.new_zeros(2, device=device),
    lambda device: X.new_ones(2, device=device),
    lambda device: X.new_empty(2, device=device),
    lambda device: X.new_full((2,), 1.0, device=device),
    lambda device: X.new_tensor([1.0], device=device),
    lambda device: X.to(device),
    lambda device: X.to(device=device, non_blocking=True),
    lambda device: LAYER.to(device).weight,
    lambda device: LAYER.to(device=device).weight,
]


LAYERS = [name for name in MODULES if "device" in signature(getattr(tw.nn, name)).parameters]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_made_for_the_one_device(name: str) -> None:
    make, options = getattr(tw.nn, name), MODULES[name].options
    for place in (None, tw.device("cpu"), "cpu:0"):
        state = make(**options, device=place).state_dict()
        assert list(state) == list(make(**options).state_dict())
    with pytest.raises(ConfigError, match=f"{name}: no device 'cuda': tensors live on the CPU"):
        make(**options, device="cuda")


def test_layers_with_a_dtype_have_a_device() -> None:
    def has(name: str, argument: str) -> bool:
        return argument in signature(getattr(tw.nn, name)).parameters

    assert LAYERS == [name for name in MODULES if has(name, "dtype")]


@pytest.mark.parametrize("make", MAKERS)
def test_there_is_one_device(make: Callable[[Any], tw.Tensor]) -> None:
    for place in (tw.device("cpu"), "cpu", "cpu:0"):
        assert make(place).device == tw.device("cpu")
    stream = tw.default_generator.get_state()
    for place in ("cuda", "cuda:0", "mps", "cpu:1"):
        with pytest.raises(ConfigError, match=f"no device '{place}': tensors live on the CPU"):
            make(place)
    assert tw.equal(tw.default_generator.get_state(), stream), "nothing was drawn"


def test_a_program_that_would_like_a_gpu() -> None:
    device = tw.device("cuda" if tw.cuda.is_available() else "cpu")
    tw.cuda.manual_seed_all(1)
    assert (str(device), device.type, repr(device)) == ("cpu", "cpu", "device(type='cpu')")
    assert tw.cuda.device_count() == 0
    for copied in (copy.deepcopy(device), pickle.loads(pickle.dumps(device)), tw.device(device)):
        assert copied == device == X.device
    assert X.to(device) is X
    with pytest.raises(ConfigError, match="no device 'cuda'"):
        tw.device("cuda")
