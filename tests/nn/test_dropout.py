"""Dropout: inverted, off in eval mode, the same for the same seed, no gradient where it is off."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ConfigError


def test_what_is_kept_is_scaled_by_one_over_one_minus_p() -> None:
    tw.manual_seed(1)
    out = nn.Dropout(0.2)(tw.ones(10_000))
    assert sorted(set(out.tolist())) == [0.0, 1.25]
    assert out.eq(0).float().mean().item() == pytest.approx(0.2, abs=0.02)


def test_off_in_eval_mode_and_at_p_0() -> None:
    x = tw.randn(100)
    assert tw.equal(nn.Sequential(nn.Dropout(0.9)).eval()(x), x)
    assert tw.equal(nn.Dropout(0.0)(x), x)
    assert nn.Dropout(1.0)(x).abs().sum().item() == 0


def test_the_same_seed_the_same_mask_and_a_new_one_at_each_call() -> None:
    layer, x = nn.Dropout(), tw.ones(64)
    tw.manual_seed(5)
    first, second = layer(x), layer(x)
    tw.manual_seed(5)
    assert tw.equal(layer(x), first)
    assert not tw.equal(first, second)


def test_the_gradient_goes_where_the_value_went() -> None:
    x = tw.ones(50, requires_grad=True)
    out = nn.Dropout(0.5)(x)
    out.sum().backward()
    assert tw.equal(x.grad, out.detach())


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_p_is_a_probability(p: float) -> None:
    with pytest.raises(ConfigError, match="Dropout: p is a probability"):
        nn.Dropout(p)
