"""Initial weights: distributions by their moments and bounds, structure, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError, ShapeError
from thalweg.nn import init

M, N = 300, 200  # out, in
BOTH = M + N


def drawn(function: Callable[..., tw.Tensor], *args: Any, **options: Any) -> np.ndarray[Any, Any]:
    weight = nn.Parameter(tw.empty(M, N))
    assert function(weight, *args, **options, generator=tw.Generator(5)) is weight
    assert weight.requires_grad
    assert weight.is_leaf
    return weight.detach().numpy().astype(np.float64)


# fmt: off
UNIFORM = [
    (init.uniform_,         {"a": -2.0, "b": 2.0},                  2.0),
    (init.xavier_uniform_,  {},                                     math.sqrt(6 / BOTH)),
    (init.xavier_uniform_,  {"gain": 3.0},                          3 * math.sqrt(6 / BOTH)),
    (init.kaiming_uniform_, {},                                     math.sqrt(6 / N)),
    (init.kaiming_uniform_, {"mode": "fan_out"},                    math.sqrt(6 / M)),
    (init.kaiming_uniform_, {"nonlinearity": "relu", "a": 9.0},     math.sqrt(6 / N)),
    (init.kaiming_uniform_, {"a": math.sqrt(5)},                    math.sqrt(1 / N)),
    (init.kaiming_uniform_, {"nonlinearity": "tanh"},               5 / 3 * math.sqrt(3 / N)),
]
NORMAL = [
    (init.normal_,          {"mean": 1.0, "std": 0.5},              1.0, 0.5),
    (init.xavier_normal_,   {},                                     0.0, math.sqrt(2 / BOTH)),
    (init.xavier_normal_,   {"gain": 2.0},                          0.0, 2 * math.sqrt(2 / BOTH)),
    (init.kaiming_normal_,  {},                                     0.0, math.sqrt(2 / N)),
    (init.kaiming_normal_,  {"mode": "fan_out", "nonlinearity": "linear"}, 0.0, math.sqrt(1 / M)),
]
# fmt: on


@pytest.mark.parametrize(("function", "options", "bound"), UNIFORM)
def test_uniform(function: Callable[..., tw.Tensor], options: dict[str, Any], bound: float) -> None:
    share = np.sort(drawn(function, **options).ravel()) / bound
    assert -1.000001 <= share[0] < -0.999
    assert 0.999 < share[-1] <= 1.000001
    # Kolmogorov-Smirnov, at a level of about 1 in 10,000
    expected = np.linspace(-1, 1, share.size)
    assert np.abs(share - expected).max() / 2 < 2.2 / math.sqrt(share.size)


@pytest.mark.parametrize(("function", "options", "mean", "std"), NORMAL)
def test_normal(
    function: Callable[..., tw.Tensor], options: dict[str, Any], mean: float, std: float
) -> None:
    z = (drawn(function, **options) - mean) / std
    assert abs(z.mean()) < 4 / math.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / z.size)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / z.size)


def test_fan_in_counts_the_taps_of_a_convolution() -> None:
    weight = init.kaiming_uniform_(tw.empty(8, 4, 5, 5), generator=tw.Generator(1))
    assert 0.98 < weight.abs().amax().item() / math.sqrt(6 / 100) <= 1


def test_he_keeps_the_second_moment_through_relu_layers() -> None:
    generator = tw.Generator(0)
    h = tw.randn(500, 100, generator=generator)
    for _ in range(20):
        weight = init.he_normal_(tw.empty(100, 100), generator=generator)
        h = (h @ weight.T).relu()
    assert 0.3 < h.square().mean().item() * 2 < 3  # 0.01^20 or 100^20 with a wrong variance


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"), [(0, 1, -2, 2), (1, 2, 0, 1.5), (0, 1, 2.5, 3), (0, 1, -30, 30)]
)
def test_trunc_normal(mean: float, std: float, a: float, b: float) -> None:
    x = np.sort(drawn(init.trunc_normal_, mean, std, a, b).ravel())
    assert a <= x[0]
    assert x[-1] <= b
    # Kolmogorov-Smirnov against the exact distribution function
    low, high = (math.erf((limit - mean) / std / math.sqrt(2)) for limit in (a, b))
    exact = [(math.erf((v - mean) / std / math.sqrt(2)) - low) / (high - low) for v in x[::50]]
    empirical = np.arange(0, x.size, 50) / x.size
    assert np.abs(np.array(exact) - empirical).max() < 2.2 / math.sqrt(x.size)


def test_inverse_erf_is_exact() -> None:
    x = tw.linspace(-5, 5, 101, dtype=tw.float64)
    y = x.erf()
    assert (init._inverse_erf(y).erf() - y).abs().amax().item() < 1e-14
    assert (init._inverse_erf(y) - x)[20:81].abs().amax().item() < 1e-10


def test_constants() -> None:
    layer = nn.Linear(3, 2)
    assert init.constant_(layer.bias, 0.01) is layer.bias
    assert layer.bias.tolist() == pytest.approx([0.01, 0.01])
    assert init.zeros_(layer.bias).tolist() == [0, 0]
    assert init.ones_(layer.bias).tolist() == [1, 1]
    assert init.eye_(layer.weight).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert layer.bias.requires_grad


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3), (6, 1)])
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64])
def test_orthogonal(shape: tuple[int, ...], dtype: tw.DType) -> None:
    weight = init.orthogonal_(tw.empty(*shape, dtype=dtype), gain=2.0, generator=tw.Generator(2))
    w = weight.numpy().reshape(shape[0], -1) / 2
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-6)


def test_orthogonal_is_uniform_on_rotations_and_reflections() -> None:
    generator = tw.Generator(0)
    q = np.stack(
        [init.orthogonal_(tw.empty(2, 2), generator=generator).numpy() for _ in range(400)]
    )
    assert abs(q.mean(0)).max() < 4 / math.sqrt(2 * 400)  # every entry is centred
    assert 0.4 < (np.linalg.det(q) > 0).mean() < 0.6


def test_sparse() -> None:
    weight = init.sparse_(tw.empty(50, 400), 0.15, std=0.1, generator=tw.Generator(1)).numpy()
    assert ((weight == 0).sum(0) == math.ceil(0.15 * 50)).all()
    assert weight[weight != 0].std() == pytest.approx(0.1, rel=0.05)
    assert len({tuple(np.flatnonzero(column == 0)) for column in weight.T}) > 390


def test_the_generator_decides_and_the_default_one_is_left_alone() -> None:
    before = tw.default_generator.get_state()
    a, b = (init.xavier_uniform_(tw.empty(4, 4), generator=tw.Generator(9)) for _ in range(2))
    assert tw.equal(a, b)
    assert tw.equal(tw.default_generator.get_state(), before)
    assert not tw.equal(init.normal_(tw.empty(4)), init.normal_(tw.empty(4)))


def test_aliases() -> None:
    assert init.glorot_uniform_ is init.xavier_uniform_
    assert init.glorot_normal_ is init.xavier_normal_
    assert init.he_uniform_ is init.kaiming_uniform_


@pytest.mark.parametrize(
    ("nonlinearity", "param", "gain"),
    [
        ("linear", None, 1),
        ("sigmoid", None, 1),
        ("conv2d", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 1.0, 1),
        ("selu", None, 0.75),
    ],
)
def test_gains(nonlinearity: str, param: float | None, gain: float) -> None:
    assert init.calculate_gain(nonlinearity, param) == pytest.approx(gain)


def test_weights_without_elements() -> None:
    for function in (init.xavier_uniform_, init.kaiming_normal_, init.orthogonal_):
        assert function(tw.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.xavier_normal_(tw.empty(3)), ShapeError, r"\(3,\). For a bias use zeros_"),
        (lambda: init.orthogonal_(tw.empty(3)), ShapeError, r"a matrix expected, got shape \(3,\)"),
        (lambda: init.eye_(tw.empty(3)), ShapeError, "eye_: a matrix"),
        (lambda: init.dirac_(tw.empty(3, 3)), ShapeError, r"dirac_: .*got \(3, 3\)"),
        (lambda: init.dirac_(tw.empty(4, 3, 3), 3), ConfigError, "groups=3 must divide out=4"),
        (lambda: init.sparse_(tw.empty(3), 0.5), ShapeError, "sparse_: a matrix"),
        (
            lambda: init.sparse_(tw.empty(3, 3), 1.5),
            ConfigError,
            "sparsity=1.5; expected a",
        ),
        (lambda: init.trunc_normal_(tw.empty(3), a=1, b=1), ConfigError, "expected a < b"),
        (lambda: init.calculate_gain("rleu"), ConfigError, r"did you mean 'relu'\?"),
        (
            lambda: init.kaiming_uniform_(tw.empty(3, 3), mode="fan"),
            ConfigError,
            "did you mean 'fan_in'",
        ),
    ],
)
def test_what_is_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
