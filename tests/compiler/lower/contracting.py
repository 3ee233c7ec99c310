"""Contractions for tests: written as einsum writes them, run natively, and by NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.compiler.kernels import Access, Axis, Buffer, Contraction, Scalar, Store
from thalweg.compiler.lower.contraction import lower_contraction
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.machine import Machine
from thalweg.compiler.native.jit import compile_modules

Array = np.ndarray[Any, Any]


def steps(array: Array) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(stride // array.itemsize for stride in array.strides)


def strides_by_name(names: str, array: Array) -> dict[str, int]:
    """The stride of each axis; an axis named twice (as in a trace) steps along both."""
    found: dict[str, int] = {}
    for name, step in zip(names, steps(array), strict=True):
        found[name] = found.get(name, 0) + step
    return found


def memory(array: Array) -> tuple[Array, int]:
    """The flat array that `array` is a view of, and the offset of its first element."""
    base: Any = array
    while getattr(base, "base", None) is not None:
        base = base.base
    flat = base.reshape(-1)
    return flat, (array.ctypes.data - flat.ctypes.data) // array.itemsize


class Problem:
    """One contraction over NumPy arrays: `spec` as einsum's, any views as operands and result.

    `extra` are operands of the epilogue, each with the letters of its axes; `epilogue` lists
    scalars after the sum (0) and the loads (1, 2, ..); `stores` says which scalar goes where.
    """

    def __init__(
        self,
        spec: str,
        a: Array,
        b: Array,
        out: Array,
        extra: Sequence[tuple[str, Array]] = (),
        epilogue: Sequence[Scalar] = (),
        stores: Sequence[tuple[int, str, Array]] | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        operands, result = spec.split("->")
        left, right = operands.split(",")
        self.buffers: dict[int, tuple[Buffer, Array]] = {}
        in_a, in_b = strides_by_name(left, a), strides_by_name(right, b)
        size = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True))}
        size |= dict(sizes or {})
        batch = [n for n in result if n in in_a and n in in_b]
        rows = [n for n in result if n in in_a and n not in in_b]
        columns = [n for n in result if n not in in_a and n in in_b]
        inner = [n for n in size if n not in result]
        space = [*batch, *rows, *columns]

        def axes(names: Sequence[str]) -> tuple[Axis, ...]:
            return tuple(Axis(size[n], in_a.get(n, 0), in_b.get(n, 0)) for n in names)

        def access(names: str, array: Array) -> Access:
            found = strides_by_name(names, array)
            buffer, offset = self.place(array)
            return Access(buffer, offset, tuple(found.get(n, 0) for n in space))

        buffer_a, offset_a = self.place(a)
        buffer_b, offset_b = self.place(b)
        loads = [
            Scalar("load", (), array.dtype, {"access": access(names, array)})
            for names, array in extra
        ]
        written = stores if stores is not None else [(len(loads) + len(epilogue), result, out)]
        self.kernel = Contraction(
            buffer_a, offset_a, buffer_b, offset_b,
            axes(batch), axes(rows), axes(columns), axes(inner),
            (Scalar("sum", (), a.dtype), *loads, *epilogue),
            tuple(Store(value, access(names, array)) for value, names, array in written),
        )  # fmt: skip

    def place(self, array: Array) -> tuple[Buffer, int]:
        """The buffer that holds `array`, and where in it."""
        flat, offset = memory(array)
        key = flat.ctypes.data
        if key not in self.buffers:
            buffer = Buffer(f"m{len(self.buffers)}", flat.size, flat.dtype, "input")
            self.buffers[key] = (buffer, flat)
        return self.buffers[key][0], offset

    def run(self, machine: Machine, order: Sequence[int] | None = None) -> Lowered:
        """Do all blocks, in `order` one call a block if it is given."""
        lowered = lower_contraction(self.kernel, "kernel", machine)
        call = native(lowered, machine)
        arrays = dict(self.buffers.values())
        pointers = [arrays[buffer].ctypes.data for buffer in lowered.buffers]
        scratch = np.full(lowered.scratch + 64, 0xFF, np.uint8)  # NaNs
        error = np.zeros(8, np.int64)
        start = scratch.ctypes.data + (-scratch.ctypes.data) % 64
        for low, high in [(0, lowered.blocks)] if order is None else [(n, n + 1) for n in order]:
            call(*pointers, error.ctypes.data, start, low, high)
        assert not error.any()
        return lowered


def native(lowered: Lowered, machine: Machine) -> Any:
    """The compiled function of a kernel, to be called with addresses and two block numbers."""
    parts = [*sorted(lowered.declarations), *lowered.helpers.values(), lowered.ir]
    library = compile_modules(["\n".join(parts)], machine)
    pointers = [ctypes.c_void_p] * (len(lowered.buffers) + 2)
    kind = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64, ctypes.c_int64)
    call = kind(library.address(lowered.name))
    call.library = library  # type: ignore[attr-defined]  # the code lives as long as this
    return call
