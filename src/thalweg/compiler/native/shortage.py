"""What is said where a program's memory is not there: what it is for, and who wants it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from thalweg.compiler.graph import Graph, Variable, spell_type
from thalweg.compiler.kernels import (
    Branch,
    Buffer,
    Chain,
    Contraction,
    Host,
    Kernel,
    Loop,
    Plan,
    Repeat,
    Scan,
    Scatter,
    Sort,
)
from thalweg.errors import OutOfMemoryError
from thalweg.files import size_text

__all__ = ["installed_memory", "no_arena", "no_result"]

_LISTED: Final = 3
_LEAST: Final = 0.05  # of all, below which a value is not worth a line


def installed_memory() -> int | None:
    """The bytes of memory that the machine has, where it tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # only Unix tells
        return None


def no_arena(plan: Plan) -> OutOfMemoryError:
    """The error where the memory of intermediate values is not there: the largest of them, with
    what computes them."""
    known = {buffer: told for buffer, told in _told(plan.kernels) if buffer.kind == "temporary"}
    sizes = {buffer: buffer.size * buffer.dtype.itemsize for buffer in known}
    listed = sorted(sizes, key=lambda b: (-sizes[b], b.name))[:_LISTED]
    lines = [known[b] for b in listed if sizes[b] >= _LEAST * plan.arena]
    return OutOfMemoryError(
        f"a compiled program needs {size_text(plan.arena)} for intermediate values{_machine()}. "
        "Use smaller batches; the largest values are\n  " + "\n  ".join(lines)
    )


def no_result(graph: Graph, number: int, shape: tuple[int, ...]) -> OutOfMemoryError:
    """The error where the memory of result `number` is not there, an array of `shape`."""
    atom = graph.outputs[number]
    made = [e for e in graph.equations if e.output is atom]
    what = f", of {made[0].op.name} at {made[0].origin or 'an unknown line'}" if made else ""
    bytes = math.prod(shape) * atom.dtype.itemsize
    return OutOfMemoryError(
        f"a result of a compiled program is {_type(shape, atom.dtype)}, {size_text(bytes)}{what}"
        f"{_machine()}. Use smaller batches"
    )


def _machine() -> str:
    installed = installed_memory()
    return f"; the machine has {size_text(installed)}" if installed else ""


def _type(shape: Sequence[int], dtype: np.dtype[Any]) -> str:
    return spell_type(Variable(tuple(shape), dtype))


def _told(kernels: Iterable[Kernel]) -> Iterator[tuple[Buffer, str]]:
    """The buffers that kernels write, each with its type, its size and who computes it."""
    for buffer, shape, kernel in _written(kernels):
        inside = max(1, math.prod(shape))
        if inside != buffer.size:  # all rounds of a loop, or a margin around
            shape = (buffer.size // inside, *shape) if buffer.size % inside == 0 else (buffer.size,)
        lines = ", ".join(dict.fromkeys(map(str, kernel.origins))) or "an unknown line"
        bytes = buffer.size * buffer.dtype.itemsize
        name = kernel.label or type(kernel).__name__.lower()
        yield buffer, f"{_type(shape, buffer.dtype)}, {size_text(bytes)}, of {name} at {lines}"


def _written(
    kernels: Iterable[Kernel],
) -> Iterator[tuple[Buffer, tuple[int, ...], Kernel]]:
    """The buffers that kernels write, each with the shape written and the innermost kernel."""
    for kernel in kernels:
        match kernel:
            case Repeat() | Branch():
                parts = (
                    (kernel.first, kernel.kernels) if isinstance(kernel, Repeat) else kernel.sides
                )
                outer = {link.inner: link.outer for link in kernel.links}
                for part in parts:
                    for buffer, shape, inner in _written(part):
                        yield outer.get(buffer, buffer), shape, inner
            case Chain():
                yield from _written(kernel.loops)
            case Sort() | Scan() | Host():
                yield kernel.target.buffer, kernel.target.shape, kernel
            case Scatter():
                yield kernel.store.access.buffer, (kernel.target_size,), kernel
            case Loop() | Contraction():
                for store in kernel.stores:
                    yield store.access.buffer, _shape(kernel, store.access.strides), kernel


def _shape(kernel: Loop | Contraction, strides: Sequence[int]) -> tuple[int, ...]:
    """The sizes of the axes along which something is written, outermost in memory first."""
    if isinstance(kernel, Loop):
        sizes = kernel.space
    else:
        sizes = tuple(axis.size for axis in (*kernel.batch, *kernel.rows, *kernel.columns))
    moved = [(abs(s), n) for s, n in zip(strides, sizes, strict=True) if s]
    return tuple(n for _, n in sorted(moved, key=lambda pair: -pair[0]))
