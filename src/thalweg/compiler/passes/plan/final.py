"""What every iteration of a scan would write anew is written by the last one only.

A weight's gradient goes into the weight while it is in a register, and is stored beside, for who
looks at `.grad` afterwards. In a scan nobody looks in between, and it takes as much of the caches
as the weight itself: an epoch of a 784-128-10 network takes 60.8 ms without these stores, and
64.7 with them.

Only products have such stores marked, which are the ones that make large gradients; the address of
the buffer tells them whether this is the last run (`native.main`). A single run is the last one.
Results that a scan stacks are stored in each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from thalweg.compiler.kernels import Contraction, Kernel
from thalweg.compiler.passes.plan.memory import reads_of, writes_of

__all__ = ["with_final_stores"]

_LARGE = 1 << 14  # bytes; what is smaller is written in less time than a branch is worth


def with_final_stores(kernels: Sequence[Kernel]) -> list[Kernel]:
    """The kernels of a program; stores to what no kernel reads and no other writes are final."""
    read = {buffer for kernel in kernels for buffer in reads_of(kernel)}
    writers = Counter(buffer for kernel in kernels for buffer in writes_of(kernel))

    def marked(kernel: Kernel) -> Kernel:
        if not isinstance(kernel, Contraction):
            return kernel
        final = [
            number
            for number, buffer in enumerate(store.access.buffer for store in kernel.stores)
            if buffer.kind == "output"
            and buffer not in read
            and writers[buffer] == 1
            and buffer.size * buffer.dtype.itemsize >= _LARGE
        ]
        return replace(kernel, final=tuple(final)) if final else kernel

    return [marked(kernel) for kernel in kernels]
