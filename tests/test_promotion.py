"""Which dtype a result has: the Array API where it says, PyTorch where kinds mix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import thalweg as tw
from thalweg.dtypes import promote_types, scalar_dtype, uint32
from thalweg.errors import DTypeError

B, U8, I32, I64 = tw.bool, tw.uint8, tw.int32, tw.int64
F16, BF, F32, F64 = tw.float16, tw.bfloat16, tw.float32, tw.float64
ALL = (B, U8, I32, I64, F16, BF, F32, F64)

# fmt: off
TABLE = {
    #       B    U8   I32  I64  F16  BF   F32  F64
    B:     (B,   U8,  I32, I64, F16, BF,  F32, F64),
    U8:    (U8,  U8,  I32, I64, F16, BF,  F32, F64),
    I32:   (I32, I32, I32, I64, F16, BF,  F32, F64),
    I64:   (I64, I64, I64, I64, F16, BF,  F32, F64),
    F16:   (F16, F16, F16, F16, F16, F32, F32, F64),
    BF:    (BF,  BF,  BF,  BF,  F32, BF,  F32, F64),
    F32:   (F32, F32, F32, F32, F32, F32, F32, F64),
    F64:   (F64, F64, F64, F64, F64, F64, F64, F64),
}
# fmt: on


@pytest.mark.parametrize("a", ALL, ids=str)
def test_the_table(a: tw.DType) -> None:
    assert tuple(promote_types(a, b) for b in ALL) == TABLE[a]


def test_promotion_is_a_least_upper_bound() -> None:
    for a, b, c in itertools.product((*ALL, uint32), repeat=3):
        assert promote_types(a, b) is promote_types(b, a)
        assert promote_types(a, a) is a
        if not any(x.is_storage for x in (a, b, c)):
            left = promote_types(promote_types(a, b), c)
            assert left is promote_types(a, promote_types(b, c))


@pytest.mark.parametrize(("a", "b"), list(itertools.product((B, U8, I32, I64, F32, F64), repeat=2)))
def test_addition_follows_the_table(a: tw.DType, b: tw.DType) -> None:
    x = tw.ones(2, dtype=a) + tw.ones(2, dtype=b)
    assert x.dtype is promote_types(a, b)
    assert x.tolist() == ([True, True] if a is b is B else [2, 2])


def test_a_rank_0_tensor_is_not_weak() -> None:
    """As in the Array API: only Python scalars are."""
    assert (tw.ones(2) + tw.tensor(1.0, dtype=F64)).dtype is F64


@pytest.mark.parametrize(
    ("scalar", "beside", "result"),
    [
        (True, None, B),
        (1, None, I64),
        (1.0, None, F32),
        (True, U8, U8),
        (1, B, I64),
        (1, U8, U8),
        (1, F64, F64),
        (1.0, B, F32),
        (1.0, I64, F32),
        (1.0, F64, F64),
        (1.0, BF, BF),
    ],
)
def test_scalars_take_the_dtype_beside_them(
    scalar: float, beside: tw.DType | None, result: tw.DType
) -> None:
    assert scalar_dtype(scalar, beside) is result


@pytest.mark.parametrize(
    "odd", [None, "a", 1j, [1.0], object()], ids=["None", "text", "complex", "list", "object"]
)
def test_what_is_no_scalar(odd: object) -> None:
    with pytest.raises(DTypeError, match="a Tensor, a bool, an int or a float"):
        tw.ones(2) + odd  # type: ignore[operator]


def test_the_default_dtype() -> None:
    assert tw.get_default_dtype() is F32
    tw.set_default_dtype(F64)
    try:
        made = [tw.tensor(1.0), tw.zeros(1), tw.rand(1), tw.linspace(0, 1, 2), tw.eye(1)]
        assert {x.dtype for x in made} == {F64}
        assert (tw.tensor([1]) / 2).dtype is tw.tensor([1]).exp().dtype is F64
        assert tw.tensor([1], dtype=float).dtype is F64
    finally:
        tw.set_default_dtype(F32)


@pytest.mark.parametrize("dtype", [I64, BF, "float64"], ids=str)
def test_what_cannot_be_the_default(dtype: tw.DType) -> None:
    with pytest.raises(DTypeError, match="float32 or float64"):
        tw.set_default_dtype(dtype)


@pytest.mark.parametrize("dtype", [F16, F32, F64], ids=str)
def test_limits_of_floats(dtype: tw.DType) -> None:
    limits, known = tw.finfo(dtype), np.finfo(dtype.name)
    assert (limits.bits, limits.dtype) == (known.bits, dtype)
    assert (limits.eps, limits.max, limits.min, limits.tiny) == tuple(
        float(x) for x in (known.eps, known.max, known.min, known.tiny)
    )


def test_limits_of_bfloat16() -> None:
    limits = tw.finfo(BF)
    for number in (limits.max, limits.min, limits.tiny, 1 + limits.eps):
        assert tw.tensor(number).bfloat16().item() == number
    assert tw.tensor(1 + limits.eps / 2).bfloat16().item() == 1
    assert tw.tensor(limits.max * 1.01).bfloat16().item() == float("inf")


@pytest.mark.parametrize("dtype", [U8, I32, I64], ids=str)
def test_limits_of_integers(dtype: tw.DType) -> None:
    limits, known = tw.iinfo(dtype), np.iinfo(dtype.name)
    assert (limits.bits, limits.max, limits.min) == (known.bits, known.max, known.min)


def test_limits_of_the_wrong_kind() -> None:
    assert tw.finfo().dtype is F32
    with pytest.raises(DTypeError, match="see iinfo"):
        tw.finfo(I64)
    with pytest.raises(DTypeError, match="see finfo"):
        tw.iinfo(F32)
