"""Flatten and Unflatten: shapes, gradients, and what they print."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ShapeError


@pytest.mark.parametrize(
    ("options", "shape"), [((), (2, 60)), ((0,), (120,)), ((1, 2), (2, 12, 5)), ((-2,), (2, 3, 20))]
)
def test_flatten(options: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = tw.arange(120).reshape(2, 3, 4, 5)
    out = nn.Flatten(*options)(x)
    assert out.shape == shape
    assert tw.equal(out.flatten(), tw.arange(120))


def test_unflatten_undoes_it() -> None:
    x = tw.randn(2, 12, requires_grad=True)
    out = nn.Unflatten(1, (3, -1))(x)
    assert out.shape == (2, 3, 4)
    assert tw.equal(nn.Flatten()(out), x)
    (out * out).sum().backward()
    assert tw.equal(x.grad, 2 * x.detach())


def test_they_print_as_pytorchs() -> None:
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    assert repr(nn.Unflatten(1, [3, 4])) == "Unflatten(dim=1, unflattened_size=(3, 4))"


def test_what_does_not_fit_names_the_layer() -> None:
    with pytest.raises(ShapeError, match=r"^Sequential\.0 \(Unflatten\): .*cannot be given|asks"):
        nn.Sequential(nn.Unflatten(1, (5, 5)))(tw.ones(2, 12))
