"""What lowering gives: the text of a kernel's function, and what the program must know of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from thalweg.compiler.kernels import Buffer
from thalweg.compiler.lower.emit import Builder

__all__ = ["Lowered", "finished", "function"]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel in LLVM IR.

    ir            the definition of @name; identical kernels have identical text up to the name
    buffers       what the pointers stand for, in order
    later         the numbers of those that mean the memory of the next iteration
    final         the numbers of those that are null where nobody will look at what is written
    blocks        the fixed parts that the work falls into, each at least some 20 us
    flops, bytes  operations that must be done, and traffic, of one run, for the roof
    scratch       bytes of scratch memory a thread needs behind %scratch
    declarations  lines that declare the intrinsics used
    helpers       definitions of the shared functions used, by name
    """

    name: str
    ir: str
    buffers: tuple[Buffer, ...]
    blocks: int
    flops: float
    bytes: float
    scratch: int = 0
    declarations: frozenset[str] = frozenset()
    helpers: dict[str, str] = field(default_factory=dict)
    later: tuple[int, ...] = ()
    final: tuple[int, ...] = ()


def finished(
    name: str,
    buffers: tuple[Buffer, ...],
    builder: Builder,
    blocks: int,
    flops: float,
    bytes: float,
    scratch: int = 0,
) -> Lowered:
    """The kernel whose instructions `builder` holds."""
    return Lowered(
        name=name,
        ir=function(name, buffers, builder),
        buffers=buffers,
        blocks=blocks,
        flops=flops,
        bytes=bytes,
        scratch=scratch,
        declarations=frozenset(builder.declarations),
        helpers=dict(builder.helpers),
    )


def function(name: str, buffers: tuple[Buffer, ...], builder: Builder) -> str:
    """The whole definition of a kernel whose instructions `builder` holds."""
    given = [f"ptr noalias %b{number}" for number in range(len(buffers))]
    given += ["ptr %error", "ptr %scratch", "i64 %low", "i64 %high"]
    head = f"define void @{name}({', '.join(given)}) nounwind {{\nentry:"
    return f"{head}\n{builder.body()}\n  ret void\n}}\n"
