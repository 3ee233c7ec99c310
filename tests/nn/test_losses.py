"""Loss modules: each passes its options on to its function, and its weights are buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import OutOfRangeError, ShapeError
from thalweg.nn import functional as F
from thalweg.nn import losses, margins

X = tw.tensor([[0.4, -1.0, 2.0], [3.0, 0.0, -0.5], [0.1, 0.2, 0.3]])
T = tw.tensor([[0.3, 0.5, 0.2], [0.0, 0.9, 0.1], [0.2, 0.2, 0.6]])
P = X.sigmoid()
V = tw.tensor([[0.5, 1.0, 2.0], [1.0, 1.5, 0.1], [2.0, 1.0, 3.0]])
COUNTS = tw.tensor([[2.0, 0.0, 3.0], [1.0, 4.0, 0.0], [5.0, 1.0, 2.0]])
LOGS = X.log_softmax(1)
LABELS, SIGNS = tw.tensor([2, 0, 1]), tw.tensor([1, -1, -1])
SIGNS_2D = tw.tensor([[1, -1, 1], [1, 1, -1], [-1, 1, -1]])
W = tw.tensor([1.0, 2.0, 3.0])

Function = Callable[..., tw.Tensor]

# Options that differ from the defaults, so that one that is not passed on is seen.
TABLE: list[tuple[type[nn.Module], Function, tuple[Any, ...], dict[str, Any]]] = [
    (nn.BCELoss, F.binary_cross_entropy, (P, T), {"weight": W}),
    (
        nn.BCEWithLogitsLoss,
        F.binary_cross_entropy_with_logits,
        (X, T),
        {"weight": W, "pos_weight": W + 1},
    ),
    (nn.CosineEmbeddingLoss, F.cosine_embedding_loss, (X, T, SIGNS), {"margin": 0.4}),
    (
        nn.CrossEntropyLoss,
        F.cross_entropy,
        (X, LABELS),
        {"weight": W, "ignore_index": 0, "label_smoothing": 0.1},
    ),
    (nn.GaussianNLLLoss, F.gaussian_nll_loss, (X, T, V), {"full": True, "eps": 0.2}),
    (nn.HingeEmbeddingLoss, F.hinge_embedding_loss, (X, SIGNS_2D), {"margin": 2.0}),
    (nn.HuberLoss, F.huber_loss, (X, T), {"delta": 0.5}),
    (nn.KLDivLoss, F.kl_div, (LOGS, T), {"log_target": True}),
    (nn.L1Loss, F.l1_loss, (X, T), {}),
    (nn.MSELoss, F.mse_loss, (X, T), {}),
    (nn.MarginRankingLoss, F.margin_ranking_loss, (X, T, SIGNS_2D), {"margin": 0.7}),
    (nn.MultiMarginLoss, F.multi_margin_loss, (X, LABELS), {"p": 2, "margin": 4.0, "weight": W}),
    (
        nn.MultiLabelSoftMarginLoss,
        F.multilabel_soft_margin_loss,
        (X, P),
        {"weight": tw.tensor([0.5, 2.0, 1.0])[: X.shape[-1]]},
    ),
    (nn.NLLLoss, F.nll_loss, (LOGS, LABELS), {"weight": W, "ignore_index": 0}),
    (
        nn.PoissonNLLLoss,
        F.poisson_nll_loss,
        (P, COUNTS),
        {"log_input": False, "full": True, "eps": 0.1},
    ),
    (nn.SmoothL1Loss, F.smooth_l1_loss, (X, T), {"beta": 0.5}),
    (nn.SoftMarginLoss, F.soft_margin_loss, (X, SIGNS_2D), {}),
    (
        nn.TripletMarginLoss,
        F.triplet_margin_loss,
        (X, T, P),
        {"margin": 3.0, "p": 1.0, "eps": 0.1, "swap": True},
    ),
    (
        nn.TripletMarginWithDistanceLoss,
        F.triplet_margin_with_distance_loss,
        (X, T, P),
        {"distance_function": lambda a, b: (a - b).abs().amax(-1), "margin": 3.0, "swap": True},
    ),
]


def test_every_loss_has_a_row() -> None:
    distances = {"CosineSimilarity", "PairwiseDistance"}
    listed = {*losses.__all__, *margins.__all__} - distances
    assert {kind.__name__ for kind, _, _, _ in TABLE} == listed


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("kind", "function", "given", "options"), TABLE)
def test_module(
    kind: type[nn.Module],
    function: Function,
    given: tuple[Any, ...],
    options: dict[str, Any],
    reduction: str,
) -> None:
    expected = function(*given, **options, reduction=reduction)
    assert tw.equal(kind(**options, reduction=reduction)(*given), expected)
    assert expected.ndim == 0 or reduction == "none"


@pytest.mark.parametrize(("kind", "function", "given", "options"), TABLE)
def test_every_option_matters(
    kind: type[nn.Module], function: Function, given: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with_all = kind(**options)(*given)
    for name in options:
        others = {key: value for key, value in options.items() if key != name}
        assert not tw.equal(kind(**others)(*given), with_all), name


@pytest.mark.parametrize(("kind", "function", "given", "options"), TABLE)
def test_the_default_is_the_mean(
    kind: type[nn.Module], function: Function, given: tuple[Any, ...], options: dict[str, Any]
) -> None:
    assert tw.equal(kind()(*given), function(*given, reduction="mean"))
    parts = "".join(f"\n  ({name}): {part!r}" for name, part in kind().named_children())
    assert repr(kind()) == f"{kind.__name__}({parts}{parts and chr(10)})"


def test_weights_are_buffers() -> None:
    loss = nn.BCEWithLogitsLoss(W, pos_weight=W)
    assert list(loss.state_dict()) == ["weight", "pos_weight"]
    assert loss.double().weight.dtype is tw.float64
    assert nn.CrossEntropyLoss().state_dict() == {}


def test_distances() -> None:
    expected = F.cosine_similarity(X, T, 0, 0.5)
    assert tw.equal(nn.CosineSimilarity(dim=0, eps=0.5)(X, T), expected)
    expected = F.pairwise_distance(X, T, 1.0, 0.5, keepdim=True)
    assert tw.equal(nn.PairwiseDistance(1.0, 0.5, keepdim=True)(X, T), expected)


def test_an_error_names_the_loss() -> None:
    with pytest.raises(OutOfRangeError, match=r"^CrossEntropyLoss: cross_entropy: label 3 at 1"):
        nn.CrossEntropyLoss()(X, tw.tensor([0, 3, 1]))
    with pytest.raises(ShapeError, match=r"^MSELoss: "):
        nn.MSELoss()(tw.ones(4), tw.ones(4, 1))
