"""How LLVM spells types and constants."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

__all__ = [
    "bits_of",
    "in_memory",
    "scalar_type",
    "spell_constant",
    "stored_type",
    "suffix",
]

DType = np.dtype[Any]
_U8, _I32, _I64 = map(np.dtype, (np.uint8, np.int32, np.int64))


def scalar_type(dtype: DType) -> str:
    """The LLVM type of an element in a register: "float", "i64", "i1" for bool.

    The storage types float16 and bfloat16 are 16 opaque bits.
    """
    if dtype.names:
        return "i16"
    if dtype.kind == "b":
        return "i1"
    return {"f2": "half", "f4": "float", "f8": "double"}.get(f"{dtype.kind}{dtype.itemsize}") or (
        f"i{8 * dtype.itemsize}"
    )


def bits_of(dtype: DType) -> DType:
    """The signed integer type as wide as the floating `dtype`."""
    return _I32 if dtype.itemsize == 4 else _I64


def spell_constant(value: Any, dtype: DType) -> str:
    """One constant as LLVM writes it: floats as the bits of a double, storage as its own bits."""
    if dtype.names:
        return str(int(np.full((), value, dtype).view(np.uint16)))
    if dtype.kind == "f":
        exact = float(np.asarray(value, dtype))
        return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
    if dtype.kind == "b":
        return "true" if value else "false"
    return str(int(value))


def suffix(dtype: DType, lanes: int) -> str:
    """f32, v16f32, i64: as the names of intrinsics end."""
    name = f"f{8 * dtype.itemsize}" if dtype.kind == "f" else scalar_type(dtype)
    return name if lanes == 1 else f"v{lanes}{name}"


def in_memory(dtype: DType) -> DType:
    """What memory holds: a bool is a byte."""
    return _U8 if dtype.kind == "b" else dtype


def stored_type(dtype: DType, lanes: int = 1) -> str:
    """The LLVM type of `lanes` elements in memory."""
    name = scalar_type(in_memory(dtype))
    return name if lanes == 1 else f"<{lanes} x {name}>"
