"""Losses of classification into one of several classes: cross-entropy, negative log-likelihood.

`input` is (N, C) for N samples and C classes, (C,) for one sample, or (N, C, d1, ...) for a
class at every place, as in segmentation. `target` holds labels: integers from 0 to C - 1, of
shape (N,), () or (N, d1, ...). `weight`, (C,), weighs the classes. `reduction` is "mean" (the
default: over the labels that count, weighted by their classes), "sum" or "none" (target's shape).

A label out of range is an `OutOfRangeError` that names the first one and its place. A negative
label is one too, unless it is `ignore_index`, which unlike in PyTorch has to be given.
"""

from __future__ import annotations

import math
from typing import Any

from thalweg._tensor import Tensor
from thalweg.dtypes import int64
from thalweg.errors import ConfigError, DTypeError, OutOfRangeError, ShapeError
from thalweg.nn.functional.arguments import checked
from thalweg.nn.functional.checks import first_place, reduced
from thalweg.ops.activations import log_softmax
from thalweg.ops.lift import literal, to_dtype
from thalweg.primitives.sources import iota
from thalweg.tape import bind, composite

__all__ = ["cross_entropy", "label_error", "nll_loss", "require_class_weights"]


@checked()
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[y], from logits x and labels y: log sum_c e^(x_c) - x_y, never overflowing.

    Its derivative is softmax(x) - onehot(y). With weights w it is w_y times that, and the mean
    divides by the sum of the w_y. `label_smoothing` s puts 1 - s of the target on the label and
    s / C on every class. `target` may also hold class probabilities t, floating and of input's
    shape: then -sum_c w_c t_c log softmax(x)_c, whose mean divides by the number of samples.

    Raises `ShapeError`, `DTypeError` (labels are integers), `OutOfRangeError` (a label).

    >>> import thalweg as tw
    >>> logits = tw.tensor([[2.0, 0.0], [0.0, 1000.0]])
    >>> tw.nn.functional.cross_entropy(logits, tw.tensor([0, 1]), reduction="none")
    tensor([0.1269, 0.0000])

    Source: deck 001 ("myCrossEntropyLoss"). Label smoothing: Szegedy et al., "Rethinking the
    Inception architecture", 2016.
    """
    if target._value.dtype.kind == "f" and target._value.shape == input._value.shape:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    logits, labels = _rows("cross_entropy", input, target)
    scores = log_softmax(logits, 1)
    plain = weight is None and ignore_index is None and not label_smoothing
    if not plain or reduction != "mean":
        options = weight, ignore_index, reduction, label_smoothing
        return _of_labels("cross_entropy", scores, labels, target, *options)
    try:
        return _mean_cross_entropy(logits, scores, labels)
    except OutOfRangeError:
        raise label_error("cross_entropy", target, input._value.shape, None) from None


@checked()
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w_y x_y, from logarithms of probabilities x (such as `log_softmax` gives) and labels y.

    The negative log-likelihood of the labels. The mean divides by the sum of the weights w_y of
    the labels that count. Raises what `cross_entropy` raises.

    >>> import thalweg as tw
    >>> scores = tw.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
    >>> tw.nn.functional.nll_loss(scores, tw.tensor([0, 0]), reduction="none")
    tensor([0.6931, 1.3863])
    """
    scores, labels = _rows("nll_loss", input, target)
    return _of_labels("nll_loss", scores, labels, target, weight, ignore_index, reduction, 0.0)


# --- the usual case: labels, no weights, the mean ------------------------------------------------


def _losses(scores: Tensor, labels: Tensor) -> Tensor:
    """-scores[n, labels[n]], an error where that does not exist."""
    rows = _line(labels._value.shape[0])
    # Taken from 0, since a loss of -0.0 would look odd.
    return literal(0.0, scores.dtype) - scores.gather_places((rows, labels), (0, 1), wrap=False)


def _line(count: int) -> Tensor:
    """0, 1, ..., count - 1."""
    return bind(iota, shape=(count,), axis=0, dtype=int64.numpy)


def _mean_cross_entropy_slope(g: Any, out: Any, logits: Any, scores: Any, labels: Any) -> Any:
    """(softmax(x) - onehot(y)) / N."""
    count, classes = logits._value.shape
    hits = labels.reshape(count, 1).eq(_line(classes))
    share = g * _share(count, logits)
    return (scores.exp() - to_dtype(hits, logits.dtype)) * share


# `scores` has no derivative of its own: the rule is the whole one with respect to the logits, and
# half the work of going back through the gather and log_softmax one by one. Second derivatives
# come through `scores`, which the rule reads.
@composite("cross_entropy", _mean_cross_entropy_slope, None, None)
def _mean_cross_entropy(logits: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    return _losses(scores, labels).sum() * _share(labels._value.shape[0], scores)


def _share(count: int, like: Tensor) -> Tensor:
    """1 / count; NaN of none, which have no mean."""
    return literal(1 / count if count else math.nan, like.dtype)


# --- every other case ----------------------------------------------------------------------------


def _of_labels(
    name: str,
    scores: Tensor,
    labels: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int | None,
    reduction: str,
    smoothing: float,
) -> Tensor:
    """The loss of `labels` (n,), which are `target` as a vector, under log-probabilities (n, C)."""
    require_class_weights(name, weight, scores._value.shape[1])
    try:
        losses, counts = _losses_and_counts(scores, labels, weight, ignore_index, smoothing)
    except OutOfRangeError:
        raise label_error(name, target, scores._value.shape, ignore_index) from None
    if reduction == "mean" and counts is not None:
        return losses.sum() / counts.sum()
    return reduced(name, losses.reshape(target._value.shape), reduction)


def _losses_and_counts(
    scores: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore_index: int | None,
    smoothing: float,
) -> tuple[Tensor, Tensor | None]:
    """The loss of each label, and what it counts in the mean (None: one each)."""
    kept = None if ignore_index is None else labels.ne(ignore_index)
    if kept is not None:
        labels = labels.where(kept, 0)
    losses, counts = _losses(scores, labels), None
    if weight is not None:
        counts = weight.gather_places((labels,), (0,), wrap=False)
        losses = losses * counts
    if smoothing:
        everywhere = -(scores if weight is None else scores * weight).sum(1)
        losses = losses * (1 - smoothing) + everywhere * (smoothing / scores._value.shape[1])
    if kept is None:
        return losses, counts
    # Selected, not multiplied by 0: the score of an ignored label may be infinite.
    counts = to_dtype(kept, scores.dtype) if counts is None else counts.where(kept, 0)
    return losses.where(kept, 0), counts


def _of_probabilities(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int | None,
    reduction: str,
    smoothing: float,
) -> Tensor:
    if ignore_index is not None:
        raise ConfigError(
            "cross_entropy: ignore_index is a label, but target holds class probabilities; "
            "give a sample probabilities of 0 to leave it out"
        )
    shape = input._value.shape
    axis = min(len(shape) - 1, 1)
    classes = shape[axis]
    require_class_weights("cross_entropy", weight, classes)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    terms = log_softmax(input, axis) * target
    if weight is not None:
        terms = terms * weight.reshape(classes, *(1,) * (len(shape) - axis - 1))
    return reduced("cross_entropy", -terms.sum(axis), reduction)


# --- what fits, and what is said when it does not ------------------------------------------------


def _rows(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Input as (n, C) and labels as (n,)."""
    shape, given = input._value.shape, target._value.shape
    rank = len(shape)
    if rank == 0 or given != shape[:1] * (rank > 1) + shape[2:]:
        raise _shape_error(name, input, target)
    if target._value.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: labels are integers from 0 to {_classes(shape) - 1}, got {target.dtype!r}; "
            "convert them with target.long()"
        )
    if rank == 2:
        return input, target
    if rank == 1:
        return input.reshape(1, shape[0]), target.reshape(1)
    count = math.prod(given)
    return input.movedim(1, -1).reshape(count, shape[1]), target.reshape(count)


def _classes(shape: tuple[int, ...]) -> int:
    return shape[0] if len(shape) == 1 else shape[1]


def _shape_error(name: str, input: Tensor, target: Tensor) -> ShapeError:
    shape, given = input._value.shape, target._value.shape
    if not shape:
        return ShapeError(f"{name}: input has rank 0; expected (N, C) for N samples, C classes")
    expected = shape[:1] * (len(shape) > 1) + shape[2:]
    text = f"{name}: input has shape {shape}, target {given}; expected labels of shape {expected}"
    if given == (*expected, 1):
        return ShapeError(f"{text}: use target.squeeze(-1)")
    if len(shape) == 2 and given == (shape[0], 1, *shape[2:]):
        return ShapeError(f"{text}: use target.squeeze(1)")
    if given == shape:
        return ShapeError(
            f"{text}. If the target holds one-hot rows, use target.argmax(1), or, as class "
            "probabilities, target.float()"
        )
    if len(given) == 1 and len(shape) > 2 and given[0] == shape[0]:
        return ShapeError(f"{text}. For one label a sample, flatten the input to (N, C)")
    return ShapeError(f"{text}, one for each sample")


def require_class_weights(name: str, weight: Tensor | None, classes: int) -> None:
    """A `ShapeError` unless `weight`, if given, has a number for each class."""
    if weight is not None and weight._value.shape != (classes,):
        raise ShapeError(
            f"{name}: weight has shape {weight._value.shape}, expected one weight for each of "
            f"the {classes} classes, ({classes},)"
        )


def label_error(
    name: str, target: Tensor, shape: tuple[int, ...], ignore_index: int | None
) -> OutOfRangeError:
    """The error for labels of which at least one is out of range, for an input of `shape`."""
    classes = _classes(shape)
    wrong = (target < 0) | (target >= classes)
    counted = target
    if ignore_index is not None:
        wrong = wrong & target.ne(ignore_index)
        counted = target.masked_select(target.ne(ignore_index))
    place = first_place(wrong)
    label, smallest, largest = (int(x) for x in (target[place], counted.amin(), counted.amax()))
    at = f" at {place if len(place) != 1 else place[0]}" if place else ""
    text = f"{name}: label {label}{at} is out of range: there are {classes} classes"
    text += f", so labels run from 0 to {classes - 1}. "
    if smallest >= 1 and largest == classes:
        return OutOfRangeError(text + "These start at 1: subtract it, target - 1")
    if label < 0:
        return OutOfRangeError(
            text + f"If {label} marks what is to be left out, say ignore_index={label}"
        )
    return OutOfRangeError(text + f"For the largest, {largest}, {largest + 1} outputs are needed")
