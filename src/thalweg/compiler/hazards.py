"""Whether the loops of a chain keep to their rows: every address looked at, one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.kernels import Access, Buffer, Chain, Loop
from thalweg.compiler.lower.nest import accesses
from thalweg.errors import TraceError

__all__ = ["check_rows"]


def check_rows(chain: Chain) -> None:
    """Raise `TraceError` if a loop touches what another one writes at another row."""
    touched = [{access.buffer for access in accesses(loop)} for loop in chain.loops]
    count = Counter(buffer for buffers in touched for buffer in buffers)
    written = {store.access.buffer for loop in chain.loops for store in loop.stores}
    owner: dict[Buffer, Any] = {b: np.full(b.size, -1) for b in written if count[b] > 1}
    for loop in chain.loops:
        for access in accesses(loop):
            if access.buffer not in owner or not math.prod(loop.space):
                continue
            where, rows = _addresses(access, loop, chain)
            own = owner[access.buffer]
            before = own[where]
            own[where] = rows
            if ((before >= 0) & (before != rows)).any() or (own[where] != rows).any():
                raise TraceError(f"{chain.label}: {access.buffer!r} is touched at another row")


def _addresses(access: Access, loop: Loop, chain: Chain) -> tuple[Any, Any]:
    """All that `access` may touch, a computed index being anything, and at which row."""
    where = _sum(access.strides, loop.space, access.offset)
    lead = loop.space[: chain.lead(loop)]
    strides = [math.prod(lead[axis + 1 :]) for axis in range(len(lead))]
    rows = _sum([*strides, *[0] * (len(loop.space) - len(lead))], loop.space)
    for part in access.indirect:
        where = np.add.outer(where, part.stride * np.arange(part.size)).reshape(-1)
        rows = np.repeat(rows, part.size)
    return where, rows


def _sum(strides: Sequence[int], space: Sequence[int], start: int = 0) -> Any:
    """start + sum of stride * counter at each point."""
    total = np.array([start])
    for size, stride in zip(space, strides, strict=True):
        total = np.add.outer(total, stride * np.arange(size)).reshape(-1)
    return total
