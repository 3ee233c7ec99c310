"""Lowering: each kernel of a plan becomes the text of one function in LLVM IR.

`lower(kernel, name, machine)` picks the file that knows the kind of kernel. All functions have
the signature

    define void @NAME(ptr noalias %b0, .., ptr %error, ptr %scratch, i64 %low, i64 %high)

with a pointer for each distinct buffer in order of first appearance. A call does the blocks
low .. high-1 of `Lowered.blocks`; which call does a block never changes the result.
"""

from __future__ import annotations

from typing import Any

from thalweg.compiler.kernels import Contraction, Kernel, Loop, Scan, Scatter, Sort
from thalweg.compiler.lower.lowered import Lowered

__all__ = ["lower"]


def lower(kernel: Kernel, name: str, machine: Any) -> Lowered:
    """The native code of `kernel`, as LLVM IR text, for `machine` (its `vector_bits`)."""
    match kernel:
        case Loop():
            from thalweg.compiler.lower.loops import lower_loop as rule
        case Contraction():
            from thalweg.compiler.lower.contraction import lower_contraction as rule
        case Scatter():
            from thalweg.compiler.lower.scatter import lower_scatter as rule
        case Sort():
            from thalweg.compiler.lower.sort import lower_sort as rule
        case Scan():
            from thalweg.compiler.lower.scan import lower_scan as rule
    return rule(kernel, name, machine)
