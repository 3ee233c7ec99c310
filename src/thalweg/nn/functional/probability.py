"""Losses between probabilities: binary cross-entropy, from probabilities or logits, and KL.

`input` and `target` have the same shape, whatever it is (a `ShapeError` otherwise, never
broadcasting). `reduction` is "mean" (over all elements; the default), "sum" or "none".
"""

from __future__ import annotations

from typing import Any

from thalweg._tensor import Tensor
from thalweg.errors import DataError, ShapeError
from thalweg.nn.functional.activations import logsigmoid
from thalweg.nn.functional.arguments import KL_REDUCTIONS, checked, one_of
from thalweg.nn.functional.checks import (
    first_place,
    reduced,
    require,
    require_broadcast,
    require_same_shape,
)
from thalweg.ops.lift import floating, promote
from thalweg.tape import composite

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "multilabel_soft_margin_loss",
]


# --- binary cross-entropy ------------------------------------------------------------------------


@checked()
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-w (y log p + (1 - y) log(1 - p)), from probabilities p and targets y in [0, 1].

    The logarithms are no less than -100, as in PyTorch, so that a wrong 0 or 1 costs 100, not
    infinity. Prefer `binary_cross_entropy_with_logits`, which loses no digits near 0 and 1. A p
    outside [0, 1], or NaN, is a `DataError`. `weight` broadcasts.

    >>> import thalweg as tw
    >>> p, y = tw.tensor([0.5, 0.9]), tw.tensor([0.0, 1.0])
    >>> tw.nn.functional.binary_cross_entropy(p, y, reduction="none")
    tensor([0.6931, 0.1054])
    """
    require_same_shape("binary_cross_entropy", input, target)
    p, y = promote(floating(input), target)
    require((p >= 0) & (p <= 1), lambda: _not_a_probability(p))
    return _weighted("binary_cross_entropy", _binary_cross_entropy(p, y), weight, reduction)


def _binary_cross_entropy_slope(g: Any, out: Any, p: Any, y: Any) -> Any:
    """(p - y) / (p (1 - p)), the denominator no less than 1e-12."""
    return g * (p - y) / (p * (1 - p)).maximum(1e-12)


def _odds(p: Any) -> tuple[Any, Any]:
    """log p and log(1 - p), neither below -100."""
    return p.log().maximum(-100), (-p).log1p().maximum(-100)


def _binary_cross_entropy_target_slope(g: Any, out: Any, p: Any, y: Any) -> Any:
    yes, no = _odds(p)
    return g * (no - yes)


@composite("binary_cross_entropy", _binary_cross_entropy_slope, _binary_cross_entropy_target_slope)
def _binary_cross_entropy(p: Tensor, y: Tensor) -> Tensor:
    yes, no = _odds(p)
    losses: Tensor = (y - 1) * no - y * yes
    return losses


def _not_a_probability(p: Tensor) -> DataError:
    place = first_place(~((p >= 0) & (p <= 1)))
    return DataError(
        f"binary_cross_entropy: input is {p[place].item():g} at {place}, expected probabilities "
        "from 0 to 1. For logits use binary_cross_entropy_with_logits, before any sigmoid"
    )


@checked()
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-w (q y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))), from logits x and targets y in [0, 1].

    Computed as max(x, 0) - x y + log(1 + e^-|x|), accurate for every x; its derivative is
    sigmoid(x) - y. `pos_weight` q weighs the positives, so that q = negatives / positives balances
    them; it and `weight` broadcast.

    >>> import thalweg as tw
    >>> x, y = tw.tensor([0.0, -1000.0, 1000.0]), tw.tensor([1.0, 0.0, 0.0])
    >>> tw.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
    tensor([   0.6931,    0.0000, 1000.0000])
    """
    name = "binary_cross_entropy_with_logits"
    require_same_shape(name, input, target)
    x, y = promote(floating(input), target)
    if pos_weight is None:
        losses = _logits_cross_entropy(x, y)
    else:
        require_broadcast(name, "pos_weight", pos_weight, x._value.shape)
        losses = (y - 1) * logsigmoid(-x) - pos_weight * y * logsigmoid(x)
    return _weighted(name, losses, weight, reduction)


@composite(
    "binary_cross_entropy_with_logits",
    lambda g, out, x, y: g * (x.sigmoid() - y),
    lambda g, out, x, y: -g * x,
)
def _logits_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    return x.maximum(0) - x * y + (-x.abs()).exp().log1p()


def _weighted(name: str, losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is not None:
        require_broadcast(name, "weight", weight, losses._value.shape)
        losses = losses * weight
    return reduced(name, losses, reduction)


# --- Kullback-Leibler ----------------------------------------------------------------------------


@checked(reduction=one_of(*KL_REDUCTIONS))
def kl_div(
    input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """t (log t - x), elementwise, from log-probabilities x and probabilities t; 0 where t is 0.

    Its sum over the last dimension is KL(t || e^x). So the divergence's mean over a batch is
    `reduction="batchmean"`, the sum divided by the first dimension; "mean" divides by all
    elements, as in PyTorch. With `log_target` the target is log t.

    >>> import thalweg as tw
    >>> x, t = tw.tensor([[0.5, 0.5]]).log(), tw.tensor([[1.0, 0.0]])
    >>> tw.nn.functional.kl_div(x, t, reduction="batchmean")
    tensor(0.6931)

    Source: Kullback, Leibler, "On information and sufficiency", 1951.
    """
    require_same_shape("kl_div", input, target)
    if log_target:
        losses = target.exp() * (target - input)
    else:
        losses = target * (target.where(target.ne(0), 1).log() - input)
    if reduction == "batchmean":
        return losses.sum() / (input._value.shape[0] if input._value.shape else 1)
    return reduced("kl_div", losses, reduction)


@checked()
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-(y log sigmoid(x) + (1 - y) log sigmoid(-x)), for scores x and labels y of 0 or 1.

    Its mean over the last dimension, the C classes, each of which a sample may have or not;
    `weight` (C,), or of input's shape, weighs the classes. Input and target (.., C), of one shape.

    >>> import thalweg as tw
    >>> x, y = tw.tensor([[0.0, 100.0]]), tw.tensor([[1.0, 1.0]])
    >>> tw.nn.functional.multilabel_soft_margin_loss(x, y)
    tensor(0.3466)
    """
    name = "multilabel_soft_margin_loss"
    require_same_shape(name, input, target)
    if not input._value.shape:
        raise ShapeError(f"{name}: an input of shape (.., C) expected, got ()")
    losses = binary_cross_entropy_with_logits(input, target, weight, "none")
    return reduced(name, losses.mean(-1), reduction)
