"""A variational autoencoder of the digits, ported from PyTorch's example with distributions.

-log p(x) <= -E_q(z|x) log p(x|z) + KL(q(z|x), p(z)). Source: Kingma, Welling 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import thalweg as tw
from thalweg import nn
from thalweg.distributions import Bernoulli, Independent, Normal, kl_divergence


class VAE(nn.Module):
    """Pictures of 8 x 8 as 4 normal numbers, and back as probabilities of pixels."""

    def __init__(self) -> None:
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 8))
        self.decoder = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 64))

    def encode(self, x: tw.Tensor) -> Independent:
        loc, log_scale = self.encoder(x).chunk(2, -1)
        return Independent(Normal(loc, log_scale.exp()), 1)

    def decode(self, z: tw.Tensor) -> Independent:
        return Independent(Bernoulli(logits=self.decoder(z)), 1)

    def forward(self, x: tw.Tensor) -> tuple[tw.Tensor, tw.Tensor]:
        """How badly a picture is given back, and how far its code is from the prior: (N,) each."""
        code = self.encode(x)
        prior = Independent(Normal(tw.zeros(4), 1.0).expand((x.shape[0], 4)), 1)
        return -self.decode(code.rsample()).log_prob(x), kl_divergence(code, prior)


def test_it_learns_the_digits() -> None:
    tw.manual_seed(0)
    pictures = (tw.data.load("digits").train.x.reshape(-1, 64) > 0.5).float()
    model = VAE()
    optimizer = tw.optim.Adam(model.parameters(), lr=3e-3)

    @tw.compile
    def step(index: tw.Tensor) -> tw.Tensor:
        distortion, divergence = model(pictures[index])
        loss = (distortion + divergence).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return tw.stack([loss, divergence.mean()])

    count = pictures.shape[0] // 32 * 32
    epochs = [step.scan(tw.randperm(count).reshape(-1, 32)).mean(0).tolist() for _ in range(15)]
    first, last = epochs[0], epochs[-1]
    assert last[0] < 0.75 * first[0]
    assert last[1] > 2  # the code says something

    code = model.encode(pictures[:200])
    given_back = model.decode(code.mean).mean
    errors = ((given_back > 0.5).float() != pictures[:200]).float().mean().item()
    plain = pictures.mean(0)
    blind = ((plain > 0.5).float() != pictures[:200]).float().mean().item()
    assert errors < 0.7 * blind


def test_compiled_like_eager() -> None:
    x = (tw.data.load("digits").train.x[:16].reshape(-1, 64) > 0.5).float()
    found: list[Any] = []
    for compiled in (False, True):
        tw.manual_seed(1)
        model = VAE()
        call = tw.compile(model) if compiled else model
        tw.manual_seed(2)
        distortion, divergence = call(x)
        (distortion + divergence).sum().backward()
        found.append([distortion, divergence, *(p.grad for p in model.parameters())])
    for y, z in zip(*found, strict=True):
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), 2e-3, 1e-3)
