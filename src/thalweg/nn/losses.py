"""Losses as modules: each is a loss of `nn.functional` with its options.

`reduction` is "mean" (over all elements, or over the batch where it says so), "sum" or "none".
What the functions refuse, these refuse, and say in which layer. Margins are in `margins`.
"""

from __future__ import annotations

from thalweg._tensor import Tensor
from thalweg.nn import functional as F
from thalweg.nn.functional.arguments import KL_REDUCTIONS, checked, least, one_of
from thalweg.nn.module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MultiLabelSoftMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
]


# --- regression ----------------------------------------------------------------------------------


class _Loss(Module):
    """A loss with a reduction."""

    @checked()
    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction


class MSELoss(_Loss):
    """Least squares: the mean of (y - t)^2 over all elements; y and t of one shape.

    A target of shape (N, 1) against (N,) is an error, not broadcast. Source: decks 001, 003.

    >>> import thalweg as tw
    >>> tw.nn.MSELoss()(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean of |y - t| over all elements; y and t of one shape.

    >>> import thalweg as tw
    >>> tw.nn.L1Loss()(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(Module):
    """With r = y - t: r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2); the mean of it.

    >>> import thalweg as tw
    >>> tw.nn.HuberLoss(reduction="none")(tw.tensor([1.0, 5.0]), tw.tensor([0.0, 0.0]))
    tensor([0.5000, 4.5000])
    """

    @checked()
    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = reduction
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(Module):
    """With r = y - t: r^2 / (2 beta) where |r| < beta, else |r| - beta / 2; the mean of it.

    >>> import thalweg as tw
    >>> tw.nn.SmoothL1Loss(reduction="none")(tw.tensor([1.0, 5.0]), tw.tensor([0.0, 0.0]))
    tensor([0.5000, 4.5000])
    """

    @checked(beta=least(0))
    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction = reduction
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class PoissonNLLLoss(Module):
    """e^x - y x for counts y whose rate is e^x; the mean of it. Options as in the function.

    >>> import thalweg as tw
    >>> tw.nn.PoissonNLLLoss()(tw.tensor([0.0]), tw.tensor([3.0]))
    tensor(1.)
    """

    @checked()
    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        self.log_input = log_input
        self.full = full
        self.eps = eps
        self.reduction = reduction

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        options = self.log_input, self.full, self.eps, self.reduction
        return F.poisson_nll_loss(log_input, target, *options)


class GaussianNLLLoss(Module):
    """(log v + (x - y)^2 / v) / 2 for y normal with mean x and variance v; the mean of it.

    >>> import thalweg as tw
    >>> tw.nn.GaussianNLLLoss()(tw.zeros(2), tw.tensor([1.0, 3.0]), tw.ones(2))
    tensor(2.5000)
    """

    @checked()
    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        self.full = full
        self.eps = eps
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


# --- classification ------------------------------------------------------------------------------


class CrossEntropyLoss(Module):
    """-log softmax(logits) at the class of the label: the mean over the batch.

    Logits (N, C), (N, C, d1, ..) or (C,), not probabilities; targets are class indices (integers,
    shape of the logits without C), or probabilities in the shape of the logits. `weight` (C,)
    weights the classes, labels equal to `ignore_index` do not count (none is, unless given), and
    `label_smoothing` s takes (1 - s) one_hot + s / C as the target. Source: decks 000, 001.

    >>> import thalweg as tw
    >>> loss = tw.nn.CrossEntropyLoss()(tw.zeros(2, 10), tw.tensor([3, 7]))
    >>> round(loss.item(), 4)  # log 10
    2.3026
    """

    weight: Tensor | None

    @checked()
    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Module):
    """-x at the class of the label, for log-probabilities x: what follows a `LogSoftmax`.

    x (N, C), (N, C, d1, ..) or (C,); targets are class indices. Options as `CrossEntropyLoss`.

    >>> import thalweg as tw
    >>> x = tw.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
    >>> round(tw.nn.NLLLoss()(x, tw.tensor([0, 1])).item(), 4)
    0.4904
    """

    weight: Tensor | None

    @checked()
    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class _Weighted(Module):
    """A loss whose terms are weighted; the weights are a buffer."""

    weight: Tensor | None

    @checked()
    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction


class BCEWithLogitsLoss(_Weighted):
    """-(t log p + (1 - t) log(1 - p)) for p = sigmoid(logits), without overflow; the mean of it.

    Logits and targets, from 0 to 1, of one shape. `pos_weight` multiplies the first term.

    >>> import thalweg as tw
    >>> loss = tw.nn.BCEWithLogitsLoss()(tw.tensor([0.0, 100.0]), tw.tensor([1.0, 1.0]))
    >>> round(loss.item(), 4)  # half of log 2
    0.3466
    """

    pos_weight: Tensor | None

    @checked()
    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class BCELoss(_Weighted):
    """-(t log p + (1 - t) log(1 - p)) for probabilities p, each log at least -100; the mean of it.

    Better from logits: `BCEWithLogitsLoss`.

    >>> import thalweg as tw
    >>> round(tw.nn.BCELoss()(tw.tensor([0.5]), tw.tensor([1.0])).item(), 4)
    0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class KLDivLoss(Module):
    """t (log t - x) for log-probabilities x and probabilities t (log t itself if `log_target`).

    Its sum over a row is the divergence KL(t || e^x); reduction "batchmean" gives the mean of
    those sums, "mean" divides by the number of all elements.

    >>> import thalweg as tw
    >>> x, t = tw.tensor([[0.5, 0.5]]).log(), tw.tensor([[0.5, 0.5]])
    >>> tw.nn.KLDivLoss(reduction="batchmean")(x, t).item()
    0.0
    """

    @checked(reduction=one_of(*KL_REDUCTIONS))
    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class MultiLabelSoftMarginLoss(Module):
    """Binary cross-entropy of each of C classes, from logits; the mean over the classes.

    For samples that may have any of the labels: y (N, C) of 0 and 1.

    >>> import thalweg as tw
    >>> tw.nn.MultiLabelSoftMarginLoss()(tw.zeros(1, 3), tw.tensor([[1.0, 0.0, 1.0]]))
    tensor(0.6931)
    """

    weight: Tensor | None

    @checked()
    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)
