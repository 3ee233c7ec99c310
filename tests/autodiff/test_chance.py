"""Random numbers inside `vmap`: none unless one says which; layers that draw or keep statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.errors import TransformError
from thalweg.func import grad, vmap

ONES = tw.ones(3, 8)
LOGITS = tw.tensor([[0.1, 2.0, -1.0, 0.5], [1.0, -0.5, 0.3, 0.0], [0.0, 0.0, 1.0, -2.0]])
# What draws, of one row.
DRAWS: dict[str, tuple[Callable[[Any], tw.Tensor], tw.Tensor]] = {
    "rand": (lambda x: x + tw.rand(8), ONES),
    "randn_like": (tw.randn_like, ONES),
    "randint": (lambda x: x + tw.randint(0, 1000, (8,)), ONES),
    "uniform_": (lambda x: tw.zeros(8).uniform_(), ONES),
    "normal_": (lambda x: x.clone().normal_(), ONES),
    "bernoulli": (lambda x: tw.bernoulli(x * 0.5), tw.ones(3, 40)),
    "randperm": (lambda x: x + tw.randperm(8), ONES),
    "multinomial": (lambda x: tw.multinomial(x.exp().repeat_interleave(4), 6).float(), LOGITS),
    "dropout": (lambda x: F.dropout(x, 0.5), tw.ones(3, 40)),
    "dropout1d": (lambda x: F.dropout1d(x.unsqueeze(-1), 0.5), tw.ones(3, 40)),
    "alpha_dropout": (lambda x: F.alpha_dropout(x, 0.5, training=True), tw.ones(3, 40)),
    "gumbel_softmax": (lambda x: F.gumbel_softmax(x, dim=0), LOGITS),
}


@pytest.mark.parametrize("name", DRAWS)
def test_each_way_of_drawing(name: str) -> None:
    draw, x = DRAWS[name]
    with pytest.raises(TransformError, match='randomness="same"'):
        vmap(draw)(x)
    tw.manual_seed(1)
    alike = vmap(draw, randomness="same")(x[:1].expand(3, -1))
    assert all(alike[0].equal(row) for row in alike)
    tw.manual_seed(1)
    found, after = vmap(draw, randomness="different")(x), tw.rand(2)
    tw.manual_seed(1)
    rows = tw.stack([draw(row) for row in x])
    assert not found[0].equal(found[1])
    np.testing.assert_allclose(found.numpy(), rows.numpy(), rtol=1e-5, atol=1e-6)
    assert after.equal(tw.rand(2))


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_a_gradient_goes_through_the_mask_that_was_drawn(randomness: str) -> None:
    x = tw.ones(3, 40)
    mapped = vmap(grad(lambda x: F.dropout(x * x, 0.5).sum()), randomness=randomness)
    tw.manual_seed(2)
    slopes = mapped(x)
    tw.manual_seed(2)
    masks = vmap(lambda x: F.dropout(x, 0.5), randomness=randomness)(x)
    assert slopes.equal(masks * 2)
    assert masks[0].equal(masks[1]) == (randomness == "same")


def test_what_draws_nothing_is_no_error() -> None:
    layer = tw.nn.Dropout(0.5).eval()
    assert vmap(layer)(ONES).equal(ONES)
    assert vmap(lambda x: F.dropout(x, 0.0))(ONES).equal(ONES)


# --- running statistics ---------------------------------------------------------------------------


def test_running_statistics_are_no_matter_of_one_case() -> None:
    x = tw.randn(3, 5, 4)
    norm = tw.nn.BatchNorm1d(4)
    with pytest.raises(TransformError, match=r"running statistics.*track_running_stats=False"):
        vmap(norm)(x)
    assert dict(norm.named_buffers())["num_batches_tracked"].item() == 0
    free = tw.nn.BatchNorm1d(4, track_running_stats=False)
    np.testing.assert_allclose(
        vmap(free)(x).detach().numpy(),
        tw.stack([free(case) for case in x]).detach().numpy(),
        rtol=1e-5,
        atol=1e-6,
    )
    norm.eval()
    assert tw.allclose(vmap(norm)(x), tw.stack([norm(case) for case in x]))


def test_running_statistics_that_are_in_cases_too() -> None:
    """As PyTorch says: lent by `functional_call`, each case has its own."""
    norm, x = tw.nn.BatchNorm1d(4), tw.randn(3, 5, 4)
    buffers = {name: tw.stack([b] * 3) for name, b in norm.named_buffers()}

    def call(buffers: Any, x: tw.Tensor) -> Any:
        return tw.func.functional_call(norm, buffers, x), buffers["running_mean"]

    found, means = vmap(call)(buffers, x)
    for k in range(3):
        alone = tw.nn.BatchNorm1d(4)
        np.testing.assert_allclose(
            found[k].detach().numpy(), alone(x[k]).detach().numpy(), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            means[k].numpy(),
            dict(alone.named_buffers())["running_mean"].numpy(),
            rtol=1e-5,
            atol=1e-6,
        )


# --- assignments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_assignments_by_index(compiled: bool) -> None:
    def one(x: tw.Tensor, i: tw.Tensor, v: tw.Tensor) -> tw.Tensor:
        y, z = tw.zeros(4), x.clone()
        y[i] = v  # both of the case
        y[0] = x[1]  # the place of all cases
        z[1:3] = v
        z[z > 1] = 0.5
        z[..., -1] += 1
        return y + z

    x, i, v = LOGITS, tw.tensor([1, 3, 2]), tw.tensor([7.0, -8.0, 9.0])
    mapped = vmap(one)
    found = (tw.compile(mapped) if compiled else mapped)(x, i, v)
    wanted = tw.stack([one(*case) for case in zip(x, i, v, strict=True)])
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6)
    gradient = grad(lambda x, i, v: one(x, i, v).sum(), 2)
    assert vmap(gradient)(x, i, v).equal(tw.stack([*map(gradient, x, i, v)]))
