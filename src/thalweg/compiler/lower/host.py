"""Calls back to Python: what NumPy computes with LAPACK, inside a native program.

The kernel names the primitive and its operands in a constant text, puts their addresses into an
array, and calls @thalweg_host (see `compiler.host`), which writes the result, or an error.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from thalweg.compiler.kernels import Host, View
from thalweg.compiler.lower.emit import Builder
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import points
from thalweg.compiler.machine import Machine

__all__ = ["HOST", "lower_host"]

HOST = "thalweg_host"


def lower_host(kernel: Host, name: str, machine: Machine) -> Lowered:
    """The native code of a call back to Python: one block, done by the calling thread."""
    views = (*kernel.sources, kernel.target)
    buffers = tuple(dict.fromkeys(view.buffer for view in views))
    text = json.dumps(
        {
            "primitive": kernel.primitive,
            "attributes": dict(kernel.attributes),
            "views": [_described(view) for view in views],
        }
    ).encode()
    b = Builder()
    b.declarations.add(f"declare void @{HOST}(ptr, ptr, ptr)")
    addresses = f"%{b.fresh('addresses')}"
    b.emit(f"{addresses} = alloca [{len(views)} x ptr]")
    for number, view in enumerate(views):
        place = f"%{b.fresh('place')}"
        b.emit(f"{place} = getelementptr ptr, ptr {addresses}, i64 {number}")
        b.emit(f"store ptr %b{buffers.index(view.buffer)}, ptr {place}")
    b.emit(f"call void @{HOST}(ptr @{name}.text, ptr {addresses}, ptr %error)")
    moved = float(sum(points(v.shape) * v.buffer.dtype.itemsize for v in views))
    code = finished(name, buffers, b, 1, _work(kernel), moved)
    quoted = text.decode().replace("\\", "\\5c").replace('"', "\\22")
    constant = f'@{name}.text = private constant [{len(text) + 1} x i8] c"{quoted}\\00"\n'
    return replace(code, ir=constant + code.ir)


def _described(view: View) -> dict[str, Any]:
    buffer = view.buffer
    return {
        "size": buffer.size,
        "dtype": buffer.dtype.str,
        "offset": view.offset,
        "shape": view.shape,
        "strides": view.strides,
    }


def _work(kernel: Host) -> float:
    """Multiplications and additions of a system or a decomposition, roughly."""
    *lead, m, n = kernel.sources[0].shape
    return 2.0 * points(lead) * m * n * min(m, n)
