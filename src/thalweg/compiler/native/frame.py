"""What the threads of a running program share: its arguments, its flags, its barrier."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["FAILED", "Frame", "LINE", "PAUSED", "aligned_array", "aligned_bytes"]

LINE = 64  # bytes that processors pass between each other as one


FAILED = 1
PAUSED = 2


class Frame(ctypes.Structure):
    """One run's arguments and state; the offsets of its fields stand in the generated code.

    table     addresses: of the program's buffers, then of the arena
    strides   bytes that each address advances by from one iteration to the next
    count     iterations to do
    threads   that take part
    errors    a word for each kernel, not 0 where it met an index out of range
    scratch   memory of the threads, each `scratch_bytes` apart
    spins     looks at a word before a thread sleeps
    times     clock ticks spent in each kernel, in a program that is measured
    ticks     of the clock, after which a run pauses at the end of an iteration
    finished  whole iterations done
    stop      not 0: leave at the next barrier; 1 for a failure, 2 for a pause
    arrived   threads that are at the barrier
    round     changes when all are; its lowest bit says whether to stop
    sleepers  threads that sleep until `round` changes
    """

    _fields_ = (
        ("table", ctypes.c_uint64),
        ("strides", ctypes.c_uint64),
        ("count", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("errors", ctypes.c_uint64),
        ("scratch", ctypes.c_uint64),
        ("spins", ctypes.c_int64),
        ("times", ctypes.c_uint64),
        ("finished", ctypes.c_int64),
        ("stop", ctypes.c_int64),
        ("ticks", ctypes.c_int64),
        ("_line1", ctypes.c_uint8 * 40),
        ("arrived", ctypes.c_int32),
        ("_line2", ctypes.c_uint8 * 60),
        ("round", ctypes.c_int32),
        ("sleepers", ctypes.c_int32),
        ("_line3", ctypes.c_uint8 * 56),
    )


def aligned_bytes(size: int, alignment: int = LINE) -> tuple[Any, int]:
    """An array of at least `size` bytes of any content, and the aligned address in it.

    The memory stays as long as the array does.

    >>> aligned_bytes(100)[1] % 64
    0
    """
    import numpy as np

    array = np.empty(size + alignment, np.uint8)
    address = array.__array_interface__["data"][0]
    return array, -(-address // alignment) * alignment


def aligned_array(
    shape: tuple[int, ...], dtype: np.dtype[Any], order: tuple[int, ...] | None = None
) -> npt.NDArray[Any]:
    """A contiguous array of any content that begins at a line: no vector of it lies on two. Its
    axes lie in memory as in `order`, outermost first; None: row-major.

    >>> import numpy as np
    >>> aligned_array((3, 5), np.dtype(np.float32)).ctypes.data % 64
    0
    >>> aligned_array((3, 5), np.dtype(np.float32), (1, 0)).strides
    (4, 12)
    """
    import numpy as np

    strides, step = [0] * len(shape), dtype.itemsize
    for axis in reversed(order or range(len(shape))):
        strides[axis] = step
        step *= shape[axis]
    return np.asarray(_Memory(shape, dtype, tuple(strides) if order else None))


class _Memory:
    """Owns an array's memory. NumPy lets what is cut out of an array refer to the array itself
    only where no other array owns the memory; so it can be told whether an array is in use."""

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...] | None
    ) -> None:
        self._memory, address = aligned_bytes(math.prod(shape) * dtype.itemsize)
        self.__array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": dtype.str,
            "strides": strides,
            "version": 3,
        }
