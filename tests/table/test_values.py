"""Every row against its oracle: in both float types, in integers and bools, in any layout."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.table.check import about, compare, expected, filled, flat, operands, promoted, rows
from tests.table.row import TOLERANCE, Array, Row, Sample, slots
from thalweg.errors import DTypeError
from thalweg.tape import wrap


def holds(dtype: tw.DType, sample: Sample) -> bool:
    """Whether the sample's numbers, as integers, fit into `dtype`."""
    if dtype.kind != "integer":
        return dtype.kind == "float" or all(not np.isnan(a).any() for a in sample.arrays)
    if not all(np.isfinite(a).all() for a in sample.arrays):
        return False
    largest = max((np.abs(a).max(initial=0) for a in filled(sample, dtype)), default=0)
    return bool(largest <= tw.iinfo(dtype).max)


def check(row: Row, dtype: tw.DType) -> None:
    for sample in row.samples:
        if not holds(dtype, sample):
            continue
        with about(sample):
            tensors = operands(sample, dtype)
            result = sample.call(row.call, tensors)
            wanted = expected(row, sample, filled(sample, dtype))
            compare(row, result, wanted, row.dtype_of(promoted(tensors, sample)))


@rows()
@pytest.mark.parametrize("dtype", [tw.float32, tw.float64], ids=str)
def test_floats(row: Row, dtype: tw.DType) -> None:
    check(row, dtype)


@rows(lambda row: "i" in row.kinds)
@pytest.mark.parametrize("dtype", [tw.int64, tw.int32, tw.uint8], ids=str)
def test_integers(row: Row, dtype: tw.DType) -> None:
    check(row, dtype)


@rows(lambda row: "b" in row.kinds)
def test_bools(row: Row) -> None:
    check(row, tw.bool)


@rows(lambda row: any(slots(s.arrays) for s in row.samples) and "m" not in row.kinds)
@pytest.mark.parametrize("dtype", [tw.bfloat16, tw.float16], ids=str)
def test_storage_moves_and_does_not_compute(row: Row, dtype: tw.DType) -> None:
    for sample in row.samples:
        if not slots(sample.arrays):
            continue
        with about(sample):
            tensors = operands(sample, dtype)
            if "s" not in row.kinds:
                with pytest.raises(DTypeError, match=dtype.name):
                    sample.call(row.call, tensors)
                continue
            stored = flat(sample.call(row.call, tensors))
            known = sample.call(row.call, [x.float() if x.dtype is dtype else x for x in tensors])
            for a, b in zip(stored, flat(known), strict=True):
                assert a.dtype is dtype
                assert np.array_equal(a.numpy(), b.numpy())


def strided(array: Array) -> Array:
    """The same numbers, reversed in memory, with gaps, dimensions the other way round."""
    wide = np.zeros([2 * n for n in array.shape[::-1]], array.dtype).T
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = np.flip(array)
    return np.asarray(np.flip(wide[(..., *(slice(None, None, 2) for _ in array.shape))]))


@rows()
def test_layout_does_not_matter_and_operands_are_left_alone(row: Row) -> None:
    for sample in row.samples:
        with about(sample):
            arrays = [strided(a) for a in sample.arrays]
            for array, original in zip(arrays, sample.arrays, strict=True):
                assert np.array_equal(array, original, equal_nan=array.dtype.kind == "f")
                array.flags.writeable = False
            result = flat(sample.call(row.call, [wrap(a) for a in arrays]))
            plain = flat(sample.call(row.call, operands(sample, tw.float64)))
            for a, b in zip(result, plain, strict=True):
                np.testing.assert_allclose(a.numpy(), b.numpy(), **TOLERANCE[tw.float64])
