"""Lowering: each kernel of a plan becomes the text of one function in LLVM IR.

`lower(kernel, name, machine)` picks the file that knows the kind of kernel. All functions have
the signature

    define void @NAME(ptr noalias %b0, .., ptr %error, ptr %scratch, i64 %low, i64 %high)

with a pointer for each distinct buffer in order of first appearance. A call does the blocks
low .. high-1 of `Lowered.blocks`; which call does a block never changes the result.
"""

from __future__ import annotations

from thalweg.compiler.kernels import Chain, Contraction, Host, Kernel, Loop, Scan, Scatter, Sort
from thalweg.compiler.lower.chains import lower_chain
from thalweg.compiler.lower.contraction import lower_contraction
from thalweg.compiler.lower.host import lower_host
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.lower.past import lower_past
from thalweg.compiler.lower.scan import lower_scan
from thalweg.compiler.lower.scatter import lower_scatter
from thalweg.compiler.lower.sort import lower_sort
from thalweg.compiler.machine import Machine

__all__ = ["lower"]


def lower(kernel: Kernel, name: str, machine: Machine) -> Lowered:
    """The native code of `kernel` for `machine`, as the text of the function @NAME."""
    match kernel:
        case Loop():
            return lower_past(kernel, name, machine)
        case Chain():
            return lower_chain(kernel, name, machine)
        case Contraction():
            return lower_contraction(kernel, name, machine)
        case Scatter():
            return lower_scatter(kernel, name, machine)
        case Scan():
            return lower_scan(kernel, name, machine)
        case Host():
            return lower_host(kernel, name, machine)
    assert isinstance(kernel, Sort), kernel  # loops and branches are made of kernels
    return lower_sort(kernel, name, machine)
