"""Losses, each with every reduction and every option, in all the shapes they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Call, Samples, call, first, functional, given

__all__ = ["CASES", "LOSSES"]

_samples = Samples(6)
normal, positive, integers = _samples.normal, _samples.positive, _samples.integers


def _probabilities(*shape: int) -> np.ndarray:
    """Positive, and 1 in sum along dimension 1 (along the only one, of a vector)."""
    x = positive(*shape)
    return x / x.sum(axis=1 if len(shape) > 1 else 0, keepdims=True)


def _labels(*shape: int) -> np.ndarray:
    return integers(*shape, low=0, high=5)


_SOME = np.array([3, -100, 0, 4, -100, 1])
_ONLY_IGNORED = np.array([-100, -100])
_WEIGHT = Fixed(positive(5))
_SIGNS = np.where(normal(3, 4) > 0, 1.0, -1.0)
_SIGNED = np.where(normal(6) > 0, 1.0, -1.0)
_X, _Y = normal(3, 4), normal(3, 4)


def _apart(x: Any, y: Any) -> Any:
    return (x - y).square().sum(-1) + 1


_SHARES = 1 / (1 + np.exp(-normal(3, 4)))
_CERTAIN = given(0.0, 1.0, 0.0, 1.0)

# fmt: off
_CLASSES = [
    call(normal(6, 5), _labels(6)), call(normal(5), _labels()),
    call(normal(6, 5, 3), _labels(6, 3)),
    call(normal(2, 5, 3, 4), _labels(2, 3, 4)), call(normal(6, 5), _labels(6), weight=_WEIGHT),
    call(normal(6, 5), _SOME, ignore_index=-100), call(normal(6, 5), _labels(6), ignore_index=2),
    call(normal(6, 5), _SOME, weight=_WEIGHT, ignore_index=-100),
    call(normal(3, 5, 2), _SOME.reshape(3, 2), weight=_WEIGHT, ignore_index=-100),
]
_SMOOTHED = [
    call(normal(6, 5), _labels(6), label_smoothing=0.1),
    call(normal(6, 5), _labels(6), weight=_WEIGHT, label_smoothing=0.1),
    call(normal(6, 5), _SOME, ignore_index=-100, label_smoothing=0.2),
    call(normal(6, 5), _SOME, weight=_WEIGHT, ignore_index=-100, label_smoothing=0.2),
    call(normal(2, 5, 3), _labels(2, 3), weight=_WEIGHT, label_smoothing=0.1),
    call(normal(6, 5), _labels(6), label_smoothing=1.0),
]
_SOFT = [
    call(normal(6, 5), _probabilities(6, 5)), call(normal(5), _probabilities(5)),
    call(normal(2, 5, 3), _probabilities(2, 5, 3)),
    call(normal(6, 5), _probabilities(6, 5), weight=_WEIGHT),
    call(normal(6, 5), _probabilities(6, 5), label_smoothing=0.1),
    call(normal(6, 5), _probabilities(6, 5), weight=_WEIGHT, label_smoothing=0.3),
    call(normal(6, 5), Fixed(_probabilities(6, 5))),
]

LOSSES: dict[str, list[Call]] = {
    "mse_loss":        [call(_X, _Y), call(normal(), normal()), call(_X, Fixed(_Y)),
                        call(_X, _Y, weight=Fixed(positive(3, 4)))],
    "l1_loss":         [call(_X, _Y), call(given(1.0, 2.0), given(1.0, 3.0)), call(_X, Fixed(_Y)),
                        call(_X, _Y, weight=Fixed(positive(3, 4)))],
    "huber_loss":      [call(_X, _Y), call(_X, _Y, delta=0.3),
                        call(_X, _Y, delta=0.7, weight=Fixed(positive(3, 4))),
                        call(given(1.0, 2.0, 0.0), given(1.0, 3.0, 5.0), delta=1.0)],
    "smooth_l1_loss":  [call(_X, _Y), call(_X, _Y, beta=0.3),
                        call(given(1.0, 2.0, 0.0), given(1.0, 3.0, 5.0)), call(_X, _Y, beta=0.0)],
    "cross_entropy":   [*_CLASSES, *_SMOOTHED, *_SOFT, call(normal(6, 5) * 300, _labels(6))],
    "nll_loss":        _CLASSES,
    # PyTorch's second derivative of this one is off by 1e-11, its derivative at 0 and 1 by 1e-9.
    "binary_cross_entropy": [
        first(_SHARES, Fixed(_SHARES.T.reshape(3, 4))), first(_SHARES, Fixed(_SIGNS > 0)),
        first(_SHARES, Fixed(_SHARES[::-1].copy()), weight=Fixed(positive(3, 4))),
        call(Fixed(_CERTAIN), Fixed(given(0.0, 1.0, 1.0, 0.0)))],
    "binary_cross_entropy_with_logits": [
        call(_X, _SHARES), call(_X * 100, Fixed(_SHARES)),
        call(_X, _SHARES, weight=Fixed(positive(3, 4))),
        call(_X, _SHARES, pos_weight=Fixed(positive(4))),
        call(_X, Fixed(_SHARES), weight=Fixed(positive(4)), pos_weight=Fixed(positive(3, 4))),
        call(given(0.0, 0.0), Fixed(given(0.0, 1.0)))],
    "multilabel_soft_margin_loss": [
        call(_X, Fixed(_SIGNS > 0)), call(_X, Fixed(_SHARES), weight=Fixed(positive(4))),
        call(_X * 30, Fixed(_SHARES), weight=Fixed(positive(3, 4))),
        call(_X[0], Fixed(_SHARES[0]))],
    "kl_div":          [call(np.log(_probabilities(3, 4)), _probabilities(3, 4)),
                        call(_X, _Y, log_target=True),
                        call(_X, Fixed(given(0.0, 0.3, 0.7, 0.0) * np.ones((3, 1)))),
                        call(normal(4), _probabilities(4))],
    "poisson_nll_loss": [call(_X, Fixed(positive(3, 4))),
                         call(positive(3, 4), Fixed(positive(3, 4)), log_input=False),
                         call(_X, Fixed(positive(3, 4) * 2), full=True),
                         call(_X, Fixed(positive(3, 4)), eps=1e-3)],
    "gaussian_nll_loss": [call(_X, _Y, positive(3, 4)), call(_X, _Y, positive(3, 1)),
                          call(_X, _Y, positive(3, 4), full=True),
                          call(_X, _Y, positive(3))],
    "hinge_embedding_loss": [call(_X, Fixed(_SIGNS)), call(_X, Fixed(_SIGNS), margin=0.3)],
    "soft_margin_loss": [call(_X, Fixed(_SIGNS)), call(_X * 30, Fixed(_SIGNS))],
    "margin_ranking_loss": [call(normal(6), normal(6), Fixed(_SIGNED)),
                            call(normal(6), normal(6), Fixed(_SIGNED), margin=0.5)],
    "cosine_embedding_loss": [call(3 * normal(6, 4), 3 * normal(6, 4), Fixed(_SIGNED)),
                              call(3 * normal(6, 4), 3 * normal(6, 4), Fixed(_SIGNED), margin=0.2)],
    "triplet_margin_loss": [call(normal(6, 4), normal(6, 4), normal(6, 4)),
                            call(normal(6, 4), normal(6, 4), normal(6, 4), margin=2.0, p=1.0),
                            call(normal(6, 4), normal(6, 4), normal(6, 4), swap=True),
                            call(normal(4), normal(4), normal(4))],
    "triplet_margin_with_distance_loss": [
        call(normal(6, 4), normal(6, 4), normal(6, 4), margin=2.0),
        call(normal(6, 4), normal(6, 4), normal(6, 4), swap=True),
        call(normal(6, 4), normal(6, 4), normal(6, 4), distance_function=_apart)],
    "multi_margin_loss": [first(normal(6, 5), _labels(6)),  # PyTorch has no second derivative
                          first(normal(6, 5), _labels(6), p=2, margin=0.5),
                          first(normal(6, 5), _labels(6), weight=_WEIGHT)],
}
# fmt: on


def _reduced(table: Mapping[str, Iterable[Call]]) -> dict[str, list[Call]]:
    """Every call with every reduction."""
    return {
        name: [
            Call(arguments, {**options, "reduction": reduction}, second)
            for arguments, options, second in calls
            for reduction in ("mean", "sum", "none", *(["batchmean"] if name == "kl_div" else []))
        ]
        for name, calls in table.items()
    }


CASES: list[Case] = functional(_reduced(LOSSES))
