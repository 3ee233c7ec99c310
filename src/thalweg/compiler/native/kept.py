"""Whole programs on disk: what a graph became, so that a later run neither plans nor lowers it.

An entry names the object code of each of a program's modules, all of them entries themselves (see
`cache`), and says what running takes. Its key is the graph, exactly, with the machine, the
versions and the files of this package. A graph with an attribute of a kind that is not known here
has no key: its program is made anew in each run.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from thalweg import primitives
from thalweg.compiler.graph import Atom, Graph, Literal, Variable
from thalweg.compiler.machine import Machine
from thalweg.compiler.native import cache
from thalweg.compiler.native.jit import Library, kept_library, versions
from thalweg.compiler.passes.fusion.held import Choice
from thalweg.primitives.loops import Bundle

__all__ = ["Facts", "key_of_program", "load", "save"]

_PLAIN: Final = (bool, int, float, str, bytes, type(None))


Orders: TypeAlias = Sequence[tuple[int, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What running a program takes, beside its code.

    given     how many buffers the caller gives
    kernels   how many there are, each with an error word
    arena     bytes of its temporaries
    scratch   bytes of a thread's own memory
    threads   the most threads that are worth having for it
    input_orders, output_orders   the plan's, as pairs
    """

    given: int
    kernels: int
    arena: int
    scratch: int
    threads: int
    input_orders: Orders = ()
    output_orders: Orders = ()


def load(key: str) -> tuple[Facts, Library] | None:
    """The program under `key`, loaded, or None where something is missing."""
    data = cache.load(key)
    if data is None:
        return None
    entry = json.loads(data)
    library = kept_library(entry["modules"], entry["names"])
    return None if library is None else (Facts(**entry["facts"]), library)


def save(key: str, facts: Facts, library: Library) -> None:
    """Keep a program whose modules are kept."""
    entry = {
        "facts": dataclasses.asdict(facts),
        "modules": library.keys,
        "names": library.names,
    }
    cache.save(key, json.dumps(entry).encode())


# -- the key ---------------------------------------------------------------------------------------


class _Unknown(Exception):
    """Something that cannot be told exactly."""


def key_of_program(
    graph: Graph, updates: Mapping[int, int], machine: Machine, choice: Choice | None = None
) -> str | None:
    """The name of the entry, or None where there can be none."""
    if not cache.is_on():
        return None
    words = _Words()
    try:
        words.graph(graph)
    except _Unknown:
        return None
    chosen = choice and (sorted(choice.inputs), sorted(choice.outputs))
    parts = (*words.told, repr(sorted(updates.items())), repr(chosen), repr(machine))
    return cache.key_of(["program", *parts, *versions(), *_sources()])


class _Words:
    """A graph in words: all that its program depends on, and neither names nor origins."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._numbers: dict[Variable, int] = {}

    def graph(self, graph: Graph) -> None:
        """Inputs, equations, outputs."""
        self.told += ["graph", *map(self._new, graph.inputs), "equations"]
        for e in graph.equations:
            self.told += [e.op.name, *map(self._atom, e.inputs)]
            for name, value in e.attributes.items():
                self.told.append(name)
                self._value(value)
            self.told.append(self._new(e.output))
        self.told += ["outputs", *map(self._atom, graph.outputs), "end"]

    def _new(self, variable: Variable) -> str:
        number = self._numbers.setdefault(variable, len(self._numbers))
        return f"{number}: {_dtype(variable.dtype)} {variable.shape}"

    def _atom(self, atom: Atom) -> str:
        if isinstance(atom, Literal):
            return f"{_dtype(atom.dtype)} {np.asarray(atom.value, atom.dtype).tobytes().hex()}"
        return str(self._numbers.setdefault(atom, len(self._numbers)))

    def _value(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            self.told.append(f"{type(value).__name__} {value!r}")
        elif isinstance(value, np.dtype):
            self.told.append(_dtype(value))
        elif isinstance(value, np.ndarray | np.generic):
            data = np.ascontiguousarray(value)
            self.told.append(f"{_dtype(data.dtype)} {np.shape(value)} {data.tobytes().hex()}")
        elif isinstance(value, tuple | list):
            self._group(value)
        elif isinstance(graph := getattr(value, "graph", None), Graph):
            self.graph(graph)
        else:
            raise _Unknown

    def _group(self, values: Sequence[Any]) -> None:
        self.told.append(f"{len(values)} of")
        for value in values:
            self._value(value)


def _dtype(dtype: Any) -> str:
    if isinstance(dtype, Bundle):
        return f"bundle {[(shape, _dtype(part)) for shape, part in dtype.parts]}"
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise _Unknown
    return str(dtype.descr) if dtype.names else dtype.str


@once
def _sources() -> tuple[str, ...]:
    """What makes programs: its files' sizes and times, for who works on them."""
    folders = [Path(__file__).parents[1], Path(primitives.__file__).parent]
    return tuple(line for folder in folders for line in sorted(_states(str(folder))))


def _states(folder: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _states(entry.path)
            elif entry.name.endswith(".py"):
                state = entry.stat()
                yield f"{entry.path} {state.st_size} {state.st_mtime_ns}"
