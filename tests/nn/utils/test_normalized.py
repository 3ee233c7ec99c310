"""Weights normalized in their first form: what does not fit, copies, and how they come apart."""

from __future__ import annotations

import copy

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ConfigTypeError, ShapeError
from thalweg.nn.utils import parametrizations, parametrize


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_what_does_not_fit(kind: str) -> None:
    normalize, remove = getattr(nn.utils, kind), getattr(nn.utils, f"remove_{kind}")
    layer = nn.Linear(2, 3)
    with pytest.raises(ConfigError, match=f"{kind}: Linear has no parameter 'wieght'.*'weight'"):
        normalize(layer, "wieght")
    with pytest.raises(ConfigTypeError, match="dim='0'"):
        normalize(layer, dim="0")
    with pytest.raises(ConfigError, match=f"{kind} does not compute 'weight' of this Linear"):
        remove(layer)
    assert list(layer.state_dict()) == ["weight", "bias"]
    normalize(layer)
    with pytest.raises(ConfigError, match="'weight' of this Linear is computed already"):
        normalize(layer)
    with pytest.raises(ConfigError, match=r"Linear\.weight is computed from 'weight_"):
        layer.weight = tw.ones(3, 2)
    with pytest.raises(ConfigError, match="n_power_iterations=0"):
        nn.utils.spectral_norm(layer, "bias", n_power_iterations=0)


def test_both_in_one_module_and_a_parametrization() -> None:
    layer = nn.Linear(3, 3)
    kept = layer.weight.detach()
    nn.utils.weight_norm(layer)
    parametrizations.weight_norm(layer, "bias")
    assert repr(layer).startswith("ParametrizedLinear(")
    parametrize.remove_parametrizations(layer, "bias")
    assert repr(layer) == "Linear(in_features=3, out_features=3, bias=True)"
    assert tw.allclose(layer.weight, kept)
    nn.utils.remove_weight_norm(layer)
    assert type(layer) is nn.Linear


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_a_copy_comes_apart_alone(kind: str) -> None:
    layer = getattr(nn.utils, kind)(nn.Linear(2, 2))
    other = copy.deepcopy(layer)
    getattr(nn.utils, f"remove_{kind}")(other)
    assert type(other) is nn.Linear
    assert other._hooks is None
    assert tw.allclose(other.weight, layer.weight)
    layer(tw.ones(1, 2))
    assert "weight" not in layer.state_dict()


def test_a_copy_of_a_parametrized_layer_comes_apart_alone() -> None:
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    other = copy.deepcopy(layer)
    parametrize.remove_parametrizations(other, "weight")
    assert type(other) is nn.Linear
    assert tw.allclose(other.weight, layer.weight)


def test_orthogonal_weights_stay_so_in_training() -> None:
    tw.manual_seed(1)
    layer = parametrizations.orthogonal(nn.Linear(3, 5))
    optimizer = tw.optim.SGD(layer.parameters(), lr=0.5)

    @tw.compile
    def step(x: tw.Tensor) -> tw.Tensor:
        loss = (layer(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = tw.randn(8, 3)
    losses = [step(x).item() for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]
    weight = layer.weight.detach()
    assert tw.allclose(weight.T @ weight, tw.eye(3), atol=1e-5)


def test_what_cannot_be_orthogonal() -> None:
    layer = nn.Linear(2, 3)
    with pytest.raises(ShapeError, match=r"'bias' has shape \(3,\), matrices expected"):
        parametrizations.orthogonal(layer, "bias")
    with pytest.raises(ConfigError, match="no orthogonal_map 'exp'"):
        parametrizations.orthogonal(layer, orthogonal_map="exp")
    with pytest.raises(ConfigError, match="use_trivialization=False"):
        parametrizations.orthogonal(layer, orthogonal_map="cayley", use_trivialization=False)
    assert list(layer.state_dict()) == ["weight", "bias"]
    parametrizations.orthogonal(layer)
    with pytest.raises(ShapeError, match=r"\(3, 2\) expected, got \(2, 3\)"):
        layer.weight = tw.ones(2, 3)


def test_the_exponential_of_what_is_too_large() -> None:
    turn = tw.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=tw.float64)
    angle = 2.0**15
    near = tw.linalg.matrix_exp(turn * angle)
    assert near[1, 0].item() == pytest.approx(float(tw.tensor(angle).double().sin()), abs=1e-9)
    assert bool(tw.linalg.matrix_exp(turn * 2.0**17).isnan().all())
