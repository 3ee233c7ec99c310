"""The divergence of Kullback and Leibler between two distributions, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from thalweg._tensor import Tensor
from thalweg.distributions.continuous import Exponential, Laplace, Uniform
from thalweg.distributions.discrete import Bernoulli, Categorical, OneHotCategorical, Poisson
from thalweg.distributions.distribution import Distribution
from thalweg.distributions.normal import Normal
from thalweg.distributions.several import Independent, MultivariateNormal
from thalweg.errors import ConfigError
from thalweg.nn.functional.activations import softplus
from thalweg.ops.linalg import solve_triangular

__all__ = ["kl_divergence", "register_kl"]

Rule = Callable[[Any, Any], Tensor]
R = TypeVar("R", bound=Rule)
_RULES: dict[tuple[type, type], Rule] = {}


def register_kl(type_p: type[Distribution], type_q: type[Distribution]) -> Callable[[R], R]:
    """A decorator: the function gives the divergence of those two kinds, and of what derives.

    >>> import thalweg as tw
    >>> class Fair(tw.distributions.Bernoulli):
    ...     def __init__(self):
    ...         super().__init__(tw.tensor(0.5))
    >>> @tw.distributions.register_kl(Fair, Fair)
    ... def same(p, q):
    ...     return tw.tensor(0.0)
    >>> tw.distributions.kl_divergence(Fair(), Fair())
    tensor(0.)
    """

    def enter(rule: R) -> R:
        _RULES[type_p, type_q] = rule
        return rule

    return enter


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p, q) = E_p(log p(x) - log q(x)), for each distribution of the batch; 0 where both agree.

    Of two of one kind: normal (of vectors too), log-normal, uniform, exponential, Laplace,
    Bernoulli, categorical, one-hot, Poisson, and `Independent` ones of these; others by
    `register_kl`. Raises `ConfigError` for a pair there is no formula for.

    >>> import thalweg as tw
    >>> p, q = tw.distributions.Normal(0.0, 1.0), tw.distributions.Normal(1.0, 1.0)
    >>> tw.distributions.kl_divergence(p, q)
    tensor(0.5000)
    """
    for kind in type(p).__mro__:
        for other in type(q).__mro__:
            if (kind, other) in _RULES:
                return _RULES[kind, other](p, q)
    raise ConfigError(
        f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}; "
        "register_kl enters one"
    )


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    if type(p) is not type(q):  # a log-normal one is a normal one by construction alone
        raise ConfigError(
            f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}"
        )
    ratio = (p.scale / q.scale).square()
    gap = ((p.loc - q.loc) / q.scale).square()
    return 0.5 * (ratio + gap - 1 - ratio.log())


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    out = ((q.high - q.low) / (p.high - p.low)).log()
    return out.where((q.low <= p.low) & (q.high >= p.high), math.inf)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, gap = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + gap / q.scale + ratio * (-gap / p.scale).exp() - 1


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    yes = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    no = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    yes = yes.where(p.probs != 0, 0).where((q.probs != 0) | p.probs.eq(0), math.inf)
    return yes + no.where(p.probs != 1, 0).where((q.probs != 1) | p.probs.eq(1), math.inf)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    return _of_classes(p.probs, p.logits, q.probs, q.logits)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _of_classes(p.probs, p.logits, q.probs, q.logits)


def _of_classes(p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    terms = p * (log_p - log_q)
    return terms.where(q != 0, math.inf).where(p != 0, 0).sum(-1)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate / q.rate).log() - (p.rate - q.rate)


@register_kl(MultivariateNormal, MultivariateNormal)
def _vectors(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    logs = (x.scale_tril.diagonal(0, -2, -1).log().sum(-1) for x in (q, p))
    volume = next(logs) - next(logs)
    ours = solve_triangular(q.scale_tril, p.scale_tril, upper=False).square().sum((-2, -1))
    gap = (q.loc - p.loc).unsqueeze(-1)
    theirs = solve_triangular(q.scale_tril, gap, upper=False).square().sum((-2, -1))
    return volume + 0.5 * (ours + theirs - p.event_shape[0])


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise ConfigError(
            "kl_divergence: events of different shapes, "
            f"{tuple(p.event_shape)} and {tuple(q.event_shape)}"
        )
    return p._added(kl_divergence(p.base_dist, q.base_dist))
