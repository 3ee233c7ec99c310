"""Connectionist temporal classification as a module."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg._tensor import Tensor
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import checked, least
from thalweg.nn.module import Module

__all__ = ["CTCLoss"]


class CTCLoss(Module):
    """-log of the probability of labels whose places in time are not known. See `F.ctc_loss`.

    Logarithms of probabilities (T, N, C), targets (N, S) or one after the other, and both lengths.

    >>> import thalweg as tw
    >>> scores = tw.zeros(3, 1, 2).log_softmax(2)
    >>> tw.nn.CTCLoss()(scores, tw.tensor([[1, 1]]), [3], [2])  # 1-1 alone, of 8 ways
    tensor(1.0397)
    """

    @checked(blank=least(0))
    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Tensor | Sequence[int],
        target_lengths: Tensor | Sequence[int],
    ) -> Tensor:
        options = self.blank, self.reduction, self.zero_infinity
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, *options)
