"""Distributions beside torch.distributions: all but what is drawn, with gradients of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH, DTYPES, TOLERANCES, assert_close, tensors
from tests.reference.spelling import Samples, given

_samples = Samples(45)
normal, positive = _samples.normal, _samples.positive

_LOC, _SCALE, _ROWS = normal(3, 1), positive(4), normal(3, 4)
_SHARES = 1 / (1 + np.exp(-normal(3, 4)))
_L = np.tril(normal(2, 3, 3) / 3) + np.eye(3)
_S = _L @ np.swapaxes(_L, -1, -2)
_CLASSES = np.array([[0, 3, 1], [2, 2, 0]])
_VECTORS = np.eye(4)[_CLASSES]
_FROM_0 = np.abs(_ROWS)

# name, parameters by name, values; another of its kind, by its parameters.
# fmt: off
MADE: dict[str, tuple[str, dict[str, Any], Any, dict[str, Any]]] = {
    "Normal": ("Normal", {"loc": _LOC, "scale": _SCALE}, _ROWS,
               {"loc": normal(4), "scale": positive(3, 1)}),
    "LogNormal": ("LogNormal", {"loc": _LOC / 4, "scale": _SCALE / 4}, _FROM_0,
                  {"loc": normal(4), "scale": positive(3, 1)}),
    "Uniform": ("Uniform", {"low": -positive(3, 1) - 3, "high": _SCALE + 3}, _ROWS,
                {"low": -positive(4) - 6, "high": positive(4) + 6}),
    "Exponential": ("Exponential", {"rate": _SCALE}, _FROM_0, {"rate": positive(4)}),
    "Laplace": ("Laplace", {"loc": _LOC, "scale": _SCALE}, _ROWS,
                {"loc": normal(4), "scale": positive(3, 1)}),
    "Bernoulli": ("Bernoulli", {"probs": _SHARES}, 1.0 * (_ROWS > 0), {"probs": _SHARES[::-1]}),
    "Bernoulli logits": ("Bernoulli", {"logits": _ROWS}, 1.0 * (_LOC > 0),
                         {"logits": normal(3, 4)}),
    "Categorical": ("Categorical", {"probs": positive(3, 4)}, _CLASSES, {"probs": positive(4)}),
    "Categorical logits": ("Categorical", {"logits": normal(3, 4)}, _CLASSES,
                           {"logits": normal(3, 4)}),
    "OneHotCategorical": ("OneHotCategorical", {"probs": positive(3, 4)}, _VECTORS,
                          {"probs": positive(4)}),
    "OneHotCategorical logits": ("OneHotCategorical", {"logits": normal(4)}, _VECTORS,
                                 {"logits": normal(4)}),
    "Poisson": ("Poisson", {"rate": positive(3, 1)}, np.arange(4.0), {"rate": positive(4)}),
    "MultivariateNormal": ("MultivariateNormal",
                           {"loc": normal(2, 3), "covariance_matrix": _S}, normal(5, 2, 3),
                           {"loc": normal(2, 3), "covariance_matrix": _S[::-1].copy()}),
    "MultivariateNormal L": ("MultivariateNormal", {"loc": normal(3), "scale_tril": _L},
                             normal(2, 3), {"loc": normal(2, 3), "scale_tril": _L[::-1].copy()}),
    "MultivariateNormal P": ("MultivariateNormal", {"loc": normal(3), "precision_matrix": _S},
                             normal(2, 3), {"loc": normal(3), "precision_matrix": _S[::-1].copy()}),
}
# fmt: on
HAS_CDF = ("Normal", "LogNormal", "Uniform", "Exponential", "Laplace")
NO_ENTROPY = ("Poisson",)


def build(tw: Any, kind: str, parameters: dict[str, Any], dtype: str) -> tuple[Any, list[Any]]:
    leaves = {name: tensors(tw, np.array(x), dtype) for name, x in parameters.items()}
    return getattr(tw.distributions, kind)(**leaves), list(leaves.values())


def moments(p: Any) -> list[Any]:
    return [p.mean, p.variance, p.stddev]


def measured(tw: Any, name: str, dtype: str) -> tuple[list[Any], list[Any]]:
    """Everything that is not drawn, and its gradient with respect to parameters and values."""
    kind, parameters, values, others = MADE[name]
    p, leaves = build(tw, kind, parameters, dtype)
    q, more = build(tw, kind, others, dtype)
    x = tensors(tw, np.asarray(values), dtype, differentiable=kind in HAS_CDF)
    found = [p.log_prob(x), tw.distributions.kl_divergence(p, q)]
    found += [] if kind in NO_ENTROPY else [p.entropy(), p.perplexity()]
    found += [] if kind == "Categorical" else moments(p)
    if kind in HAS_CDF:
        found += [p.cdf(x), p.icdf(tensors(tw, _SHARES, dtype))]
    found += [p.expand((1, *p.batch_shape)).log_prob(x)]
    inner = tw.distributions.Independent(p, len(p.batch_shape))
    found += [inner.log_prob(x)]
    live = [y for y in found if y.requires_grad]
    total = sum((y * y.detach().cos()).sum() for y in live)
    gradients = tw.autograd.grad(total, [*leaves, *more], allow_unused=True)
    return found, [tw.zeros_like(a) if g is None else g
                   for g, a in zip(gradients, [*leaves, *more], strict=True)]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MADE)
def test_measures_and_gradients(name: str, dtype: str) -> None:
    ours, theirs = (measured(tw, name, dtype) for tw in BOTH)
    for kind, pair in zip(("value", "second"), zip(ours, theirs, strict=True), strict=True):
        for position, (x, y) in enumerate(zip(*pair, strict=True)):
            assert_close(x, y, TOLERANCES[kind, dtype], f"{kind} {position}")


@pytest.mark.parametrize("name", MADE)
def test_shapes(name: str) -> None:
    kind, parameters, _, _ = MADE[name]
    found = []
    for tw in BOTH:
        p, _ = build(tw, kind, parameters, "float32")
        shapes = [p.batch_shape, p.event_shape, p.expand((2, *p.batch_shape)).batch_shape]
        inner = tw.distributions.Independent(p, min(1, len(p.batch_shape)))
        shapes += [inner.batch_shape, inner.event_shape]
        if kind != "Poisson":
            shapes += [p.sample().shape, p.sample((2, 3)).shape, inner.sample((2,)).shape]
            drawn = p.sample((2,))
            assert not drawn.requires_grad
            found.append(str(drawn.dtype).rpartition(".")[2])
        found.append([tuple(s) for s in shapes])
    half = len(found) // 2
    assert found[:half] == found[half:]
    assert p.has_rsample == build(thalweg, kind, parameters, "float32")[0].has_rsample or (
        kind in ("Bernoulli", "Categorical", "OneHotCategorical", "Poisson")
    )


@pytest.mark.parametrize("name", ["Normal", "Bernoulli", "Categorical", "OneHotCategorical",
                                  "Laplace", "LogNormal", "Exponential"])  # fmt: skip
def test_modes(name: str) -> None:
    kind, parameters, _, _ = MADE[name]
    modes = [build(tw, kind, parameters, "float64")[0].mode for tw in BOTH]
    assert_close(modes[0], modes[1].to(modes[1].dtype), TOLERANCES["value", "float64"], "mode")


@pytest.mark.parametrize(
    ("kind", "parameters", "value"),
    [
        ("Normal", {"loc": 0.0, "scale": -1.0}, None),
        ("Uniform", {"low": 1.0, "high": 0.0}, None),
        ("Uniform", {"low": 0.0, "high": 1.0}, 2.0),
        ("Exponential", {"rate": 1.0}, -1.0),
        ("LogNormal", {"loc": 0.0, "scale": 1.0}, -1.0),
        ("Bernoulli", {"probs": 1.5}, None),
        ("Bernoulli", {"probs": 0.5}, 0.5),
        ("Bernoulli", {}, None),
        ("Categorical", {"probs": given(0.5, -0.5)}, None),
        ("Categorical", {"probs": given(0.5, 0.5)}, 2),
        ("Poisson", {"rate": 1.0}, 0.5),
    ],
)
def test_what_cannot_be(tw: Any, kind: str, parameters: dict[str, Any], value: Any) -> None:
    def call() -> None:
        made = {k: tw.tensor(v) for k, v in parameters.items()}
        p = getattr(tw.distributions, kind)(
            **made, validate_args=True
        )  # torch.compile turns it off
        if value is not None:
            p.log_prob(tw.tensor(value))

    with pytest.raises(ValueError):  # noqa: PT011
        call()


def test_what_is_infinite() -> None:
    pairs = []
    for tw in BOTH:
        d = tw.distributions
        wide, narrow = d.Uniform(0.0, 2.0), d.Uniform(0.0, 1.0)
        p, q = (d.Categorical(tw.tensor(x)) for x in ([0.5, 0.5], [1.0, 0.0]))
        a, b = (d.Bernoulli(tw.tensor(x)) for x in (0.5, 0.0))
        kls = [d.kl_divergence(*pair) for pair in
               ((wide, narrow), (narrow, wide), (p, q), (q, p), (a, b), (b, a))]  # fmt: skip
        pairs.append([float(x) for x in kls])
    np.testing.assert_allclose(*pairs, rtol=1e-5, atol=1e-6)
    assert torch.isinf(torch.tensor(pairs[0][0]))
