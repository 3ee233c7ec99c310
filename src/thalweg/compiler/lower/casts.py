"""Casts between element types, the storage types float16 and bfloat16 among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.compiler.lower.emit import F32, F64, I32, I64, U32, DType, Value

__all__ = ["cast"]


def cast(x: Value, dtype: DType) -> Value:
    """x as `dtype`: floats are cut to integers, numbers are true where they are not 0."""
    if x.dtype == dtype:
        return x
    if x.dtype.names:
        x = _from_storage(x)
    if dtype.names:
        return _to_float16(x, dtype) if dtype.names[0] == "float16" else _to_bfloat16(x, dtype)
    if x.dtype == dtype:
        return x
    if dtype.kind == "b":
        return x.compare("ne", 0)
    if x.dtype.kind == "f":
        return _from_float(x, dtype)
    if dtype.kind == "f":
        return x.convert("sitofp" if x.dtype.kind == "i" else "uitofp", dtype)
    return _between_integers(x, dtype)


def _between_integers(x: Value, dtype: DType) -> Value:
    width = 1 if x.dtype.kind == "b" else 8 * x.dtype.itemsize
    if 8 * dtype.itemsize == width:
        return x.retyped(dtype)
    if 8 * dtype.itemsize < width:
        return x.convert("trunc", dtype)
    return x.convert("sext" if x.dtype.kind == "i" else "zext", dtype)


def _from_float(x: Value, dtype: DType) -> Value:
    if dtype.kind == "f":
        return x.convert("fpext" if dtype.itemsize > x.dtype.itemsize else "fptrunc", dtype)
    if dtype.kind == "u":  # by way of a signed type that holds them all, whose upper bits go
        return _between_integers(_from_float(x, I64 if dtype.itemsize >= 4 else I32), dtype)
    bound = 2.0 ** (8 * dtype.itemsize - 1)
    inside = (x >= -bound) & (x < bound)
    whole = inside.select(x, 0.0).convert("fptosi", dtype)
    return inside.select(whole, int(-bound))


# -- storage types ---------------------------------------------------------------------------------

_UINT16: np.dtype[Any] = np.dtype(np.uint16)
_HALF: np.dtype[Any] = np.dtype(np.float16)


def _from_storage(x: Value) -> Value:
    """The float32 that is stored, exactly."""
    if x.dtype.names == ("float16",):
        return x.bitcast(_HALF).convert("fpext", F32)
    return (x.retyped(_UINT16).convert("zext", U32) << 16).bitcast(F32)


def _to_bfloat16(x: Value, dtype: DType) -> Value:
    """The upper half of a float32, rounded to nearest, ties to even; NaN stays NaN."""
    number = cast(x, F32)
    bits = number.bitcast(U32)
    upper = bits >> 16
    rounded = (bits + 0x7FFF + (upper & 1)) >> 16
    kept = number.is_nan().select(upper | 0x40, rounded)
    return kept.convert("trunc", _UINT16).retyped(dtype)


def _to_float16(x: Value, dtype: DType) -> Value:
    narrow = x.dtype.kind in "bu" and x.dtype.itemsize == 1  # fits a float32
    number = cast(x, F32) if narrow or x.dtype == F32 else _to_odd(cast(x, F64))
    return number.convert("fptrunc", _HALF).bitcast(_UINT16).retyped(dtype)


def _to_odd(x: Value) -> Value:
    """A float64 as a float32 rounded to odd, so that rounding once more is as if at once."""
    near = x.convert("fptrunc", F32)
    back = near.convert("fpext", F64)
    bits = near.bitcast(I32)
    toward_zero = (back.absolute() > x.absolute()).select(bits - 1, bits)
    inexact = back.compare("ne", x) & ~x.is_nan()
    return inexact.select(toward_zero | 1, bits).bitcast(F32)
