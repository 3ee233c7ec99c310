"""Results larger than the caches are written past them: else their old content is read first.

    2 x + y of 64 MB each takes 3.5 ms past the caches and 4.1 through them, a relu of 32 MB 0.98
    and 1.21

What a loop reads as well, as an optimizer reads what it updates, is in a cache already. A vector
written past the caches must begin at a multiple of its size. Where buffers begin is not known
before the program runs, so there are two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from thalweg.compiler.kernels import Buffer, Loop
from thalweg.compiler.lower.emit import I64, Builder, Value
from thalweg.compiler.lower.loops import lower_loop
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import accesses
from thalweg.compiler.machine import Machine

__all__ = ["in_one_of_two_ways", "lower_past", "with_functions", "written", "written_past"]

_LINE = 64
_CACHES = 24  # second caches' worth of memory that all caches together hardly hold


def lower_past(loop: Loop, name: str, machine: Machine) -> Lowered:
    """The native code of a loop kernel, which writes large results past the caches."""
    streamed = written_past([loop], machine)
    if not streamed:
        return lower_loop(loop, name, machine)
    plain = lower_loop(loop, f"{name}.plain", machine)
    past = lower_loop(loop, f"{name}.past", machine, streamed=streamed)
    b = Builder()
    pointers = [f"%b{number}" for number in range(len(plain.buffers))]

    def call(code: Lowered) -> None:
        given = [f"ptr {pointer}" for pointer in pointers]
        given += ["ptr %error", "ptr %scratch", "i64 %low", "i64 %high"]
        b.emit(f"call void @{code.name}({', '.join(given)})")

    starts = [p for p, buffer in zip(pointers, plain.buffers, strict=True) if buffer in streamed]
    in_one_of_two_ways(b, starts, lambda: call(past), lambda: call(plain))
    whole = finished(name, plain.buffers, b, plain.blocks, plain.flops, plain.bytes)
    return with_functions(whole, [plain, past])


def written(loop: Loop) -> set[Buffer]:
    """What a loop writes."""
    return {store.access.buffer for store in loop.stores}


def written_past(
    loops: Sequence[Loop], machine: Machine, within: Collection[Buffer] = ()
) -> frozenset[Buffer]:
    """What loops write, once, and do not read, and is larger than all caches."""
    touched = [access.buffer for loop in loops for access in accesses(loop)]
    return frozenset(
        buffer
        for buffer in set[Buffer]().union(*map(written, loops)).difference(within)
        if touched.count(buffer) == 1
        and buffer.size * buffer.dtype.itemsize >= _CACHES * machine.l2
    )


def in_one_of_two_ways(
    b: Builder, starts: Sequence[str], past: Callable[[], None], plain: Callable[[], None]
) -> None:
    """`past` where all the addresses `starts` are at the start of a line, else `plain`."""
    bits = b.integer(0)
    for pointer in starts:
        bits = bits | b.op(f"ptrtoint ptr {pointer} to i64", I64)
    even: Value = (bits & (_LINE - 1)).equals(0)
    with b.when(even):
        past()
        b.emit("fence seq_cst")
    with b.when(~even):
        plain()


def with_functions(whole: Lowered, parts: Iterable[Lowered]) -> Lowered:
    """A kernel that calls others, with these in its text."""
    every = {code.name: code for code in parts}.values()
    inner = [code.ir.replace("define void", "define internal void", 1) for code in every]
    return replace(
        whole,
        ir="\n".join([*inner, whole.ir]),
        declarations=whole.declarations.union(*(code.declarations for code in every)),
        helpers={n: text for code in (whole, *every) for n, text in code.helpers.items()},
    )
