"""Probability distributions under PyTorch's names: drawn, weighed, compared; compiled too."""

from __future__ import annotations

from thalweg.distributions.continuous import Exponential, Laplace, Uniform
from thalweg.distributions.discrete import Bernoulli, Categorical, OneHotCategorical, Poisson
from thalweg.distributions.distribution import Distribution
from thalweg.distributions.divergence import kl_divergence, register_kl
from thalweg.distributions.normal import LogNormal, Normal
from thalweg.distributions.several import Independent, MultivariateNormal

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Exponential",
    "Independent",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "Uniform",
    "kl_divergence",
    "register_kl",
]
