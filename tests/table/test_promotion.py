"""The dtype of every row's result, where its operands differ in theirs."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest

import thalweg as tw
from tests.table.check import about, flat, operands, rows
from tests.table.row import Row, Sample, slots
from thalweg.dtypes import promote_types


def mixed(row: Row) -> list[Sample]:
    """Samples with several slots whose numbers every dtype holds."""
    return [
        s
        for s in row.samples
        if len(slots(s.arrays)) > 1 and all(np.isfinite(a).all() for a in s.arrays)
    ]


@rows(lambda row: bool(mixed(row)) and not row.name.startswith("primitives."))
def test_mixed_operands(row: Row) -> None:
    kinds = [tw.float32, tw.float64, *([tw.int64, tw.uint8] if "i" in row.kinds else [])]
    kinds += [tw.bool] if "b" in row.kinds else []
    for sample in mixed(row)[:2]:
        count = len(slots(sample.arrays))
        for dtypes in itertools.product(kinds, repeat=count):
            if count > 2 and len({*dtypes}) > 2:
                continue
            with about(sample):
                tensors = operands(sample, dtypes)
                result = flat(sample.call(row.call, tensors))[0]
                counted = dtypes[:1] if row.result == "first" else dtypes
                assert result.dtype is row.dtype_of(reduce(promote_types, counted)), dtypes


SCALARS = [
    (tw.float32, 2.5, tw.float32),
    (tw.float32, 2, tw.float32),
    (tw.float64, True, tw.float64),
    (tw.uint8, 2, tw.uint8),
    (tw.int32, 2, tw.int32),
    (tw.int32, True, tw.int32),
    (tw.int64, 2.5, tw.float32),
    (tw.float32, np.float64(2.5), tw.float32),
    (tw.float32, np.int64(2), tw.float32),
    (tw.float32, np.array(2.5), tw.float32),
]


def takes_two(row: Row) -> bool:
    """Whether this is an operation on two numbers of any kind."""
    plain = [s for s in row.samples if not s.args and not s.kwargs and len(slots(s.arrays)) == 2]
    elementwise = [s for s in plain if s.arrays[0].shape == (3, 1) and s.arrays[1].shape == (4,)]
    return bool(elementwise) and "i" in row.kinds and row.name in dir(tw.Tensor)


@rows(takes_two)
@pytest.mark.parametrize(("dtype", "scalar", "promoted"), SCALARS)
def test_python_scalars_are_weak(
    row: Row, dtype: tw.DType, scalar: float, promoted: tw.DType
) -> None:
    x = tw.tensor([3, 7], dtype=dtype)
    y = row.call(x, scalar)
    assert y.dtype is row.dtype_of(promoted)
    wanted = row.oracle(x.numpy().astype(float), float(scalar))
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-6)
