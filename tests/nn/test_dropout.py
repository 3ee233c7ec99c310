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
    with pytest.raises(ConfigError, match="Dropout: p=.*from 0 to 1"):
        nn.Dropout(p)


# fmt: off
TOGETHER = {  # a layer, the shape of its input, and the dimensions along which one draw holds
    "channels of sequences": (nn.Dropout1d,           (40, 5, 7), (2,)),
    "channels of one":       (nn.Dropout1d,           (40, 7), (1,)),
    "channels of images":    (nn.Dropout2d,           (40, 5, 3, 2), (2, 3)),
    "as sequences":          (nn.Dropout2d,           (40, 5, 7), (2,)),
    "saturated channels":    (nn.FeatureAlphaDropout, (40, 5, 3, 2), (2, 3)),
    "steps":                 (nn.VariationalDropout,  (7, 40, 5), (0,)),
    "steps of one":          (nn.VariationalDropout,  (7, 40), (0,)),
    "steps second":          (lambda p: nn.VariationalDropout(p, batch_first=True), (40, 7, 5),
                              (1,)),
}
# fmt: on


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", TOGETHER)
def test_one_draw_for_what_belongs_together(name: str, compiled: bool) -> None:
    build, shape, together = TOGETHER[name]
    layer, x = build(0.3), tw.ones(*shape, requires_grad=True)
    run = tw.compile(layer) if compiled else layer
    out = run(x)
    assert tw.equal(out.amax(together), out.amin(together))
    drawn = out.amax(together).detach()
    assert len(set(drawn.flatten().tolist())) == 2
    kept = drawn.eq(drawn.amax()).float().mean().item()
    assert kept == pytest.approx(0.7, abs=0.25)
    assert not tw.equal(run(x), out)
    tw.manual_seed(4)
    first = run(x)
    tw.manual_seed(4)
    assert tw.equal(build(0.3)(x), first)
    assert tw.equal(layer.eval()(x), x)


def test_what_survives_is_scaled() -> None:
    for layer in (nn.Dropout1d(0.2), nn.Dropout2d(0.2), nn.VariationalDropout(0.2)):
        out = layer(tw.ones(30, 9, 4))
        assert sorted(set(out.flatten().tolist())) == [0.0, 1.25]


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    tw.manual_seed(2)
    x = tw.randn(200, 200)
    for p in (0.1, 0.5):
        z = nn.AlphaDropout(p)(x)
        assert z.mean().abs().item() < 0.02
        assert z.var().item() == pytest.approx(1, abs=0.03)
        assert len(set(z.flatten()[:100].tolist())) < 100  # the saturated ones are all alike


def test_they_print_their_options() -> None:
    assert repr(nn.VariationalDropout(0.2, True)) == "VariationalDropout(p=0.2, batch_first=True)"
    for kind in (nn.Dropout1d, nn.AlphaDropout, nn.VariationalDropout):
        with pytest.raises(ConfigError, match=f"^{kind.__name__}: p=1.5; expected a number"):
            kind(1.5)
