"""The graph: a straight-line list of typed equations (the Wengert list), as deck 004 writes it.

    Graph    ::=  inputs  Equation*  outputs
    Equation ::=  Variable = primitive[attributes] Atom*    and what a scan does, a Graph
    Atom     ::=  Variable | Literal
    Type     ::=  dtype[shape] | (Type, ..)                 the latter a scan's

A variable is assigned once. Its position in the list is its order of evaluation. A traced tensor
holds a `Variable` where an eager one holds an array.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from thalweg.errors import TraceError
from thalweg.primitives.core import Primitive
from thalweg.primitives.loops import parts_of
from thalweg.primitives.notation import INFIX
from thalweg.tape import ESCAPED

__all__ = [
    "Atom",
    "Equation",
    "Graph",
    "Literal",
    "Origin",
    "Variable",
    "all_variables",
    "inner_graphs",
    "spell_type",
]

Shape = tuple[int, ...]
_numbers = itertools.count()


class Variable:
    """A value that a program computes or is given: a shape and a NumPy dtype."""

    __slots__ = ("dtype", "number", "shape")

    def __init__(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.number = next(_numbers)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TraceError(ESCAPED)  # NumPy would make an object of it

    def __repr__(self) -> str:
        return f"<Variable {self.number}: {spell_type(self)}>"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number that stands in the program, of rank 0."""

    value: Any
    dtype: np.dtype[Any]

    @property
    def shape(self) -> Shape:
        """Of rank 0."""
        return ()


Atom: TypeAlias = Variable | Literal


@dataclass(frozen=True, slots=True)
class Origin:
    """The user's line that an equation came from."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class Equation:
    """output = op[attributes](inputs)."""

    op: Primitive
    inputs: tuple[Atom, ...]
    output: Variable
    attributes: dict[str, Any] = field(default_factory=dict)
    origin: Origin | None = None


@dataclass(slots=True)
class Graph:
    """A program: variables it is given, equations in order, atoms it gives back."""

    inputs: list[Variable]
    equations: list[Equation]
    outputs: list[Atom]
    names: dict[Variable, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The program as text: inputs, a line an equation, outputs."""
        spelled = self._spelled()
        given = ", ".join(f"{spelled[v]}: {spell_type(v)}" for v in self.inputs)
        yield f"inputs {given}" if given else "inputs"
        width = max((len(spelled[e.output]) for e in self.equations), default=0)
        kinds = max((len(spell_type(e.output)) for e in self.equations), default=0)
        for e in self.equations:
            left = f"{spelled[e.output]:<{width}} : {spell_type(e.output):<{kinds}}"
            yield f"{left} = {_expression(e, spelled)}"
            for inner in inner_graphs(e):
                yield from (f"    {line}" for line in inner.lines())
        yield "outputs " + ", ".join(_spell(atom, spelled) for atom in self.outputs)

    def _spelled(self) -> dict[Variable, str]:
        """Every variable's name: its own, or x0, x1, .. of inputs, t1, t2, .. of results."""
        spelled = dict(self.names)
        taken = set(spelled.values())
        named = [(v, f"x{number}") for number, v in enumerate(self.inputs)]
        named += [(e.output, f"t{number}") for number, e in enumerate(self.equations, start=1)]
        for variable, name in named:
            while variable not in spelled and name in taken:
                name += "_"
            spelled.setdefault(variable, name)
        return spelled


_SHORT = {
    "float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64",
    "uint8": "u8", "uint32": "u32", "bool": "bool",
}  # fmt: skip


def spell_type(value: Any) -> str:
    """f32[32,10], or f32 for rank 0."""
    if parts := parts_of(value):
        return f"({','.join(spell_type(Variable(*part)) for part in parts)})"
    dtype = str(value.dtype.names[0] if value.dtype.names else value.dtype.name)
    shape = f"[{','.join(map(str, value.shape))}]" if value.shape else ""
    return _SHORT.get(dtype, dtype) + shape


def _expression(e: Equation, spelled: dict[Variable, str]) -> str:
    """`a * b` where people write it so, else `name[attributes](a, b)`."""
    operands = [_spell(atom, spelled) for atom in e.inputs]
    match e.op.name, operands:
        case "negative", [x]:
            return f"-{x}"
        case "scalar_power", [x]:
            return f"{x} ** {e.attributes['exponent']}"
        case "power", [_, _] if isinstance(e.inputs[1], Literal):
            pass  # a number after ** is scalar_power's
        case name, [a, b] if name in INFIX:
            return f"{a} {INFIX[name]} {b}"
    return f"{e.op.name}{_spell_attributes(e.attributes)}({', '.join(operands)})"


def _spell(atom: Atom, spelled: dict[Variable, str]) -> str:
    if isinstance(atom, Literal):
        return f"{atom.value!r}" if atom.dtype != np.bool_ else str(bool(atom.value))
    if atom not in spelled:
        raise TraceError(f"{atom!r} is used before it is assigned")
    return spelled[atom]


def _spell_attributes(attributes: dict[str, Any]) -> str:
    shown = {name: value for name, value in attributes.items() if not hasattr(value, "graph")}
    if not shown:
        return ""
    parts = (f"{name}={_spell_value(value)}" for name, value in shown.items())
    return f"[{' '.join(parts)}]"


def _spell_value(value: Any) -> str:
    if isinstance(value, np.dtype):
        return _SHORT.get(value.name, value.name) if not value.names else value.names[0]
    if isinstance(value, tuple):
        return f"({','.join(map(str, value))})"
    return str(value)


def inner_graphs(equation: Equation) -> list[Graph]:
    """The graphs among an equation's attributes: what a scan does with each slice."""
    return [value.graph for value in equation.attributes.values() if hasattr(value, "graph")]


def all_variables(graph: Graph) -> Sequence[Variable]:
    """Inputs and results in order."""
    return [*graph.inputs, *(e.output for e in graph.equations)]
