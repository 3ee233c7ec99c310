"""Gumbel-softmax: how often each class is chosen, and the gradient that goes through a choice."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ShapeError

F = tw.nn.functional


@pytest.mark.parametrize("compiled", [False, True])
def test_classes_come_as_often_as_softmax_says(compiled: bool) -> None:
    tw.manual_seed(3)
    logits = tw.tensor([0.0, 1.0, -1.0, 2.0])

    def draw(x: tw.Tensor) -> tw.Tensor:
        return F.gumbel_softmax(x.expand(20000, 4), tau=0.3, hard=True).mean(0)

    found = (tw.compile(draw) if compiled else draw)(logits).numpy()
    wanted = logits.softmax(0).numpy()
    sigma = np.sqrt(wanted * (1 - wanted) / 20000)
    assert (np.abs(found - wanted) < 4 * sigma + 1e-5).all()


def test_the_gradient_of_a_hard_choice_is_that_of_the_soft_one() -> None:
    gradients = []
    for hard in (False, True):
        tw.manual_seed(5)
        x = tw.tensor([[0.3, -0.2, 0.1], [1.0, 0.0, 0.5]], requires_grad=True)
        out = F.gumbel_softmax(x, tau=0.7, hard=hard, dim=0)
        (out * tw.arange(6.0).reshape(2, 3)).sum().backward()
        gradients.append(x.grad)
        np.testing.assert_allclose(out.detach().sum(0).numpy(), 1, rtol=1e-6)
    assert gradients[0] is not None
    assert gradients[1] is not None
    np.testing.assert_allclose(gradients[0].numpy(), gradients[1].numpy(), rtol=1e-6)
    assert gradients[0].abs().sum().item() > 0


def test_a_dimension_that_is_not_there() -> None:
    with pytest.raises(ShapeError, match="gumbel_softmax: dimension 2"):
        F.gumbel_softmax(tw.zeros(2, 3), dim=2)
