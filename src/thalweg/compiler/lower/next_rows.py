"""What the next rows of a chain read is asked for while these rows are computed.

The first loop that reads a buffer waits for memory; the loops after it find the rows in a cache,
and meanwhile the way to memory would be idle. So of the later readers the one with most to compute
asks at every vector for the same place of the next rows: a softmax of 512 x 16384 takes 1.3 ms with
that, and 1.8 without. Short rows need no help: they follow each other as fast as any prefetcher of
a processor looks ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thalweg.compiler.kernels import Access, Buffer, Chain, Loop
from thalweg.compiler.lower.nest import accesses
from thalweg.compiler.lower.scalars import flops
from thalweg.compiler.machine import Machine
from thalweg.compiler.stretches import stretch_of

__all__ = ["Asked", "NOTHING", "next_rows"]

_LARGE = 4  # second caches' worth of a buffer that comes from memory
_LONG = 256  # elements of a row


@dataclass(frozen=True, slots=True)
class Asked:
    """How many bytes ahead a loop asks for what it reads of some buffers: into the first cache
    where that is `near`, else into the second."""

    distance: dict[Buffer, int]
    near: bool


NOTHING = Asked({}, near=True)


def next_rows(chain: Chain, per: int, machine: Machine, *, near: bool) -> list[Asked]:
    """What each loop of a chain asks for, where `per` rows are computed at a time."""
    found: list[Asked] = [Asked({}, near) for _ in chain.loops]
    for buffer in {access.buffer: None for loop in chain.loops for access in _loads(loop)}:
        if buffer in chain.within or buffer.size * buffer.dtype.itemsize < _LARGE * machine.l2:
            continue
        readers = [n for n, loop in enumerate(chain.loops) if _step(chain, loop, buffer)]
        if len(readers) > 1:
            asking = max(readers[1:], key=lambda n: (_work(chain.loops[n]), n))
            step = _step(chain, chain.loops[asking], buffer)
            found[asking].distance[buffer] = per * step * buffer.dtype.itemsize
    return found


def _loads(loop: Loop) -> Iterator[Access]:
    stores = [store.access for store in loop.stores]
    return (access for access in accesses(loop) if access not in stores)


def _step(chain: Chain, loop: Loop, buffer: Buffer) -> int:
    """How far apart long rows are that a loop reads of a buffer, in elements; 0 where they are
    short, or not even."""
    own = [
        stretch_of(access, loop.space, chain.lead(loop))
        for access in _loads(loop)
        if access.buffer is buffer
    ]
    return max((s.step for s in own if s and s.is_apart and s.high - s.low + 1 >= _LONG), default=0)


def _work(loop: Loop) -> float:
    return sum(flops(scalar.op, scalar.dtype) for scalar in loop.body)
