"""Normalization to length 1, angles, distances."""

from __future__ import annotations

import math

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ShapeError

A = [[0.5, -1.0, 3.0], [0.2, -0.6, 0.9]]
B = [[1.0, 0.3, -0.5], [0.7, 0.8, -1.2]]


def doubles(rows: list[list[float]]) -> tw.Tensor:
    return tw.tensor(rows, dtype=tw.float64, requires_grad=True)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("dim", [0, 1])
def test_normalized_vectors_have_length_1(p: float, dim: int) -> None:
    lengths = F.normalize(doubles(A), p, dim).norm(p, dim)
    assert lengths.tolist() == pytest.approx([1.0] * len(lengths))


def test_zeros_stay_zeros_and_have_a_gradient() -> None:
    x = tw.zeros(1, 3, requires_grad=True)
    y = F.normalize(x, eps=0.5)
    y.sum().backward()
    assert x.grad is not None
    assert (y.tolist(), x.grad.tolist()) == ([[0] * 3], [[2] * 3])


def test_cosine_similarity_by_hand() -> None:
    expected = [
        sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
        for a, b in zip(A, B, strict=True)
    ]
    assert F.cosine_similarity(doubles(A), doubles(B)).tolist() == pytest.approx(expected)
    one = F.cosine_similarity(doubles(A)[0], doubles(B)[0], dim=0)
    assert one.item() == pytest.approx(expected[0])
    assert F.cosine_similarity(doubles(A), doubles(A)).tolist() == pytest.approx([1, 1])
    assert F.cosine_similarity(tw.zeros(1, 3), tw.ones(1, 3)).tolist() == [0]


def test_cosine_similarity_broadcasts() -> None:
    every = F.cosine_similarity(doubles(A).unsqueeze(1), doubles(B), dim=-1)
    assert every.shape == (2, 2)
    assert every.diagonal().tolist() == F.cosine_similarity(doubles(A), doubles(B)).tolist()


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
def test_pairwise_distance_by_hand(p: float) -> None:
    expected = [
        sum(abs(x - y) ** p for x, y in zip(a, b, strict=True)) ** (1 / p)
        for a, b in zip(A, B, strict=True)
    ]
    distances = F.pairwise_distance(doubles(A), doubles(B), p, eps=0.0)
    assert distances.tolist() == pytest.approx(expected)
    assert F.pairwise_distance(doubles(A), doubles(B), p, keepdim=True).shape == (2, 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: F.normalize(a + b, 3.0),
        lambda a, b: F.normalize(a * b, dim=0),
        F.cosine_similarity,
        F.pairwise_distance,
        lambda a, b: F.pairwise_distance(a, b, 3.0),
    ],
)
def test_derivatives(function) -> None:
    assert gradcheck(function, [doubles(A), doubles(B)])
    assert gradgradcheck(function, [doubles(A), doubles(B)])


def test_a_dimension_that_is_not_there() -> None:
    with pytest.raises(ShapeError, match="dimension 1 of a tensor of rank 1"):
        F.normalize(tw.ones(3))
