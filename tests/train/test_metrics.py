"""Measures: accuracy and regression errors against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ShapeError
from thalweg.train import Accuracy, Regression


def test_accuracy_of_classes_and_of_one_logit() -> None:
    measure = Accuracy()
    logits = tw.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 5.0]])
    labels = tw.tensor([0, 1, 0])
    assert measure.summary(measure.sums(logits, labels).tolist(), 3) == {"accuracy": 2 / 3}
    one = tw.tensor([[1.0], [-1.0], [-2.0]])
    assert measure.sums(one, tw.tensor([1, 1, 0])).tolist() == [2]
    assert measure.sums(one.reshape(3), tw.tensor([1, 0, 0])).tolist() == [3]


def test_accuracy_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"\(N, classes\)"):
        Accuracy().sums(tw.zeros(3, 4), tw.zeros(2, dtype=tw.int64))


def test_regression_measures_are_in_the_targets_units() -> None:
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))
    measure = Regression(units=3.0)
    halves = [measure.sums(tw.tensor(y[i]), tw.tensor(t[i])) for i in (slice(20), slice(20, None))]
    found = measure.summary((halves[0] + halves[1]).tolist(), 50)
    assert found["rmse"] == pytest.approx(3 * math.sqrt(np.mean((y - t) ** 2)))
    assert found["mae"] == pytest.approx(3 * np.mean(np.abs(y - t)))
    assert found["r2"] == pytest.approx(1 - np.sum((y - t) ** 2) / np.sum((t - t.mean()) ** 2))


def test_a_constant_target_has_no_r2() -> None:
    measure = Regression()
    sums = measure.sums(tw.zeros(4, 1), tw.ones(4, 1))
    assert math.isnan(measure.summary(sums.tolist(), 4)["r2"])


def test_scores_grow_as_things_get_better() -> None:
    assert Accuracy().score({"accuracy": 0.9}) > Accuracy().score({"accuracy": 0.8})
    assert Regression().score({"rmse": 1.0}) > Regression().score({"rmse": 2.0})
    assert Regression().score({"rmse": math.nan}) == -math.inf


def test_regression_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ShapeError, match="must be equal"):
        Regression().sums(tw.zeros(3, 1), tw.zeros(3))
