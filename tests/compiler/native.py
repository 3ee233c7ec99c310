"""Run a lowered kernel by itself: compile its text with llvmlite, call it on NumPy arrays."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from thalweg.compiler.kernels import Buffer, Kernel
from thalweg.compiler.lower import lower
from thalweg.compiler.lower.emit import Builder
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.machine import Machine, host

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

WIDTHS = (512, 256, 128)


class Code:
    """A compiled module: its assembly and its functions' addresses."""

    def __init__(self, ir: str, machine: Machine) -> None:
        self.ir = ir
        module = llvm.parse_assembly(ir)
        module.verify()
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=machine.name, features=machine.features, opt=3, jit=True
        )
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        builder = llvm.create_pass_builder(target, options)
        builder.getModulePassManager().run(module, builder)
        self.assembly = target.emit_assembly(module)
        self.engine = llvm.create_mcjit_compiler(module, target)
        self.engine.finalize_object()

    def address(self, name: str) -> int:
        return int(self.engine.get_function_address(name))


def of_width(bits: int) -> Machine:
    """This machine, or as if its vectors were narrower."""
    before = os.environ.get("THALWEG_VECTOR_BITS")
    os.environ["THALWEG_VECTOR_BITS"] = str(bits)
    try:
        return host()
    finally:
        if before is None:
            del os.environ["THALWEG_VECTOR_BITS"]
        else:
            os.environ["THALWEG_VECTOR_BITS"] = before


def module_text(lowered: Lowered) -> str:
    parts = [*sorted(lowered.declarations), *lowered.helpers.values(), lowered.ir]
    return "\n".join(parts)


class Compiled:
    """A kernel that can be called on a mapping of buffers to flat arrays."""

    def __init__(self, kernel: Kernel, machine: Machine | None = None) -> None:
        self.lowered = lower(kernel, "kernel", machine or of_width(512))
        self.code = Code(module_text(self.lowered), machine or of_width(512))
        count = len(self.lowered.buffers)
        self.function = ctypes.CFUNCTYPE(
            None, *[ctypes.c_void_p] * (count + 2), ctypes.c_int64, ctypes.c_int64
        )(self.code.address("kernel"))

    def __call__(
        self, arrays: Mapping[Buffer, Any], parts: Sequence[tuple[int, int]] | None = None
    ) -> bool:
        """Run it, in one go or part by part; whether the error flag was raised."""
        error = np.zeros(1, np.int64)
        scratch = np.empty(self.lowered.scratch + 64, np.uint8)
        start = scratch.ctypes.data + (-scratch.ctypes.data) % 64
        pointers = [arrays[buffer].ctypes.data for buffer in self.lowered.buffers]
        for low, high in parts or [(0, self.lowered.blocks)]:
            self.function(*pointers, error.ctypes.data, start, low, high)
        return bool(error[0])


def elementwise(
    name: str, dtype: Any, build: Any, operands: int, lanes: int, scales: bool = False
) -> Any:
    """A compiled loop of `build(*values)` over flat arrays whose size `lanes` divides."""
    b = Builder(scales=scales)
    dtype = np.dtype(dtype)
    with b.loop(0, b.op("add i64 %n, 0", np.dtype(np.int64)), step=lanes) as turn:
        values = [
            b.load(b.pointer(f"%b{i}", dtype, turn.index), dtype, lanes) for i in range(operands)
        ]
        b.store(build(*values), b.pointer("%out", dtype, turn.index))
    given = ", ".join([f"ptr noalias %b{i}" for i in range(operands)] + ["ptr noalias %out"])
    text = f"define void @{name}({given}, i64 %n) {{\nentry:\n{b.body()}\n ret void\n}}\n"
    code = Code("\n".join([*sorted(b.declarations), *b.helpers.values(), text]), of_width(512))
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (operands + 1), ctypes.c_int64)(
        code.address(name)
    )

    def run(*arrays: Any) -> Any:
        out = np.empty_like(arrays[0])
        function(*(a.ctypes.data for a in arrays), out.ctypes.data, out.size)
        return out

    run.code = code  # type: ignore[attr-defined]
    return run
