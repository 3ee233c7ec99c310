"""Random numbers: another generator than PyTorch's, the same distributions, dtypes and shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH, dtype_name, plain
from tests.reference.distributions import (
    COUNT,
    assert_counts,
    assert_moments,
    assert_same_distribution,
)

N = COUNT
WEIGHTS = np.array([0.1, 0.0, 0.4, 0.2, 0.3])


def _ramp(tw: Any) -> Any:
    return tw.linspace(0, 1, N)


# fmt: off
# What is drawn, and its mean and standard deviation where each number has the same.
CONTINUOUS: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "rand":         (lambda tw: tw.rand(N), 0.5, 12**-0.5),
    "rand float64": (lambda tw: tw.rand(N, dtype=tw.float64), 0.5, 12**-0.5),
    "rand_like":    (lambda tw: tw.rand_like(tw.zeros(N // 4, 4)), 0.5, 12**-0.5),
    "uniform_":     (lambda tw: tw.zeros(N).uniform_(-2, 3), 0.5, 5 * 12**-0.5),
    "randn":        (lambda tw: tw.randn(N), 0.0, 1.0),
    "randn float64": (lambda tw: tw.randn(N, dtype=tw.float64), 0.0, 1.0),
    "randn_like":   (lambda tw: tw.randn_like(tw.zeros(N // 4, 4)), 0.0, 1.0),
    "normal_":      (lambda tw: tw.zeros(N).normal_(3, 0.5), 3.0, 0.5),
    "normal":       (lambda tw: tw.normal(-1.0, 2.0, (N,)), -1.0, 2.0),
    "normal of means": (lambda tw: tw.normal(_ramp(tw), tw.ones(N)) - _ramp(tw), 0.0, 1.0),
    "normal of stds": (lambda tw: tw.normal(tw.zeros(N), 1 + _ramp(tw)) / (1 + _ramp(tw)), 0.0,
                       1.0),
}
# What is drawn, and the probability of each of its values, 0, 1, 2, ...
DISCRETE: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "randint":      (lambda tw: tw.randint(10, (N,)), [0.1] * 10),
    "randint low":  (lambda tw: tw.randint(-3, 4, (N,)) + 3, [1 / 7] * 7),
    "randint_like": (lambda tw: tw.randint_like(tw.zeros(N), 5), [0.2] * 5),
    "bernoulli":    (lambda tw: tw.bernoulli(tw.full((N,), 0.3)), [0.7, 0.3]),
    "bernoulli_":   (lambda tw: tw.zeros(N).bernoulli_(0.8), [0.2, 0.8]),
    "multinomial":  (lambda tw: tw.multinomial(tw.tensor(WEIGHTS), N, replacement=True),
                     list(WEIGHTS)),
    "multinomial rows": (lambda tw: tw.multinomial(tw.tensor(np.stack([WEIGHTS, WEIGHTS])), N // 2,
                         replacement=True), list(WEIGHTS)),
    "first of two": (lambda tw: tw.multinomial(tw.tensor(np.tile(WEIGHTS, (N, 1))), 2)[:, 0],
                     list(WEIGHTS)),
    "randperm":     (lambda tw: tw.stack([tw.randperm(5)[0] for _ in range(4000)]), [0.2] * 5),
    "dropout":      (lambda tw: tw.nn.functional.dropout(tw.ones(N), 0.75) / 4, [0.75, 0.25]),
    "Dropout":      (lambda tw: tw.nn.Dropout(0.1)(tw.ones(N)) * 0.9, [0.1, 0.9]),
}
# fmt: on


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name: str) -> None:
    run, mean, std = CONTINUOUS[name]
    ours, theirs = (run(tw) for tw in BOTH)
    assert (dtype_name(ours), tuple(ours.shape)) == (dtype_name(theirs), tuple(theirs.shape))
    assert_same_distribution(plain(ours), plain(theirs))
    assert_moments(plain(ours), mean, std)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name: str) -> None:
    run, probabilities = DISCRETE[name]
    ours, theirs = (run(tw) for tw in BOTH)
    assert (dtype_name(ours), tuple(ours.shape)) == (dtype_name(theirs), tuple(theirs.shape))
    for drawn in (ours, theirs):
        values = np.rint(np.ravel(plain(drawn)))
        np.testing.assert_allclose(values, np.ravel(plain(drawn)), atol=1e-6)
        assert_counts(np.bincount(values.astype(int), minlength=len(probabilities)), probabilities)


def test_without_replacement_nothing_comes_twice(tw: Any) -> None:
    rows = plain(tw.multinomial(tw.tensor(np.tile(WEIGHTS, (500, 1))), 4))
    assert (np.sort(rows, axis=1) == [0, 2, 3, 4]).all()


def test_second_draws_without_replacement() -> None:
    """Given the first, the second is drawn from the rest in proportion."""
    pairs = [plain(tw.multinomial(tw.tensor(np.tile(WEIGHTS, (N, 1))), 2)) for tw in BOTH]
    for drawn in pairs:
        second = drawn[drawn[:, 0] == 2, 1]
        assert_counts(np.bincount(second, minlength=5), [1 / 6, 0, 0, 2 / 6, 3 / 6])


def test_permutations(tw: Any) -> None:
    order = tw.randperm(1000)
    assert dtype_name(order) == "int64"
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != list(range(1000))


def test_a_seed_begins_the_stream_anew(tw: Any) -> None:
    tw.manual_seed(11)
    first = tw.rand(5).tolist(), tw.randn(5).tolist(), tw.randperm(9).tolist()
    other = tw.rand(5).tolist()
    tw.manual_seed(11)
    assert (tw.rand(5).tolist(), tw.randn(5).tolist(), tw.randperm(9).tolist()) == first
    assert tw.rand(5).tolist() == other
    assert tw.initial_seed() == 11
    tw.manual_seed(12)
    assert tw.rand(5).tolist() != first[0]


def test_generators(tw: Any) -> None:
    mine = tw.Generator().manual_seed(5)
    assert mine.initial_seed() == 5
    kept = mine.get_state()
    numbers = tw.rand(4, generator=mine).tolist()
    beside = tw.rand(4).tolist()
    mine.set_state(kept)
    assert tw.rand(4, generator=mine).tolist() == numbers != beside
    kept = tw.get_rng_state()
    numbers = tw.rand(4).tolist()
    tw.set_rng_state(kept)
    assert tw.rand(4).tolist() == numbers
    assert isinstance(tw.seed(), int)
    assert isinstance(tw.default_generator, tw.Generator)


def test_the_interval_is_half_open() -> None:
    for drawn in (thalweg.rand(N), torch.rand(N), thalweg.zeros(N).uniform_(2, 3)):
        low = plain(drawn).min()
        assert low >= (2 if low > 1 else 0)
        assert plain(drawn).max() < (3 if low > 1 else 1)
