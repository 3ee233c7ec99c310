"""Every elementwise row of the op table, compiled, against its NumPy evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.compiler.native import WIDTHS, Compiled, of_width
from thalweg import dtypes
from thalweg.compiler.kernels import Access, Buffer, Loop, Scalar, Store
from thalweg.compiler.lower import maths, scalars
from thalweg.primitives.core import REGISTRY

NUMBERS = ["float32", "float64", "int32", "int64", "uint8", "uint32"]
FLOATS = NUMBERS[:2]
INTEGERS = NUMBERS[2:]
STORAGE = [dtypes.float16.numpy, dtypes.bfloat16.numpy]

# fmt: off
OPS = {
    **dict.fromkeys(["add", "multiply", "maximum", "minimum", "equal", "not_equal", "less",
                     "less_equal", "greater", "greater_equal"], (2, [*NUMBERS, "bool"])),
    **dict.fromkeys(["subtract", "remainder", "floor_divide", "power"], (2, NUMBERS)),
    **dict.fromkeys(["divide", "atan2"], (2, FLOATS)),
    **dict.fromkeys(["negative", "sign"], (1, NUMBERS)),
    **dict.fromkeys(["absolute", "isfinite", "isnan"], (1, [*NUMBERS, "bool"])),
    **dict.fromkeys(["floor", "ceil", "round", "trunc", "sqrt", *maths.UNARY], (1, FLOATS)),
    **dict.fromkeys(["bitwise_and", "bitwise_or", "bitwise_xor"], (2, [*INTEGERS, "bool"])),
    "bitwise_not": (1, [*INTEGERS, "bool"]),
    **dict.fromkeys(["shift_left", "shift_right"], (2, INTEGERS)),
}
# fmt: on
ELSEWHERE = {"cast", "scalar_power", "select"}  # tests of their own below
ULPS = {"float32": 2.0, "float64": 5.0}  # the oracle, in float64, errs by an ulp itself
INEXACT = set(maths.FUNCTIONS)


def test_every_elementwise_primitive_is_lowered() -> None:
    from thalweg.primitives import elementwise

    names = {row.name for row in vars(elementwise).values() if row is REGISTRY.get(_name(row))}
    assert names == set(OPS) | ELSEWHERE
    assert names == set(scalars.RULES) | set(maths.FUNCTIONS) | {"cast", "scalar_power"}


def _name(row: object) -> str:
    return getattr(row, "name", "")


def samples(dtype: str, size: int, seed: int) -> Any:
    """Ordinary values, and the special ones in all combinations first."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(size) < 0.5
    kind = np.dtype(dtype).kind
    if kind == "f":
        ordinary = (rng.standard_normal(size) * 10.0 ** rng.integers(-3, 3, size)).astype(dtype)
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 2.5, -2.5, 3.0, 1e-40]
    else:
        ordinary = rng.integers(-5 if kind == "i" else 0, 40, size).astype(dtype)
        info = np.iinfo(dtype)
        special = [0, 1, 2, 3, 7, 31, 63, 64, int(info.max), int(info.min)]
        special += [-1, -2, -7] if kind == "i" else []
    pattern = np.array(special, dtype)
    count = len(pattern)
    places = np.arange(size)
    chosen = pattern[places % count] if seed % 2 else pattern[places // count % count]
    return np.where(places < count * count, chosen, ordinary)


def compiled(
    op: str, arrays: Sequence[Any], result: Any, bits: int, attributes: dict[str, Any] | None = None
) -> Any:
    """`op` of flat arrays, through a loop kernel."""
    buffers = [Buffer(f"x{i}", a.size, a.dtype, "input") for i, a in enumerate(arrays)]
    out = Buffer("out", arrays[0].size, result, "output")
    loads = [Scalar("load", (), b.dtype, {"access": Access(b, 0, (1,))}) for b in buffers]
    last = Scalar(op, tuple(range(len(loads))), result, attributes or {})
    store = Store(len(loads), Access(out, 0, (1,)))
    given = dict(zip(buffers, arrays, strict=True))
    target = np.zeros(arrays[0].size, result)
    assert not Compiled(Loop((out.size,), (*loads, last), (store,)), of_width(bits))(
        {**given, out: target}
    )
    return target


def oracle(op: str, arrays: Sequence[Any], **attributes: Any) -> Any:
    """The row's evaluation; of mathematical functions of float32, the one in float64, rounded."""
    with np.errstate(all="ignore"):
        if op in INEXACT and arrays[0].dtype == np.float32:
            wide = [a.astype(np.float64) for a in arrays]
            return np.asarray(REGISTRY[op].evaluate(*wide, **attributes)).astype(np.float32)
        return np.asarray(REGISTRY[op].evaluate(*arrays, **attributes))


def assert_close(op: str, found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    if found.dtype.kind != "f" or op not in INEXACT:
        np.testing.assert_array_equal(found, expected)
        return
    limit = ULPS[found.dtype.name]
    with np.errstate(all="ignore"):
        apart = np.abs(found.astype("f8") - expected.astype("f8"))
        unit = np.spacing(np.abs(np.nan_to_num(expected, posinf=1.0, neginf=1.0))).astype("f8")
    if op == "logistic":  # NumPy's evaluation is 0 where exp(-x) is infinite
        apart = np.where(expected == 0, 0, apart)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    assert (same | (apart <= limit * unit)).all()


def tamed(op: str, arrays: list[Any]) -> list[Any]:
    """Without what NumPy refuses: integers to negative powers."""
    if op == "power" and arrays[0].dtype.kind == "i":
        arrays[1] = np.abs(arrays[1] % 50)
    return arrays


@pytest.mark.parametrize(
    ("op", "dtype"), [(op, dtype) for op, (_, kinds) in OPS.items() for dtype in kinds]
)
def test_elementwise(op: str, dtype: str) -> None:
    count = OPS[op][0]
    for bits in WIDTHS:
        for size in (1, 5, 327) if bits == 512 else (213,):
            arrays = tamed(op, [samples(dtype, size, seed) for seed in range(count)])
            expected = oracle(op, arrays)
            assert_close(op, compiled(op, arrays, expected.dtype, bits), expected)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 7, -1, -2, -3, 0.5, -0.5, 1.5, 100])
def test_scalar_power(dtype: str, exponent: float) -> None:
    if np.dtype(dtype).kind != "f" and (exponent < 0 or exponent != int(exponent)):
        return  # NumPy refuses, and so does tracing
    x = samples(dtype, 200, 1)
    expected = oracle("scalar_power", [x], exponent=exponent)
    found = compiled("scalar_power", [x], expected.dtype, 512, {"exponent": exponent})
    assert_close("power", found, expected)


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
@pytest.mark.parametrize("bits", WIDTHS)
def test_select(dtype: str, bits: int) -> None:
    arrays = [samples("bool", 77, 0), samples(dtype, 77, 1), samples(dtype, 77, 2)]
    found = compiled("select", arrays, np.dtype(dtype), bits)
    np.testing.assert_array_equal(found, np.where(*arrays))


@pytest.mark.parametrize("source", [*NUMBERS, "bool", *STORAGE], ids=str)
@pytest.mark.parametrize("target", [*NUMBERS, "bool", *STORAGE], ids=str)
@pytest.mark.parametrize("bits", WIDTHS)
def test_cast(source: Any, target: Any, bits: int) -> None:
    source, target = np.dtype(source), np.dtype(target)
    x = samples("float32" if source.names else source.name, 300, 1)
    if source.names:
        x = oracle("cast", [x], dtype=source)
    if target.kind in "iu" and (source.kind == "f" or source.names):
        x = inside(x, target)
    expected = oracle("cast", [x], dtype=target)
    found = compiled("cast", [x], target, bits)
    if target.names:
        assert_same_bits(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


def inside(x: Any, target: Any) -> Any:
    """The elements that `target` can hold: the others are undefined in C, and so in NumPy."""
    wide = oracle("cast", [x], dtype=np.dtype("f8"))
    info = np.iinfo(target)
    return x[np.isfinite(wide) & (wide > info.min - 1.0) & (wide < info.max - 1.0)]


def assert_same_bits(found: Any, expected: Any) -> None:
    (name,) = found.dtype.names
    a, b = found[name].view("u2"), expected[name].view("u2")
    nan = 0x7C00 if name == "float16" else 0x7F80
    both_nan = ((a & 0x7FFF) > nan) & ((b & 0x7FFF) > nan)
    assert ((a == b) | both_nan).all()


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool", *STORAGE], ids=str)
def test_literals(dtype: Any) -> None:
    dtype = np.dtype(dtype)
    for value in (0, 1, 3.5 if dtype.kind == "f" or dtype == STORAGE[0] else 7):
        out = Buffer("out", 20, dtype, "output")
        found = np.zeros(20, dtype)
        body = (Scalar("literal", (), dtype, {"value": value}),)
        Compiled(Loop((20,), body, (Store(0, Access(out, 0, (1,))),)))({out: found})
        assert (found == np.full(20, value, dtype)).all()


def test_floats_that_no_integer_equals_become_the_lowest() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**31, -(2.0**31)], np.float32)
    assert (compiled("cast", [x], np.dtype("i4"), 512) == -(2**31)).all()


def test_double_to_half_rounds_once() -> None:
    halfway = 1 + 2.0**-11  # between two halves; the float32 next to it would round to even
    x = np.array([halfway, halfway + 2.0**-40, halfway - 2.0**-40, 65519.999])
    found = compiled("cast", [x], STORAGE[0], 512)
    np.testing.assert_array_equal(found["float16"], x.astype(np.float16))
