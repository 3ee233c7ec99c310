"""Lowering all kernels of a plan: each kind of kernel once, and what was lowered before not at all.

Two kernels that differ in their buffers only have the same code. They are told by a description:
everything a kernel says, with its buffers numbered in order of first appearance. The disk keeps
the text of each description (see `cache`), so that a later run need not write it again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache as once
from pathlib import Path
from typing import Any, Final

import numpy as np

from thalweg.compiler import kernels, lower, machine
from thalweg.compiler.kernels import Buffer, Kernel
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.machine import Machine
from thalweg.compiler.native import cache

__all__ = ["describe", "lower_all"]

_NAME: Final = "kernel"  # under which identical kernels have identical text
_SILENT: Final = frozenset({"origins", "label"})  # fields that say nothing about the code


def lower_all(plan: Sequence[Kernel], machine: Machine) -> list[Lowered]:
    """The code of each kernel, in order; identical code has one name, in any program."""
    known: dict[str, tuple[Lowered, list[Buffer]]] = {}
    result = []
    for kernel in plan:
        buffers: list[Buffer] = []
        description = describe(kernel, buffers)
        if description not in known:
            known[description] = _lowered(kernel, machine, description, buffers), buffers
        code, named = known[description]
        own = dict(zip(named, buffers, strict=True))
        result.append(dataclasses.replace(code, buffers=tuple(own[b] for b in code.buffers)))
    return result


def describe(value: Any, buffers: list[Buffer]) -> str:
    """All that lowering may look at; the buffers met on the way join `buffers`."""
    return "".join(_words(value, buffers))


def _words(value: Any, buffers: list[Buffer]) -> Iterator[str]:
    match value:
        case Buffer():
            yield _buffer(value, buffers)
        case np.ndarray():
            yield f"array {value.dtype.str} {value.shape} {value.tobytes().hex()};"
        case np.dtype():
            yield f"{_dtype(value)};"
        case tuple() | list():
            yield from _group("tuple", enumerate(value), buffers)
        case Mapping():
            yield from _group("mapping", sorted(value.items()), buffers)
        case _ if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            fields = [(name, getattr(value, name)) for name in names if name not in _SILENT]
            yield from _group(type(value).__name__, fields, buffers)
        case _:
            yield f"{value!r};"


def _group(kind: str, parts: Iterable[tuple[object, Any]], buffers: list[Buffer]) -> Iterator[str]:
    yield f"{kind}("
    for name, part in parts:
        yield f"{name}="
        yield from _words(part, buffers)
    yield ")"


def _buffer(buffer: Buffer, buffers: list[Buffer]) -> str:
    if buffer not in buffers:
        buffers.append(buffer)
    kind = "temporary" if buffer.kind == "temporary" else "given"  # so aligned or not
    return f"buffer {buffers.index(buffer)} {buffer.size} {_dtype(buffer.dtype)} {kind};"


def _dtype(dtype: np.dtype[Any]) -> str:
    return str(dtype.descr) if dtype.names else dtype.str


def _lowered(
    kernel: Kernel, target: Machine, description: str, buffers: Sequence[Buffer]
) -> Lowered:
    """The kernel's code, from the disk or made, and then kept."""
    if not cache.is_on():
        return _made(kernel, target)
    key = cache.key_of(["lowered", description, repr(target), *_sources()])
    kept = cache.load(key)
    if kept is not None:
        return _read(kept, buffers)
    code = _made(kernel, target)
    cache.save(key, _written(code, buffers))
    return code


def _made(kernel: Kernel, target: Machine) -> Lowered:
    code = lower.lower(kernel, _NAME, target)
    parts = [code.ir, *sorted(code.declarations), *code.helpers.values()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    name = f"{type(kernel).__name__.lower()}_{digest[:12]}"
    return dataclasses.replace(code, name=name, ir=re.sub(rf"@{_NAME}\b", f"@{name}", code.ir))


def _written(code: Lowered, buffers: Sequence[Buffer]) -> bytes:
    fields = {field.name: getattr(code, field.name) for field in dataclasses.fields(code)}
    fields["buffers"] = [buffers.index(buffer) for buffer in code.buffers]
    fields["declarations"] = sorted(code.declarations)
    return json.dumps(fields).encode()


def _read(data: bytes, buffers: Sequence[Buffer]) -> Lowered:
    fields = json.loads(data)
    fields["buffers"] = tuple(buffers[number] for number in fields["buffers"])
    fields["declarations"] = frozenset(fields["declarations"])
    fields |= {name: tuple(fields[name]) for name in ("later", "final")}
    return Lowered(**fields)


@once
def _sources() -> tuple[str, ...]:
    """What lowering is made of: its files' sizes and times, for who works on them."""
    folder = Path(lower.__file__).parent
    files = sorted(folder.glob("*.py")) + [Path(m.__file__ or "") for m in (kernels, machine)]
    states = [(path.name, path.stat()) for path in files]
    return tuple(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
