"""Losses that ask for a margin."""

from __future__ import annotations

import math

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DataError, DTypeError, OutOfRangeError, ShapeError

A = [[0.5, -1.0, 3.0], [0.2, -0.6, 0.9]]
B = [[1.0, 0.3, -0.5], [0.7, 0.8, -1.2]]
SIGNS = [[1, -1, 1], [-1, -1, 1]]


def doubles(rows: list[list[float]]) -> tw.Tensor:
    return tw.tensor(rows, dtype=tw.float64, requires_grad=True)


def by_hand(formula, *tables: list[list[float]]) -> list[float]:
    return [
        formula(*entries)
        for rows in zip(*tables, strict=True)
        for entries in zip(*rows, strict=True)
    ]


def test_hinge_embedding() -> None:
    losses = F.hinge_embedding_loss(doubles(A), tw.tensor(SIGNS), 0.8, "none")
    expected = by_hand(lambda x, y: x if y == 1 else max(0, 0.8 - x), A, SIGNS)
    assert losses.flatten().tolist() == pytest.approx(expected)
    assert F.hinge_embedding_loss(doubles(A), tw.tensor(SIGNS), 0.8).item() == pytest.approx(
        sum(expected) / 6
    )


def test_soft_margin() -> None:
    losses = F.soft_margin_loss(doubles(A), tw.tensor(SIGNS), "none")
    expected = by_hand(lambda x, y: math.log1p(math.exp(-y * x)), A, SIGNS)
    assert losses.flatten().tolist() == pytest.approx(expected)
    far = F.soft_margin_loss(tw.tensor([1e4, 1e4]), tw.tensor([1, -1]), "none")
    assert far.tolist() == [0, 1e4]


def test_margin_ranking() -> None:
    losses = F.margin_ranking_loss(doubles(A), doubles(B), tw.tensor(SIGNS), 0.3, "none")
    expected = by_hand(lambda a, b, y: max(0, -y * (a - b) + 0.3), A, B, SIGNS)
    assert losses.flatten().tolist() == pytest.approx(expected)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def test_cosine_embedding() -> None:
    losses = F.cosine_embedding_loss(doubles(A), doubles(B), tw.tensor([1, -1]), -0.9, "none")
    expected = [1 - cosine(A[0], B[0]), max(0, cosine(A[1], B[1]) + 0.9)]
    assert losses.tolist() == pytest.approx(expected)
    one = F.cosine_embedding_loss(doubles(A)[0], doubles(B)[0], tw.tensor(1))
    assert one.item() == pytest.approx(expected[0])


def test_triplet_margin() -> None:
    c = [[0.4, -0.9, 2.0], [0.1, 0.1, 0.1]]
    losses = F.triplet_margin_loss(doubles(A), doubles(B), doubles(c), eps=0.0, reduction="none")
    near = [math.dist(a, b) for a, b in zip(A, B, strict=True)]
    far = [math.dist(a, n) for a, n in zip(A, c, strict=True)]
    swapped = [min(f, math.dist(b, n)) for f, b, n in zip(far, B, c, strict=True)]
    expected = [max(0, x - y + 1) for x, y in zip(near, far, strict=True)]
    assert losses.tolist() == pytest.approx(expected)
    with_swap = F.triplet_margin_loss(
        doubles(A), doubles(B), doubles(c), eps=0.0, swap=True, reduction="sum"
    )
    assert with_swap.item() == pytest.approx(
        sum(max(0, x - y + 1) for x, y in zip(near, swapped, strict=True))
    )


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.0]])
def test_multi_margin(p: int, weights: list[float] | None) -> None:
    labels = [2, 0]
    weight = None if weights is None else tw.tensor(weights, dtype=tw.float64)
    losses = F.multi_margin_loss(doubles(A), tw.tensor(labels), p, 1.5, weight, "none")
    expected = [
        (weights or [1.0] * 3)[y]
        * sum(max(0, 1.5 - row[y] + x) ** p for c, x in enumerate(row) if c != y)
        / 3
        for row, y in zip(A, labels, strict=True)
    ]
    assert losses.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: F.hinge_embedding_loss(a - b, tw.tensor(SIGNS), 0.85),
        lambda a, b: F.soft_margin_loss(a - b, tw.tensor(SIGNS)),
        lambda a, b: F.margin_ranking_loss(a, b, tw.tensor(SIGNS), 0.33),
        lambda a, b: F.cosine_embedding_loss(a, b, tw.tensor([1, -1]), -0.9),
        lambda a, b: F.triplet_margin_loss(a, b, a * b),
        lambda a, b: F.multi_margin_loss(a - b, tw.tensor([2, 0]), 2, 1.5),
    ],
)
def test_derivatives(loss) -> None:
    assert gradcheck(loss, [doubles(A), doubles(B)])
    assert gradgradcheck(loss, [doubles(A), doubles(B)])


def test_labels_0_and_1_are_no_signs() -> None:
    target = tw.tensor([1, 0, 1])
    for loss in (
        lambda: F.hinge_embedding_loss(tw.ones(3), target),
        lambda: F.soft_margin_loss(tw.ones(3), target),
        lambda: F.margin_ranking_loss(tw.ones(3), tw.ones(3), target),
        lambda: F.cosine_embedding_loss(tw.ones(3, 2), tw.ones(3, 2), target),
    ):
        with pytest.raises(DataError, match=r"target is 0 at \(1,\), .* 2 \* target - 1"):
            loss()


def test_shapes_that_do_not_fit() -> None:
    signs = tw.ones(3)
    with pytest.raises(ShapeError, match="never|same shape"):
        F.margin_ranking_loss(tw.ones(3), tw.ones(3), tw.ones(3, 1))
    with pytest.raises(ShapeError, match=r"expected \(N, D\) with \(N,\)"):
        F.cosine_embedding_loss(tw.ones(4, 2), tw.ones(4, 2), signs)
    with pytest.raises(ShapeError, match="same shape"):
        F.triplet_margin_loss(tw.ones(3, 2), tw.ones(3, 2), tw.ones(2))
    with pytest.raises(ShapeError, match=r"expected \(N, C\), \(N,\)"):
        F.multi_margin_loss(tw.ones(3, 2), tw.ones(2, dtype=tw.int64))


def test_multi_margin_of_bad_labels_and_powers() -> None:
    with pytest.raises(OutOfRangeError, match="multi_margin_loss: label 2 at 1"):
        F.multi_margin_loss(tw.ones(2, 2), tw.tensor([0, 2]))
    with pytest.raises(DTypeError, match="labels are integers"):
        F.multi_margin_loss(tw.ones(2, 2), tw.ones(2))
    with pytest.raises(ConfigError, match="p=3; expected a whole number from 1 to 2"):
        F.multi_margin_loss(tw.ones(2, 2), tw.tensor([0, 1]), p=3)
