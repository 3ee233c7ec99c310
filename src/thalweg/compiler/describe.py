"""Kernels as text, a line a scalar: what `str(plan)` gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.compiler.graph import spell_type
from thalweg.compiler.kernels import (
    Access,
    Axis,
    Branch,
    Buffer,
    Chain,
    Contraction,
    Host,
    Kernel,
    Loop,
    Plan,
    Repeat,
    Scalar,
    Scatter,
    Store,
    View,
)

__all__ = ["describe", "describe_plan"]

_LETTERS = "ijklmnpqrstuvw"


def describe_plan(plan: Plan) -> str:
    """The kernels in order, with what is given and what comes out."""
    lines = [f"inputs {', '.join(_buffer(buffer) for buffer in plan.inputs)}"]
    for number, kernel in enumerate(plan.kernels):
        lines += ["", f"kernel {number}: {describe(kernel)}"]
    outputs = ", ".join(f"{view.buffer!r}{list(view.shape) or ''}" for view in plan.outputs)
    return "\n".join([*lines, "", f"outputs {outputs}", f"arena {plan.arena} bytes"])


def describe(kernel: Kernel) -> str:
    """One kernel: its label, its loops, a line for each scalar, reduction and store.

    Of a loop of kernels, where each buffer of a round stands, and its kernels.
    """
    if isinstance(kernel, Loop):
        lines = _loop(kernel)
    elif isinstance(kernel, Chain):
        lines = _chain(kernel)
    elif isinstance(kernel, Contraction):
        lines = _contraction(kernel)
    elif isinstance(kernel, Scatter):
        lines = _scatter(kernel)
    elif isinstance(kernel, Repeat):
        lines = _repeat(kernel)
    elif isinstance(kernel, Branch):
        lines = _branch(kernel)
    elif isinstance(kernel, Host):
        operands = ", ".join(_view(view) for view in kernel.sources)
        lines = iter([f"{_view(kernel.target)} = NumPy's {kernel.primitive} of {operands}"])
    else:
        lines = iter([f"{_view(kernel.target)} = {type(kernel).__name__} {_view(kernel.source)}"])
    return "\n".join([kernel.label, *(f"    {line}" for line in lines)])


def _loop(kernel: Loop) -> Iterator[str]:
    names = _names(len(kernel.space))
    kept = [n for n in range(len(kernel.space)) if n not in kernel.reduced]
    reduced = list(kernel.reduced)
    yield from _loops(
        "for", names, kernel.space, reduced if kernel.reductions and not kept else kept
    )
    if kernel.reductions and kept:
        yield from _loops("  over", names, kernel.space, reduced)
    inner = "    " if kernel.reductions else "  "
    yield from (inner + line for line in _scalars(kernel.body, names))
    yield from (inner + line for line in _stores(kernel.body_stores, names))
    for number, reduction in enumerate(kernel.reductions):
        kind = spell_type(_Typed(reduction.dtype))
        yield f"  r{number}: {kind} = {reduction.kind} of {reduction.value}"
    yield from ("  " + line for line in _scalars(kernel.tail, names, len(kernel.body)))
    yield from ("  " + line for line in _stores(kernel.tail_stores, names))


def _chain(kernel: Chain) -> Iterator[str]:
    within = f", within {', '.join(map(repr, kernel.within))}" if kernel.within else ""
    yield f"{kernel.rows} rows, a few at a time{within}"
    yield from _inside(kernel.loops)


def _repeat(kernel: Repeat) -> Iterator[str]:
    for before in kernel.first:
        yield from describe(before).splitlines()
    yield f"{kernel.count} rounds t"
    for link in kernel.links:
        place = _access(Access(link.outer, link.offset, (link.step,)), "t")
        yield f"  {_buffer(link.inner)} at {place}"
    yield from _inside(kernel.kernels)


def _branch(kernel: Branch) -> Iterator[str]:
    buffer, element = kernel.pred
    for link in kernel.links:
        yield f"  {_buffer(link.inner)} at {_access(Access(link.outer, link.offset, ()), '')}"
    for word, side in zip((f"if {buffer!r}[{element}]", "else"), kernel.sides, strict=True):
        yield word
        yield from _inside(side)


def _inside(kernels: Sequence[Kernel]) -> Iterator[str]:
    for number, inner in enumerate(kernels):
        head, *rest = describe(inner).splitlines()
        yield f"  kernel {number}: {head}"
        yield from (f"  {line}" for line in rest)


def _contraction(kernel: Contraction) -> Iterator[str]:
    axes = [*kernel.batch, *kernel.rows, *kernel.columns]
    names = _names(len(axes) + len(kernel.inner))
    every = [*axes, *kernel.inner]
    start = 0
    for role in ("batch", "rows", "columns", "inner"):
        group: tuple[Axis, ...] = getattr(kernel, role)
        numbers = list(range(start, start + len(group)))
        yield from _loops(role, names, [axis.size for axis in every], numbers)
        start += len(group)
    a = Access(kernel.a, kernel.a_offset, tuple(axis.a for axis in every))
    b = Access(kernel.b, kernel.b_offset, tuple(axis.b for axis in every))
    yield f"  sum of {_access(a, names)} * {_access(b, names)}"
    yield from ("  " + line for line in _scalars(kernel.epilogue, names))
    for number, line in enumerate(_stores(kernel.stores, names)):
        yield f"  {line}{', in the last run of a scan' if number in kernel.final else ''}"
    if kernel.places is not None:
        yield f"  {kernel.places.role} of {'AB'[kernel.places.operand]} at {kernel.places.buffer!r}"
    if kernel.ahead is not None:
        yield f"  asks for {kernel.ahead.count} rows of {kernel.ahead.table!r} ahead"


def _scatter(kernel: Scatter) -> Iterator[str]:
    names = _names(len(kernel.space))
    yield f"{kernel.store.access.buffer!r}[0..{kernel.target_size}] = 0"
    yield from _loops("for", names, kernel.space, list(range(len(kernel.space))))
    yield from ("  " + line for line in _scalars(kernel.body, names))
    yield from ("  " + line.replace(" = ", " += ") for line in _stores([kernel.store], names))


def _names(count: int) -> list[str]:
    return [_LETTERS[n] if n < len(_LETTERS) else f"i{n}" for n in range(count)]


def _loops(
    word: str, names: Sequence[str], sizes: Sequence[int], numbers: list[int]
) -> Iterator[str]:
    if numbers:
        yield f"{word} " + ", ".join(f"{names[n]} < {sizes[n]}" for n in numbers)


def _scalars(scalars: Sequence[Scalar], names: Sequence[str], first: int = 0) -> Iterator[str]:
    for number, scalar in enumerate(scalars, first):
        yield f"{number}: {spell_type(_Typed(scalar.dtype))} = {_operation(scalar, names)}"


def _operation(scalar: Scalar, names: Sequence[str]) -> str:
    attributes = scalar.attributes
    if scalar.op == "load":
        return _access(attributes["access"], names)
    if scalar.op == "literal":
        return repr(attributes["value"])
    if scalar.op == "index":
        axis: int = attributes["axis"]
        return names[axis]
    if scalar.op == "reduced":
        return f"r{attributes['number']}"
    shown = "".join(f" {k}={v}" for k, v in attributes.items() if not isinstance(v, np.dtype))
    return " ".join([scalar.op, *map(str, scalar.inputs)]) + shown


def _stores(stores: Sequence[Store], names: Sequence[str]) -> Iterator[str]:
    for store in stores:
        yield f"{_access(store.access, names)} = {store.value}"


def _access(access: Access, names: Sequence[str]) -> str:
    terms = [
        names[n] if stride == 1 else f"{stride} {names[n]}"
        for n, stride in enumerate(access.strides)
        if stride
    ]
    for part in access.indirect:
        checked = f"#{part.index}" + (" wrapped" if part.wrap else "") + f" < {part.size}"
        terms.append(f"{part.stride} ({checked})")
    if access.offset or not terms:
        terms.append(str(access.offset))
    return f"{access.buffer!r}[{' + '.join(terms)}]"


def _buffer(buffer: Buffer) -> str:
    kind = " (state)" if buffer.kind == "state" else ""
    return f"{buffer!r}: {spell_type(_Typed(buffer.dtype, (buffer.size,)))}{kind}"


def _view(view: View) -> str:
    return f"{view.buffer!r} + {view.offset} {list(view.shape)} by {list(view.strides)}"


class _Typed:
    """What `spell_type` reads."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...] = ()) -> None:
        self.dtype, self.shape = dtype, shape
