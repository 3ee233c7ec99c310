"""Losses that ask for a margin, and the distances they are made of, as modules.

Each is a function of `nn.functional` with its options; `reduction` is "mean", "sum" or "none".
Where a target y is to be a sign, it is 1 or -1.
"""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import above, between, checked
from thalweg.nn.functional.margin import Distance
from thalweg.nn.module import Module

__all__ = [
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "MultiMarginLoss",
    "PairwiseDistance",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class CosineSimilarity(Module):
    """x1 . x2 / (||x1|| ||x2||) along `dim`, which is dropped.

    >>> import thalweg as tw
    >>> tw.nn.CosineSimilarity()(tw.tensor([[1.0, 0.0]]), tw.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    @checked()
    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """||x1 - x2 + eps||_p along the last dimension, which is dropped unless `keepdim`.

    >>> import thalweg as tw
    >>> tw.nn.PairwiseDistance()(tw.tensor([[3.0, 0.0]]), tw.tensor([[0.0, 4.0]]))
    tensor([5.])
    """

    @checked()
    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)


class HingeEmbeddingLoss(Module):
    """x if y = 1, max(0, margin - x) if y = -1: distances x, small for pairs that belong together.

    >>> import thalweg as tw
    >>> tw.nn.HingeEmbeddingLoss()(tw.tensor([0.5, 0.25]), tw.tensor([1, -1]))
    tensor(0.6250)
    """

    @checked()
    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        self.margin = margin
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class SoftMarginLoss(Module):
    """log(1 + e^(-y x)), for scores x and signs y, of one shape.

    >>> import thalweg as tw
    >>> tw.nn.SoftMarginLoss()(tw.tensor([0.0]), tw.tensor([1.0]))
    tensor(0.6931)
    """

    @checked()
    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, self.reduction)


class MarginRankingLoss(Module):
    """max(0, -y (x1 - x2) + margin): y = 1 where x1 should rank higher, -1 where x2 should.

    >>> import thalweg as tw
    >>> tw.nn.MarginRankingLoss()(tw.tensor([1.0]), tw.tensor([3.0]), tw.tensor([1]))
    tensor(2.)
    """

    @checked()
    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self.margin = margin
        self.reduction = reduction

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class CosineEmbeddingLoss(Module):
    """1 - cos(x1, x2) if y = 1, max(0, cos(x1, x2) - margin) if y = -1; x (N, D), y (N,).

    >>> import thalweg as tw
    >>> a, b = tw.tensor([[1.0, 0.0]]), tw.tensor([[0.0, 2.0]])
    >>> tw.nn.CosineEmbeddingLoss()(a, b, tw.tensor([1]))
    tensor(1.)
    """

    @checked()
    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self.margin = margin
        self.reduction = reduction

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(Module):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the distance of the p-norm.

    All three (N, D) or (D,). With `swap`, d(positive, negative) counts where it is smaller.

    >>> import thalweg as tw
    >>> a, p, n = tw.tensor([[0.0, 0.0]]), tw.tensor([[0.0, 1.0]]), tw.tensor([[3.0, 0.0]])
    >>> tw.nn.TripletMarginLoss()(a, p, n)
    tensor(0.)
    """

    @checked(p=above(0))
    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap
        self.reduction = reduction

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        options = self.margin, self.p, self.eps, self.swap, self.reduction
        return F.triplet_margin_loss(anchor, positive, negative, *options)


class TripletMarginWithDistanceLoss(Module):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d any function of two tensors.

    It is the `distance_function`, or `PairwiseDistance()`. With `swap`, d(positive, negative)
    counts where it is smaller.

    >>> import thalweg as tw
    >>> a, p, n = tw.tensor([[0.0, 0.0]]), tw.tensor([[0.0, 1.0]]), tw.tensor([[3.0, 0.0]])
    >>> tw.nn.TripletMarginWithDistanceLoss(margin=3.0)(a, p, n)
    tensor(1.)
    """

    @checked()
    def __init__(
        self,
        *,
        distance_function: Distance = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        self.distance_function = distance_function or PairwiseDistance()
        self.margin = margin
        self.swap = swap
        self.reduction = reduction

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class MultiMarginLoss(Module):
    """sum over c != y of w_y max(0, margin - x_y + x_c)^p / C: the multi-class hinge loss.

    Scores x (N, C), labels y (N,), class weights w (C,).

    >>> import thalweg as tw
    >>> tw.nn.MultiMarginLoss()(tw.tensor([[0.5, 0.0, 2.0]]), tw.tensor([0]))
    tensor(1.)
    """

    weight: Tensor | None

    @checked(p=between(1, 2))
    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
    ) -> None:
        self.p = p
        self.margin = margin
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        options = self.p, self.margin, self.weight, self.reduction
        return F.multi_margin_loss(input, target, *options)
