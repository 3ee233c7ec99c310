"""The affine map."""

from __future__ import annotations

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ShapeError


def test_by_hand() -> None:
    x, w, b = tw.tensor([[1.0, 2.0]]), tw.tensor([[3.0, 4.0], [5.0, 6.0]]), tw.tensor([0.5, -1.0])
    assert F.linear(x, w, b).tolist() == [[11.5, 16]]
    assert F.linear(x, w).tolist() == [[11, 17]]


@pytest.mark.parametrize("lead", [(), (4,), (0,), (2, 3), (2, 1, 3)])
def test_any_number_of_leading_dimensions(lead: tuple[int, ...]) -> None:
    x, w, b = tw.randn(*lead, 5), tw.randn(2, 5), tw.randn(2)
    y = F.linear(x, w, b)
    assert y.shape == (*lead, 2)
    assert tw.allclose(y, (x.unsqueeze(-2) * w).sum(-1) + b, atol=1e-5)


@pytest.mark.parametrize("lead", [(), (3,), (2, 2)])
def test_derivatives(lead: tuple[int, ...]) -> None:
    shapes = (*lead, 4), (2, 4), (2,)
    inputs = [tw.randn(s, dtype=tw.float64).requires_grad_() for s in shapes]
    assert gradcheck(F.linear, inputs)
    assert gradgradcheck(F.linear, inputs)


def test_two_recorded_operations() -> None:
    y = F.linear(tw.ones(3, 4), tw.ones(2, 4, requires_grad=True), tw.ones(2, requires_grad=True))
    assert [step.name for step in tw.backward_steps(y.sum())] == [
        "sum",
        "add",
        "contraction",
        "leaf",
        "leaf",
    ]


@pytest.mark.parametrize(
    ("input", "weight", "message"),
    [
        (
            (32, 785),
            (30, 784),
            r"shape \(32, 785\), weight \(30, 784\): .* must have 784 elements$",
        ),
        ((32, 28, 28), (30, 784), r"Flatten it first: x\.flatten\(1\)"),
        ((32, 1, 28, 28), (30, 784), r"x\.flatten\(2\)"),
        ((32, 30), (30, 784), r"transposed\? Use weight\.t\(\)"),
        ((), (30, 784), r"input has shape \(\)"),
        ((784,), (784,), r"weight has shape \(784,\), expected \(out, in\)"),
    ],
)
def test_shapes_that_do_not_fit(
    input: tuple[int, ...], weight: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        F.linear(tw.ones(input), tw.ones(weight))


@pytest.mark.parametrize("bias", [(1,), (3,), (4, 2), ()])
def test_a_bias_is_never_broadcast(bias: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"each of the 2 outputs, \(2,\)"):
        F.linear(tw.ones(4, 5), tw.ones(2, 5), tw.ones(bias))
