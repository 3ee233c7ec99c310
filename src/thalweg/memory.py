"""Freed memory is kept for the next step, not handed back to the system and asked for again.

A training step frees every array it made, and the next one makes arrays of the same sizes. glibc
gives large blocks back at once, and the system clears each page anew when it is touched: for a
network of a million weights that is a quarter of an eager step. So at import the process is told
to keep up to 256 MiB of freed memory, and to take arrays of up to 32 MiB from there.

`THALWEG_KEEP_MEMORY=0` in the environment leaves the system's rules alone; so does any of glibc's
own settings (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_). Elsewhere than on glibc nothing is
done.
"""

from __future__ import annotations

import os
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT = 256 * 2**20
_LARGEST = 32 * 2**20  # the largest that glibc accepts


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory; gives whether it will."""
    own_rules = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    if os.environ.get("THALWEG_KEEP_MEMORY") == "0" or any(
        name in os.environ for name in own_rules
    ):
        return False
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _KEPT)) and bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST))
