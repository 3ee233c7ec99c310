"""Elementwise mathematics: worst errors in ulps, and the special values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import ulp
from tests.compiler.native import elementwise, module_text, of_width
from thalweg.compiler.kernels import Access, Buffer, Loop, Scalar, Store
from thalweg.compiler.lower import lower, maths
from thalweg.compiler.native.jit import assembly

# The worst error in ulps that is promised.
FLOAT32, FLOAT64 = 2.0, 4.0
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-310, -1e-310, 5e-324, 1e300, -1e300]


def test_every_function_is_measured() -> None:
    assert set(ulp.FUNCTIONS) == set(maths.FUNCTIONS)


@pytest.mark.parametrize("name", maths.FUNCTIONS)
def test_worst_error(name: str) -> None:
    assert ulp.measure(name, ulp.F32, 400_000).worst <= FLOAT32
    assert ulp.measure(name, ulp.F64, 50_000).worst <= FLOAT64


def test_the_table_in_the_docs_promises_no_less() -> None:
    rows = re.findall(
        r"^\| (\w+) \|[^|]*\| ([\d.]+) \|[^|]*\| ([\d.]+) \|", ulp.PAGE.read_text(), re.MULTILINE
    )
    assert [name for name, _, _ in rows] == list(ulp.FUNCTIONS)
    assert all(float(single) <= FLOAT32 for _, single, _ in rows)
    assert all(float(double) <= FLOAT64 for _, _, double in rows)


def same(found: Any, expected: Any) -> Any:
    """Equal with the sign of 0, NaN like NaN, or next to each other."""
    ordinary = np.abs(found - expected) <= 4 * np.spacing(np.abs(expected))
    zeros = (expected != 0) | (np.signbit(found) == np.signbit(expected))
    return ((found == expected) | (np.isnan(found) & np.isnan(expected)) | ordinary) & zeros


@pytest.mark.parametrize("dtype", [ulp.F32, ulp.F64], ids=str)
@pytest.mark.parametrize("name", maths.UNARY)
def test_special_values(name: str, dtype: Any) -> None:
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL, np.float64).astype(dtype)
        if name in ("sin", "cos", "tan"):
            x = x[~(np.abs(x) > 1e9) | np.isinf(x)]
        expected = ulp.FUNCTIONS[name].exact(x.astype(np.float64)).astype(dtype)
        found = ulp.compiled(name, (x,))
        assert same(found, expected).all(), (x, found, expected)


@pytest.mark.parametrize("name", maths.UNARY)
def test_nan_stays_nan_whatever_its_bits(name: str) -> None:
    bits = np.arange(0x7F800001, 0x80000000, 12_345, np.int64).astype(np.uint32)
    x = np.concatenate([bits, bits | np.uint32(1 << 31)]).view(np.float32)
    assert np.isnan(ulp.compiled(name, (x,))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "power"])
def test_powers_of_two_are_the_same_in_one_instruction(name: str, dtype: Any) -> None:
    lanes, operands = 64 // np.dtype(dtype).itemsize, ulp.FUNCTIONS[name].operands
    given = [np.linspace(-760, 720, 1 << 14, dtype=dtype), np.full(1 << 14, 0.97, dtype)]
    machine = of_width(512)
    found = [
        elementwise("f", dtype, lambda *v: maths.call(name, *v), operands, lanes, scales=scales)
        for scales in {False, machine.has_scaling}
    ]
    assert len({run(*reversed(given[:operands])).tobytes() for run in found}) == 1


@pytest.mark.parametrize("dtype", [ulp.F32, ulp.F64], ids=str)
@pytest.mark.parametrize("name", ["power", "atan2"])
def test_special_pairs(name: str, dtype: Any) -> None:
    with np.errstate(all="ignore"):
        ordinary = [0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 2.5, 1e20, -1e20]
        values = np.array([*SPECIAL, *ordinary], np.float64).astype(dtype)
        a, b = (grid.ravel() for grid in np.meshgrid(values, values))
        expected = (
            ulp.FUNCTIONS[name].exact(a.astype(np.float64), b.astype(np.float64)).astype(dtype)
        )
        found = ulp.compiled(name, (a, b))
        wrong = ~same(found, expected)
        assert not wrong.any(), list(
            zip(a[wrong], b[wrong], found[wrong], expected[wrong], strict=True)
        )


@pytest.mark.parametrize("name", maths.FUNCTIONS)
def test_no_library_is_called(name: str) -> None:
    x, y = (Buffer(n, 100, ulp.F32, "input") for n in "xy")
    load = Scalar("load", (), ulp.F32, {"access": Access(x, 0, (1,))})
    value = Scalar(name, (0,) * ulp.FUNCTIONS[name].operands, ulp.F32)
    kernel = Loop((100,), (load, value), (Store(1, Access(y, 0, (1,))),))
    arm = replace(of_width(128), name="cortex-a72", features="")
    for machine, triple, call in [
        (of_width(256), None, "call"),
        (arm, "aarch64-linux-gnu", "\tbl\t"),
    ]:
        text = assembly(module_text(lower(kernel, "kernel", machine)), machine, triple)
        assert call not in text
        assert "kernel" in text


@pytest.mark.parametrize("dtype", [ulp.F32, ulp.F64], ids=str)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_huge_angles_stay_sane(name: str, dtype: Any) -> None:
    x = np.geomspace(1e5, np.finfo(dtype).max / 10, 1000).astype(dtype)
    found = ulp.compiled(name, (np.concatenate([x, -x]),))
    assert (np.abs(found) <= 1).all()
    near = x[x < 1e9]
    exact = ulp.FUNCTIONS[name].exact(near.astype(np.longdouble))
    assert np.abs(ulp.compiled(name, (near,)) - exact).max() < 1e-6
