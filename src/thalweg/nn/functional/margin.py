"""Losses that ask for a margin: hinge, ranking, cosine and triplet losses.

`reduction` is "mean" (over all losses; the default), "sum" or "none". Where the losses below say
y = 1 or y = -1, another number is a `DataError` (labels 0 and 1 become signs by 2 * y - 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from thalweg._tensor import Tensor
from thalweg.errors import DataError, OutOfRangeError, ShapeError
from thalweg.nn.functional.activations import logsigmoid
from thalweg.nn.functional.arguments import above, between, checked
from thalweg.nn.functional.checks import (
    first_place,
    reduced,
    require,
    require_integers,
    require_same_shape,
)
from thalweg.nn.functional.classification import label_error, require_class_weights
from thalweg.nn.functional.distance import cosine_similarity, pairwise_distance
from thalweg.ops.activations import relu
from thalweg.ops.creation import arange

__all__ = [
    "Distance",
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor] | None


def _require_signs(name: str, y: Tensor) -> None:
    def error() -> DataError:
        place = first_place(y.ne(1) & y.ne(-1))
        return DataError(
            f"{name}: target is {y[place].item():g} at {place}, expected 1 or -1. "
            "Labels 0 and 1 become signs by 2 * target - 1"
        )

    require(y.eq(1) | y.eq(-1), error)


@checked()
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """x if y = 1, max(0, margin - x) if y = -1: distances x, small for pairs that belong together.

    `input` and `target`: one shape, any.

    >>> import thalweg as tw
    >>> x, y = tw.tensor([0.5, 0.25]), tw.tensor([1, -1])
    >>> tw.nn.functional.hinge_embedding_loss(x, y, reduction="none")
    tensor([0.5000, 0.7500])
    """
    require_same_shape("hinge_embedding_loss", input, target)
    _require_signs("hinge_embedding_loss", target)
    losses = input.where(target.eq(1), relu(margin - input))
    return reduced("hinge_embedding_loss", losses, reduction)


@checked()
def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(1 + e^(-y x)), for scores x and signs y = 1 or -1, of one shape.

    >>> import thalweg as tw
    >>> tw.nn.functional.soft_margin_loss(tw.tensor([0.0]), tw.tensor([1.0]))
    tensor(0.6931)
    """
    require_same_shape("soft_margin_loss", input, target)
    _require_signs("soft_margin_loss", target)
    return reduced("soft_margin_loss", -logsigmoid(target * input), reduction)


@checked()
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """max(0, -y (x1 - x2) + margin): y = 1 where x1 should rank higher, -1 where x2 should.

    All three of one shape.

    >>> import thalweg as tw
    >>> a, b, y = tw.tensor([1.0, 1.0]), tw.tensor([0.0, 3.0]), tw.tensor([1, 1])
    >>> tw.nn.functional.margin_ranking_loss(a, b, y, reduction="none")
    tensor([0., 2.])
    """
    require_same_shape("margin_ranking_loss", input1, input2)
    require_same_shape("margin_ranking_loss", input1, target)
    _require_signs("margin_ranking_loss", target)
    losses = relu(target * (input2 - input1) + margin)
    return reduced("margin_ranking_loss", losses, reduction)


@checked()
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """1 - cos(x1, x2) if y = 1, max(0, cos(x1, x2) - margin) if y = -1.

    Inputs (N, D) with target (N,), or (D,) with a target of rank 0.

    >>> import thalweg as tw
    >>> a, b = tw.tensor([[1.0, 0.0], [1.0, 0.0]]), tw.tensor([[0.0, 2.0], [3.0, 0.0]])
    >>> tw.nn.functional.cosine_embedding_loss(a, b, tw.tensor([1, -1]), reduction="none")
    tensor([1., 1.])
    """
    name = "cosine_embedding_loss"
    require_same_shape(name, input1, input2)
    shape = input1._value.shape
    if len(shape) not in (1, 2) or target._value.shape != shape[:-1]:
        raise ShapeError(
            f"{name}: inputs of shape {shape} and target {target._value.shape}; "
            "expected (N, D) with (N,), or (D,) with ()"
        )
    _require_signs(name, target)
    cosine = cosine_similarity(input1, input2, dim=-1)
    return reduced(name, (1 - cosine).where(target.eq(1), relu(cosine - margin)), reduction)


@checked(p=above(0))
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the distance of the p-norm.

    All three (N, D) or (D,). With `swap` the distance from the positive to the negative counts
    where it is smaller than the anchor's.

    >>> import thalweg as tw
    >>> a, p, n = tw.tensor([[0.0, 0.0]]), tw.tensor([[0.0, 1.0]]), tw.tensor([[3.0, 0.0]])
    >>> tw.nn.functional.triplet_margin_loss(a, p, n)
    tensor(0.)

    Source: Balntas et al., "Learning local feature descriptors with triplets and shallow
    convolutional neural networks", 2016.
    """
    require_same_shape("triplet_margin_loss", anchor, positive)
    require_same_shape("triplet_margin_loss", anchor, negative)
    losses = _of_triplets(
        lambda x, y: pairwise_distance(x, y, p, eps), anchor, positive, negative, margin, swap
    )
    return reduced("triplet_margin_loss", losses, reduction)


def _of_triplets(
    distance: Callable[[Tensor, Tensor], Tensor],
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float,
    swap: bool,
) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return relu(near - far + margin)


@checked()
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Distance = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` of any distance: max(0, d(anchor, positive) - d(anchor, negative) + m).

    `distance_function` takes two of the three, all of one shape, and gives numbers; unless given it
    is `pairwise_distance`.

    >>> import thalweg as tw
    >>> a, p, n = tw.tensor([[0.0, 0.0]]), tw.tensor([[0.0, 2.0]]), tw.tensor([[3.0, 0.0]])
    >>> largest = lambda x, y: (x - y).abs().amax(-1)
    >>> tw.nn.functional.triplet_margin_with_distance_loss(a, p, n, distance_function=largest)
    tensor(0.)
    """
    name = "triplet_margin_with_distance_loss"
    require_same_shape(name, anchor, positive)
    require_same_shape(name, anchor, negative)
    distance = pairwise_distance if distance_function is None else distance_function
    losses = _of_triplets(distance, anchor, positive, negative, margin, swap)
    return reduced(name, losses, reduction)


@checked(p=between(1, 2))
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over c != y of w_y max(0, margin - x_y + x_c)^p / C: the multi-class hinge loss.

    Input (N, C), labels (N,), weight (C,) or None; p is 1 or 2. Raises `OutOfRangeError` for a
    label outside 0 to C - 1.

    >>> import thalweg as tw
    >>> x = tw.tensor([[0.5, 0.0, 2.0]])
    >>> tw.nn.functional.multi_margin_loss(x, tw.tensor([0]))
    tensor(1.)
    """
    name = "multi_margin_loss"
    shape = input._value.shape
    if len(shape) != 2 or target._value.shape != shape[:1]:
        raise ShapeError(
            f"{name}: input has shape {shape}, target {target._value.shape}; expected (N, C), (N,)"
        )
    require_integers(name, "labels", target)
    require_class_weights(name, weight, shape[1])
    try:
        own = input.gather_places((arange(shape[0]), target), (0, 1), wrap=False)
    except OutOfRangeError:
        raise label_error(name, target, shape, None) from None
    short = relu(margin - own.unsqueeze(1) + input)
    short = short.masked_fill(target.unsqueeze(1).eq(arange(shape[1])), 0)
    losses = (short if p == 1 else short.square()).sum(1) / shape[1]
    if weight is not None:
        losses = losses * weight.gather_places((target,), (0,), wrap=False)
    return reduced(name, losses, reduction)
