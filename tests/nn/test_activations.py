"""Activation modules: each passes its options on to its function, and prints as PyTorch's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError
from thalweg.nn import activations
from thalweg.nn import functional as F

X = tw.tensor([[-7.0, -2.5, -1.0, -0.3], [0.0, 0.7, 2.0, 8.0]])

# fmt: off
TABLE: list[tuple[nn.Module, Callable[[tw.Tensor], tw.Tensor], str]] = [
    (nn.CELU(2.0),             lambda x: F.celu(x, 2.0),               "alpha=2.0"),
    (nn.ELU(0.5),              lambda x: F.elu(x, 0.5),                "alpha=0.5"),
    (nn.GELU(),                F.gelu,                                 "approximate='none'"),
    (nn.GELU("tanh"),          lambda x: F.gelu(x, approximate="tanh"), "approximate='tanh'"),
    (nn.GLU(),                 F.glu,                                  "dim=-1"),
    (nn.GLU(0),                lambda x: F.glu(x, 0),                  "dim=0"),
    (nn.Hardshrink(0.6),       lambda x: F.hardshrink(x, 0.6),         "lambd=0.6"),
    (nn.Hardsigmoid(),         F.hardsigmoid,                          ""),
    (nn.Hardswish(),           F.hardswish,                            ""),
    (nn.Hardtanh(-2.0, 0.5),   lambda x: F.hardtanh(x, -2.0, 0.5),     "min_val=-2.0, max_val=0.5"),
    (nn.LeakyReLU(),           F.leaky_relu,                           "negative_slope=0.01"),
    (nn.LeakyReLU(0.2),        lambda x: F.leaky_relu(x, 0.2),         "negative_slope=0.2"),
    (nn.LogSigmoid(),          F.logsigmoid,                           ""),
    (nn.LogSoftmax(0),         lambda x: F.log_softmax(x, 0),          "dim=0"),
    (nn.Mish(),                F.mish,                                 ""),
    (nn.PReLU(),               lambda x: F.prelu(x, tw.tensor([0.25])), "num_parameters=1"),
    (nn.PReLU(4, 0.5),         lambda x: F.prelu(x, tw.ones(4) / 2),   "num_parameters=4"),
    (nn.ReLU(),                F.relu,                                 ""),
    (nn.ReLU(inplace=True),    F.relu,                                 "inplace=True"),
    (nn.ReLU6(),               F.relu6,                                ""),
    (nn.SELU(),                F.selu,                                 ""),
    (nn.SiLU(),                F.silu,                                 ""),
    (nn.Sigmoid(),             F.sigmoid,                              ""),
    (nn.Softmax(1),            lambda x: F.softmax(x, 1),              "dim=1"),
    (nn.Softmin(1),            lambda x: F.softmin(x, 1),              "dim=1"),
    (nn.Softplus(2.0, 5.0),    lambda x: F.softplus(x, 2.0, 5.0),      "beta=2.0, threshold=5.0"),
    (nn.Softshrink(0.6),       lambda x: F.softshrink(x, 0.6),         "lambd=0.6"),
    (nn.Softsign(),            F.softsign,                             ""),
    (nn.Tanh(),                F.tanh,                                 ""),
    (nn.Tanhshrink(),          F.tanhshrink,                           ""),
    (nn.Threshold(0.5, -1.0),  lambda x: F.threshold(x, 0.5, -1.0),    "threshold=0.5, value=-1.0"),
]
# fmt: on


def test_every_activation_has_a_row() -> None:
    assert {type(module).__name__ for module, _, _ in TABLE} == {
        name
        for name in activations.__all__
        if name != "Softmax2d"  # of images, below
    }


@pytest.mark.parametrize(
    ("module", "function", "options"), TABLE, ids=[str(module) for module, *_ in TABLE]
)
def test_module(
    module: nn.Module, function: Callable[[tw.Tensor], tw.Tensor], options: str
) -> None:
    assert tw.equal(module(X), function(X))
    assert repr(module) == f"{type(module).__name__}({options})"
    assert repr(module.eval()) == repr(module.train())


def test_only_prelu_has_parameters_and_they_learn() -> None:
    assert {type(m).__name__ for m, _, _ in TABLE if list(m.parameters())} == {"PReLU"}
    layer = nn.PReLU(2, dtype=tw.float64)
    layer(tw.tensor([[-1.0, 3.0], [-2.0, -5.0]], dtype=tw.float64)).sum().backward()
    assert layer.weight.grad.tolist() == [-3.0, -5.0]


def test_inplace_leaves_the_input_alone() -> None:
    x = tw.tensor([-1.0, 1.0])
    nn.ReLU(inplace=True)(x)
    assert x.tolist() == [-1.0, 1.0]


def test_softmax_2d_is_over_the_channels() -> None:
    images = tw.randn(2, 3, 4, 5)
    layer = nn.Softmax2d()
    assert tw.equal(layer(images), F.softmax(images, 1))
    assert tw.equal(layer(images[0]), F.softmax(images[0], 0))
    assert repr(layer) == "Softmax2d()"


def test_softmax_asks_for_its_dimension() -> None:
    with pytest.raises(ConfigError, match=r"^Sequential\.0 \(Softmax\): softmax: along which"):
        nn.Sequential(nn.Softmax())(X)
