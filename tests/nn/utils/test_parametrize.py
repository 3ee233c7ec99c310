"""Parametrized weights: what is trained, compiled and not, and how they become plain again."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x: tw.Tensor) -> tw.Tensor:
        return x.triu() + x.triu(1).T

    def right_inverse(self, x: tw.Tensor) -> tw.Tensor:
        return x.triu()


def test_setting_it_sets_what_it_is_computed_from() -> None:
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    wanted = tw.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    layer.weight = wanted
    assert tw.equal(layer.weight, wanted)
    assert layer.parametrizations.weight.original[2, 0].item() == 0
    normed = parametrizations.weight_norm(nn.Linear(3, 3))
    normed.weight = wanted
    assert tw.allclose(normed.weight, wanted)


def test_the_parameter_is_the_same_one() -> None:
    layer = nn.Linear(3, 3)
    weight = layer.weight
    parametrizations.spectral_norm(layer)
    assert layer.parametrizations.weight.original is weight
    before = layer.eval().weight
    assert parametrize.remove_parametrizations(layer, "weight") is layer
    assert layer.weight is weight
    assert tw.equal(weight, before)
    assert type(layer) is nn.Linear
    assert not parametrize.is_parametrized(layer)


def test_removing_one_of_two() -> None:
    layer = nn.Linear(3, 3)
    kept = layer.weight.detach()
    for name in ("weight", "bias"):
        parametrizations.weight_norm(layer, name)
    parametrize.remove_parametrizations(layer, "weight")
    assert tw.allclose(layer.weight, kept)
    assert parametrize.is_parametrized(layer, "bias")
    assert not parametrize.is_parametrized(layer, "weight")
    assert set(layer.state_dict()) == {
        *("weight", "parametrizations.bias.original0", "parametrizations.bias.original1"),
    }


def test_the_spectral_norm_becomes_1() -> None:
    layer = parametrizations.spectral_norm(nn.Linear(6, 5))
    for _ in range(50):
        weight = layer.weight
    assert np.linalg.norm(weight.detach().numpy(), 2) == pytest.approx(1, abs=1e-3)
    state = layer.eval().state_dict()
    _ = layer.weight
    assert all(tw.equal(state[name], value) for name, value in layer.state_dict().items())


def test_a_copy_is_apart() -> None:
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    other = copy.deepcopy(layer)
    with tw.no_grad():
        other.parametrizations.weight.original0.zero_()
    assert layer.weight.abs().sum().item() > 0
    assert other.weight.abs().sum().item() == 0


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_compiled_training(kind: str) -> None:
    found = []
    for compiled in (False, True):
        tw.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        for layer in (model[0], model[2]):
            getattr(parametrizations, kind)(layer)
        optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
        x, y = tw.randn(8, 3), tw.randint(0, 2, (8,))

        def step(
            x: tw.Tensor = x,
            y: tw.Tensor = y,
            model: nn.Module = model,
            optimizer: tw.optim.SGD = optimizer,
        ) -> tw.Tensor:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = tw.compile(step) if compiled else step
        losses = [run().item() for _ in range(4)]
        found.append((losses, model.state_dict()))
    (eager, state), (native, compiled_state) = found
    np.testing.assert_allclose(native, eager, rtol=1e-5)
    assert native[-1] < native[0]
    for name, value in state.items():
        np.testing.assert_allclose(compiled_state[name].numpy(), value.numpy(), 1e-4, 1e-5, name)


def test_what_does_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"Linear has no tensor 'wieght'; did you mean 'weight'"):
        parametrize.register_parametrization(nn.Linear(2, 3), "wieght", Symmetric())
    with pytest.raises(ConfigError, match="spectral_norm: Linear has no tensor 'w'"):
        parametrizations.spectral_norm(nn.Linear(2, 3), "w")
    layer = nn.Linear(2, 3)
    with pytest.raises(ShapeError, match=r"\(6,\) for a tensor .* \(3, 2\).*unsafe=True"):
        parametrize.register_parametrization(layer, "weight", nn.Flatten(0))
    assert type(layer) is nn.Linear
    assert list(layer.state_dict()) == ["weight", "bias"]
    with pytest.raises(ConfigError, match="no parametrization of 'weight'"):
        parametrize.remove_parametrizations(layer, "weight")
    with pytest.raises(ConfigError, match="computed from 2 tensors"):
        parametrize.remove_parametrizations(parametrizations.weight_norm(layer), "weight", False)
    with pytest.raises(ConfigError, match="n_power_iterations"):
        parametrizations.spectral_norm(nn.Linear(2, 3), n_power_iterations=0)
