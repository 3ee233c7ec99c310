"""Every row of the table of operations, compiled: what NumPy gives, in each dtype and layout.

A family's samples are traced into one program with many results, so that they compile quickly.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.oracle import difference
from tests.table import cases as table
from tests.table.check import flat, operands
from tests.table.row import TOLERANCE, Row, Sample, slots
from tests.table.test_values import holds, strided
from thalweg.tape import wrap

FAMILIES = {n: f.ROWS for n, f in vars(table).items() if isinstance(f, ModuleType)}
# One rounding at the most, to the nearest number: there is one right result.
_EXACT = """add subtract multiply divide remainder floor_divide maximum minimum negative
    absolute sign floor ceil round trunc sqrt equal not_equal less less_equal greater greater_equal
    isfinite isnan bitwise_and bitwise_or bitwise_xor bitwise_not shift_left shift_right select
    cast reshape transpose broadcast slice pad flip concatenate gather argsort max min argmax
    argmin random_bits iota full windows"""
EXACT = {f"primitives.{name}" for name in _EXACT.split()}
NARROW = (tw.int32, tw.uint8)
KINDS = {"integer": "i", "bool": "b"}
Case = tuple[Row, Sample, list[tw.Tensor]]


def cases(rows: Sequence[Row], dtype: tw.DType) -> list[Case]:
    """The rows' samples in `dtype`."""
    return [
        (row, sample, operands(sample, dtype))
        for row in rows
        if takes(row, dtype)
        for sample in row.samples
        if holds(dtype, sample) and (dtype is tw.float32 or slots(sample.arrays))
    ]


def takes(row: Row, dtype: tw.DType) -> bool:
    if row.concrete or (dtype.kind != "float" and KINDS[dtype.kind] not in row.kinds):
        return False
    # What is composed is composed in the same way for each width of integers.
    return dtype not in NARROW or row.name.startswith("primitives.")


def results(cases: Sequence[Case], tensors: Sequence[Sequence[tw.Tensor]]) -> list[list[Any]]:
    """What each case gives for these operands."""
    return [
        flat(sample.call(row.call, given))
        for (row, sample, _), given in zip(cases, tensors, strict=True)
    ]


def complaints(cases: Sequence[Case], tensors: list[list[tw.Tensor]]) -> list[str]:
    """Where the compiled results differ from the eager ones."""
    compiled = tw.compile(lambda given: results(cases, given))(tensors)
    found = []
    for (row, sample, _), got, wanted in zip(cases, compiled, results(cases, tensors), strict=True):
        for a, b in zip(got, wanted, strict=True):
            within = 0.0 if row.exact or row.name in EXACT else allowed(b)
            wrong = difference(a.numpy(), b.numpy(), within=within)
            if wrong:
                found.append(f"{row.name} {sample}: {wrong}")
    return found


def allowed(wanted: tw.Tensor) -> Any:
    """Rounding: a composed operation is some dozens of roundings, of numbers about as large."""
    if wanted.dtype not in TOLERANCE:
        return 0.0
    tolerance = TOLERANCE[wanted.dtype]
    return tolerance["atol"] + tolerance["rtol"] * np.abs(wanted.numpy())


DTYPES = [tw.float32, tw.float64, tw.int64, tw.int32, tw.uint8, tw.bool]


def check(cases: Sequence[Case], tensors: list[list[tw.Tensor]]) -> None:
    """All cases in one program; where that cannot be made, row by row, to name the culprits."""
    try:
        found = complaints(cases, tensors)
    except Exception as error:
        error.add_note("\n".join(culprits(cases, tensors)))
        raise
    assert not found, "\n".join(found)


def culprits(cases: Sequence[Case], tensors: list[list[tw.Tensor]]) -> list[str]:
    found = []
    for case, given in zip(cases, tensors, strict=True):
        try:
            found += complaints([case], [given])
        except Exception as error:
            found.append(f"{case[0].name} {case[1]}: {type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_is_eager(family: str, dtype: tw.DType) -> None:
    chosen = cases(FAMILIES[family], dtype)
    if chosen:
        check(chosen, [given for _, _, given in chosen])


@pytest.mark.parametrize("family", FAMILIES)
def test_layout_does_not_matter(family: str) -> None:
    chosen = cases(FAMILIES[family], tw.float64)
    check(chosen, [[wrap(strided(x.numpy())) for x in given] for _, _, given in chosen])


def test_what_is_exact_is_a_row() -> None:
    assert {row.name for row in table.TABLE} > EXACT


def test_all_rows_are_in_a_family() -> None:
    assert sum(map(len, FAMILIES.values())) == len(table.TABLE)
