"""How much a kernel has to do: operations, bytes, and how many blocks that is worth."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.compiler.kernels import Access, Loop
from thalweg.compiler.lower.nest import accesses, points
from thalweg.compiler.lower.scalars import flops
from thalweg.compiler.machine import Machine

__all__ = ["Work", "blocks_for", "footprint", "work_of"]

_BLOCK_SECONDS = 30e-6
_MOST_BLOCKS = 64
# A core waits for no more than a few lines of memory at a time: two cores read twice as fast.
_WAIT_SECONDS, _FEW_BLOCKS = 1e-6, 8
# Rough rates of one core: additions a second and lane, and bytes a second from memory.
_RATE, _BANDWIDTH = 4e9, 1.5e10


@dataclass(frozen=True, slots=True)
class Work:
    """Operations and bytes of one run, operations a point of the body, blocks worth making."""

    flops: float
    bytes: float
    body_flops: float
    blocks: int


def work_of(loop: Loop, machine: Machine) -> Work:
    """An estimate for the whole loop."""
    body = sum(flops(s.op, s.dtype) for s in loop.body) + len(loop.reductions)
    tail = sum(flops(s.op, s.dtype) for s in loop.tail)
    kept = [size for axis, size in enumerate(loop.space) if axis not in loop.reduced]
    total = body * points(loop.space) + tail * points(kept)
    moved = float(sum(footprint(access, loop.space) for access in accesses(loop)))
    blocks = blocks_for(total, moved, machine)
    if any(_is_far(access, machine) for access in accesses(loop)):
        blocks = max(blocks, _few_for(moved))
    return Work(total, moved, body, blocks)


def _is_far(access: Access, machine: Machine) -> bool:
    """Whether it reads here and there in what no cache of a core holds."""
    return bool(access.indirect) and access.buffer.size * access.buffer.dtype.itemsize > machine.l2


def _few_for(bytes: float) -> int:
    """1, 2, 4 or 8 blocks, which also a few rows fall into evenly."""
    wanted = int(bytes / _BANDWIDTH / _WAIT_SECONDS)
    return min(_FEW_BLOCKS, 1 << max(0, wanted.bit_length() - 1))


def footprint(access: Access, space: tuple[int, ...]) -> int:
    """Bytes that an access touches at most."""
    if access.indirect:
        count = points(space)
    else:
        strides = zip(space, access.strides, strict=True)
        count = points([size for size, stride in strides if stride])
        count = min(count, max(access.buffer.size, 1))
    return count * access.buffer.dtype.itemsize


def blocks_for(flops: float, bytes: float, machine: Machine) -> int:
    """Blocks of some 30 us each; 1 where the work is not worth splitting."""
    lanes = machine.vector_bits // 32
    seconds = max(flops / (_RATE * lanes), bytes / _BANDWIDTH)
    return max(1, min(_MOST_BLOCKS, int(seconds / _BLOCK_SECONDS)))
