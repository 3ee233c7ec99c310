"""What native code calls back: a primitive that NumPy evaluates, in the middle of a program.

There is one function for all of them, @thalweg_host(text, addresses, error). `text` says which
primitive it is, with its attributes and how its operands and its result lie in memory;
`addresses` are theirs. The thread that calls it has left Python to run the program; ctypes takes
the interpreter's lock for the time of the call, so the other threads wait at their next barrier.

An error cannot pass through native code. It is kept, `error` is set, the program stops before
it writes any state, and `Program` raises it.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from thalweg.primitives import REGISTRY
from thalweg.primitives.core import Primitive

__all__ = ["address", "failure"]

_failures: dict[int, BaseException] = {}


@dataclass(frozen=True, slots=True)
class _View:
    """How an operand lies in memory: sizes and strides in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    bytes: int

    def at(self, place: int) -> Any:
        """The array over the memory that begins at `place`."""
        if not self.bytes:
            return np.empty(self.shape, self.dtype)
        memory: Any = (ctypes.c_char * self.bytes).from_address(place)
        return np.ndarray(self.shape, self.dtype, memory, self.offset, self.strides)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: the last view is the result's."""

    primitive: Primitive
    attributes: dict[str, Any]
    views: tuple[_View, ...]

    def run(self, places: list[int]) -> None:
        """Evaluate, and write the result."""
        *operands, target = (v.at(place) for v, place in zip(self.views, places, strict=True))
        with np.errstate(all="ignore"):
            target[...] = self.primitive.evaluate(*operands, **self.attributes)


@cache
def _read(text: bytes) -> _Call:
    told = json.loads(text)
    return _Call(REGISTRY[told["primitive"]], told["attributes"], tuple(map(_view, told["views"])))


def _view(told: dict[str, Any]) -> _View:
    dtype = np.dtype(told["dtype"])
    size = dtype.itemsize
    return _View(
        dtype=dtype,
        shape=tuple(told["shape"]),
        strides=tuple(stride * size for stride in told["strides"]),
        offset=told["offset"] * size,
        bytes=told["size"] * size,
    )


def _called(text: int, addresses: int, error: int) -> None:
    try:
        call = _read(ctypes.string_at(text))
        count = len(call.views)
        call.run(list((ctypes.c_uint64 * count).from_address(addresses)))
    except BaseException as fault:  # also Ctrl-C: nothing may pass through native code
        _failures[error] = fault
        ctypes.c_int64.from_address(error).value = 1


_native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(_called)


def address() -> int:
    """Where @thalweg_host begins."""
    found = ctypes.cast(_native, ctypes.c_void_p).value
    assert found is not None
    return found


def failure(error: int) -> BaseException | None:
    """What the call failed with whose error word stands at that address, once."""
    return _failures.pop(error, None)
