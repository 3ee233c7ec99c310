"""Cross-entropy and negative log-likelihood: closed forms, every option, extremes, bad labels."""

from __future__ import annotations

import math
from itertools import product

import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg.autograd import gradcheck, gradgradcheck
from thalweg.errors import ConfigError, DTypeError, OutOfRangeError, ShapeError

LOGITS = [[0.3, -1.2, 2.0], [0.1, 0.4, -0.7], [1.5, 0.0, 0.2], [-0.4, 0.6, 0.1]]
LABELS = [2, 0, 1, 1]
WEIGHTS = [0.5, 2.0, 1.25]


def logits(requires_grad: bool = False) -> tw.Tensor:
    return tw.tensor(LOGITS, dtype=tw.float64, requires_grad=requires_grad)


def scores(row: list[float]) -> list[float]:
    total = math.log(sum(math.exp(x) for x in row))
    return [x - total for x in row]


def by_hand(
    weights: list[float] | None, ignore: int | None, reduction: str, smoothing: float
) -> float | list[float]:
    """The definition, a sample at a time."""
    w = weights or [1.0] * 3
    losses, counts = [], []
    for row, label in zip(LOGITS, LABELS, strict=True):
        kept = label != ignore
        log = scores(row)
        everywhere = -sum(wc * x for wc, x in zip(w, log, strict=True)) / 3
        loss = -(1 - smoothing) * w[label] * log[label] + smoothing * everywhere
        losses.append(loss if kept else 0.0)
        counts.append(w[label] if kept else 0.0)
    if reduction == "none":
        return losses
    return sum(losses) / (sum(counts) if reduction == "mean" else 1)


OPTIONS = list(product((None, WEIGHTS), (None, 1), ("mean", "sum", "none"), (0.0, 0.3)))


@pytest.mark.parametrize(("weights", "ignore", "reduction", "smoothing"), OPTIONS)
def test_cross_entropy_by_hand(
    weights: list[float] | None, ignore: int | None, reduction: str, smoothing: float
) -> None:
    w = None if weights is None else tw.tensor(weights, dtype=tw.float64)
    loss = F.cross_entropy(logits(), tw.tensor(LABELS), w, ignore, reduction, smoothing)
    assert loss.tolist() == pytest.approx(by_hand(weights, ignore, reduction, smoothing), rel=1e-12)


@pytest.mark.parametrize(("weights", "ignore", "reduction", "smoothing"), OPTIONS)
def test_cross_entropy_derivatives(
    weights: list[float] | None, ignore: int | None, reduction: str, smoothing: float
) -> None:
    w = None if weights is None else tw.tensor(weights, dtype=tw.float64)

    def loss(x: tw.Tensor) -> tw.Tensor:
        return F.cross_entropy(x, tw.tensor(LABELS), w, ignore, reduction, smoothing)

    assert gradcheck(loss, logits(requires_grad=True))
    assert gradgradcheck(loss, logits(requires_grad=True))


@pytest.mark.parametrize(("weights", "ignore", "reduction"), [o[:3] for o in OPTIONS if o[3] == 0])
def test_nll_loss_is_cross_entropy_after_log_softmax(
    weights: list[float] | None, ignore: int | None, reduction: str
) -> None:
    w = None if weights is None else tw.tensor(weights, dtype=tw.float64)
    labels = tw.tensor(LABELS)
    given = F.nll_loss(tw.log_softmax(logits(), 1), labels, w, ignore, reduction)
    assert given.tolist() == pytest.approx(by_hand(weights, ignore, reduction, 0), rel=1e-12)


def test_weights_get_gradients_too() -> None:
    w = tw.tensor(WEIGHTS, dtype=tw.float64, requires_grad=True)
    assert gradcheck(lambda w: F.cross_entropy(logits(), tw.tensor(LABELS), w), w)


def test_the_usual_case_has_the_gradient_of_the_general_one() -> None:
    gradients = []
    for weight in (None, tw.ones(3, dtype=tw.float64)):
        x = logits(requires_grad=True)
        F.cross_entropy(x, tw.tensor(LABELS), weight).backward()
        assert x.grad is not None
        gradients.append(x.grad.flatten().tolist())
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-12)


def test_the_gradient_is_softmax_minus_one_hot() -> None:
    x = logits(requires_grad=True)
    F.cross_entropy(x, tw.tensor(LABELS), reduction="sum").backward()
    expected = tw.softmax(x.detach(), 1) - F.one_hot(tw.tensor(LABELS), 3)
    assert x.grad is not None
    assert tw.allclose(x.grad, expected, rtol=1e-12, atol=1e-15)


# --- shapes --------------------------------------------------------------------------------------


def test_one_sample() -> None:
    loss = F.cross_entropy(logits()[0], tw.tensor(2))
    assert loss.item() == pytest.approx(-scores(LOGITS[0])[2])
    assert F.cross_entropy(logits()[0], tw.tensor(2), reduction="none").shape == ()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_class_at_every_place(reduction: str) -> None:
    x = logits().reshape(2, 2, 3).movedim(2, 1)
    labels = tw.tensor(LABELS).reshape(2, 2)
    loss = F.cross_entropy(x, labels, reduction=reduction)
    flat = F.cross_entropy(logits(), tw.tensor(LABELS), reduction=reduction)
    assert loss.flatten().tolist() == pytest.approx(flat.flatten().tolist(), rel=1e-14)
    assert loss.shape == (labels.shape if reduction == "none" else ())
    assert gradcheck(
        lambda x: F.cross_entropy(x.reshape(2, 3, 2, 1), labels.unsqueeze(2)),
        logits(requires_grad=True),
    )


@pytest.mark.parametrize("dtype", [tw.uint8, tw.int32, tw.int64])
def test_labels_of_any_integer_type(dtype: tw.DType) -> None:
    labels = tw.tensor(LABELS, dtype=dtype)
    given = F.cross_entropy(logits(), labels).item()
    assert given == pytest.approx(by_hand(None, None, "mean", 0))


def test_no_samples() -> None:
    x = tw.ones(0, 3, requires_grad=True)
    labels = tw.zeros(0, dtype=tw.int64)
    mean = F.cross_entropy(x, labels)
    assert mean.isnan()
    mean.backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 3)
    assert F.cross_entropy(x, labels, reduction="sum").item() == 0
    assert F.cross_entropy(x, labels, reduction="none").shape == (0,)


# --- class probabilities -------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_probabilities(reduction: str, smoothing: float, weights: list[float] | None) -> None:
    targets = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4]]
    w = weights or [1.0] * 3
    losses = []
    for row, target in zip(LOGITS, targets, strict=True):
        smooth = [t * (1 - smoothing) + smoothing / 3 for t in target]
        losses.append(-sum(a * t * s for a, t, s in zip(w, smooth, scores(row), strict=True)))
    expected = {"none": losses, "sum": sum(losses), "mean": sum(losses) / 4}[reduction]
    weight = None if weights is None else tw.tensor(weights, dtype=tw.float64)
    target = tw.tensor(targets, dtype=tw.float64, requires_grad=True)
    x = logits(requires_grad=True)
    loss = F.cross_entropy(x, target, weight, None, reduction, smoothing)
    assert loss.tolist() == pytest.approx(expected, rel=1e-12)
    assert gradcheck(
        lambda x, t: F.cross_entropy(x, t, weight, None, reduction, smoothing), [x, target]
    )


def test_probabilities_for_one_sample_and_for_places() -> None:
    x, target = tw.ones(3), tw.tensor([0.25, 0.25, 0.5])
    assert F.cross_entropy(x, target).item() == pytest.approx(math.log(3))
    losses = F.cross_entropy(tw.ones(2, 3, 4), tw.full((2, 3, 4), 1 / 3), reduction="none")
    assert losses.shape == (2, 4)
    weight = tw.tensor(WEIGHTS)
    assert F.cross_entropy(tw.ones(2, 3, 4), tw.full((2, 3, 4), 1 / 3), weight).shape == ()


def test_a_label_to_ignore_among_probabilities() -> None:
    with pytest.raises(ConfigError, match="ignore_index is a label"):
        F.cross_entropy(tw.ones(2, 3), tw.ones(2, 3), ignore_index=0)


# --- extremes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_logits_of_ten_thousand(dtype: tw.DType, reduction: str) -> None:
    x = tw.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype, requires_grad=True)
    losses = F.cross_entropy(x, tw.tensor([0, 0]), reduction=reduction)
    assert losses.tolist() == (1e4 if reduction == "mean" else [0, 2e4])
    losses.sum().backward()
    share = 0.5 if reduction == "mean" else 1
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0], [-share, share]]


def test_no_loss_is_plus_zero() -> None:
    x = tw.tensor([[1e4, 0.0]])
    for reduction in ("mean", "none"):
        loss = F.cross_entropy(x, tw.tensor([0]), reduction=reduction).sum().item()
        assert math.copysign(1, loss) == 1


def test_an_impossible_class_costs_nothing_where_it_is_not_the_label() -> None:
    x = tw.tensor([[0.0, -math.inf]], requires_grad=True)
    loss = F.cross_entropy(x, tw.tensor([0]))
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0]]


def test_an_ignored_label_may_have_an_infinite_loss() -> None:
    x = tw.tensor([[-math.inf, 0.0], [0.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, tw.tensor([-1, 1]), ignore_index=-1)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0], [0.5, -0.5]]


def test_all_labels_ignored() -> None:
    labels = tw.tensor([-100, -100])
    assert F.cross_entropy(tw.ones(2, 3), labels, ignore_index=-100).isnan()
    assert F.cross_entropy(tw.ones(2, 3), labels, ignore_index=-100, reduction="sum").item() == 0


# --- bad input -----------------------------------------------------------------------------------

each_loss = pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
each_way = pytest.mark.parametrize(
    "options",
    [{}, {"weight": tw.ones(3)}, {"ignore_index": -7}, {"reduction": "none"}],
    ids=["usual", "weighted", "ignoring", "none"],
)


@each_loss
@each_way
def test_a_label_too_large(loss, options: dict[str, object]) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        loss(tw.ones(4, 3), tw.tensor([0, 1, 5, 3]), **options)
    assert str(caught.value) == (
        f"{loss.__name__}: label 5 at 2 is out of range: there are 3 classes, so labels run from "
        "0 to 2. For the largest, 5, 6 outputs are needed"
    )


@each_loss
@each_way
def test_labels_that_start_at_1(loss, options: dict[str, object]) -> None:
    with pytest.raises(OutOfRangeError, match="These start at 1: subtract it, target - 1"):
        loss(tw.ones(3, 3), tw.tensor([1, 2, 3]), **options)


@each_loss
@each_way
def test_a_negative_label_is_not_ignored_unless_told(loss, options: dict[str, object]) -> None:
    with pytest.raises(OutOfRangeError, match=r"label -100 at 1 .* say ignore_index=-100"):
        loss(tw.ones(3, 3), tw.tensor([0, -100, 2]), **options)


def test_the_place_of_a_bad_label() -> None:
    with pytest.raises(OutOfRangeError, match=r"label 9 at \(1, 0\) is out of range"):
        F.cross_entropy(tw.ones(2, 3, 2), tw.tensor([[0, 1], [9, 2]]))
    with pytest.raises(OutOfRangeError, match="label 9 is out of range"):
        F.cross_entropy(tw.ones(3), tw.tensor(9))


@each_loss
@pytest.mark.parametrize("labels", [tw.ones(4), tw.tensor([True, False, True, True])])
def test_labels_that_are_no_integers(loss, labels: tw.Tensor) -> None:
    with pytest.raises(DTypeError, match=r"labels are integers from 0 to 2.*target\.long\(\)"):
        loss(tw.ones(4, 3), labels)


@pytest.mark.parametrize(
    ("shape", "target", "fix"),
    [
        (
            (4, 3),
            tw.ones(4, 1, dtype=tw.int64),
            r"expected labels of shape \(4,\): .*squeeze\(-1\)",
        ),
        ((4, 3), tw.ones(4, 3, dtype=tw.int64), r"target\.argmax\(1\)"),
        ((4, 3), tw.ones(5, dtype=tw.int64), r"expected labels of shape \(4,\), one for each"),
        ((4, 3, 2), tw.ones(4, dtype=tw.int64), r"expected labels of shape \(4, 2\).*flatten"),
        ((4, 3), tw.ones(4, 2), r"expected labels of shape \(4,\)"),
        ((3,), tw.ones(1, dtype=tw.int64), r"expected labels of shape \(\)"),
        ((), tw.ones((), dtype=tw.int64), "input has rank 0"),
    ],
)
@each_loss
def test_shapes_that_do_not_fit(loss, shape: tuple[int, ...], target: tw.Tensor, fix: str) -> None:
    with pytest.raises(ShapeError, match=fix):
        loss(tw.ones(shape), target)


@each_loss
def test_weights_that_do_not_fit(loss) -> None:
    with pytest.raises(ShapeError, match=r"each of the 3 classes, \(3,\)"):
        loss(tw.ones(4, 3), tw.tensor(LABELS), tw.ones(4))


@each_loss
def test_an_unknown_reduction(loss) -> None:
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        loss(tw.ones(4, 3), tw.tensor(LABELS), reduction="meen")


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, math.nan])
def test_label_smoothing_out_of_range(smoothing: float) -> None:
    with pytest.raises(ConfigError, match="label_smoothing=.*from 0 to 1"):
        F.cross_entropy(tw.ones(4, 3), tw.tensor(LABELS), label_smoothing=smoothing)
