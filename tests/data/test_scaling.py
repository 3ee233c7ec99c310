from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.data.scaling import Standardize
from thalweg.errors import DataError


def test_columns_get_mean_0_and_deviation_1() -> None:
    x = np.array([[1.0, 1000.0], [2.0, 3000.0], [6.0, 2000.0]])
    scaled = Standardize.fit(x).apply(x)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-6)


def test_a_constant_column_becomes_0() -> None:
    x = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    scaling = Standardize.fit(x)
    assert scaling.std[0] == 1
    assert (scaling.apply(x)[:, 0] == 0).all()
    np.testing.assert_allclose(scaling.invert(scaling.apply(x)), x, rtol=1e-6)


def test_marked_columns_are_left_alone() -> None:
    x = np.array([[3.0, 0.0], [5.0, 1.0], [7.0, 1.0]])
    scaling = Standardize.fit(x, [True, False])
    assert (scaling.mean[1], scaling.std[1]) == (0, 1)
    assert scaling.apply(x)[:, 1].tolist() == [0, 1, 1]


def test_large_numbers_close_together_keep_their_differences() -> None:
    years = np.array([[2_000_000_001.0], [2_000_000_003.0]])
    assert Standardize.fit(years).apply(years).ravel().tolist() == [-1, 1]


def test_bytes_become_0_to_1_as_division_in_float32() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    expected = pixels.astype(np.float32) / np.float32(255)
    scaled = Standardize((0.0,), (255.0,)).apply(pixels)
    assert np.array_equal(scaled, expected)
    assert pixels.dtype == np.uint8  # untouched


def test_the_input_is_not_changed() -> None:
    x = np.ones((2, 2), np.float32)
    Standardize((1.0,), (2.0,)).apply(x)
    assert (x == 1).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9)), min_size=1, max_size=5))
def test_plain_values_survive_a_file_exactly(columns: list[tuple[float, float]]) -> None:
    mean, std = zip(*columns, strict=True)
    scaling = Standardize(mean, std)
    assert Standardize.from_dict(json.loads(json.dumps(scaling.to_dict()))) == scaling


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.0,), (0.0,)), ((0.0,), (-1.0,)), ((np.nan,), (1.0,)), ((0.0,), (np.inf,)), ((), ())],
)
def test_unusable_numbers_are_refused(mean: tuple[float], std: tuple[float]) -> None:
    with pytest.raises(DataError, match="mean"):
        Standardize(mean, std)


def test_a_range_too_wide_for_floats_is_refused() -> None:
    with pytest.raises(DataError, match=r"column 1.*another unit"):
        Standardize.fit(np.array([[0.0, 1e308], [1.0, -1e308]]))


def test_another_number_of_columns_is_refused() -> None:
    for shape in ((0, 2), (3,), (2, 3, 4, 4)):
        with pytest.raises(DataError, match=r"rows \(N, K\) expected"):
            Standardize.fit(np.zeros(shape))
    with pytest.raises(DataError, match=r"shape \(4, 3\) where 2 columns"):
        Standardize((0.0, 0.0), (1.0, 1.0)).apply(np.zeros((4, 3)))


@pytest.mark.parametrize(
    "plain", [{}, {"mean": [0]}, {"mean": 1, "std": 2}, {"mean": "a", "std": "b"}]
)
def test_other_plain_values_are_refused(plain: dict[str, object]) -> None:
    with pytest.raises(DataError, match="'mean' and 'std'"):
        Standardize.from_dict(plain)
