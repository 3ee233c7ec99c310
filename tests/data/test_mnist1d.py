from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thalweg.data import load, mnist1d
from thalweg.errors import ConfigError


def test_as_many_of_each_digit_centred_and_in_float32() -> None:
    x, y = mnist1d.generate(200, seed=1)
    assert (x.shape, x.dtype, y.dtype) == ((200, 40), np.float32, np.int64)
    assert np.bincount(y).tolist() == [20] * 10
    assert abs(float(x.mean())) < 1e-6
    assert float(x.std()) == pytest.approx(1, abs=1e-5)


def test_the_seed_decides() -> None:
    a, b, other = (mnist1d.generate(50, seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)


# Five samples and twelve labels of the published file.
def test_the_published_beginning() -> None:
    splits = load("mnist1d")
    published = [-0.33200568, -0.47191036, -0.7786971, -1.0097408, -0.8823526]
    np.testing.assert_allclose(splits.train.x[0].numpy()[:5], published, rtol=1e-6)
    assert splits.train.y[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [3500, 500, 1000]


def test_the_published_file_number_for_number(real_data: Path) -> None:
    x, y = mnist1d.generate()
    with np.load(real_data / "mnist1d" / "mnist1d.npz") as published:
        assert np.array_equal(y, np.concatenate([published["y"], published["y_test"]]))
        expected = np.concatenate([published["x"], published["x_test"]])
    np.testing.assert_allclose(x, expected, rtol=0, atol=5e-7)


@pytest.mark.parametrize("count", [0, 5, 101])
def test_a_count_that_does_not_divide(count: int) -> None:
    with pytest.raises(ConfigError, match=f"{count} signals; expected a multiple of 10"):
        mnist1d.generate(count)
