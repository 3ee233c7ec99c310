"""Primitives without operands, and randomness: iota, full, and Philox random bits.

Random bits come from Philox4x32-10, a counter-based generator: the bits of block i are a fixed
function of (key, counter + i), so the same seed gives the same bits in any order, on any number
of threads, eager or compiled. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from thalweg.errors import DTypeError
from thalweg.primitives.core import Abstract, Shape, primitive

__all__ = [
    "blocks",
    "full",
    "iota",
    "random_bits",
]

Result = tuple[Shape, np.dtype[Any]]
_UINT32 = np.dtype(np.uint32)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def blocks(count: int) -> int:
    """How many counters `count` 32-bit numbers use: a block gives four."""
    return -(-count // 4)


def _bits_infer(key: Abstract, counter: Abstract, *, shape: Shape) -> Result:
    for operand in (key, counter):
        if operand.shape != () or operand.dtype != np.int64:
            raise DTypeError(
                "random_bits: key and counter are int64 of rank 0, "
                f"got {operand.dtype} of shape {operand.shape}"
            )
    return shape, _UINT32


def _random_bits(key: Any, counter: Any, *, shape: Shape) -> Any:
    count = int(np.prod(shape, dtype=np.int64))
    first = counter.astype(np.uint64)
    words = _philox(key.astype(np.uint64), first + np.arange(blocks(count), dtype=np.uint64))
    return words.reshape(-1)[:count].reshape(shape)


def _philox(key: Any, counter: Any) -> Any:
    """Four 32-bit words for each 64-bit `counter`, as an array of shape (len(counter), 4)."""
    none = np.zeros_like(counter)
    words = (counter & _LOW, counter >> _HALF, none, none)
    return np.stack(_rounds(words, int(key)), axis=-1).astype(np.uint32)


def _rounds(words: tuple[Any, ...], key: int) -> tuple[Any, ...]:
    """Philox4x32-10 itself, of the four words of a counter, each a uint64 array below 2^32."""
    c0, c1, c2, c3 = words
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        first, second = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (second >> _HALF) ^ c1 ^ np.uint64(k0),
            second & _LOW,
            (first >> _HALF) ^ c3 ^ np.uint64(k1),
            first & _LOW,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


# fmt: off
random_bits = primitive("random_bits", _bits_infer, _random_bits, None)
iota = primitive("iota", lambda *, shape, axis, dtype: (shape, dtype),
                 lambda *, shape, axis, dtype: _iota(shape, axis, dtype), None)
full = primitive("full", lambda *, shape, value, dtype: (shape, dtype),
                 lambda *, shape, value, dtype: np.full(shape, value, dtype), None)
# fmt: on


@lru_cache(maxsize=256)
def _short(size: int, dtype: np.dtype[Any]) -> Any:
    """0, 1, ..: a value, which nobody writes to."""
    return np.arange(size, dtype=dtype)


def _iota(shape: Shape, axis: int, dtype: np.dtype[Any]) -> Any:
    """The position along `axis`, at every place of an array of `shape`."""
    size = shape[axis]
    line = _short(size, dtype) if size <= 1024 else np.arange(size, dtype=dtype)
    if len(shape) == 1:
        return line
    return np.broadcast_to(line.reshape(-1, *(1,) * (len(shape) - axis - 1)), shape)
