"""The roof: rates that are there, and what binds a kernel under them."""

from __future__ import annotations

import math

import pytest

from thalweg.compiler.roof import Roof, roof

ROOF = Roof(2, flops=100e9, bandwidth=10e9, near=50e9, capacity=1000)


@pytest.mark.parametrize("threads", [1, 2])
def test_rates_are_measured_once(threads: int) -> None:
    measured = roof(threads)
    assert measured is roof(threads)
    assert measured.threads == threads
    assert measured.flops > 1e8
    assert measured.near >= measured.bandwidth > 1e7
    assert measured.capacity > 0


@pytest.mark.parametrize(
    ("flops", "bytes", "reach", "bound", "seconds"),
    [
        (200e9, 1e9, math.inf, "fma", 2.0),
        (1e9, 20e9, math.inf, "memory", 2.0),
        (1e9, 20e9, 1001, "memory", 2.0),
        (1e9, 100e9, 1000, "cache", 2.0),
        (100e9, 10e9, 1000, "fma", 1.0),
    ],
)
def test_the_slower_of_arithmetic_and_traffic_binds(
    flops: float, bytes: float, reach: float, bound: str, seconds: float
) -> None:
    assert ROOF.bound(flops, bytes, reach) == bound
    assert ROOF.seconds(flops, bytes, reach) == seconds


def test_spelling() -> None:
    assert str(ROOF) == (
        "2 threads: 100 GFLOP/s of multiply-adds, 10 GB/s copied in memory, 50 in cache"
    )
    assert str(Roof(1, 1e9, 1e9, 1e9, 1)).startswith("1 thread: 1 GFLOP/s")
