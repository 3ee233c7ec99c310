"""Activations and the other functions of `nn.functional` that are no losses."""

from __future__ import annotations

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Samples, call, first, functional, given

__all__ = ["ACTIVATIONS", "CASES", "HARDSIGMOID", "LAYERS"]

_samples = Samples(1)
normal, positive, integers = _samples.normal, _samples.positive, _samples.integers

_X = normal(3, 4) * 3
# Where any of them has a kink, and where a naive formula would overflow.
_KINKS = given(-100.0, -20.0, -6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0, 100.0)
_ONE = [call(_X), first(_KINKS), call(normal()), call(normal(0, 3))]
_ROWS = [call(_X, dim=0), call(_X, dim=-1), call(normal(2, 3, 4), dim=1),
         call(given(1000.0, -1000.0), dim=0), call(given(3.0), dim=-1)]  # fmt: skip

# fmt: off
ACTIVATIONS = {
    "relu":        _ONE,
    "relu6":       _ONE,
    "leaky_relu":  [*_ONE, call(_X, 0.3), call(_X, negative_slope=0.0)],
    "prelu":       [call(_X, given(0.25)), call(_X, positive(4)),
                    call(normal(2, 3, 4), positive(3)),
                    first(given(-1.0, 0.0, 2.0), given(0.5))],
    "elu":         [*_ONE, call(_X, 2.0), first(_KINKS, alpha=0.5)],
    "celu":        [*_ONE, call(_X, 2.0), first(_KINKS, alpha=0.5)],
    "selu":        _ONE,
    "gelu":        [*_ONE, call(_X, approximate="tanh"), first(_KINKS, approximate="tanh")],
    "silu":        _ONE,
    "mish":        _ONE,
    "softplus":    [*_ONE, call(_X, 2.0), call(_X, beta=0.5, threshold=2.0), first(_KINKS, 2, 10)],
    "logsigmoid":  _ONE,
    "sigmoid":     _ONE,
    "tanh":        _ONE,
    "softsign":    _ONE,
    "tanhshrink":  _ONE,
    "hardtanh":    [*_ONE, call(_X, -0.5, 2.0)],
    "hardsigmoid": [call(Fixed(_X)), call(Fixed(_KINKS))],  # its derivative: test_functional
    "hardswish":   _ONE,
    "hardshrink":  [*_ONE, call(_X, 1.5)],
    "softshrink":  [*_ONE, call(_X, 1.5)],
    "threshold":   [call(_X, 0.5, 7.0), first(_KINKS, 0.5, -1.0)],
    "glu":         [call(_X), call(_X, -1), call(normal(4, 3), dim=0)],
    "softmax":     [*_ROWS, call(integers(3), dim=0, dtype="float64")],
    "softmin":     _ROWS,
    "log_softmax": [*_ROWS, call(_X, dim=-1, dtype="float64")],
}

LAYERS = {
    "linear":    [call(normal(5, 3), normal(4, 3), normal(4)),
                  call(normal(5, 3), normal(4, 3)), call(normal(3), normal(4, 3), normal(4)),
                  call(normal(2, 5, 3), normal(4, 3), normal(4)),
                  call(normal(0, 3), normal(4, 3), normal(4)),
                  call(normal(2, 3, 5, 3), normal(1, 3), normal(1))],
    "embedding": [call(integers(2, 3, low=0, high=5), normal(5, 4)),
                  call(integers(6, low=0, high=5), normal(5, 4), padding_idx=2),
                  call(integers(6, low=0, high=5), normal(5, 4), padding_idx=-1),
                  first(integers(0, low=0), normal(5, 4))],
    "dropout":   [call(_X, 0.5, False), call(_X, 0.0, True), call(_X, p=1.0, training=True)],
    "pad":       [call(_X, (1, 2)), call(_X, (1, 0, 2, 3), value=1.5), call(_X, (-1, 2)),
                  call(normal(2, 3, 4), (2, 1), mode="reflect"),
                  call(normal(2, 3, 4), (2, 1), mode="replicate"),
                  call(normal(2, 3, 4), (2, 1), mode="circular"),
                  call(normal(2, 3, 4), (2, -1), mode="circular"),
                  call(normal(2, 3, 4, 4), (-1, 2, -2, 2), mode="circular"),
                  call(normal(2, 2, 3, 4), (1, 1, 2, 0), mode="reflect")],
    "normalize": [call(_X), call(_X, dim=0), call(_X, p=1, dim=-1), first(given(0.0, 0.0), dim=0)],
    "cosine_similarity": [call(_X, normal(3, 4)), call(_X, normal(4), dim=-1),
                          call(normal(3, 4), Fixed(normal(3, 4)), dim=0)],
    "pairwise_distance": [call(_X, normal(3, 4)), call(_X, normal(3, 4), p=1.0),
                          call(_X, normal(3, 4), keepdim=True)],
    "one_hot":   [call(integers(5, low=0, high=4)), call(integers(2, 3, low=0, high=4), 6)],
}
# fmt: on

# PyTorch has no second derivative of this one, and multiplies the first by 1/6 in float32.
HARDSIGMOID: list[Case] = functional({"hardsigmoid": [first(_X), first(_KINKS)]})

CASES: list[Case] = [*functional(ACTIVATIONS), *functional(LAYERS)]
