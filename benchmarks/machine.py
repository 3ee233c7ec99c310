"""What the machine can do at most, measured through NumPy: the roof over every figure."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import interleaved

__all__ = ["copy_bandwidth", "matrix_product_rate"]


def matrix_product_rate(seconds: float, size: int = 1024) -> float:
    """GFLOP/s of a float32 matrix product of `size` in NumPy's BLAS."""
    a = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    out = np.empty_like(a)
    (timing,) = interleaved([lambda: np.matmul(a, a, out=out)], 1, seconds)
    return 2 * size**3 / timing.best / 1e9


def copy_bandwidth(seconds: float, megabytes: int = 256) -> float:
    """GB/s read plus written by one thread that copies an array larger than the caches."""
    source = np.ones(megabytes * 250_000, np.float32)
    target = np.empty_like(source)
    (timing,) = interleaved([lambda: np.copyto(target, source)], 1, seconds)
    return 2 * source.nbytes / timing.best / 1e9
