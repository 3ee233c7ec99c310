"""The CTC loss behind a log_softmax: values and gradients over lengths, forms and reductions."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import thalweg
from tests.reference.both import BOTH, DTYPES, TOLERANCES, assert_close
from tests.reference.spelling import Samples

_samples = Samples(44)
_SCORES, _LABELS = _samples.normal(7, 3, 5), _samples.integers(3, 3, low=1, high=5)
LENGTHS = {
    "all": ([7, 7, 7], [3, 3, 3]),
    "some": ([7, 5, 6], [3, 2, 1]),
    "none": ([7, 4, 1], [3, 0, 1]),
    "too long": ([2, 7, 6], [3, 3, 2]),
    "no step": ([0, 7, 7], [1, 3, 2]),
}


def _loss(tw: Any, x: Any, targets: Any, lengths: Any, **options: Any) -> Any:
    return tw.nn.functional.ctc_loss(x.log_softmax(-1), targets, *lengths, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values_and_gradients(reduction: str, lengths: str, joined: bool, dtype: str) -> None:
    steps, sizes = LENGTHS[lengths]
    fits = lengths not in ("too long", "no step")
    found = []
    for tw in BOTH:
        x = tw.tensor(_SCORES.astype(dtype), requires_grad=True)
        rows = [row[:n] for row, n in zip(_LABELS, sizes, strict=True)]
        targets = tw.tensor(np.concatenate(rows) if joined else _LABELS)
        given = (tuple(steps), tuple(sizes)) if joined else (tw.tensor(steps), tw.tensor(sizes))
        options: dict[str, Any] = {"reduction": reduction, "zero_infinity": not fits}
        loss = _loss(tw, x, targets, given, **options)
        if tw is thalweg and reduction == "mean" and dtype == "float32" and not joined:
            compiled = thalweg.compile(partial(_loss, tw, **options, lengths=given))
            np.testing.assert_allclose(
                compiled(x.detach(), targets).numpy(), loss.detach().numpy(), 2e-5
            )
        loss.sum().backward()
        found.append([loss, x.grad])
    for what, ours, theirs in zip(("loss", "gradient"), *found, strict=True):
        assert_close(ours, theirs, TOLERANCES["value", dtype], what)


def test_one_sequence_and_another_blank() -> None:
    found = []
    for tw in BOTH:
        x = tw.tensor(_SCORES[:, 0].copy(), requires_grad=True)
        given = tw.tensor(np.array(7)), tw.tensor(np.array(3))
        loss = _loss(tw, x, tw.tensor(_LABELS[0] - 1), given, blank=4, reduction="none")
        loss.backward()
        found.append([loss, x.grad])
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs, TOLERANCES["value", "float64"], "one")


def test_what_does_not_fit_is_infinite() -> None:
    losses = [
        _loss(tw, tw.tensor(_SCORES), tw.tensor(_LABELS), LENGTHS["too long"], reduction="none")
        for tw in BOTH
    ]
    assert_close(*losses, TOLERANCES["value", "float64"], "infinite")
    assert losses[0][0].item() == float("inf")
